//! What the agent needs to be allowed.

use crate::common::{
    agent::Run,
    confined::{SHIPPED, confine},
    program::{Server, curl, done},
    seen::row,
};

fn captures_with(capabilities: &str) {
    let server = Server::python();
    let run = Run::start_with(["--port", &server.port.to_string()], |_, command| {
        confine(command, capabilities);
        command
    });
    done(&mut curl(["-d", "abc", &server.url("/bytes/5")]));
    // The kernel's own account of the programs is read through descriptors of theirs.
    assert!(run.scrape().contains("\ntelltale_kernel_recursion_misses_total{program="), "{}", run.scrape());
    run.expect_both_ends(&[row("POST", "/bytes/5", 200, 3, 5)]);
}

#[test]
fn what_the_chart_grants_is_enough() {
    captures_with(SHIPPED);
}

#[test]
fn two_capabilities_capture() {
    captures_with("bpf,perfmon");
}
