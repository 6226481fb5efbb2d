//! Names of objects as kubectl takes them: `NAME` or `KIND/NAME`; and `NAMESPACE/NAME`.

use super::scope::Scope;

/// A kind that a command takes a name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedKind {
    /// A `ZoneSpreadPolicy`.
    Policy,
    /// A namespace.
    Namespace,
    /// A pod.
    Pod,
    /// A Deployment.
    Deployment,
    /// A `ReplicaSet`.
    ReplicaSet,
    /// A `StatefulSet`.
    StatefulSet,
}

/// The words for each kind, as kubectl knows them.
const WORDS: [(NamedKind, &[&str]); 6] = [
    (
        NamedKind::Policy,
        &["zsp", "zonespreadpolicy", "zonespreadpolicies", "zonespreadpolicies.zonespread.io"],
    ),
    (NamedKind::Namespace, &["ns", "namespace", "namespaces"]),
    (NamedKind::Pod, &["po", "pod", "pods"]),
    (NamedKind::Deployment, &["deploy", "deployment", "deployments", "deployments.apps"]),
    (NamedKind::ReplicaSet, &["rs", "replicaset", "replicasets", "replicasets.apps"]),
    (NamedKind::StatefulSet, &["sts", "statefulset", "statefulsets", "statefulsets.apps"]),
];

/// A name, and what was said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named<'a> {
    /// The kind.
    pub kind: NamedKind,
    /// The namespace that stands before the name, if one does.
    pub namespace: Option<&'a str>,
    /// The name.
    pub name: &'a str,
}

impl<'a> Named<'a> {
    /// Reads `text`; without a kind it is one of `default`.
    ///
    /// # Errors
    /// When it names none of the `kinds`.
    pub fn parse(text: &'a str, default: NamedKind, kinds: &[NamedKind]) -> Result<Self, String> {
        let plain = |namespace, name| Self { kind: default, namespace, name };
        let named = match text.split_once('/') {
            None => plain(None, text),
            Some((word, name)) => {
                let known = WORDS.iter().find(|(_, words)| words.contains(&word));
                known.map_or(plain(Some(word), name), |(kind, _)| Self {
                    kind: *kind,
                    namespace: None,
                    name,
                })
            }
        };
        if named.name.is_empty() || named.name.contains('/') || !kinds.contains(&named.kind) {
            let words = WORDS.iter().filter(|(kind, _)| kinds.contains(kind));
            let words: Vec<String> = words.map(|(_, words)| format!("{}/NAME", words[0])).collect();
            return Err(format!("{text:?} is no NAME or {}", words.join(", ")));
        }
        Ok(named)
    }

    /// The namespace it is in; none for all of them.
    pub fn namespace_in(&self, scope: &'a Scope, default: Option<&'a str>) -> Option<&'a str> {
        self.namespace.or_else(|| scope.namespace(default))
    }
}

/// Reads the name of a policy.
///
/// # Errors
/// When it is something else.
pub fn policy(text: &str) -> Result<Named<'_>, String> {
    Named::parse(text, NamedKind::Policy, &[NamedKind::Policy])
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const KINDS: [NamedKind; 2] = [NamedKind::Pod, NamedKind::Deployment];

    #[rstest]
    #[case("web-1", NamedKind::Pod, None, "web-1")]
    #[case("pod/web-1", NamedKind::Pod, None, "web-1")]
    #[case("po/web-1", NamedKind::Pod, None, "web-1")]
    #[case("shop/web-1", NamedKind::Pod, Some("shop"), "web-1")]
    #[case("deploy/web", NamedKind::Deployment, None, "web")]
    #[case("deployments.apps/web", NamedKind::Deployment, None, "web")]
    fn names_read_as_in_kubectl(
        #[case] text: &str,
        #[case] kind: NamedKind,
        #[case] namespace: Option<&str>,
        #[case] name: &str,
    ) {
        let expected = Named { kind, namespace, name };
        assert_eq!(Named::parse(text, NamedKind::Pod, &KINDS), Ok(expected));
    }

    #[rstest]
    #[case("zsp/web")]
    #[case("shop/web/1")]
    #[case("pod/")]
    fn what_names_something_else_is_refused(#[case] text: &str) {
        let error = Named::parse(text, NamedKind::Pod, &KINDS).unwrap_err();
        assert!(error.ends_with("is no NAME or po/NAME, deploy/NAME"), "{error}");
    }
}
