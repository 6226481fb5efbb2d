#!/usr/bin/env bash
# A ValidatingAdmissionPolicy that denies evictions answers as if the request were
# malformed: 422, and the object it calls invalid is the pod.
#
# Version   Kubernetes 1.37.1 (kube-apiserver)
# Guess     403 Forbidden, as when an admission webhook denies it: whoever drains nodes
#           sees a right that is missing.
# Is        422 Invalid, `The pods "x" is invalid`, though pod and eviction are fine; a
#           dry run gets the same. Only `reason: Forbidden` in the validation makes it 403.
# Matters   A client that sorts answers by code takes 422 for a bug of its own or gives
#           up for good; an alert on 403 does not see it. Write `reason: Forbidden` into
#           such a policy, or treat both alike.
#
# Seen:
#   without a reason: 422 Invalid
#   dry run: 422 Invalid
#   with reason Forbidden: 403 Forbidden
source "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"
control_plane
policy() { # MORE FIELDS of the validation
  kubectl apply -f - >/dev/null <<EOF
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: office-hours}
spec:
  failurePolicy: Fail
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods/eviction]}]}
  validations: [{expression: "false", message: "no evictions before the weekend"$1}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: office-hours}
spec: {policyName: office-hours, validationActions: [Deny]}
EOF
}
# The status as the API server sent it.
answer() { # QUERY
  local server token
  server=$(kubectl config view -o jsonpath='{.clusters[0].cluster.server}')
  token=$(kubectl config view --raw -o jsonpath='{.users[0].user.token}')
  curl -sS --cacert "$temporary/certificates/apiserver.crt" -H "Authorization: Bearer $token" \
    -H 'Content-Type: application/json' "$server/api/v1/namespaces/default/pods/web/eviction$1" \
    -d '{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "web", "namespace": "default"}}' |
    jq -r '"\(.code) \(.reason // .status)"'
}
denied() { [ "$(answer '?dryRun=All')" = "$1" ]; }

kubectl run web --image=registry.invalid/web:1 >/dev/null
policy ''
eventually 20 denied '422 Invalid' || fail "a dry run is answered $(answer '?dryRun=All')"
expect 'without a reason' '422 Invalid' "$(answer '')"
expect 'dry run' '422 Invalid' "$(answer '?dryRun=All')"
policy ', reason: Forbidden'
eventually 20 denied '403 Forbidden' || fail "with reason Forbidden it is answered $(answer '')"
expect 'with reason Forbidden' '403 Forbidden' "$(answer '')"
