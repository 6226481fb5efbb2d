#!/usr/bin/env bash
# A field that a MutatingAdmissionPolicy adds belongs to nobody.
#
# Version   Kubernetes 1.37.1 (kube-apiserver)
# Guess     Admission is part of the request, so the field belongs to whoever sent it: to
#           the creator, or to the applier in an entry of its own with operation Update.
# Is        No entry of managedFields names it, neither after `kubectl create` nor after
#           `kubectl apply --server-side`. It outlives the policy and every later apply,
#           and whoever changes it has no conflict.
# Matters   Where policies add spread constraints or labels to what a GitOps tool applies,
#           taking the policy away does not take the fields away, and a look at the
#           owners does not tell where they came from. They must be removed by hand.
#
# Seen:
#   owner after create: nobody
#   owner after apply: nobody
#   after the policy is deleted and all is applied again: added=yes
#   another manager changes it without --force-conflicts: added=no
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
kubectl apply -f - >/dev/null <<'EOF'
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: add-a-label}
spec:
  failurePolicy: Fail
  reinvocationPolicy: Never
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration: {expression: 'Object{metadata: Object.metadata{labels: {"added": "yes"}}}'}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: add-a-label}
spec: {policyName: add-a-label}
EOF
deployment() { # NAME TAG
  printf '{apiVersion: apps/v1, kind: Deployment, metadata: {name: %s}, spec: {replicas: 0, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: main, image: "registry.invalid/web:%s"}]}}}}' "$1" "$2"
}
owner() { # NAME: of the label
  kubectl get deployment "$1" -o json --show-managed-fields | jq -r \
    '[.metadata.managedFields[] | select(.fieldsV1["f:metadata"]["f:labels"] // {} | has("f:added")) | .manager] | if . == [] then "nobody" else join(", ") end'
}
label() { kubectl get deployment "$1" -o jsonpath='added={.metadata.labels.added}'; }
in_force() { [ "$(deployment probe 1 | kubectl create --dry-run=server -o jsonpath='{.metadata.labels.added}' -f -)" = yes ]; }
out_of_force() { ! in_force; }

eventually 20 in_force || fail "the policy adds nothing"
deployment created 1 | kubectl create -f - >/dev/null
expect 'owner after create' nobody "$(owner created)"
deployment applied 1 | kubectl apply --server-side --field-manager=gitops -f - >/dev/null
expect 'owner after apply' nobody "$(owner applied)"
[ "$(label applied)" = added=yes ] || fail "the policy adds nothing to an apply"
kubectl delete mutatingadmissionpolicybinding add-a-label >/dev/null
eventually 20 out_of_force || fail "the policy is still in force"
deployment applied 2 | kubectl apply --server-side --field-manager=gitops -f - >/dev/null
expect 'after the policy is deleted and all is applied again' added=yes "$(label applied)"
kubectl apply --server-side --field-manager=somebody -f - >/dev/null <<'EOF' || fail "the label has an owner: there is a conflict"
{apiVersion: apps/v1, kind: Deployment, metadata: {name: applied, labels: {added: "no"}}}
EOF
expect 'another manager changes it without --force-conflicts' added=no "$(label applied)"
