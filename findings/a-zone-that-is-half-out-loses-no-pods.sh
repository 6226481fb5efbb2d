#!/usr/bin/env bash
# While more than half of a zone is out, but not all of it, pods stay on its dead nodes.
#
# Version   Kubernetes 1.37.1 (kube-controller-manager, node lifecycle)
# Guess     In a cluster of more than 50 nodes (--large-cluster-size-threshold) a zone
#           of which 55 % are not ready has its pods evicted slowly, one node in 100 s
#           (--secondary-node-eviction-rate): the dead nodes get their NoExecute taints,
#           and their pods are replaced elsewhere 300 s later.
# Is        The threshold is compared with the nodes of the zone. In a cluster of 99
#           nodes in three zones the rate for a zone with 20 of 33 nodes not ready is
#           zero: all get the taint NoSchedule, and none NoExecute (the first one may,
#           before the state of the zone is known). Their pods stay, not Ready, until
#           the nodes are back, or until the rest of the zone fails: then one node in
#           10 s gets its taint.
# Matters   A zone that is half out looks worse than one that is out: its pods are
#           missing and not replaced. Nothing is unbalanced after such an outage, and
#           nothing has to be moved; a tier that misses pods for this reason is helped
#           by `kubectl drain` of the dead nodes, or by the last ones failing.
#
# Seen:
#   nodes of the cluster: 99, of the zone: 33
#   not ready: 20
#   tainted NoSchedule: 20
#   tainted NoExecute after 40 s: at most one
#   not ready: 33
#   tainted NoExecute 25 s later: some more
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
list() { # of nodes, all of them in one request
  for zone in zone-a zone-b zone-c; do
    for number in $(seq 33); do
      printf -- '---\napiVersion: v1\nkind: Node\nmetadata: {name: %s-%s, labels: {topology.kubernetes.io/zone: %s}}\n' "$zone" "$number" "$zone"
      printf 'status: {allocatable: {cpu: "4", memory: 16Gi, pods: "110"}, capacity: {cpu: "4", memory: 16Gi, pods: "110"}}\n'
    done
  done
}
fails() { # NODES: their kubelets stop
  local now ready
  now=$(date -u +%FT%TZ)
  ready="{\"type\": \"Ready\", \"status\": \"False\", \"reason\": \"KubeletStopped\", \"lastHeartbeatTime\": \"$now\", \"lastTransitionTime\": \"$now\"}"
  kubectl label nodes "$@" zonespread.test/down=true >/dev/null
  kubectl patch nodes "$@" --subresource=status -p "{\"status\": {\"conditions\": [$ready]}}" >/dev/null
}
tainted() { # EFFECT: how many nodes have the taint not-ready with it
  kubectl get nodes -o json | jq --arg effect "$1" \
    '[.items[] | select(.spec.taints // [] | any(.key == "node.kubernetes.io/not-ready" and .effect == $effect))] | length'
}
all_have_no_schedule() { [ "$(tainted NoSchedule)" = "$1" ]; }

list | kubectl create -f - >/dev/null
eventually 60 nodes_are_ready || fail "nodes are not Ready"
printf 'nodes of the cluster: %s, of the zone: %s\n' "$(kubectl get nodes -o name | wc -l)" \
  "$(kubectl get nodes -l topology.kubernetes.io/zone=zone-c -o name | wc -l)"

fails $(seq -f 'zone-c-%g' 20)
printf 'not ready: 20\n'
eventually 30 all_have_no_schedule 20 || fail "only $(tainted NoSchedule) of 20 are tainted NoSchedule"
printf 'tainted NoSchedule: 20\n'
sleep 40
early=$(tainted NoExecute)
[ "$early" -le 1 ] || fail "$early nodes of a zone that is half out are tainted NoExecute"
printf 'tainted NoExecute after 40 s: at most one\n'

fails $(seq -f 'zone-c-%g' 21 33)
printf 'not ready: 33\n'
sleep 25
[ "$(tainted NoExecute)" -gt "$early" ] || fail "a zone that is out altogether gets no NoExecute taints"
printf 'tainted NoExecute 25 s later: some more\n'
