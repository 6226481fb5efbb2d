#!/usr/bin/env bash
# A pod of higher priority is given the place of a pod of its own workload when a
# topology spread constraint, not room, keeps it out.
#
# Version   Kubernetes 1.37.1 (kube-scheduler)
# Guess     Preemption makes room. Here each node has room for 110 pods and runs one, so
#           the newcomer, which only maxSkew keeps out of zones a and b, stays Pending
#           until zone c takes pods again. The budget allows no eviction anyway.
# Is        The scheduler takes one pod away from a zone and so lowers its count: a web
#           pod in a or b is deleted, and the newcomer gets its place. The budget
#           (minAvailable 2 of 2) does not prevent that; it is only preferred to look
#           for victims without one. What was one Pending pod is now one pod fewer of
#           the old kind as well.
# Matters   Raising the priority class of a Deployment while a zone is cordoned costs
#           running pods of the same Deployment, past maxUnavailable and the budget, one
#           for each new pod; its ReplicaSet makes new ones and the next are taken.
#
# Seen:
#   before: a:web-a b:web-b
#   Pending for the constraint: 0/3 nodes are available: 1 node(s) were unschedulable, 2 node(s) didn't match pod topology spread constraints
#   budget allows: 0
#   web pods of priority 0 left: 1
#   newcomer runs in a zone of the two: yes
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
for zone in a b c; do node "$zone" "$zone"1; done
eventually 30 nodes_are_ready || fail "nodes are not Ready"
kubectl cordon c1 >/dev/null

pod() { # NAME NODE-SELECTOR PRIORITY-CLASS POLICY
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: web}}
spec:
  priorityClassName: $3
  preemptionPolicy: $4
  nodeSelector: {$2}
  containers: [{name: main, image: "registry.invalid/web:1", resources: {requests: {cpu: 10m}}}]
  topologySpreadConstraints:
  - {topologyKey: topology.kubernetes.io/zone, maxSkew: 1, whenUnsatisfiable: DoNotSchedule, nodeAffinityPolicy: Ignore, labelSelector: {matchLabels: {app: web}}}
EOF
}

kubectl apply -f - >/dev/null <<'EOF'
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: ordinary}
value: 0
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: higher}
value: 1000
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: higher-and-patient}
value: 1000
preemptionPolicy: Never
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: web}
spec: {minAvailable: 2, selector: {matchLabels: {app: web}}}
EOF
pod web-a "topology.kubernetes.io/zone: a" ordinary PreemptLowerPriority
pod web-b "topology.kubernetes.io/zone: b" ordinary PreemptLowerPriority
eventually 30 kubectl wait --for=condition=Ready --timeout=1s pod/web-a pod/web-b || fail "web does not run"
printf 'before: %s\n' "$(kubectl get pods -o json | jq -r '[.items[] | "\(.spec.nodeName[0:1]):\(.metadata.name)"] | join(" ")')"

# That nothing but the constraint is in the way: the same pod, when it may not preempt.
pod patient "" higher-and-patient Never
eventually 30 kubectl wait --for=condition=PodScheduled=false --timeout=1s pod/patient || fail "patient got a node"
refusal=$(kubectl get pod patient -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}')
printf 'Pending for the constraint: %s\n' "${refusal%%. *}"
case $refusal in *"2 node(s) didn't match pod topology spread constraints"*) ;; *) fail "another reason: $refusal" ;; esac
kubectl delete pod patient >/dev/null
eventually 30 test "$(kubectl get pdb web -o jsonpath='{.status.currentHealthy}')" = 2 || fail "the budget does not see web"
expect "budget allows" 0 "$(kubectl get pdb web -o jsonpath='{.status.disruptionsAllowed}')"

pod newcomer "" higher PreemptLowerPriority
eventually 30 kubectl wait --for=condition=Ready --timeout=1s pod/newcomer || fail "newcomer stays Pending: no pod of its own kind is preempted any more"
expect "web pods of priority 0 left" 1 "$(kubectl get pods -o json | jq '[.items[] | select(.spec.priority == 0 and .metadata.deletionTimestamp == null)] | length')"
expect "newcomer runs in a zone of the two" yes "$(case $(kubectl get pod newcomer -o jsonpath='{.spec.nodeName}') in a1 | b1) echo yes ;; *) echo no ;; esac)"
