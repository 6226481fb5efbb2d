#!/usr/bin/env bash
# A pod for which kube-scheduler makes room by preemption may be left Pending beside the
# empty node, until some other pod is deleted.
#
# Version   Kubernetes 1.37.1 (kube-scheduler)
# Guess     The scheduler nominates the pod for the node and deletes its victims. Whoever
#           deletes them, as soon as they are gone there is room, and the pod is on the node
#           a moment later.
# Is        While the requests for the victims are under way (SchedulerAsyncPreemption) the
#           pod is kept out of the queue. If the last victim goes by itself in that time, its
#           end wakes nobody, and the scheduler's own request for it gets "not found" and
#           wakes nobody either. The pod keeps its nomination and waits, with nothing else on
#           the node. The end of any pod that has a node, on whichever node, wakes it.
# Matters   Headroom pods that end by themselves, or that two pods push out, while the API
#           server or a webhook is slow: the pod they made room for is late by minutes, and
#           its events say that no node has room. Deleting the pod helps: its successor is
#           placed at once.
#
# Seen:
#   room was made on: c1
#   pods on c1: 0
#   web, 20 s later, is: Pending, nominated for c1
#   after a pod on a1 was deleted: web runs on c1
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
node a a1
node c c1
eventually 30 nodes_are_ready || fail "nodes are not Ready"

# A webhook that is asked and never answers: a program that listens, and is stopped.
deaf=$(port)
"$binaries/etcd" --name=deaf --data-dir="$temporary/deaf" --log-level=error \
  --listen-client-urls="http://127.0.0.1:$deaf" --advertise-client-urls="http://127.0.0.1:$deaf" \
  --listen-peer-urls="http://127.0.0.1:$(port)" >/dev/null 2>&1 &
processes+=($!)
eventually 30 bash -c "exec 3<>/dev/tcp/127.0.0.1/$deaf" || fail "nobody listens"
kill -STOP "${processes[-1]}"

pod() { # NAME CPU [SPEC]
  kubectl apply -f - >/dev/null <<EOF
apiVersion: v1
kind: Pod
metadata: {name: $1, labels: {app: ${1%%-*}}}
spec:
  containers: [{name: main, image: "registry.invalid/$1:1", resources: {requests: {cpu: "$2"}}}]
  terminationGracePeriodSeconds: 0
$3
EOF
}

kubectl apply -f - >/dev/null <<'EOF'
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: headroom}
value: -10
EOF
pod bystander 100m "  nodeName: a1"
for name in pause-1 pause-2; do
  pod "$name" 2 "  nodeName: c1
  priorityClassName: headroom"
done
eventually 60 kubectl wait --for=condition=Ready --timeout=1s pod/bystander pod/pause-1 pod/pause-2 || fail "pods do not run"

kubectl apply -f - >/dev/null <<EOF
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: slow}
webhooks:
- name: slow.example.com
  clientConfig: {url: "https://127.0.0.1:$deaf/"}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [UPDATE], resources: [pods/status]}]
  objectSelector: {matchLabels: {app: pause}}
  failurePolicy: Ignore
  sideEffects: None
  timeoutSeconds: 5
  admissionReviewVersions: [v1]
EOF
is_slow() { ! kubectl patch pod pause-1 --subresource=status --dry-run=server --request-timeout=1s -p '{"status": {"message": "tried"}}'; }
eventually 30 is_slow || fail "the webhook is not asked"

pod web 4 ""
of_web() { kubectl get pod web -o jsonpath="{$1}"; }
is_nominated() { [ "$(of_web .status.nominatedNodeName)" = c1 ]; }
eventually 30 is_nominated || fail "no room is made for web: $(of_web .status.conditions)"
# Those that hold the room end by themselves, while the scheduler is about to delete them.
kubectl delete pods pause-1 pause-2 --grace-period=0 >/dev/null 2>&1
expect "room was made on" c1 "$(of_web .status.nominatedNodeName)"
expect "pods on c1" 0 "$(kubectl get pods --field-selector=spec.nodeName=c1 -o json | jq '.items | length')"
sleep 20
expect "web, 20 s later, is" "Pending, nominated for c1" \
  "$(of_web .status.phase), nominated for $(of_web .status.nominatedNodeName)$(of_web .spec.nodeName)"
kubectl delete pod bystander >/dev/null
eventually 20 kubectl wait --for=condition=Ready --timeout=1s pod/web || fail "web still waits"
expect "after a pod on a1 was deleted" "web runs on c1" "web runs on $(of_web .spec.nodeName)"
