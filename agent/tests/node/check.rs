//! What `telltale check` says in the agent's own pod.

use serde_json::Value;

use crate::cluster::Cluster;

#[test]
fn in_the_shipped_pod_nothing_is_missing() {
    let Some(cluster) = Cluster::named() else { return };
    let arguments =
        ["exec", "--namespace=telltale", "daemonset/telltale", "--", "/telltale", "check", "-o", "json", "--cluster"];
    let report: Value = serde_json::from_str(&cluster.kubectl.run(&arguments)).expect("JSON");
    assert!(report["backend"].is_string(), "{report:#}");
    let rows = report["capabilities"].as_array().expect("rows");
    let found = |name: &str| {
        let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"));
        row["found"].as_str().unwrap_or_default()
    };
    // The capabilities that are granted, and those that are not.
    for name in ["BPF", "PERFMON", "SYS_PTRACE"] {
        assert_eq!(found(&format!("capability {name}")), "held");
    }
    for name in ["DAC_READ_SEARCH", "SYS_ADMIN"] {
        let found = found(&format!("capability {name}"));
        assert!(found.starts_with("not held, and not needed"), "{name}: {found}");
    }
    assert!(
        found("cgroups of pods").ends_with("/host/sys/fs/cgroup")
            || found("cgroups of pods").contains("/host/sys/fs/cgroup/")
    );
    println!("perf_event_paranoid: {}", found("perf_event_paranoid"));
    // A machine may allow one of the backends only, and no pod makes cgroups for a COMMAND.
    let not_ok = rows.iter().filter(|row| row["status"] != "ok");
    let names: Vec<_> = not_ok.filter_map(|row| row["name"].as_str()).collect();
    let may_miss = |name: &&str| name.starts_with("backend ") || *name == "cgroup for a COMMAND";
    assert!(names.iter().all(may_miss), "{names:?}: {report:#}");
    cluster.nothing_was_refused();
}
