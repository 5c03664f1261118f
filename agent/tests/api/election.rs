//! One agent of several is elected: never two, and one again soon.

use std::time::Duration;

use telltale::kube::{LEASE, Timing};

use crate::{
    agents::{Agent, Orders, QUICK, install, until},
    api_server::ApiServer,
};

fn orders(server: &ApiServer, namespace: &str, node: &str, timing: Timing) -> Orders {
    Orders {
        kubeconfig: server.kubectl().kubeconfig().to_owned(),
        namespace: namespace.to_owned(),
        node: node.to_owned(),
        follows: namespace.to_owned(),
        dialects: Vec::new(),
        cannot: Vec::new(),
        timing,
    }
}

/// Waits until one of them leads, and sees that never two do.
fn leader(agents: &[Agent]) -> usize {
    let mut found = None;
    until("an agent is elected", || {
        let mut leaders: Vec<usize> = (0..agents.len()).filter(|&agent| agents[agent].is_leader()).collect();
        // They were asked one after the other: one that does not lead any more may have been the first's predecessor.
        leaders.retain(|&agent| agents[agent].is_leader());
        assert!(leaders.len() <= 1, "{leaders:?} lead at a time");
        found = leaders.first().copied();
        found.is_some()
    });
    found.unwrap()
}

#[test]
fn when_the_elected_one_is_killed_another_takes_over() {
    let Some(server) = ApiServer::shared() else { return };
    install(server.kubectl(), "election-kill", &[]);
    let start = |node: &str| Agent::start(orders(server, "election-kill", node, QUICK));
    let mut agents = vec![start("a"), start("b"), start("c")];
    for _ in 0..2 {
        let first = leader(&agents);
        agents[first].kill();
        agents.remove(first);
        let lease = server.kubectl().json(&["get", "lease", LEASE, "--namespace", "election-kill"]);
        assert!(lease["spec"]["holderIdentity"].as_str().unwrap().starts_with("telltale-"), "{lease}");
    }
    leader(&agents);
    let lease = server.kubectl().json(&["get", "lease", LEASE, "--namespace", "election-kill"]);
    // More where a renewal came too late on a busy machine.
    assert!(lease["spec"]["leaseTransitions"].as_u64() >= Some(2), "{lease}");
}

#[test]
fn what_is_given_back_is_taken_at_once() {
    let Some(server) = ApiServer::shared() else { return };
    install(server.kubectl(), "election-stop", &[]);
    // Nobody waits for as long as this, so that only what is given back can be taken.
    let slow = Timing {
        lease: Duration::from_hours(1),
        give_up: Duration::from_mins(50),
        renew: Duration::from_mins(10),
        ..QUICK
    };
    let start = |node: &str| Agent::start(orders(server, "election-stop", node, slow));
    let mut agents = vec![start("a"), start("b")];
    let first = leader(&agents);
    agents[first].stop();
    assert!(!agents[first].is_leader());
    until("the other one is elected", || agents[1 - first].is_leader());
}

#[test]
fn without_an_api_server_nobody_leads_and_with_one_somebody_does_again() {
    let Some(server) = ApiServer::start() else { return };
    install(server.kubectl(), "election-api", &[]);
    let agents = ["a", "b"].map(|node| Agent::start(orders(&server, "election-api", node, QUICK)));
    leader(&agents);
    server.stop_api();
    until("nobody leads", || agents.iter().all(|agent| !agent.is_leader()));
    server.start_api();
    leader(&agents);
}
