//! The systemd unit of a bare node.

use std::{fs, process::Command};

use telltale::{config::Config, policy::document::Source};

use crate::{
    agent::CAPABILITIES,
    rendered::{root, text},
};

const UNIT: &str = "deploy/systemd/telltale.service";

#[test]
fn systemd_understands_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("telltale.service");
    // It must name a program that is there.
    fs::write(&unit, text(UNIT).replace("/usr/local/bin/telltale", env!("CARGO_BIN_EXE_telltale"))).unwrap();
    let output = match Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output() {
        Ok(output) => output,
        Err(error) if std::env::var_os("TELLTALE_TEST_KUBE").is_none() => {
            eprintln!("skipped: systemd-analyze: {error}");
            return;
        }
        Err(error) => panic!("systemd-analyze: {error}"),
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && !said.contains("telltale.service"), "{said}");
}

#[test]
fn it_has_the_capabilities_of_the_pod_and_flags_of_the_binary() {
    let unit = text(UNIT);
    let line = |name: &str| {
        let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap_or_else(|| panic!("no {name}")).to_owned()
    };
    assert_eq!(line("CapabilityBoundingSet"), CAPABILITIES.map(|name| format!("CAP_{name}")).join(" "));
    assert_eq!(line("NoNewPrivileges"), "yes");
    let start = line("ExecStart");
    let mut words = start.split_whitespace();
    assert_eq!(words.next(), Some("/usr/local/bin/telltale"));
    let verb = words.next().unwrap();
    let help = Command::new(env!("CARGO_BIN_EXE_telltale")).args([verb, "--help"]).output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    for flag in words.filter(|word| word.starts_with("--")) {
        assert!(help.contains(&format!("{flag} <")), "`telltale {verb}` has no {flag}");
    }
}

#[test]
fn the_configuration_of_a_bare_node_is_valid() {
    let path = "deploy/systemd/telltale.yaml";
    let config = Config::read(&Source::new(path, text(path)));
    assert!(config.is_ok(), "{config:?}");
    // The schema that an editor is pointed to is where the first line says.
    let first = text(path).lines().next().unwrap().to_owned();
    let (_, schema) = first.split_once("$schema=").unwrap();
    assert!(root().join("deploy/systemd").join(schema).exists());
}
