//! Which namespaces a command is about, as with kubectl.

use clap::Args;

/// Which namespaces.
#[derive(Clone, Debug, Args)]
pub struct Scope {
    /// The namespace; default that of the context, or all of them with files
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_namespaces")]
    namespace: Option<String>,
    /// All namespaces
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

impl Scope {
    /// One namespace, or the default one.
    pub const fn of(namespace: Option<String>) -> Self {
        Self { namespace, all_namespaces: false }
    }

    /// The one namespace that was named, or `default`; none for all.
    pub fn namespace<'a>(&'a self, default: Option<&'a str>) -> Option<&'a str> {
        if self.all_namespaces { None } else { self.namespace.as_deref().or(default) }
    }
}
