#!/usr/bin/env bash
# Builds the control plane that tests and demo run on: etcd, kube-apiserver,
# kube-controller-manager, kube-scheduler, kubectl and kwok, as pinned by the
# go.mod files beside this script. Built once into a cache outside the checkout,
# since a cold build takes minutes and nothing in it is ours.
#
#   build.sh                        the newest Kubernetes
#   build.sh 1.35                   an older one; etcd, kubectl and kwok are the same
#   build.sh 1.35 kube-scheduler    this program of it only
#   build.sh argo-rollouts          a controller that some clusters have, and its CRDs
#   build.sh karpenter              Karpenter with its kwok provider, and its CRDs in crds/
#   build.sh prometheus             Prometheus and promtool, without service discovery
#   build.sh helm                   Helm
#   build.sh lua                    the Lua that Argo CD has
#
# Progress goes to stderr; the last line of stdout is the directory.
#   ZONESPREAD_CONTROL_PLANE=DIR   use these binaries, and DIR/1.35 of that version; build nothing
#   ZONESPREAD_CACHE=DIR           instead of ~/.cache/zonespread
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
say() { printf 'control-plane: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for line in "$@"; do printf '  %s\n' "$line" >&2; done; exit 1; }
usage() { fail "$1" "usage: build.sh [argo-rollouts | karpenter | prometheus | helm | lua | VERSION [PROGRAM...]]; versions: $(cd "$here" && echo kubernetes-* | sed 's/kubernetes-//g')"; }

version=${1:-}
[ $# -eq 0 ] || shift
if [ -z "$version" ]; then
  modules=(etcd kubernetes kwok)
  binaries=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok)
  minutes="eight to twelve minutes"
elif [ "$version" = argo-rollouts ]; then
  modules=("$version")
  binaries=(rollouts-controller)
  minutes="two to five minutes"
  # It asks for a newer Go than the others: fetched as a Go module where the machine's is older.
  export GOTOOLCHAIN=auto
elif [ "$version" = karpenter ]; then
  modules=(karpenter)
  binaries=(karpenter)
  minutes="two minutes"
  # It asks for a newer Go than the others; go fetches that as a module.
  export GOTOOLCHAIN=go1.26.10
elif [ "$version" = prometheus ]; then
  modules=("$version")
  binaries=(promtool prometheus)
  minutes="four minutes"
  # The clients of a dozen clouds; tests name what is scraped.
  tags=remove_all_sd
elif [ "$version" = lua ]; then
  modules=("$version")
  binaries=(glua)
  minutes="ten seconds"
elif [ "$version" = helm ]; then
  modules=("$version")
  binaries=(helm)
  minutes="two minutes"
else
  modules=("kubernetes-$version")
  [ -d "$here/${modules[0]}" ] || usage "Kubernetes $version is not pinned"
  binaries=("${@:-kube-apiserver}")
  [ $# -gt 0 ] || binaries=(kube-apiserver kube-controller-manager kube-scheduler)
  minutes="two to five minutes for each program"
fi

missing_in() { # DIR: names of the binaries that are not there
  local missing=()
  for binary in "${binaries[@]}"; do [ -x "$1/$binary" ] || missing+=("$binary"); done
  printf '%s' "${missing[*]-}"
}

if [ -n "${ZONESPREAD_CONTROL_PLANE:-}" ]; then
  given=$ZONESPREAD_CONTROL_PLANE${version:+/$version}
  missing=$(missing_in "$given")
  [ -z "$missing" ] || fail "ZONESPREAD_CONTROL_PLANE=$ZONESPREAD_CONTROL_PLANE: $given lacks: $missing"
  printf '%s\n' "$given"
  exit
fi

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
hash=$(for module in "${modules[@]}"; do cat "$here/$module/go.mod" "$here/$module/go.sum"; done | sha256 | cut -c1-16)
cache=${ZONESPREAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zonespread}/control-plane
built=$cache/${version:+$version-}$hash

# An older version shares what is not its own with the newest.
finish() {
  if [ "$version" = karpenter ] && [ ! -d "$built/crds" ]; then
    mkdir -p "$built/crds.new"
    (cd "$here/karpenter" && source=$(go list -m -f '{{.Dir}}' sigs.k8s.io/karpenter) &&
      cp "$source"/pkg/apis/crds/*.yaml "$source"/kwok/apis/crds/*.yaml "$built/crds.new")
    mv "$built/crds.new" "$built/crds"
  fi
  if [ -d "$here/kubernetes-$version" ] && [ "${#binaries[@]}" -gt 1 ]; then
    newest=$("$here/build.sh")
    for shared in etcd kubectl kwok; do ln -sf "$newest/$shared" "$built/$shared"; done
  fi
  printf '%s\n' "$built"
  exit
}

is_whole() { [ -d "$built" ] && [ -z "$(missing_in "$built")" ] && { [ "$version" != karpenter ] || [ -d "$built/crds" ]; }; }
if is_whole; then finish; fi

remedy=("Install Go from https://go.dev/dl (the version in $here/kubernetes/go.mod or later),"
  "or set ZONESPREAD_CONTROL_PLANE to a directory with: ${binaries[*]}")
command -v go >/dev/null || fail "building the control plane needs Go, and there is no 'go' on the PATH." "${remedy[@]}"
for module in "${modules[@]}"; do
  complaint=$(cd "$here/$module" && go list -m 2>&1 >/dev/null) || fail "this Go is too old: $complaint" "${remedy[@]}"
done

mkdir -p "$cache"
# Two test runs may find the cache empty at the same time: the second waits, then
# finds the work done. Without flock(1) both build, and the last rename wins.
if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock -n 9 || { say "another build is under way, waiting for it"; flock 9; }
fi

building=$(mktemp -d "$cache/.building.XXXXXX")
trap 'rm -rf -- "$building"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say "building into $built, once; the first time takes $minutes on two cores"

count=0
mkdir -p "$built"
for module in "${modules[@]}"; do
  cd "$here/$module"
  if [ "$module" = argo-rollouts ]; then
    go mod download github.com/argoproj/argo-rollouts >&2 || fail "Argo Rollouts could not be fetched."
    rm -rf "$built/crds"
    cp -r "$(go list -m -f '{{.Dir}}' github.com/argoproj/argo-rollouts)/manifests/crds" "$built/crds"
    chmod -R u+w "$built/crds"
  fi
  release=$(go list -m -f '{{.Version}}' k8s.io/kubernetes 2>/dev/null || true)
  ldflags='-s -w'
  # Without a version the API server calls itself v0.0.0 and clients refuse it.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    [ -z "$release" ] || ldflags+=" -X $package.gitVersion=$release"
  done
  for tool in $(go list tool); do
    name=$(basename "$tool")
    # etcd's main package is called server, and its module path ends in a version.
    case $tool in
      go.etcd.io/etcd/server/*) name=etcd ;;
      sigs.k8s.io/karpenter/kwok) name=karpenter ;;
    esac
    case " ${binaries[*]} " in *" $name "*) ;; *) continue ;; esac
    count=$((count + 1))
    [ ! -x "$built/$name" ] || continue
    say "[$count/${#binaries[@]}] $name ..."
    began=$SECONDS
    mkdir "$building/one"
    CGO_ENABLED=0 GOBIN=$building/one go install -trimpath -tags "${tags:-}" -ldflags "$ldflags" "$tool" >&2 ||
      fail "building $name failed after $((SECONDS - began)) s; the error is above."
    # The rename is what makes it whole: nobody ever sees half a program.
    mv "$building"/one/* "$built/$name"
    rmdir "$building/one"
    say "[$count/${#binaries[@]}] $name done in $((SECONDS - began)) s"
  done
done

missing=$(missing_in "$built")
[ -z "$missing" ] || fail "the build did not make: $missing"
say "done in $SECONDS s"
# The newest version may have to be built as well, under the same lock.
if command -v flock >/dev/null; then flock -u 9; fi
finish
