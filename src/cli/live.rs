//! A cluster, listed once, page by page.

use std::future::Future;

use futures::future::LocalBoxFuture;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use kube::api::{DynamicObject, ListParams, ObjectList};
use kube::core::Request;
use kube::{Client, Config};
use thiserror::Error;

use crate::controller::{error_text, error_with_remedy};
use crate::lint::{DECLARED_KINDS, Declared};
use crate::observe::{Change, Kind, KindVisitor, Watched};

use super::Failure;
use super::output::note;

/// Objects per request.
const PAGE: u32 = 500;

/// Where the rights that commands need are listed.
const RIGHTS: &str = "docs/rights.md lists the rights that each command needs";

/// Why a cluster cannot be read.
#[derive(Debug, Error)]
pub enum LiveError {
    /// No client.
    #[error("cannot set up a client for the cluster: {}", error_text(.0))]
    Client(#[source] Box<kube::Error>),
    /// The policies' kind is not known there.
    #[error(
        "the cluster knows no ZoneSpreadPolicies: install the CRD with `zonespread crd | kubectl apply --server-side -f -`"
    )]
    NoCrd,
    /// A request failed.
    #[error("cannot list {resource}: {}", error_with_remedy(.source, .address, RIGHTS))]
    List {
        /// What was asked for.
        resource: &'static str,
        /// Where.
        address: String,
        /// Why not.
        source: Box<kube::Error>,
    },
}

/// Runs one future to its end.
///
/// # Errors
/// When the process gets no event loop.
pub fn block_on<T>(future: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    Ok(runtime.block_on(future))
}

/// A client that gives up soon: somebody waits.
///
/// # Errors
/// When the configuration is not usable.
pub fn client(mut config: Config) -> Result<Client, LiveError> {
    config.connect_timeout = Some(std::time::Duration::from_secs(10));
    Client::try_from(config).map_err(|error| LiveError::Client(Box::new(error)))
}

/// Why the policies could not be read: mostly, that there is no such kind.
pub fn policies_error(error: kube::Error, address: &str) -> LiveError {
    if status_of(&error) == Some(404) {
        return LiveError::NoCrd;
    }
    let (resource, address) = (Kind::Policy.resource(), address.to_owned());
    LiveError::List { resource, address, source: Box::new(error) }
}

/// Why a policy could not be read or changed.
pub fn policy_error(
    verb: &str,
    namespace: &str,
    name: &str,
    error: &kube::Error,
    address: &str,
) -> Failure {
    match status_of(error) {
        Some(404) => format!("no ZoneSpreadPolicy {name} in namespace {namespace}"),
        _ => format!(
            "cannot {verb} ZoneSpreadPolicy {name} in namespace {namespace}: {}",
            error_with_remedy(error, address, RIGHTS)
        ),
    }
    .into()
}

/// Why a request failed, with its remedy.
pub fn request_error(error: &kube::Error, address: &str) -> String {
    error_with_remedy(error, address, RIGHTS)
}

fn status_of(error: &kube::Error) -> Option<u16> {
    match error {
        kube::Error::Api(status) => Some(status.code),
        _ => None,
    }
}

/// Lists every kind and hands the objects to `sink`; gives the API server's version, if it
/// says so. Kinds that are not `needed` may be forbidden or unknown: that is noted, and they
/// are left out. With a `namespace`, other namespaces are asked only for what matters there:
/// what runs on the nodes, the claims that count there, and moves under way.
///
/// # Errors
/// When a needed kind cannot be listed, or the cluster does not answer.
pub async fn list_all(
    config: Config,
    namespace: Option<&str>,
    needed: &[Kind],
    sink: &mut dyn FnMut(Change),
) -> Result<Option<String>, LiveError> {
    let address = config.cluster_url.to_string();
    let client = client(config)?;
    let version = client.apiserver_version().await.ok().map(|version| version.git_version);
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("reading {msg}: {pos} objects, {elapsed}") {
        bar.set_style(style);
    }
    let mut lister = Lister { client, address, namespace, needed, sink, bar };
    // First what is small and needed: what fails, fails soon.
    let mut kinds = Kind::ALL;
    kinds.sort_by_key(|kind| match kind {
        Kind::Policy | Kind::Zone => 0,
        Kind::Node => 1,
        Kind::Pod => 3,
        _ => 2,
    });
    for kind in kinds {
        kind.visit(ListInto(&mut lister)).await?;
    }
    lister.bar.finish_and_clear();
    Ok(version)
}

struct Lister<'a> {
    client: Client,
    address: String,
    namespace: Option<&'a str>,
    needed: &'a [Kind],
    sink: &'a mut dyn FnMut(Change),
    bar: ProgressBar,
}

struct ListInto<'l, 'a>(&'l mut Lister<'a>);

impl<'l> KindVisitor for ListInto<'l, '_> {
    type Output = LocalBoxFuture<'l, Result<(), LiveError>>;

    fn visit<K: Watched>(self) -> Self::Output {
        Box::pin(self.0.list::<K>())
    }
}

impl Lister<'_> {
    async fn list<K: Watched>(&mut self) -> Result<(), LiveError> {
        let kind = K::KIND;
        self.bar.set_message(kind.resource());
        let own = self.namespace.filter(|_| kind.is_namespaced());
        let everywhere = matches!(kind, Kind::Pod | Kind::Claim | Kind::Policy);
        let first = own.filter(|_| !everywhere);
        match self.list_in::<K>(first).await {
            Ok(()) => Ok(()),
            Err(error) if first.is_none() && own.is_some() && status_of(&error) == Some(403) => {
                self.bar.suspend(|| {
                    note(&format!(
                        "you may not list {} of all namespaces: the answer may differ",
                        kind.resource()
                    ));
                });
                self.list_in::<K>(own).await.or_else(|error| self.failed(kind, error))
            }
            Err(error) => self.failed(kind, error),
        }
    }

    /// Lists a kind in one namespace, or in all of them.
    async fn list_in<K: Watched>(&mut self, namespace: Option<&str>) -> Result<(), kube::Error> {
        // Not by an Api: it does not know which of the kinds are in namespaces.
        let request = Request::new(K::url_path(&(), namespace));
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let asked = request.list(&page).map_err(kube::Error::BuildRequest)?;
            let list: ObjectList<K> = self.client.request(asked).await?;
            self.bar.inc(u64::try_from(list.items.len()).unwrap_or_default());
            for object in list.items {
                (self.sink)(object.applied());
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(()),
            }
        }
    }

    fn failed(&self, kind: Kind, error: kube::Error) -> Result<(), LiveError> {
        let dispensable = !self.needed.contains(&kind);
        match (kind, status_of(&error)) {
            // Without the CRD there are no policies whose moves could be under way.
            (Kind::Policy, Some(404)) if dispensable => Ok(()),
            // Nothing is known of zones, and nobody holds one.
            (Kind::Zone, Some(404)) => Ok(()),
            // Without the right to surge there is none to read them either.
            (_, Some(403 | 404)) if kind.is_optional() => Ok(()),
            (_, Some(403)) if dispensable => {
                self.bar.suspend(|| {
                    note(&format!("you may not list {}: the answer may differ", kind.resource()));
                });
                Ok(())
            }
            (Kind::Policy, _) => Err(policies_error(error, &self.address)),
            _ => Err(LiveError::List {
                resource: kind.resource(),
                address: self.address.clone(),
                source: Box::new(error),
            }),
        }
    }
}

/// Lists what is declared and not watched. What may not be listed is noted, and left out.
///
/// # Errors
/// When the cluster does not answer.
pub async fn list_declared(config: Config, declared: &mut Declared) -> Result<(), LiveError> {
    let address = config.cluster_url.to_string();
    let client = client(config)?;
    for (group, version, kind, resource) in DECLARED_KINDS {
        let path = if group.is_empty() {
            format!("/api/{version}/{resource}")
        } else {
            format!("/apis/{group}/{version}/{resource}")
        };
        let is_foreign = group == "argoproj.io";
        // Who may not list a kind is told so whether it is there or not.
        if is_foreign
            && client.list_api_group_resources(&format!("{group}/{version}")).await.is_err()
        {
            continue;
        }
        let request = Request::new(path);
        let mut page = ListParams::default().limit(PAGE);
        loop {
            let asked = request.list(&page).map_err(kube::Error::BuildRequest);
            let listed = match asked {
                Ok(asked) => client.request::<ObjectList<DynamicObject>>(asked).await,
                Err(error) => Err(error),
            };
            let list = match listed {
                Ok(list) => list,
                // A kind of somebody else, which is not installed.
                Err(error) if status_of(&error) == Some(404) => break,
                Err(error) if status_of(&error) == Some(403) => {
                    note(&format!("you may not list {resource}: checks of them are left out"));
                    break;
                }
                Err(source) => {
                    let source = Box::new(source);
                    return Err(LiveError::List { resource, address, source });
                }
            };
            for object in list.items {
                let added = serde_json::to_value(&object)
                    .and_then(|object| declared.add(kind, &object, None));
                if let Err(error) = added {
                    let name = object.metadata.name.unwrap_or_default();
                    note(&format!("not read: {kind} {name}: {error}"));
                }
            }
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => break,
            }
        }
    }
    Ok(())
}
