#!/usr/bin/env bash
# A pod that a quota kept from being replaced is not replaced when the quota is raised,
# but after about as long as it has been missing by then.
#
# Version   Kubernetes 1.37.1 (kube-controller-manager, ReplicaSet)
# Guess     The ReplicaSet controller tries again every few seconds, half a minute at the
#           most; or the raised quota wakes it.
# Is        Nothing wakes it. It tries 5 ms after the first refusal and waits twice as
#           long each time, up to 1000 s: how long the pod is still missing after the
#           cause is gone depends on how long it was missing before. The same goes for
#           an admission webhook or policy that refuses pods.
# Matters   An evicted pod whose replacement is refused for ten minutes may be missing
#           for another ten after somebody has mended it, and its move is reported as
#           stuck. Any change of the ReplicaSet ends the wait; an annotation will do.
#
# Seen:
#   missing for 100 s; the quota is raised
#   30 s after that: still missing
#   after any change of the ReplicaSet: replaced at once
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
node a a1
eventually 30 nodes_are_ready || fail "the node is not Ready"
kubectl apply -f - >/dev/null <<'EOF'
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: main, image: "registry.invalid/web:1"}]}
EOF
pods() { kubectl get pods -o json | jq '[.items[] | select(.metadata.deletionTimestamp == null)] | length'; }
there_are() { [ "$(pods)" = "$1" ]; }
quota() { kubectl apply -f - >/dev/null <<<"{apiVersion: v1, kind: ResourceQuota, metadata: {name: pods}, spec: {hard: {pods: \"$1\"}}}"; }
quota_is_known() { [ "$(kubectl get quota pods -o jsonpath='{.status.hard.pods}')" = "$1" ]; }

eventually 30 kubectl wait --for=condition=Available --timeout=1s deployment/web || fail "web does not run"
quota 1
eventually 30 quota_is_known 1 || fail "the quota is not in force"
pod=$(kubectl get pods -o name | head -1)
kubectl create --raw "/api/v1/namespaces/default/pods/${pod#pod/}/eviction" -f - >/dev/null <<EOF
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "${pod#pod/}", "namespace": "default"}}
EOF
eventually 30 there_are 1 || fail "the pod is not gone, or was replaced past the quota"
# The attempts are 82 s and 164 s after the first; between them there is silence.
sleep 100
quota 9
eventually 30 quota_is_known 9 || fail "the quota was not raised"
printf 'missing for 100 s; the quota is raised\n'
sleep 30
there_are 1 || fail "replaced within 30 s"
printf '30 s after that: still missing\n'
kubectl annotate replicaset -l app=web awake=yes >/dev/null
eventually 5 there_are 2 || fail "a change of the ReplicaSet does not wake its controller"
printf 'after any change of the ReplicaSet: replaced at once\n'
