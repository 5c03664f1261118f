//! Which files have probes, and when.

use std::process::Command;

use crate::{
    common::{
        agent::Run,
        cgroup::Cgroup,
        program::{Program, done},
        seen::row,
        tools, wait_for,
    },
    peers::Authority,
};

/// Files get probes when the first process in scope executes them, and lose them when the last is gone. Whoever else executes them gives no event.
#[test]
fn files_have_probes_while_somebody_in_scope_executes_them() {
    let Some(cgroup) = Cgroup::v2() else {
        println!("no cgroups of version 2 here");
        return;
    };
    let authority = Authority::new();
    // Not in scope, with the same library.
    let server = authority.python("threads");
    let run = Run::start(["--cgroup", cgroup.path().to_str().expect("text")]);
    let files = || run.value("telltale_tls_files", "");
    assert!(files().abs() < 0.5, "{}", run.scrape());

    let code = "import sys; input(); import ssl; print('loaded', flush=True); input()";
    let mut user = Program::start(&mut cgroup.inside(Command::new(tools::interpreter()).args(["-c", code])));
    wait_for("probes in the linker", || (files() > 0.5).then_some(()));
    // As `dlopen` does.
    user.say("load");
    assert_eq!(user.line(), "loaded");
    wait_for("probes in the library", || (files() > 1.5).then_some(()));

    done(&mut authority.client(tools::interpreter(), "http_client", server.port));
    done(&mut cgroup.inside(&authority.client(tools::interpreter(), "http_client", server.port)));
    user.say("end");
    user.finish();
    wait_for("no probes", || (files() < 0.5).then_some(()));
    let detached = run.value("telltale_tls_files_detached_total", "");
    assert!(detached > 1.5, "{detached}");

    let seen = run.stop();
    seen.assert_reporter("server", &[]);
    seen.assert_reporter(
        "client",
        &[
            row("GET", "/bytes/1000", 200, 0, 1000),
            row("POST", "/sink", 200, 500, 2),
            row("GET", "/bytes/200000", 200, 0, 200_000),
            row("GET", "/status/404", 404, 0, 2),
        ],
    );
}
