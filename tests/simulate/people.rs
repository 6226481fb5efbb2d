//! What people do to policies: they edit, delete, pause and approve.

use crate::consent::Pause;
use crate::objects;
use crate::world::{Event, World};
use zonespread::api::{APPROVE, PAUSED, Plan};
use zonespread::observe::{Change, Kind};

impl World {
    /// A user changes what does not matter: misses are forgotten.
    pub fn edit_policy(&mut self, number: usize) {
        let policy = &mut self.policies[number];
        policy.generation += 1;
        let generation = policy.generation;
        let Some(object) = &mut policy.object else { return };
        object.metadata.generation = Some(generation);
        self.show_policy(number);
        self.laws.policy_changed(number, &self.script);
    }

    pub fn delete_policy(&mut self, number: usize) {
        if self.policies[number].object.is_none() {
            return;
        }
        self.publish_gone(Kind::Policy, &objects::policy_name(number));
        let policy = &mut self.policies[number];
        let status = policy.object.take().and_then(|object| object.status);
        policy.before = Some((self.now, status.unwrap_or_default()));
        self.laws.policy_gone(number);
        self.laws.consents.forget(number, self.now);
    }

    /// It is made again, and knows nothing of the one before.
    pub fn create_policy(&mut self, number: usize) {
        let policy = &mut self.policies[number];
        if policy.object.is_some() {
            return;
        }
        policy.made += 1;
        policy.generation = 1;
        let object = objects::policy(number, &self.script.policies[number], policy.made, 1);
        policy.object = Some(object);
        self.note_steering(number, None);
        self.show_policy(number);
        self.laws.policy_changed(number, &self.script);
    }

    /// Somebody reads the plan, thinks about it, and agrees.
    pub fn read_plan(&mut self, number: usize) {
        let policy = &self.policies[number];
        let status = policy.object.as_ref().and_then(|object| object.status.as_ref());
        if let Some(plan) = status.and_then(|status| status.plan.clone()) {
            let made = policy.made;
            self.soon(500, 15_000, Event::Approve(number, made, plan));
        }
    }

    pub fn approve(&mut self, number: usize, made: u32, plan: &Plan) {
        let policy = &self.policies[number];
        if policy.made == made && policy.object.is_some() {
            self.tell(|| format!("policy{number}: plan {} is approved", plan.id));
            self.annotate(number, APPROVE, Some(&plan.id));
            self.laws.consents.approved(number, plan, self.now);
        }
    }

    /// Pauses a policy, if it is there, or the namespace; or lets it go on.
    pub fn pause(&mut self, pause: Pause, paused: bool) {
        if matches!(pause, Pause::Policy(number) if self.policies[number].object.is_none()) {
            return;
        }
        let mark = paused.then_some("true");
        match pause {
            Pause::Policy(number) => self.annotate(number, PAUSED, mark),
            Pause::Namespace => {
                let namespace = objects::namespace(paused);
                self.namespace_paused = paused;
                self.publish(Kind::Namespace, &Change::Namespace(namespace));
            }
        }
        self.laws.consents.paused(pause, paused.then_some(self.now));
    }

    fn annotate(&mut self, number: usize, key: &str, value: Option<&str>) {
        let Some(object) = &mut self.policies[number].object else { return };
        let annotations = object.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => drop(annotations.insert(key.to_owned(), value.to_owned())),
            None => drop(annotations.remove(key)),
        }
        self.show_policy(number);
    }

    fn show_policy(&mut self, number: usize) {
        if let Some(object) = self.policies[number].object.clone() {
            self.publish(Kind::Policy, &Change::Policy(object));
        }
    }
}
