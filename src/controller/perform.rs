//! Sends what the [`Executor`] asks for, many requests at once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use kube::Client;
use tokio::sync::{mpsc, watch};
use tracing::{Instrument, Span, debug, info_span, warn};

use crate::act::{Answer, Asking, Executor, Lanes, Progress, Request, Ticket};
use crate::moves::{ActionError, Effect, Outcome, Verb};
use crate::observe::{Pauses, PolicyKey};

use super::lease::Leadership;
use super::requests::Requests;

/// How soon it is tried again to begin what waits until this process may act.
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What the main loop wants.
#[derive(Debug)]
pub enum Command {
    /// These effects, in this order.
    CarryOut(Vec<Effect>),
    /// None of those that are not begun: another leads, or has led meanwhile.
    Clear,
}

/// Carries effects out.
pub struct Performer {
    requests: Requests,
    executor: Executor,
    leadership: Leadership,
    pauses: watch::Receiver<Arc<Pauses>>,
    under_way: FuturesUnordered<BoxFuture<'static, (Ticket, Answer)>>,
    /// Outcomes that the main loop has not taken yet.
    outbox: VecDeque<Outcome>,
}

impl Performer {
    /// A performer. The client must not retry by itself: a PDB's 429 is an answer.
    pub fn new(
        client: Client,
        leadership: Leadership,
        pauses: watch::Receiver<Arc<Pauses>>,
        identity: String,
    ) -> Self {
        Self {
            requests: Requests::new(client, identity),
            executor: Executor::new(Lanes::default()),
            leadership,
            pauses,
            under_way: FuturesUnordered::new(),
            outbox: VecDeque::new(),
        }
    }

    /// Carries out the effects that come in and reports their outcomes. Never waits for the main
    /// loop while that may wait for it.
    pub async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        outcomes: mpsc::Sender<Outcome>,
    ) {
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Command::Clear) => self.executor.clear(),
                    Some(Command::CarryOut(effects)) => {
                        self.executor.submit(effects);
                        self.begin();
                    }
                },
                Some((ticket, answer)) = self.under_way.next() => {
                    self.executor.heed(&self.pauses.borrow());
                    let (may_act, now) = (self.leadership.may_act(), Timestamp::now());
                    let progress = self.executor.answered(ticket, answer, may_act, now);
                    self.go_on(progress);
                }
                place = outcomes.reserve(), if !self.outbox.is_empty() => {
                    let Ok(place) = place else { return };
                    if let Some(outcome) = self.outbox.pop_front() {
                        place.send(outcome);
                    }
                }
                () = tokio::time::sleep(TRY_AGAIN_AFTER), if self.executor.is_waiting() => {
                    self.begin();
                }
            }
        }
    }

    fn begin(&mut self) {
        self.executor.heed(&self.pauses.borrow());
        let (may_act, now) = (self.leadership.may_act(), Timestamp::now());
        let progress = self.executor.begin(may_act, now);
        self.go_on(progress);
    }

    fn go_on(&mut self, progress: Progress) {
        for outcome in progress.outcomes {
            if let Outcome::Refused { verb, policy, uid, refusal } = &outcome {
                let (namespace, policy) = (&policy.namespace, &policy.name);
                let is_news =
                    *verb != Verb::SetCost || matches!(refusal, ActionError::Forbidden(_));
                if is_news {
                    warn!(%namespace, %policy, %uid, ?refusal, "not done: {}", verb.what(false));
                } else {
                    debug!(%namespace, %policy, %uid, ?refusal, "not done: {}", verb.what(false));
                }
            }
            self.outbox.push_back(outcome);
        }
        for asking in progress.asks {
            let span = span_of(&asking);
            let Asking { ticket, request, .. } = asking;
            span.in_scope(|| debug!(request = request.what(), "asking"));
            let requests = self.requests.clone();
            let answer = async move { (ticket, requests.ask(&request).await) };
            self.under_way.push(Box::pin(answer.instrument(span)));
        }
    }
}

/// Tells what a request is for to all that is logged on its way.
fn span_of(asking: &Asking) -> Span {
    match (&asking.request, &asking.eviction) {
        (Request::WriteStatus(write), _) => {
            let PolicyKey { namespace, name } = &write.policy;
            info_span!("write_status", %namespace, policy = %name, uid = %write.uid)
        }
        (_, Some(eviction)) => {
            let PolicyKey { namespace, name } = &eviction.policy;
            let (tier, pod) = (&eviction.tier, &eviction.pod);
            info_span!("move", %namespace, policy = %name, %tier, %pod, uid = %eviction.uid)
        }
        _ => Span::none(),
    }
}
