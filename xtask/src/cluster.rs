//! `cargo xtask cluster`: a real cluster of one node here, with traffic in two namespaces and the agent from the shipped manifests.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::{
    exec,
    node::{Cluster, Machine, images},
    setup, workspace,
};

/// `cargo xtask cluster [up|down|test]`
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Clone, Copy, Subcommand)]
enum Verb {
    /// Start it, after taking an earlier one away; leave it running
    Up,
    /// Take it away
    Down,
    /// Run the tests of a node, on one that lives as long as they run; a step of `cargo xtask test`
    Test,
}

const TRAFFIC: &str = include_str!("../assets/cluster/traffic.yaml");
const POLICY: &str = include_str!("../assets/cluster/policy.yaml");

/// The namespace with a policy, and the one without.
pub(crate) const NAMESPACES: [&str; 2] = ["shop", "quiet"];

/// The verb.
pub(crate) fn main(arguments: &Arguments) -> Result<()> {
    let cluster = Cluster::at(&workspace::target().join("cluster"))?;
    match arguments.verb.unwrap_or(Verb::Up) {
        Verb::Up => up(&cluster),
        Verb::Down => cluster.down(),
        Verb::Test => test(),
    }
}

fn up(cluster: &Cluster) -> Result<()> {
    setup::ensure(&[setup::Purpose::Cluster])?;
    let start = Instant::now();
    let step = |what: &str| println!("{:>4.0} s  {what}", start.elapsed().as_secs_f64());
    let agent = agent()?;
    step("the agent is built");
    cluster.up(&images::ensure(&agent)?)?;
    step("the node is ready");
    deploy(cluster)?;
    for namespace in NAMESPACES {
        traffic(cluster, namespace)?;
    }
    for namespace in NAMESPACES {
        rolled_out(cluster, namespace, "deployment/client")?;
    }
    step("clients ask servers in the namespaces shop and quiet");
    cluster.apply(POLICY)?;
    rolled_out(cluster, "telltale", "daemonset/telltale")?;
    step("the agent is ready");
    let accepted = "--for=jsonpath={.status.ancestors[0].conditions[?(@.type==\"Programmed\")].status}=True";
    cluster.ask(&["wait", accepted, "--timeout=300s", "--namespace=shop", "xtpol/everything"])?;
    step("the policy of shop holds");
    show(cluster)
}

/// The tests of a node, on a native one that lives as long as they run.
pub(crate) fn test() -> Result<()> {
    tests("node-test", Cluster::up)
}

/// The same on a virtual machine.
pub(crate) fn test_on(machine: Machine) -> Result<()> {
    setup::ensure(&[setup::Purpose::Vm])?;
    tests("node-machine", |cluster, images| cluster.up_machine(machine, images))
}

fn tests(state: &str, up: impl Fn(&Cluster, &[PathBuf]) -> Result<()>) -> Result<()> {
    setup::ensure(&[setup::Purpose::Cluster])?;
    let cluster = Cluster::at(&workspace::target().join(state))?;
    let images = images::ensure(&agent()?)?;
    // Compiled before the node is there, which then lives only as long as the tests run.
    let test = ["test", "--package", "telltale", "--test", "node"];
    exec::run(workspace::cargo().args(test).arg("--no-run"))?;
    let start = Instant::now();
    let _guard = cluster.guard()?;
    up(&cluster, &images)?;
    println!("the node is ready after {:.0} s", start.elapsed().as_secs_f64());
    deploy(&cluster)?;
    for namespace in NAMESPACES {
        traffic(&cluster, namespace)?;
    }
    let tested = exec::run(
        workspace::cargo().args(test).args(["--", "--test-threads=1"]).env("TELLTALE_TEST_NODE", cluster.state()),
    );
    println!("the tests have ended after {:.0} s", start.elapsed().as_secs_f64());
    tested.with_context(|| cluster.describe("telltale"))
}

/// The agent's program, as a developer builds it.
pub(crate) fn agent() -> Result<PathBuf> {
    let built = workspace::executables(&["build", "--package", "telltale", "--bin", "telltale"])?;
    let program = built.into_iter().find(|(name, kind, _)| name == "telltale" && kind == "bin");
    program.map(|(.., file)| file).context("cargo built no program `telltale`")
}

/// Applies the shipped manifests as anybody would.
pub(crate) fn deploy(cluster: &Cluster) -> Result<()> {
    let folder = |name: &str| workspace::root().join("deploy").join(name).display().to_string();
    let apply = |folder: &str| {
        exec::output(cluster.kubectl().args(["apply", "--server-side", "--force-conflicts", "--kustomize", folder]))
    };
    apply(&folder("kustomize/default")).map(drop)
}

/// A server and a client in this namespace.
pub(crate) fn traffic(cluster: &Cluster, namespace: &str) -> Result<()> {
    cluster.apply(&TRAFFIC.replace("@NAMESPACE@", namespace))
}

/// Waits until all of its pods are ready.
pub(crate) fn rolled_out(cluster: &Cluster, namespace: &str, what: &str) -> Result<()> {
    cluster
        .ask(&["rollout", "status", "--timeout=120s", "--namespace", namespace, what])
        .map(drop)
        .with_context(|| format!("{what} in {namespace}\n{}", cluster.describe(namespace)))
}

fn show(cluster: &Cluster) -> Result<()> {
    let kubectl = cluster.state().join("kubectl");
    let kubectl = short(&kubectl);
    for arguments in [
        "get pods --all-namespaces --output wide",
        "get telemetry --all-namespaces",
        "logs --namespace telltale daemonset/telltale --tail 5",
    ] {
        println!("\n$ {kubectl} {arguments}");
        exec::run(cluster.kubectl().args(arguments.split(' ')))?;
    }
    println!("\nMetrics: {kubectl} get --raw /api/v1/namespaces/telltale/services/telltale:metrics/proxy/metrics");
    println!("The whole node: {kubectl} help. Take it away: cargo xtask cluster down");
    Ok(())
}

/// As one would type it here.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let relative = here.and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned));
    relative.unwrap_or_else(|| path.to_owned()).display().to_string()
}
