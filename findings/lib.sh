#!/usr/bin/env bash
# For findings about the control plane: etcd, kube-apiserver, kube-controller-manager,
# kube-scheduler and kwok, as pinned in tests/control-plane, as plain processes on
# loopback in a temporary folder that goes away with the script. Sourced, not run.
# Needs Go (the first time, to build the binaries), openssl and jq.
#
#   control_plane            starts it; then kubectl works. Flags for single processes are
#                            set before: apiserver_flags, manager_flags, scheduler_flags.
#   node ZONE NAME [LABELS]  a node with 4 CPUs, 16Gi and room for 110 pods
#   eventually SECONDS CMD   waits until the command succeeds
#   expect WHAT WANTED GOT   ends the finding when the real thing behaves otherwise now
set -euo pipefail

findings=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
temporary=$(mktemp -d)
processes=()
apiserver_flags=() manager_flags=() scheduler_flags=()

stop() {
  # Nothing here is worth a graceful end, which can take minutes.
  [ ${#processes[@]} -eq 0 ] || kill -KILL "${processes[@]}" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf -- "$temporary"
}
trap stop EXIT
trap 'exit 130' INT TERM

fail() { printf 'CHANGED: %s\n' "$*" >&2; exit 1; }

expect() { # WHAT WANTED GOT
  [ "$2" = "$3" ] || fail "$1: expected '$2', saw '$3'"
  printf '%s: %s\n' "$1" "$3"
}

eventually() { # SECONDS CMD...
  local deadline=$((SECONDS + $1))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 0.2
  done
}

port() { # one that nobody listens on
  local port
  while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
  printf '%s' "$port"
}

run() { # NAME FLAGS...
  local name=$1
  shift
  "$binaries/$name" "$@" >"$temporary/$name.log" 2>&1 &
  processes+=($!)
}

kubectl() { "$binaries/kubectl" --kubeconfig="$temporary/kubeconfig" --cache-dir="$temporary/cache" "$@"; }

control_plane() {
  binaries=$("$findings/../tests/control-plane/build.sh")
  local etcd peer secure token
  etcd=http://127.0.0.1:$(port) peer=http://127.0.0.1:$(port) secure=$(port)
  token=$(openssl rand -hex 16)
  mkdir -p "$temporary"/{certificates,manager,scheduler}
  openssl genrsa -out "$temporary/key.pem" 2048 2>/dev/null
  openssl rsa -in "$temporary/key.pem" -pubout -out "$temporary/key.pub" 2>/dev/null
  printf '%s,admin,admin,"system:masters"\n' "$token" >"$temporary/tokens.csv"
  run etcd --name=finding --data-dir="$temporary/etcd" --unsafe-no-fsync --log-level=warn \
    --listen-client-urls="$etcd" --advertise-client-urls="$etcd" \
    --listen-peer-urls="$peer" --initial-advertise-peer-urls="$peer" --initial-cluster="finding=$peer"
  run kube-apiserver --etcd-servers="$etcd" --bind-address=127.0.0.1 --secure-port="$secure" \
    --advertise-address=127.0.0.1 --endpoint-reconciler-type=none --anonymous-auth=false \
    --cert-dir="$temporary/certificates" --service-account-issuer=https://kubernetes.default.svc \
    --service-account-key-file="$temporary/key.pub" \
    --service-account-signing-key-file="$temporary/key.pem" \
    --token-auth-file="$temporary/tokens.csv" --authorization-mode=RBAC \
    --service-cluster-ip-range=10.0.0.0/24 --profiling=false "${apiserver_flags[@]}"
  cat >"$temporary/kubeconfig" <<EOF
apiVersion: v1
kind: Config
clusters: [{name: finding, cluster: {server: "https://127.0.0.1:$secure", certificate-authority: $temporary/certificates/apiserver.crt}}]
users: [{name: admin, user: {token: $token}}]
contexts: [{name: finding, context: {cluster: finding, user: admin}}]
current-context: finding
EOF
  eventually 60 kubectl get --raw /readyz || fail "the API server did not start: $(tail -3 "$temporary/kube-apiserver.log")"
  local common=(--kubeconfig="$temporary/kubeconfig" --leader-elect=false --bind-address=127.0.0.1
    --kube-api-qps=500 --kube-api-burst=1000 --profiling=false)
  run kube-controller-manager "${common[@]}" --secure-port="$(port)" --cert-dir="$temporary/manager" \
    --service-account-private-key-file="$temporary/key.pem" --node-monitor-period=1s \
    --node-monitor-grace-period=24h "${manager_flags[@]}"
  run kube-scheduler "${common[@]}" --secure-port="$(port)" --cert-dir="$temporary/scheduler" \
    "${scheduler_flags[@]}"
  run kwok --kubeconfig="$temporary/kubeconfig" --node-lease-duration-seconds=0 \
    --manage-nodes-with-label-selector='zonespread.test/down!=true' \
    --config="$findings/../tests/harness/stages.yaml" --cidr=10.64.0.0/10
  eventually 60 kubectl get serviceaccount default || fail "the controller manager did not start"
  printf 'Kubernetes %s\n' "$(kubectl version -o json | jq -r .serverVersion.gitVersion)"
}

node() { # ZONE NAME [LABELS, as "key: value, …"]
  kubectl apply --server-side -f - >/dev/null <<EOF
apiVersion: v1
kind: Node
metadata: {name: $2, labels: {kubernetes.io/hostname: $2, topology.kubernetes.io/zone: $1${3:+, $3}}}
status:
  allocatable: {cpu: "4", memory: 16Gi, pods: "110"}
  capacity: {cpu: "4", memory: 16Gi, pods: "110"}
EOF
  kubectl apply --server-side --subresource=status -f - >/dev/null <<EOF
apiVersion: v1
kind: Node
metadata: {name: $2}
status:
  allocatable: {cpu: "4", memory: 16Gi, pods: "110"}
  capacity: {cpu: "4", memory: 16Gi, pods: "110"}
EOF
}

nodes_are_ready() { # Ready, and without the taint of new nodes
  [ "$(kubectl get nodes -o json | jq '[.items[] | select((.status.conditions // [] | any(.type == "Ready" and .status == "True") | not) or (.spec.taints // [] | any(.key == "node.kubernetes.io/not-ready")))] | length')" = 0 ]
}
