//! `zonespread pause`, `resume` and `approve`: what the annotations do, with an answer.

use std::time::Duration;

use clap::Args;
use kube::Config;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};

use crate::api::text::counted;
use crate::api::{APPROVE, PAUSED, Plan, Reason, ZoneSpreadPolicy};

use super::Failure;
use super::cluster::Access;
use super::live::{block_on, client, policy_error};
use super::names;
use super::output::note;
use super::scope::Scope;

/// Who writes these annotations.
const FIELD_MANAGER: &str = "zonespread-cli";
/// For so long the operator's answer is waited for.
const ANSWERS_WITHIN: Duration = Duration::from_secs(10);
const ASK_EVERY: Duration = Duration::from_millis(200);

/// Which policy.
#[derive(Debug, Args)]
pub struct OnePolicy {
    /// The policy, as NAME or zsp/NAME
    #[arg(value_name = "POLICY")]
    policy: String,
    /// Its namespace; default that of the context
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
}

/// Arguments of `zonespread approve`.
#[derive(Debug, Args)]
pub struct Approve {
    #[command(flatten)]
    policy: OnePolicy,
    /// The id of the plan that is approved; default the one that waits now
    #[arg(long, value_name = "ID")]
    plan: Option<String>,
}

/// A policy in a cluster.
struct Target {
    api: Api<ZoneSpreadPolicy>,
    address: String,
    namespace: String,
    name: String,
}

impl OnePolicy {
    fn target(&self, config: Config) -> Result<Target, Failure> {
        let named = names::policy(&self.policy)?;
        let scope = Scope::of(self.namespace.clone());
        let namespace = named.namespace_in(&scope, Some(&config.default_namespace));
        let namespace = namespace.unwrap_or("default").to_owned();
        let address = config.cluster_url.to_string();
        let api = Api::namespaced(client(config)?, &namespace);
        Ok(Target { api, address, namespace, name: named.name.to_owned() })
    }

    /// Pauses the policy.
    pub fn pause(&self, access: &Access) -> Result<(), Failure> {
        let config = block_on(access.config())??;
        let change = async {
            let target = self.target(config)?;
            target.annotate(PAUSED, json!("true")).await?;
            Ok::<_, Failure>(target)
        };
        let Target { namespace, name, .. } = block_on(change)??;
        println!(
            "policy {name} is paused: nothing of it is moved until `zonespread resume {name} -n {namespace}`; moves under way are followed to their end"
        );
        Ok(())
    }

    /// Ends the pause of the policy.
    pub fn resume(&self, access: &Access) -> Result<(), Failure> {
        let config = block_on(access.config())??;
        let change = async {
            let target = self.target(config)?;
            let policy = target.annotate(PAUSED, Value::Null).await?;
            Ok::<_, Failure>((target, policy))
        };
        let (target, policy) = block_on(change)??;
        println!("policy {} is not paused any more", target.name);
        let message = policy.status.map(|status| status.message).unwrap_or_default();
        if message.contains(&format!("namespace {} is paused", target.namespace)) {
            note(&format!(
                "namespace {0} is paused: kubectl annotate namespace {0} {PAUSED}-",
                target.namespace
            ));
        }
        Ok(())
    }
}

impl Approve {
    /// Approves the plan that waits.
    pub fn run(&self, access: &Access) -> Result<(), Failure> {
        let config = block_on(access.config())??;
        block_on(async { self.approve(&self.policy.target(config)?).await })?
    }

    async fn approve(&self, target: &Target) -> Result<(), Failure> {
        let policy = target.read().await?;
        let plan = waiting(&policy)
            .ok_or_else(|| format!("policy {}: no plan waits for approval", target.name))?;
        if let Some(wanted) = self.plan.as_ref().filter(|wanted| **wanted != plan.id) {
            return Err(format!(
                "policy {}: plan {wanted} is not the one that waits: that is {} ({})",
                target.name,
                plan.id,
                counted(plan.moves.len(), "move")
            )
            .into());
        }
        target.annotate(APPROVE, json!(plan.id)).await?;
        let ended = tokio::time::timeout(ANSWERS_WITHIN, target.taken(&plan.id)).await;
        let moves = counted(plan.moves.len(), "listed move");
        match ended {
            Ok(taken) => {
                taken?;
                println!("plan {} of policy {} is approved: {moves}", plan.id, target.name);
                Ok(())
            }
            Err(_) => Err(format!(
                "plan {} of policy {} is named in the annotation {APPROVE}, but the operator has not taken it within {}s: does it run, and is that still the plan?",
                plan.id,
                target.name,
                ANSWERS_WITHIN.as_secs()
            )
            .into()),
        }
    }
}

/// The plan that waits for approval, if one does.
fn waiting(policy: &ZoneSpreadPolicy) -> Option<&Plan> {
    let status = policy.status.as_ref()?;
    let awaits = status.tiers.iter().filter_map(|tier| tier.blocked.as_ref());
    let awaits = awaits.filter(|blocked| blocked.reason == Reason::AwaitingApproval).count();
    status.plan.as_ref().filter(|_| awaits > 0)
}

impl Target {
    async fn read(&self) -> Result<ZoneSpreadPolicy, Failure> {
        self.api.get(&self.name).await.map_err(|error| self.failure("read", &error))
    }

    async fn annotate(&self, key: &str, value: Value) -> Result<ZoneSpreadPolicy, Failure> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {key: value}}}));
        let params =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let patched = self.api.patch(&self.name, &params, &patch).await;
        patched.map_err(|error| self.failure("change", &error))
    }

    /// Waits until the operator has taken the approval.
    async fn taken(&self, plan: &str) -> Result<(), Failure> {
        loop {
            let approved = self.read().await?.status.and_then(|status| status.approved);
            if approved.is_some_and(|approved| approved.id == plan) {
                return Ok(());
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }

    fn failure(&self, verb: &str, error: &kube::Error) -> Failure {
        policy_error(verb, &self.namespace, &self.name, error, &self.address)
    }
}
