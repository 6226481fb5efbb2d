//! The page, from objects as the API server sends them.

use jiff::Timestamp;
use kube::Resource;
use kube::core::DeserializeGuard;
use kube::runtime::watcher::Event;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{PAGE_SCRIPT, PageView, page, sections};
use crate::api::{ZoneDrill, ZoneObject, ZoneSpreadPolicy};
use crate::cli::ui::{Board, Feed};

fn seen<K, T>(feed: &mut Feed<T>, objects: Vec<Value>)
where
    K: Into<T> + Resource + DeserializeOwned,
{
    feed.apply::<K>(Event::Init);
    for object in objects {
        let object: DeserializeGuard<K> = serde_json::from_value(object).unwrap();
        feed.apply(Event::InitApply(object));
    }
    assert!(feed.apply::<K>(Event::InitDone));
}

fn object(kind: &str, name: &str, rest: Value) -> Value {
    let mut object = json!({
        "apiVersion": "zonespread.io/v1alpha1", "kind": kind,
        "metadata": {"name": name, "generation": 1, "creationTimestamp": "2026-01-01T00:00:00Z"},
    });
    object.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    if kind == "ZoneSpreadPolicy" {
        object["metadata"]["namespace"] = "shop".into();
    }
    object
}

/// A policy whose pods are to go back to zone 2c, with a plan that waits for approval.
fn policy(name: &str, tier: &str, phase: &str) -> Value {
    let spec = json!({
        "selector": {"matchLabels": {"app": name}}, "mode": "Approve",
        "tiers": [{"name": "redis", "singleZone": {"accepted": true, "reason": "a cache"}}],
    });
    let loss = |zone: &str, surviving: i32, reason: Value| {
        json!({"zone": zone, "surviving": surviving, "percent": 50, "reason": reason,
               "pending": 2, "message": "no room for 2 pods; add a node"})
    };
    let status = json!({
        "observedGeneration": 1, "phase": phase, "message": "2 moves wait for approval",
        "summary": {"tiers": 2, "zones": "2a:3 2b:3 2c:0", "skew": 3, "moves": "0/2", "survives": "web: 50%"},
        "zones": [{"name": "eu-2c", "state": "Recovering", "holdUntil": "2026-01-01T00:10:00Z"}],
        "tiers": [
            {"name": tier, "pods": 6, "replicas": 6, "skew": 3, "maxSkew": 1, "reachableSkew": 0,
             "zones": [{"name": "eu-2a", "pods": 3, "available": 3},
                       {"name": "eu-2b", "pods": 3, "available": 2}, {"name": "eu-2c"}],
             "blocked": {"reason": "AwaitingApproval", "message": "approve <plan>"},
             "zoneLoss": [loss("eu-2a", 3, json!("NoRoom"))]},
            {"name": "redis", "pods": 1, "replicas": 1, "maxSkew": 1,
             "zones": [{"name": "eu-2a", "pods": 1, "available": 1}],
             "zoneLoss": [loss("eu-2a", 0, json!("SingleZone"))]},
        ],
        "plan": {"id": "0123abcd", "total": 3, "moves": [
            {"kind": "Evict", "tier": tier, "pod": "web-1", "from": "eu-2a", "to": "eu-2c"}]},
        "moves": [
            {"tier": tier, "pod": "web-2", "uid": "u", "owner": "ReplicaSet/web", "from": "eu-2a",
             "to": "eu-2c", "state": "Landed", "startedAt": "2026-01-01T00:11:00Z",
             "finishedAt": "2026-01-01T00:11:09Z", "replacement": "web-9", "node": "c1"},
            {"tier": tier, "pod": "web-3", "uid": "v", "owner": "ReplicaSet/web", "from": "eu-2b",
             "to": "eu-2c", "state": "Evicted", "startedAt": "2026-01-01T00:11:01Z"}],
        "recovery": {"zone": "eu-2c", "startedAt": "2026-01-01T00:00:00Z", "movesDone": 1, "movesTotal": 3},
        "history": [{"zone": "eu-2b", "lostAt": "2025-12-01T00:00:00Z", "startedAt": "2025-12-01T00:12:00Z",
                     "endedAt": "2025-12-01T00:30:00Z", "outcome": "Balanced", "moves": 4}],
    });
    object("ZoneSpreadPolicy", name, json!({"spec": spec, "status": status}))
}

fn board(policies: Vec<Value>) -> Board {
    let mut board = Board::new("https://127.0.0.1:6443/".to_owned(), Some("shop".to_owned()));
    seen::<ZoneSpreadPolicy, _>(&mut board.policies, policies);
    let zone = json!({"spec": {}, "status": {"zone": "eu-2c", "state": "Recovering", "usable": "2/3",
                      "outages": 1, "safeToLose": false, "message": "usable again"}});
    seen::<ZoneObject, _>(&mut board.zones, vec![object("Zone", "eu-2c", zone)]);
    let drill = json!({"spec": {"zone": "eu-2c", "dryRun": true}, "status": {
        "phase": "Refused", "reason": "NotSafeToLose", "message": "shop/web web: NoRoom",
        "refusals": [{"reason": "NotSafeToLose", "message": "2 pods would wait"}],
        "forecast": {"evictions": 2, "pending": 2, "totalTiers": 1, "tiers": [
            {"namespace": "shop", "policy": "web", "tier": "web", "pods": 6, "inZone": 2,
             "surviving": 4, "zones": [{"name": "eu-2a", "pods": 4}]}]}}});
    seen::<ZoneDrill, _>(&mut board.drills, vec![object("ZoneDrill", "monday", drill)]);
    board
}

fn told(board: &Board, view: &PageView) -> String {
    page(board, view, "2026-01-01T00:09:00Z".parse().unwrap())
}

#[test]
fn the_page_shows_zones_tiers_plan_moves_losses_recoveries_and_drills() {
    let page = told(&board(vec![policy("web", "web", "AwaitingApproval")]), &PageView::Overview);
    let hold = "Zone eu-2c is Recovering: nothing moves for <time datetime=\"2026-01-01T00:10:00Z\" data-counts=\"down\">";
    for part in [
        hold,
        "nothing moves for at most <time datetime=\"2026-01-01T00:10:00Z\"",
        "Zone eu-2c came back <time",
        "not safe to lose",
        "2/3 nodes usable · 1 outage",
        "<a href=\"/policy/shop/web\">shop/web</a>",
        "<b>2/3</b>",
        "approve &lt;plan&gt;",
        "zonespread approve web -n shop --plan 0123abcd",
        "and 2 more",
        "now web-9",
        "<rect class=\"wait\" x=\"4\" width=\"2\"",
        "SingleZone (accepted)",
        "no room for 2 pods; add a node",
        "12m",
        "It evicts 2 pods. Pending then: 2",
        "a:4",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    // What is under way comes first.
    assert!(page.find("web-3").unwrap() < page.find("web-2").unwrap());
    // It needs nothing from elsewhere, and no style or script in the text.
    for needed in ["http://", "//cdn", " style=", "<style", "javascript:", " onclick"] {
        assert!(!page.contains(needed), "{needed}");
    }
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("<script src=\"/page.js\" defer></script>"));
    let tags = ["article", "b", "td", "tr", "th", "p", "div", "span", "table", "ul", "li", "small"];
    for tag in tags.into_iter().chain(["section", "details", "svg", "time", "h2", "h3", "h4"]) {
        let opened = [">", " "].map(|end| page.matches(&format!("<{tag}{end}")).count());
        let closed = page.matches(&format!("</{tag}>")).count();
        assert_eq!(opened.iter().sum::<usize>(), closed, "{tag}");
    }
}

#[test]
fn a_tier_that_is_named_like_markup_is_shown_as_it_is_named() {
    let hostile = "<b>\"x\"</b><img src=x onerror=alert(1)>";
    let board = board(vec![policy("web", hostile, "Frozen")]);
    let page = told(&board, &PageView::Overview);
    assert!(page.contains("&lt;b&gt;&quot;x&quot;&lt;/b&gt;&lt;img"), "{page}");
    assert!(!page.contains("<img") && !page.contains("<b>\"x"), "{page}");
    let name = "\"><script>".to_owned();
    let page = told(&board, &PageView::Policy((name.clone(), name)));
    assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"), "{page}");
}

#[test]
fn a_policy_that_is_broken_is_shown_as_broken_and_the_others_all_the_same() {
    let mut unread = policy("future", "web", "Balanced");
    unread["status"]["phase"] = "Dreaming".into();
    let mut silent = policy("silent", "web", "Balanced");
    silent.as_object_mut().unwrap().remove("status");
    let mut edited = policy("edited", "web", "Balanced");
    edited["metadata"]["generation"] = 2.into();
    let mut invalid = policy("invalid", "web", "Invalid");
    invalid["status"]["message"] = "windows[0].schedule \"* *\" is no cron schedule".into();
    let board = board(vec![unread, silent, edited, invalid, policy("good", "web", "Balanced")]);
    let page = told(&board, &PageView::Overview);
    for part in [
        "shop/future <span class=\"chip Invalid\">Invalid</span>",
        "This version cannot read it: ",
        "Dreaming",
        "no status yet: does the operator run?",
        "The spec has changed since",
        "windows[0].schedule &quot;* *&quot; is no cron schedule",
        "<td>2a:3 2b:3 2c:0</td><td>3</td><td><span class=\"chip Balanced\">",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
}

#[test]
fn the_page_of_a_policy_shows_this_one_only() {
    let board = board(vec![policy("web", "web", "Balanced"), policy("api", "api", "Balanced")]);
    let key = |name: &str| PageView::Policy(("shop".to_owned(), name.to_owned()));
    let page = told(&board, &key("api"));
    assert!(page.contains("shop/api") && !page.contains("shop/web"), "{page}");
    let page = told(&board, &key("nope"));
    assert!(page.contains("There is no ZoneSpreadPolicy nope in namespace shop."), "{page}");
    let overview = told(&board, &PageView::Overview);
    assert!(overview.contains("All policies"), "{overview}");
}

#[test]
fn of_too_many_policies_those_in_trouble_are_shown_first() {
    let mut policies: Vec<Value> =
        (0..40).map(|number| policy(&format!("p{number:02}"), "web", "Balanced")).collect();
    policies[39] = policy("p39", "web", "Blocked");
    let board = board(policies);
    let shown = sections(&board, &PageView::Overview, Timestamp::UNIX_EPOCH);
    let html = |id: &str| {
        let section = shown.iter().find(|section| section.id == id).unwrap();
        serde_json::to_value(section).unwrap()["html"].as_str().unwrap().to_owned()
    };
    assert_eq!(html("policies").matches("<article").count(), super::POLICIES);
    assert!(html("policies").contains("shop/p39") && html("policies").contains("10 more"));
    assert_eq!(html("list").matches("<a href").count(), 40);
}

#[test]
fn every_section_is_there_from_the_start_so_that_the_script_can_fill_it() {
    let board = Board::new("https://127.0.0.1:6443/".to_owned(), None);
    let page = told(&board, &PageView::Overview);
    for section in sections(&board, &PageView::Overview, Timestamp::UNIX_EPOCH) {
        assert!(page.contains(&format!("<section id=\"{}\"", section.id)), "{}", section.id);
    }
    assert!(page.contains("Reading …"), "{page}");
    for id in ["problem", "age"] {
        assert!(
            page.contains(&format!("id=\"{id}\"")) && PAGE_SCRIPT.contains(&format!("\"{id}\""))
        );
    }
}

#[test]
fn programs_get_what_the_page_shows() {
    let board = board(vec![policy("web", "web", "Balanced")]);
    let told: Value = serde_json::from_str(&board.json().unwrap()).unwrap();
    assert_eq!(told["policies"][0]["status"]["tiers"][0]["zones"][0]["pods"], 3);
    assert_eq!(told["policies"][0]["outdated"], false);
    assert_eq!(told["zones"][0]["status"]["usable"], "2/3");
    assert_eq!(told["drills"][0]["status"]["forecast"]["evictions"], 2);
    assert_eq!(told["recoveries"][0]["outcome"], "Balanced");
    assert_eq!((&told["problem"], &told["namespace"]), (&Value::Null, &json!("shop")));
}
