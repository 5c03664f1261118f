//! What the capabilities that are shipped allow, whatever the machine allows everybody.

use std::{fs, process::Command};

use aya::util::KernelVersion;
use serde_json::Value;

use super::{
    confined::{SHIPPED, confine},
    session::{alone, backends},
};

const PARANOID: &str = "/proc/sys/kernel/perf_event_paranoid";

/// The setting as it was, when this is dropped.
struct Restored(String);

impl Drop for Restored {
    fn drop(&mut self) {
        // It was written before.
        let _ = fs::write(PARANOID, &self.0);
    }
}

/// What `telltale check` says with these capabilities, and whether something can be captured.
fn check(capabilities: &str) -> (bool, Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_telltale"));
    command.args(["check", "-o", "json"]).env_remove("TELLTALE_CGROUP_ROOT");
    confine(&mut command, capabilities);
    let output = command.output().expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    (output.status.success(), serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}")))
}

fn find<'a>(report: &'a Value, name: &str) -> &'a Value {
    let rows = report["capabilities"].as_array().expect("rows");
    rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("{name}: {report}"))
}

/// Level 2, the kernel's own default, leaves perf events of the kernel to those with PERFMON; 3, which only Debian's kernels know and begin with, leaves
/// all of them to those with `SYS_ADMIN`. Only a machine of our own is set so; elsewhere it is what it is.
#[test]
fn at_no_level_of_perf_event_paranoid_more_is_needed_than_what_is_shipped() {
    let _alone = alone();
    let before = Restored(fs::read_to_string(PARANOID).expect("every kernel has it"));
    let is_own = std::env::var_os("TELLTALE_TEST_VM").is_some();
    let levels = if is_own { vec!["2", "3"] } else { vec![before.0.trim()] };
    for level in levels {
        if is_own {
            fs::write(PARANOID, level).expect("it can be set");
        }
        let (can_capture, report) = check(SHIPPED);
        assert!(can_capture, "{level}: {report}");
        for backend in backends() {
            assert_eq!(find(&report, &format!("backend {}", backend.name()))["status"], "ok", "{level}: {report}");
        }
        for name in ["capability BPF", "capability PERFMON", "capability SYS_PTRACE", "perf_event_paranoid"] {
            assert_eq!(find(&report, name)["status"], "ok", "{level}: {report}");
        }
        let found = find(&report, "perf_event_paranoid")["found"].as_str().unwrap_or_default();
        assert!(found.starts_with(&format!("{level}; ")), "{level}: {found}");
        assert_eq!(find(&report, "capability SYS_ADMIN")["mend"], Value::Null, "{level}: {report}");
        // Before 6.6 a probe in a file is a perf event, which is said, and all else goes on.
        let inside = find(&report, "inside TLS");
        println!("perf_event_paranoid {level}: inside TLS: {}", inside["found"]);
        if inside["status"] != "ok" {
            let version = KernelVersion::current().expect("a version");
            assert!(version < KernelVersion::new(6, 6, 0), "{level}: {report}");
            assert!(inside["mend"].as_str().unwrap_or_default().contains("SYS_ADMIN"), "{level}: {report}");
        }
        let (_, report) = check(&format!("{SHIPPED},sys_admin"));
        assert_eq!(find(&report, "inside TLS")["status"], "ok", "{level}: {report}");
        // Without PERFMON it is that, not the level, that is named.
        let (can_capture, report) = check("bpf,sys_ptrace");
        assert!(!can_capture, "{level}: {report}");
        assert_eq!(find(&report, "capability PERFMON")["status"], "fatal", "{level}: {report}");
        assert_eq!(find(&report, "perf_event_paranoid")["status"], "ok", "{level}: {report}");
        println!("perf_event_paranoid {level}: what is shipped is enough");
    }
}
