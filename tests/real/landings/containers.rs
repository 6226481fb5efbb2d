//! Random containers: what pods ask of nodes, their images and ports.

use crate::dice::Dice;
use serde_json::{Value, json};

pub const IMAGES: [&str; 5] = [
    "registry.example/app-0:1",
    "registry.example/app-1:1",
    "registry.example/app-2:1",
    "registry.example/untagged:latest",
    "docker.io/library/large:2",
];

/// A pod spec with containers and nothing else that matters.
pub fn spec(dice: &mut Dice) -> Value {
    let mut spec = json!({
        "containers": [container(dice, "main")],
        "terminationGracePeriodSeconds": 3600,
        "automountServiceAccountToken": false,
    });
    if dice.chance(25) {
        push(&mut spec["containers"], container(dice, "second"));
    }
    if dice.chance(15) {
        push(&mut spec["initContainers"], container(dice, "init"));
    }
    if dice.chance(15) {
        let mut sidecar = container(dice, "sidecar");
        sidecar["restartPolicy"] = json!("Always");
        push(&mut spec["initContainers"], sidecar);
        if dice.chance(30) {
            push(&mut spec["initContainers"], container(dice, "late-init"));
        }
    }
    if dice.chance(8) {
        spec["resources"] = match dice.below(3) {
            0 => json!({"requests": {"cpu": "3"}}),
            1 => json!({"requests": {"cpu": "3500m", "memory": "6Gi"}}),
            _ => json!({"limits": {"cpu": "4", "memory": "7Gi"}}),
        };
    }
    spec
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let image = match dice.pick(&IMAGES) {
        "registry.example/untagged:latest" => "registry.example/untagged",
        image => image,
    };
    let mut container = json!({"name": name, "image": image});
    let mut requests = json!({});
    if dice.chance(75) {
        requests["cpu"] = json!(dice.pick(&["50m", "100m", "0.25", "500m", "700m"]));
    }
    if dice.chance(70) {
        requests["memory"] = json!(dice.pick(&["64Mi", "200M", "512Mi", "1Gi", "1500Mi"]));
    }
    if dice.chance(8) {
        requests["ephemeral-storage"] = json!(dice.pick(&["1Gi", "9Gi"]));
    }
    container["resources"] = if dice.chance(8) {
        // The API server makes requests of limits.
        json!({"limits": {"cpu": "800m", "memory": "900Mi"}})
    } else {
        json!({"requests": requests})
    };
    if name == "main" && dice.chance(6) {
        container["resources"]["limits"]["example.com/gpu"] = json!("1");
        container["resources"]["requests"]["example.com/gpu"] = json!("1");
    }
    if name != "second" && dice.chance(8) {
        let mut port = json!({"containerPort": 80, "hostPort": dice.pick(&[8080, 9090])});
        port["protocol"] = json!(dice.pick(&["TCP", "TCP", "UDP"]));
        if dice.chance(30) {
            port["hostIP"] = json!(dice.pick(&["10.0.0.1", "0.0.0.0", "127.0.0.1"]));
        }
        container["ports"] = json!([port]);
    }
    container
}

pub fn push(list: &mut Value, entry: Value) {
    if list.is_null() {
        *list = json!([]);
    }
    list.as_array_mut().unwrap().push(entry);
}
