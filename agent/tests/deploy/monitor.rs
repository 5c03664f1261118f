//! The `PodMonitor`. Its definition is the Prometheus operator's and not in this repository, so only its shape is looked at, against the
//! fields of `monitoring.coreos.com/v1` that it uses.

use serde_json::{Value, json};

use crate::{
    rendered::{Helm, kustomize, object, yaml},
    same::comparable,
};

fn check(monitor: &Value) {
    assert_eq!(monitor["apiVersion"], "monitoring.coreos.com/v1");
    let set = yaml("deploy/kustomize/agent/daemon-set.yaml");
    let labels = &set["spec"]["template"]["metadata"]["labels"];
    for (key, value) in monitor["spec"]["selector"]["matchLabels"].as_object().unwrap() {
        assert_eq!(labels[key], *value);
    }
    let ports = &set["spec"]["template"]["spec"]["containers"][0]["ports"];
    let endpoint = &monitor["spec"]["podMetricsEndpoints"][0];
    assert_eq!(endpoint["port"], ports[0]["name"]);
    let expected = json!({"port": "metrics", "path": "/metrics", "interval": "30s", "honorLabels": true});
    assert_eq!(monitor["spec"]["podMetricsEndpoints"], json!([expected]));
}

#[test]
fn it_selects_the_pods_and_a_port_that_they_have() {
    let Some(example) = kustomize("example") else { return };
    let monitor = object(&example, "PodMonitor", "telltale");
    check(monitor);
    if let Some(helm) = Helm::find() {
        let chart = comparable(helm.objects(&["--set", "metrics.podMonitor.enabled=true"]));
        assert_eq!(object(&chart, "PodMonitor", "telltale"), monitor);
    }
}
