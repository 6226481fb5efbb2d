//! Where a command sees the cluster: through its API, or in files.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;

use crate::lint::Declared;
use crate::observe::Kind;
use crate::operator::Operator;
use crate::predict::{KnownVersion, VersionSource};

use super::Failure;
use super::cluster::Access;
use super::cluster_args::ClusterArgs;
use super::live;
use super::manifests::Manifests;
use super::offline::{Contents, missing_kinds, name_of, read_files};
use super::output::note;
use super::scope::Scope;

/// Where `deploy/base` installs the operator, and so its probe pods.
const NAMESPACE: &str = "zonespread-system";

/// Where the cluster is seen.
#[derive(Debug, Args)]
pub struct Source {
    // Its help is made from the watched kinds.
    #[arg(short, long = "filename", value_name = "FILE", help = filename_help())]
    filenames: Vec<PathBuf>,
    #[command(flatten)]
    cluster: ClusterArgs,
    #[command(flatten)]
    scope: Scope,
}

/// How much of a cluster a command has to see.
#[derive(Clone, Copy, Debug)]
pub enum Asks<'a> {
    /// All of it.
    Everything,
    /// One namespace: that which was named with the object asked about, if one was; of the
    /// others what matters there.
    Namespace(Option<&'a str>),
}

impl<'a> Asks<'a> {
    const fn named(self) -> Option<&'a str> {
        match self {
            Self::Everything => None,
            Self::Namespace(named) => named,
        }
    }
}

/// A cluster, seen once.
#[derive(Debug)]
pub struct Snapshot {
    /// It, and the policies' memory of it.
    pub operator: Operator,
    /// When it was seen.
    pub now: Timestamp,
    /// The namespace that is asked about; none for all.
    pub namespace: Option<String>,
}

/// A cluster, or manifests, and all that they say.
#[derive(Debug)]
pub struct Inspected {
    /// What the operator would watch of it.
    pub snapshot: Snapshot,
    /// What it would not.
    pub declared: Declared,
}

fn filename_help() -> String {
    format!(
        "Reads files instead of a cluster: what `{}` (or yaml) prints; - is stdin; may be repeated",
        Kind::dump_command(),
    )
}

impl Source {
    /// Looks at the cluster, which must have objects of the `needed` kinds.
    ///
    /// # Errors
    /// When it cannot be seen, or misses a kind.
    pub fn look(
        &self,
        access: &Access,
        asks: Asks<'_>,
        needed: &[Kind],
    ) -> Result<Snapshot, Failure> {
        let mut operator = Operator::default()
            .with_namespace(NAMESPACE)
            .with_scheduler(self.cluster.scheduler()?)
            .with_scheduler_version(self.cluster.scheduler_version());
        let namespace = if self.filenames.is_empty() {
            let config = live::block_on(access.config())??;
            let namespace =
                asks.named().or_else(|| self.scope.namespace(Some(&config.default_namespace)));
            let namespace = namespace.map(str::to_owned);
            let within = namespace.as_deref().filter(|_| !matches!(asks, Asks::Everything));
            let sink = &mut |change| operator.apply(change);
            let version = live::block_on(live::list_all(config, within, needed, sink))??;
            if let Some(version) = version {
                operator.server_version(&version);
            }
            namespace
        } else {
            let contents = read_files(&self.filenames, &mut |change| operator.apply(change))?;
            self.check(&contents, needed)?;
            self.note_missing(&missing_kinds(&contents, operator.index()));
            asks.named().or_else(|| self.scope.namespace(None)).map(str::to_owned)
        };
        // After the reading, so that what began while it was read is not ahead of the time.
        let now = Timestamp::now();
        operator.recall(now);
        self.note_scheduler(operator.scheduler_version());
        Ok(Snapshot { operator, now, namespace })
    }

    /// Looks at the cluster, or at manifests in files and directories, with all that they say.
    ///
    /// # Errors
    /// When it cannot be seen, or a file that is named cannot be read.
    pub fn inspect(&self, access: &Access) -> Result<Inspected, Failure> {
        let mut declared = Declared::default();
        if self.filenames.is_empty() {
            let snapshot = self.look(access, Asks::Everything, &[Kind::Node, Kind::Pod])?;
            let config = live::block_on(access.config())??;
            let listed = live::list_declared(config, &mut declared);
            live::block_on(listed)??;
            return Ok(Inspected { snapshot, declared });
        }
        let mut operator = Operator::default()
            .with_namespace(NAMESPACE)
            .with_scheduler(self.cluster.scheduler()?)
            .with_scheduler_version(self.cluster.scheduler_version());
        let mut sink = |change| operator.apply(change);
        let mut manifests = Manifests::new(&mut sink, &mut declared);
        manifests.read(&self.filenames)?;
        let Manifests { contents, unread, .. } = manifests;
        for unread in &unread {
            note(&format!("not read: {unread}"));
        }
        if declared.is_empty() && contents == Contents::default() {
            return Err(format!("no Kubernetes objects in {}", self.file_names()).into());
        }
        // Without pods it is no dump: nothing of a cluster is missing, or predicted.
        let is_dump = contents.count(Kind::Pod) > 0;
        if is_dump {
            self.note_missing(&missing_kinds(&contents, operator.index()));
        }
        let now = Timestamp::now();
        operator.recall(now);
        if is_dump {
            self.note_scheduler(operator.scheduler_version());
        }
        let namespace = self.scope.namespace(None).map(str::to_owned);
        Ok(Inspected { snapshot: Snapshot { operator, now, namespace }, declared })
    }

    /// Says which scheduler the answer is about, where that is not sure.
    fn note_scheduler(&self, known: &KnownVersion) {
        if let Some(warning) = known.warning() {
            note(&warning);
        } else if !self.filenames.is_empty() && known.source != VersionSource::Flag {
            note(&format!(
                "predictions are those of {}; --scheduler-version says otherwise",
                known.describe()
            ));
        }
    }

    /// Names the kinds that the files lack and that may change the answer.
    fn note_missing(&self, missing: &[Kind]) {
        if missing.is_empty() {
            return;
        }
        let missing: Vec<&str> = missing.iter().map(|kind| kind.resource()).collect();
        note(&format!(
            "no {} in {}: the answer may differ; `{}` prints all that matters",
            missing.join(", "),
            self.file_names(),
            Kind::dump_command(),
        ));
    }

    fn file_names(&self) -> String {
        let names: Vec<String> = self.filenames.iter().map(|path| name_of(path)).collect();
        names.join(", ")
    }

    /// Notes on stderr what the files hold that does not matter, and what they lack.
    fn check(&self, contents: &Contents, needed: &[Kind]) -> Result<(), Failure> {
        if let Some(skipped) = contents.skipped() {
            note(&format!("ignored kinds: {skipped}"));
        }
        let missing: Vec<&str> = needed
            .iter()
            .filter(|kind| contents.count(**kind) == 0)
            .map(|kind| kind.resource())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "no {missing} in {files}: add the output of `kubectl get {kinds} -A -o yaml` with another -f",
            missing = missing.join(" and no "),
            files = self.file_names(),
            kinds = missing.join(","),
        )
        .into())
    }
}
