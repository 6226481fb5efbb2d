//! Events about a policy, beside its status.

/// A Kubernetes Event about a policy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// Whether someone should look.
    pub warning: bool,
    /// What happened, in a word.
    pub reason: &'static str,
    /// What the operator did.
    pub action: &'static str,
    /// What happened, for a human.
    pub text: String,
    /// What it is about besides the policy: a kind and a name.
    pub related: Option<(&'static str, String)>,
}

impl Event {
    /// The same, about this object besides.
    #[must_use]
    pub fn about(mut self, kind: &'static str, name: &str) -> Self {
        self.related = Some((kind, name.to_owned()));
        self
    }
}
