//! What users see of a recovery: the columns of `kubectl get`, and the events.

use crate::harness::{Cluster, ScheduleAnyway, deployment, eventually};
use crate::policy::{self, SOON, phase, policy, ready};
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::Value;
use zonespread::api::Phase;

/// Header and row of `kubectl get zonespreadpolicies`, the age left out.
async fn columns(cluster: &Cluster, output: &[&str]) -> [String; 2] {
    let get = ["get", "zsp", "-n", "petclinic"];
    let table = cluster.kubectl(&[&get, output].concat()).await.unwrap();
    let lines: Vec<&str> = table.lines().collect();
    let [header, row] = lines[..] else { panic!("not two lines:\n{table}") };
    let age = header.find("AGE").unwrap();
    let after = |line: &str| line[age..].split_once(' ').map_or("", |(_, rest)| rest).to_owned();
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    [header, row].map(|line| words(&format!("{} {}", &line[..age], after(line))))
}

#[tokio::test]
async fn a_recovery_is_told_in_columns_and_events() {
    let cluster = Cluster::start().await;
    for zone in ["eu-west-2a", "eu-west-2b", "eu-west-2c"] {
        cluster.add_zone(zone, 2).await;
    }
    cluster.namespace("petclinic").await;
    let web = deployment("petclinic", "web", 6).label("part-of", "petclinic");
    cluster.apply(web.spread(ScheduleAnyway).start_delay("1s").to_string()).await;
    ready(&cluster, "petclinic", "app=web", 6).await;
    let _operator = policy::operator(&cluster).await;
    cluster.apply(policy("petclinic", "petclinic", "  rebalance: {holdDown: 5s}\n")).await;
    phase(&cluster, "petclinic", "petclinic", Phase::Balanced).await;
    let [header, row] = columns(&cluster, &[]).await;
    assert_eq!(header, "NAME TIERS ZONES SKEW PHASE MOVES SURVIVES");
    assert_eq!(row, "petclinic 1 2a:2 2b:2 2c:2 0 Balanced - web: 66%");
    let [header, row] = columns(&cluster, &["-o", "wide"]).await;
    assert_eq!(header, "NAME TIERS ZONES SKEW PHASE MOVES SURVIVES MODE MESSAGE");
    let message = "Auto every tier is within its skew";
    assert_eq!(row, format!("petclinic 1 2a:2 2b:2 2c:2 0 Balanced - web: 66% {message}"));

    cluster.cordon_zone("eu-west-2c").await;
    cluster.evacuate_zone("eu-west-2c").await;
    policy::until(&cluster, "petclinic", "petclinic", "the outage", |status| {
        status.phase == Some(Phase::Frozen) && status.summary.zones == "2a:3 2b:3 2c:0"
    })
    .await;
    let [_, row] = columns(&cluster, &["-o", "wide"]).await;
    let message =
        "zone eu-west-2c is out (Cordoned): nothing is evicted until its nodes take pods again";
    assert_eq!(row, format!("petclinic 1 2a:3 2b:3 2c:0 3 Frozen - web: 50% Auto {message}"));

    cluster.uncordon_zone("eu-west-2c").await;
    phase(&cluster, "petclinic", "petclinic", Phase::Holding).await;
    let [_, row] = columns(&cluster, &[]).await;
    assert_eq!(row, "petclinic 1 2a:3 2b:3 2c:0 3 Holding 0/2 web: 50%");
    phase(&cluster, "petclinic", "petclinic", Phase::Balanced).await;
    let [_, row] = columns(&cluster, &[]).await;
    assert_eq!(row, "petclinic 1 2a:2 2b:2 2c:2 0 Balanced 2/2 web: 66%");
    the_events_tell_the_story(&cluster).await;
}

async fn the_events_tell_the_story(cluster: &Cluster) {
    let query = ["get", "events", "-n", "petclinic", "-o", "json"];
    let field = ["--field-selector", "involvedObject.kind=ZoneSpreadPolicy"];
    let mut told = eventually(SOON, "the last event", async || {
        let events = cluster.kubectl(&[&query[..], &field].concat()).await.unwrap();
        let events: Value = serde_json::from_str(&events).unwrap();
        let events = events["items"].as_array().unwrap().clone();
        let last = events.iter().any(|event| event["reason"] == "Balanced");
        if last { Ok(events) } else { Err(format!("{events:#?}")) }
    })
    .await;
    told.sort_by_key(|event| event["eventTime"].as_str().map(str::to_owned));
    let text = |event: &Value, field: &str| event[field].as_str().unwrap_or("").to_owned();
    let story: Vec<String> = told.iter().map(|event| text(event, "reason")).collect();
    assert_eq!(
        story,
        [
            "ZoneImpaired",
            "ZoneRecovering",
            "Planned",
            "ZoneReady",
            "Evicting",
            "Landed",
            "Evicting",
            "Landed",
            "Balanced"
        ]
    );
    for event in &told {
        let warning = text(event, "reason") == "ZoneImpaired";
        assert_eq!(text(event, "type") == "Warning", warning, "{event:#}");
        assert_eq!(text(event, "reportingComponent"), "zonespread.io/operator");
        assert!(text(event, "message").len() > 10, "{event:#}");
    }
}

/// What was published about a policy, the oldest first: reason, text, and how often.
async fn told(cluster: &Cluster, policy: &str) -> Vec<(String, String, i64)> {
    let api: Api<Event> = Api::namespaced(cluster.client(), "petclinic");
    let about = format!("regarding.name={policy}");
    let mut events = api.list(&ListParams::default().fields(&about)).await.unwrap().items;
    events.sort_by_key(|event| event.event_time.as_ref().map(|time| time.0));
    let line = |event: Event| {
        let count = event.series.map_or(1, |series| i64::from(series.count));
        (event.reason.unwrap_or_default(), event.note.unwrap_or_default(), count)
    };
    events.into_iter().map(line).collect()
}

/// Two events of one reason within minutes: the second must not show the text of the first.
#[tokio::test]
async fn an_event_whose_text_has_changed_reads_as_it_was_sent() {
    let cluster = Cluster::start().await;
    cluster.namespace("petclinic").await;
    let _operator = policy::operator(&cluster).await;
    let windows = |schedule: &str| {
        let rest = format!("  rebalance: {{windows: [{{schedule: {schedule}, duration: 1h}}]}}\n");
        policy("petclinic", "late", &rest)
    };
    let schedules = ["61 * * * *", "62 * * * *", "61 * * * *", "63 * * * *"];
    for schedule in schedules {
        cluster.apply(windows(schedule)).await;
        policy::until(&cluster, "petclinic", "late", schedule, |status| {
            status.message.contains(schedule)
        })
        .await;
    }
    let expected = [("61 * * * *", 2), ("62 * * * *", 1), ("63 * * * *", 1)];
    eventually(SOON, "all events", async || {
        let told = told(&cluster, "late").await;
        let is_told = told.len() == expected.len()
            && told.iter().zip(expected).all(|((reason, text, count), (schedule, often))| {
                reason == "Invalid" && text.contains(schedule) && *count == often
            });
        if is_told { Ok(()) } else { Err(format!("{told:#?}")) }
    })
    .await;
}
