//! The live state of `telltale run --admin-addr`.

use std::{net::SocketAddr, process::Command};

use serde_json::Value;

use crate::common::{
    agent::{Run, TELLTALE, get},
    program::{Server, curl, done},
    seen::row,
    wait_for,
};

#[test]
fn a_run_shows_what_it_follows() {
    let server = Server::python();
    let run = Run::start(["--port", &server.port.to_string(), "--admin-addr", "127.0.0.1:0"]);
    let stderr = run.stderr();
    let (_, rest) = stderr.split_once("live state at http://").expect("it says where");
    let address: SocketAddr = rest.split('/').next().expect("an address").parse().expect("an address");
    let ask = |path: &str| -> Value { serde_json::from_str(&get(address, path)).expect("JSON") };
    // An idle connection is seen too.
    let _idle = std::net::TcpStream::connect(("127.0.0.1", server.port)).expect("it listens");
    done(&mut curl([server.url("/bytes/1?secret=confidential")]));
    let exchanges = |state: &Value| state["counters"]["telltale_exchanges"][0]["value"].as_f64();
    let state = wait_for("the exchanges", || {
        Some(ask("/v1/state")).filter(|state| state["ready"] == true && exchanges(state) >= Some(2.0))
    });
    assert_eq!(state["node"], Value::Null, "{state}");
    assert_eq!(state["workers"][0]["alive"], true, "{state}");
    assert!(state["capture"]["backend"].is_string(), "{state}");
    // A worker is given two seconds, which are little where the machine is busy.
    let connections = wait_for("the answer of every worker", || {
        Some(ask("/v1/connections")).filter(|said| said["unanswered"] == serde_json::json!([]))
    });
    assert!(!connections.to_string().contains("confidential"), "{connections}");
    let plans = ask("/v1/plans");
    assert_eq!(
        (&plans["plans"][0]["local"], &plans["plans"][0]["capture"]),
        (&true.into(), &"heads".into()),
        "{plans}"
    );
    run.expect_both_ends(&[row("GET", "/bytes/1?secret=confidential", 200, 0, 1)]);
}

#[test]
fn others_cannot_see_it_without_the_configuration() {
    let output = Command::new(TELLTALE)
        .args(["run", "--port", "1", "--metrics-addr", "127.0.0.1:0", "--admin-addr", "0.0.0.0:0"])
        .output()
        .expect("the binary runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("allowRemote: true"), "{said}");
}
