//! The pod of the agent: what it may do, and how it is started.

use std::{collections::BTreeSet, process::Command};

use serde_json::{Value, json};

use crate::rendered::{text, yaml};

/// What is granted by default; docs/kubernetes.md says what for.
pub(crate) const CAPABILITIES: [&str; 3] = ["BPF", "PERFMON", "SYS_PTRACE"];

fn pod() -> Value {
    yaml("deploy/kustomize/agent/daemon-set.yaml")["spec"]["template"]["spec"].take()
}

#[test]
fn it_is_not_privileged_and_drops_what_it_does_not_name() {
    let pod = pod();
    let [container] = &pod["containers"].as_array().unwrap()[..] else { panic!("one container") };
    let context = &container["securityContext"];
    assert_eq!(context["privileged"], false);
    assert_eq!(context["allowPrivilegeEscalation"], false);
    assert_eq!(context["readOnlyRootFilesystem"], true);
    assert_eq!(context["capabilities"], json!({"drop": ["ALL"], "add": CAPABILITIES}));
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault");
    // Where the image says so too.
    assert!(context["runAsUser"] == 0 && text("deploy/Dockerfile").contains("\nUSER 0:0\n"));
    assert!(pod["hostPID"] == true && pod.get("hostNetwork").is_none() && pod.get("hostIPC").is_none());
}

#[test]
fn tests_of_capture_run_with_the_capabilities_that_are_granted() {
    let source = text("agent/tests/common/confined.rs");
    let shipped = CAPABILITIES.map(str::to_lowercase).join(",");
    assert!(source.contains(&format!("SHIPPED: &str = \"{shipped}\";")), "common/confined.rs is of other capabilities");
}

#[test]
fn what_it_mounts_of_the_node_cannot_be_written() {
    let pod = pod();
    let volumes = pod["volumes"].as_array().unwrap().iter();
    let host: BTreeSet<_> = volumes
        .filter(|volume| volume.get("hostPath").is_some())
        .map(|volume| volume["name"].as_str().unwrap())
        .collect();
    assert_eq!(host, BTreeSet::from(["cgroup"]));
    for mount in pod["containers"][0]["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], true, "{mount}");
    }
}

#[test]
fn it_runs_on_every_node_and_the_first_to_be_evicted_are_others() {
    let pod = pod();
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(pod["priorityClassName"], "system-node-critical");
    let resources = &pod["containers"][0]["resources"];
    assert!(resources["limits"].get("cpu").is_none(), "a throttled agent loses events");
}

/// The flags and variables of the container are those of the binary.
#[test]
fn the_binary_knows_what_it_is_started_with() {
    let pod = pod();
    let container = &pod["containers"][0];
    let help = Command::new(env!("CARGO_BIN_EXE_telltale")).args(["agent", "--help"]).output().unwrap();
    // Lines are broken to fit a terminal.
    let help = String::from_utf8(help.stdout).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    let words: Vec<_> = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(words[0], "agent");
    for word in &words[1..] {
        let flag = word.split('=').next().unwrap();
        assert!(help.contains(&format!("{flag} <")), "`telltale agent` has no {flag}:\n{help}");
    }
    for variable in container["env"].as_array().unwrap() {
        let name = variable["name"].as_str().unwrap();
        assert!(help.contains(&format!("[env: {name}=")), "`telltale agent` does not read {name}:\n{help}");
    }
}

#[test]
fn all_manifests_are_of_this_version() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(pod()["containers"][0]["image"], format!("telltale:{version}"));
    let chart = yaml("deploy/helm/telltale/Chart.yaml");
    assert!(chart["version"] == version && chart["appVersion"] == version);
    assert!(text("deploy/Dockerfile").contains(&format!("telltale:{version} ")));
}
