//! Wires the rooms together; holds no logic of its own.

mod clock;
mod complaints;
mod drill_right;
mod drills;
mod error_text;
mod installed_schema;
mod lease;
mod liveness;
mod opening;
mod perform;
mod probe_pod;
mod publish;
mod recorder;
mod refusal;
mod requests;
mod rights;
mod server;
mod settings;
mod steering;
mod surge;
mod version;
mod watches;
mod zone_closer;
mod zones;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, Fuse};
use kube::api::{Api, ListParams};
use kube::{Client, Config};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tracing::{Level, debug, enabled, info, warn};

use crate::api::{MoveStatus, ZoneObject, ZoneSpreadPolicy, ZoneSpreadPolicyStatus, ZoneStatus};
use crate::moves::{ErrorCategory, Outcome, Signal};
use crate::observe::{ClockReading, Name, Pauses, PolicyKey, SILENT_AFTER, WatchEvent};
use crate::operator::{Decision, Look, MainLoop, Operator, ProbeAnswer, ProbeAsk, ZoneWrite};
use crate::report::Metrics;

use drills::Drilling;
pub use error_text::{error_text, error_with_remedy};
use lease::{Elector, Leadership};
use liveness::watching_client;
use opening::ProbeKeeper;
use perform::{Command, Performer};
use rights::Rights;
use server::{Health, serve};
pub use settings::{RunError, Settings};
use steering::look_at_steering;
use surge::Prover;
use version::{ASK_EVERY, VersionLog, server_version};
use watches::watch_all;
use zones::ZoneWriter;

/// Watch events taken in one go.
const EVENTS_AT_ONCE: usize = EVENTS_WAITING;
/// How many watch events may wait. Each holds an object as it was read; reading is slower
/// than taking in, so that few are enough.
const EVENTS_WAITING: usize = 128;
/// How many decisions may wait for the performer, which takes them at once.
const DECISIONS_WAITING: usize = 16;
/// How many outcomes may wait for the main loop.
const OUTCOMES_WAITING: usize = 1024;
/// Reading all policies takes no longer.
const READ_WITHIN: Duration = Duration::from_secs(10);
/// All must be over this long after SIGTERM.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(8);

/// Runs until `stop`.
///
/// # Errors
/// When it cannot start, or a part of it ends by itself.
pub async fn run(
    config: Config,
    settings: Settings,
    stop: watch::Receiver<bool>,
) -> Result<(), RunError> {
    let address = settings.metrics_bind_address;
    let listener =
        TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
    let client = |config: Config| {
        Client::try_from(config).map_err(|error| RunError::Client(Box::new(error)))
    };
    let (events, watched) = mpsc::channel(EVENTS_WAITING);
    // Longer than a watch lasts: a silent connection is a dead one.
    let mut patient = config.clone();
    patient.read_timeout = Some(SILENT_AFTER);
    let watching =
        watching_client(patient, &events).map_err(|error| RunError::Client(Box::new(error)))?;
    let server = config.cluster_url.to_string();
    let server = server.trim_end_matches('/').to_owned();
    // A PDB's 429 is an answer, and the lease must not wait: no silent retries.
    let mut direct = config;
    direct.default_retry = false;
    let acting = client(direct)?;

    let metrics = Arc::new(Metrics::new()?);
    let health = Health::default();
    let (commands, to_perform) = mpsc::channel(DECISIONS_WAITING);
    let (outcomes, performed) = mpsc::channel(OUTCOMES_WAITING);
    let (leads, leading) = watch::channel(!settings.leader_elect);

    let elector = Elector::new(acting.clone(), &settings.namespace, settings.identity.clone());
    let leadership =
        if settings.leader_elect { elector.leadership() } else { Leadership::always() };
    let (pauses, paused) = watch::channel(Arc::default());
    let identity = settings.identity.clone();
    let zone_writer = ZoneWriter::new(acting.clone(), leadership.clone());
    let keeper = ProbeKeeper::new(
        acting.clone(),
        leadership.clone(),
        settings.namespace.clone(),
        settings.pod.clone(),
        settings.probe_image.clone(),
    );
    let drilling = Drilling::start(&watching, &acting, &leadership, &settings.namespace);
    let performer = Performer::new(acting.clone(), leadership, paused, identity);

    watch_all(&watching, &server, &events);
    let prover = Prover {
        client: acting.clone(),
        watching: watching.clone(),
        server: server.clone(),
        events: events.clone(),
        namespace: settings.namespace.clone(),
    };
    let (surge_right, scale_in_right) = prover.start();
    let steering_right = look_at_steering(acting.clone());
    let performing = tokio::spawn(performer.run(to_perform, outcomes));
    // Of each zone there is one write at a time, so these are bounded.
    let (zone_writes, zones_to_write) = mpsc::unbounded_channel();
    let (zone_answers, zones_written) = mpsc::unbounded_channel();
    tokio::spawn(zone_writer.run(zones_to_write, zone_answers));
    let opening_right = keeper.right();
    let (probe_asks, probes_to_keep) = mpsc::unbounded_channel();
    let (probe_answers, probes_kept) = mpsc::unbounded_channel();
    tokio::spawn(keeper.run(probes_to_keep, probe_answers));
    let electing = settings.leader_elect.then(|| tokio::spawn(elector.run(leads, stop.clone())));
    let serving = tokio::spawn(serve(listener, health.clone(), Arc::clone(&metrics), stop.clone()));
    info!(%address, identity = %settings.identity, "zonespread {} runs", env!("CARGO_PKG_VERSION"));

    let operator = Operator::default()
        .with_scheduler(settings.scheduler)
        .with_scheduler_version(settings.scheduler_version)
        .with_namespace(&settings.namespace)
        .with_probe_timeout(settings.probe_timeout)
        .with_concurrent_moves(settings.concurrent_moves);
    let driver = Driver {
        main_loop: MainLoop::new(operator, !settings.leader_elect, Instant::now()),
        client: acting,
        commands,
        zone_writes,
        probe_asks,
        drilling,
        pauses,
        metrics,
        health,
        version_log: VersionLog::default(),
    };
    let steering = steering_right;
    let rights =
        Rights { surge: surge_right, scale_in: scale_in_right, opening: opening_right, steering };
    let mut stopping = stop.clone();
    tokio::select! {
        () = driver.run(watched, performed, zones_written, probes_kept, leading, rights) => return Err(RunError::Ended("the main loop")),
        _ = performing => return Err(RunError::Ended("the performer")),
        served = serving => {
            if !*stop.borrow() {
                let error = served.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                return error.map_err(RunError::Serve).and(Err(RunError::Ended("the metrics server")));
            }
        }
        _ = stopping.wait_for(|stop| *stop) => {}
    }
    info!("stopping");
    if let Some(electing) = electing
        && tokio::time::timeout(SHUTDOWN_WITHIN, electing).await.is_err()
    {
        warn!("the lease was not released in time; it runs out by itself");
    }
    Ok(())
}

/// What the leader before us wrote.
type Written = (Vec<ZoneSpreadPolicy>, Vec<ZoneObject>);

/// A list of it that is under way; none if it failed.
type Read = BoxFuture<'static, Option<Written>>;

/// Drives the main loop.
struct Driver {
    main_loop: MainLoop,
    client: Client,
    commands: mpsc::Sender<Command>,
    zone_writes: mpsc::UnboundedSender<ZoneWrite>,
    probe_asks: mpsc::UnboundedSender<ProbeAsk>,
    drilling: Drilling,
    /// Told at once, and heeded by evictions that are on their way.
    pauses: watch::Sender<Arc<Pauses>>,
    metrics: Arc<Metrics>,
    health: Health,
    version_log: VersionLog,
}

impl Driver {
    async fn run(
        mut self,
        mut events: mpsc::Receiver<WatchEvent>,
        mut performed: mpsc::Receiver<Outcome>,
        mut zones_written: mpsc::UnboundedReceiver<(ZoneWrite, bool)>,
        mut probes_kept: mpsc::UnboundedReceiver<(ProbeAsk, ProbeAnswer)>,
        mut leading: watch::Receiver<bool>,
        mut rights: Rights,
    ) {
        let mut buffer = Vec::with_capacity(EVENTS_AT_ONCE);
        let mut reading = pin!(Fuse::<Read>::terminated());
        // Nothing is predicted before it is known for which version.
        let version = server_version(self.client.clone()).await;
        self.main_loop.server_version(version.as_deref());
        let mut asking = pin!(Fuse::<BoxFuture<'static, Option<String>>>::terminated());
        let mut ask_again = tokio::time::interval(ASK_EVERY);
        ask_again.reset();
        // Without an election, and once it is over on SIGTERM, nothing changes.
        let mut election_over = false;
        loop {
            tokio::select! {
                taken = events.recv_many(&mut buffer, EVENTS_AT_ONCE) => {
                    if taken == 0 {
                        return;
                    }
                    self.take_in(&mut buffer);
                }
                outcome = performed.recv() => {
                    let Some(outcome) = outcome else { return };
                    let signals = self.main_loop.outcome(outcome, clock::now());
                    self.count(signals);
                }
                written = zones_written.recv() => {
                    let Some((write, is_written)) = written else { return };
                    if !is_written {
                        self.metrics.reconcile_error(ErrorCategory::WriteZone);
                    }
                    self.main_loop.zone_written(&write, is_written, clock::now());
                }
                changed = leading.changed(), if !election_over => match changed {
                    Ok(()) => {
                        let leads = *leading.borrow_and_update();
                        self.main_loop.elected(leads, Instant::now());
                    }
                    Err(_) => election_over = true,
                },
                answered = probes_kept.recv() => {
                    let Some((ask, answer)) = answered else { return };
                    self.main_loop.probe_answered(&ask, &answer, clock::now());
                }
                // The provers run as long as the process does.
                Ok(()) = rights.surge.changed() => {
                    let right = rights.surge.borrow_and_update().clone();
                    self.main_loop.surge_right(right, Instant::now());
                }
                Ok(()) = rights.scale_in.changed() => {
                    let right = rights.scale_in.borrow_and_update().clone();
                    self.main_loop.scale_in_right(right, Instant::now());
                }
                Ok(()) = rights.opening.changed() => {
                    let right = rights.opening.borrow_and_update().clone();
                    self.main_loop.opening_right(right, Instant::now());
                }
                Ok(()) = rights.steering.changed() => {
                    let right = rights.steering.borrow_and_update().clone();
                    self.main_loop.steering_right(right, Instant::now());
                }
                Ok(()) = self.drilling.known.changed() => {
                    let drills = self.drilling.known.borrow_and_update().clone();
                    self.main_loop.drills(drills, Instant::now());
                }
                Ok(()) = self.drilling.right.changed() => {
                    let right = self.drilling.right.borrow_and_update().clone();
                    self.main_loop.drill_rights(right, Instant::now());
                }
                answered = self.drilling.nodes_answered.recv() => {
                    let Some((ask, is_done)) = answered else { return };
                    self.main_loop.node_answered(&ask, is_done, clock::now());
                }
                written = self.drilling.written.recv() => {
                    let Some((write, is_written)) = written else { return };
                    self.main_loop.drill_written(&write, is_written, clock::now());
                }
                written = reading.as_mut() => {
                    let statuses = written.as_ref().map(|(policies, _)| statuses(policies));
                    let zones = written.as_ref().map_or_else(Vec::new, |(_, zones)| zone_statuses(zones));
                    self.main_loop.policies_read(statuses, zones, clock::now());
                }
                _ = ask_again.tick() => {
                    asking.set(server_version(self.client.clone()).boxed().fuse());
                }
                version = asking.as_mut() => self.main_loop.server_version(version.as_deref()),
                () = until(self.main_loop.outlook_at()) => {
                    self.main_loop.make_outlook(Instant::now);
                }
                () = tokio::time::sleep_until(self.main_loop.next().into()) => {
                    let Some(look) = self.tick().await else { return };
                    if look.leads.is_some() {
                        reading.set(Fuse::terminated());
                    }
                    if look.read_policies {
                        reading.set(self.read_policies().fuse());
                    }
                }
            }
        }
    }

    fn take_in(&mut self, buffer: &mut Vec<WatchEvent>) {
        let now = clock::now();
        for event in buffer.drain(..) {
            let began = Instant::now();
            self.main_loop.watch_event(event, now);
            self.metrics.event_took(began.elapsed());
        }
        let pauses = self.main_loop.operator().index().pauses();
        if !Arc::ptr_eq(pauses, &self.pauses.borrow()) {
            self.pauses.send_replace(Arc::clone(pauses));
        }
    }

    /// Reads all policies and Zones, with what the leader before us wrote.
    fn read_policies(&self) -> Read {
        let policies: Api<ZoneSpreadPolicy> = Api::all(self.client.clone());
        let zones: Api<ZoneObject> = Api::all(self.client.clone());
        let metrics = Arc::clone(&self.metrics);
        Box::pin(async move {
            let params = ListParams::default();
            let read = async {
                let (policies, zones) = (policies.list(&params), zones.list(&params));
                tokio::try_join!(policies, zones)
            };
            match tokio::time::timeout(READ_WITHIN, read).await {
                Ok(Ok((policies, zones))) => return Some((policies.items, zones.items)),
                Ok(Err(error)) => {
                    let error = error_text(&error);
                    warn!(error, "the policies could not be read, trying again");
                }
                Err(_) => warn!("the policies could not be read in time, trying again"),
            }
            metrics.reconcile_error(ErrorCategory::ReadPolicies);
            None
        })
    }

    /// None: the performer is gone, which it is only when the process ends.
    async fn tick(&mut self) -> Option<Look> {
        let now = clock::now();
        let mut look = self.main_loop.tick(now);
        self.health.beat();
        self.health.set_not_ready(
            (!look.missing.is_empty())
                .then(|| format!("waiting for the first list of {}", look.missing.join(", "))),
        );
        if let Some(leads) = look.leads {
            self.metrics.leader(leads);
            self.commands.send(Command::Clear).await.ok()?;
        }
        if let Some(decision) = look.decision.take() {
            self.version_log.tell(self.main_loop.operator());
            // A look that asks nobody says nothing about how long deciding takes.
            if !decision.statuses.is_empty() {
                self.metrics.decision_took(now.monotonic.elapsed());
            }
            self.carry_out(decision, now).await?;
        }
        Some(look)
    }

    async fn carry_out(&mut self, decision: Decision, now: ClockReading) -> Option<()> {
        let Decision {
            effects,
            zones,
            probes,
            drills,
            nodes,
            statuses,
            gone,
            signals,
            plans_took,
            next: _,
        } = decision;
        self.count(signals);
        for key in gone {
            self.metrics.forget_policy(&key.namespace, &key.name);
        }
        for took in plans_took {
            self.metrics.plan_took(took);
        }
        for (key, status) in &statuses {
            self.metrics.policy(&key.namespace, &key.name, status);
            tell_decision(key, status);
        }
        self.metrics.zones(self.main_loop.operator().zone_states(now.wall));
        self.metrics.zone_losses(self.main_loop.operator().zone_losses());
        for (kind, age) in self.main_loop.freshness().ages(now) {
            self.metrics.staleness(kind.resource(), age);
        }
        for write in zones {
            self.zone_writes.send(write).ok()?;
        }
        self.metrics.probes(self.main_loop.operator().probes());
        for ask in probes {
            self.probe_asks.send(ask).ok()?;
        }
        for write in drills {
            self.drilling.writes.send(write).ok()?;
        }
        for ask in nodes {
            self.drilling.nodes.send(ask).ok()?;
        }
        if effects.is_empty() {
            return Some(());
        }
        self.commands.send(Command::CarryOut(effects)).await.ok()
    }

    fn count(&self, signals: Vec<Signal>) {
        for signal in signals {
            match signal {
                Signal::MoveEnded { policy, tier, kind, outcome, took, predicted } => {
                    let (namespace, policy) = (&policy.namespace, &policy.name);
                    self.metrics.move_ended(namespace, policy, &tier, (kind, outcome), took);
                    if let Some(hit) = predicted {
                        self.metrics.prediction(hit);
                    }
                }
                Signal::EvictionAnswered { policy, tier, result } => {
                    self.metrics.eviction(&policy.namespace, &policy.name, &tier, result);
                }
                Signal::WriteFailed { policy: _, category } => {
                    self.metrics.reconcile_error(category);
                }
            }
        }
    }
}

/// Waits until then; for ever without a time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// What was decided for each tier of a policy, for those who want to know it all.
fn tell_decision(key: &PolicyKey, status: &ZoneSpreadPolicyStatus) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    let PolicyKey { namespace, name } = key;
    for tier in &status.tiers {
        let reason = tier.blocked.as_ref().map(|blocked| blocked.reason.as_str());
        let is_own = |moved: &&MoveStatus| moved.tier == tier.name && moved.state.is_under_way();
        let moves = status.moves.iter().filter(is_own).count();
        let (tier, skew) = (&tier.name, tier.skew);
        debug!(%namespace, policy = %name, tier, skew, reason, moves, "decided");
    }
}

/// What the leader before us wrote into them.
fn statuses(
    policies: &[ZoneSpreadPolicy],
) -> impl Iterator<Item = (PolicyKey, &ZoneSpreadPolicyStatus)> {
    policies.iter().filter_map(|policy| {
        let key = PolicyKey {
            namespace: Name::from(policy.metadata.namespace.as_deref()?),
            name: Name::from(policy.metadata.name.as_deref()?),
        };
        Some((key, policy.status.as_ref()?))
    })
}

/// The same in the Zone objects, by their names.
fn zone_statuses(zones: &[ZoneObject]) -> Vec<(Name, Arc<ZoneStatus>)> {
    let status = |zone: &ZoneObject| {
        Some((Name::from(zone.metadata.name.as_deref()?), Arc::new(zone.status.clone()?)))
    };
    zones.iter().filter_map(status).collect()
}
