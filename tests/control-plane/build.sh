#!/usr/bin/env bash
# Builds the control plane that tests and demo run on: etcd, kube-apiserver,
# kube-controller-manager, kube-scheduler, kubectl and kwok, as pinned by the
# go.mod files beside this script. Built once into a cache outside the checkout,
# since a cold build takes minutes and nothing in it is ours.
#
# Progress goes to stderr; the last line of stdout is the directory.
#   ZONESPREAD_CONTROL_PLANE=DIR   use these binaries, build nothing
#   ZONESPREAD_CACHE=DIR           instead of ~/.cache/zonespread
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
modules=(etcd kubernetes kwok)
binaries=(etcd kube-apiserver kube-controller-manager kube-scheduler kubectl kwok)

say() { printf 'control-plane: %s\n' "$*" >&2; }
fail() { say "$1"; shift; for line in "$@"; do printf '  %s\n' "$line" >&2; done; exit 1; }

missing_in() { # DIR: names of the binaries that are not there
  local missing=()
  for binary in "${binaries[@]}"; do [ -x "$1/$binary" ] || missing+=("$binary"); done
  printf '%s' "${missing[*]-}"
}

if [ -n "${ZONESPREAD_CONTROL_PLANE:-}" ]; then
  missing=$(missing_in "$ZONESPREAD_CONTROL_PLANE")
  [ -z "$missing" ] || fail "ZONESPREAD_CONTROL_PLANE=$ZONESPREAD_CONTROL_PLANE lacks: $missing"
  printf '%s\n' "$ZONESPREAD_CONTROL_PLANE"
  exit
fi

sha256() { if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi; }
hash=$(for module in "${modules[@]}"; do cat "$here/$module/go.mod" "$here/$module/go.sum"; done | sha256 | cut -c1-16)
cache=${ZONESPREAD_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/zonespread}/control-plane
built=$cache/$hash

if [ -d "$built" ] && [ -z "$(missing_in "$built")" ]; then
  printf '%s\n' "$built"
  exit
fi

remedy=("Install Go from https://go.dev/dl (the version in $here/kubernetes/go.mod or later),"
  "or set ZONESPREAD_CONTROL_PLANE to a directory with: ${binaries[*]}")
command -v go >/dev/null || fail "building the control plane needs Go, and there is no 'go' on the PATH." "${remedy[@]}"
for module in "${modules[@]}"; do
  complaint=$(cd "$here/$module" && go list -m 2>&1 >/dev/null) || fail "this Go is too old: $complaint" "${remedy[@]}"
done

mkdir -p "$cache"
# Two test runs may find the cache empty at the same time: the second waits, then
# finds the work done. Without flock(1) both build, and the first rename wins.
if command -v flock >/dev/null; then
  exec 9>"$cache/.lock"
  flock -n 9 || { say "another build is under way, waiting for it"; flock 9; }
  if [ -d "$built" ] && [ -z "$(missing_in "$built")" ]; then
    printf '%s\n' "$built"
    exit
  fi
fi

building=$(mktemp -d "$cache/.building.XXXXXX")
trap 'rm -rf -- "$building"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
say "building into $built, once; the first time takes eight to twelve minutes on two cores"

count=0
for module in "${modules[@]}"; do
  cd "$here/$module"
  version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes 2>/dev/null || true)
  ldflags='-s -w'
  # Without a version the API server calls itself v0.0.0 and clients refuse it.
  for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
    [ -z "$version" ] || ldflags+=" -X $package.gitVersion=$version"
  done
  for tool in $(go list tool); do
    name=$(basename "$tool")
    # etcd's main package is called server, and its module path ends in a version.
    case $tool in go.etcd.io/etcd/server/*) name=etcd ;; esac
    count=$((count + 1))
    say "[$count/${#binaries[@]}] $name ..."
    began=$SECONDS
    mkdir "$building/one"
    CGO_ENABLED=0 GOBIN=$building/one go install -trimpath -ldflags "$ldflags" "$tool" >&2 ||
      fail "building $name failed after $((SECONDS - began)) s; the error is above."
    mv "$building"/one/* "$building/$name"
    rmdir "$building/one"
    say "[$count/${#binaries[@]}] $name done in $((SECONDS - began)) s"
  done
done

missing=$(missing_in "$building")
[ -z "$missing" ] || fail "the build did not make: $missing"
chmod 755 "$building"
# The rename is what makes it whole: nobody ever sees half a directory.
if [ -d "$built" ] && [ -n "$(missing_in "$built")" ]; then rm -rf -- "$built"; fi
[ -d "$built" ] || mv "$building" "$built"
say "done in $SECONDS s"
printf '%s\n' "$built"
