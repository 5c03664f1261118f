//! The running cluster, and what the agent on its node says.

use std::{
    fs,
    io::Write as _,
    path::PathBuf,
    process::Command,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use serde_json::Value;

use crate::{kubectl::Kubectl, policy, without_node};

/// Longest wait for what a test waits for: generous, since the machine may be busy. Nothing measures it.
pub(crate) const PATIENCE: Duration = Duration::from_mins(5);
/// The namespace whose pods are observed once it has a policy, and the one that never has any.
pub(crate) const OBSERVED: &str = "shop";
/// See [`OBSERVED`].
pub(crate) const QUIET: &str = "quiet";

/// A cluster that somebody else started and ends.
pub(crate) struct Cluster {
    pub(crate) kubectl: Kubectl,
    state: PathBuf,
    /// When the last line was logged before the test: all of the log is too much for a slow machine to send again and again.
    since: Timestamp,
}

impl Cluster {
    /// The one that is named, with no policy and its agent ready; `None`, with a line that says so, if none is.
    pub(crate) fn named() -> Option<Self> {
        let Some(state) = std::env::var_os("TELLTALE_TEST_NODE").map(PathBuf::from) else {
            // Past the harness's capture, so that a skipped test is seen.
            let _ = writeln!(std::io::stderr(), "skipped: no node; `cargo xtask cluster test` makes one");
            return None;
        };
        let kubectl = Kubectl::new(vec![state.join("kubectl")], &state.join("pki/admin.kubeconfig"));
        for resource in [policy::PROPOSAL, policy::GEP] {
            kubectl.run(&["delete", resource, "--all", "--all-namespaces"]);
        }
        for namespace in [OBSERVED, QUIET] {
            let arguments = ["rollout", "status", "deployment/client", "--timeout=300s", "--namespace", namespace];
            kubectl.run(&arguments);
        }
        let mut cluster = Self { kubectl, state, since: Timestamp::UNIX_EPOCH };
        cluster.agent_is_ready();
        without_node::begin(&cluster);
        cluster.since = cluster.logged(&["--tail=1"]).last().map_or(cluster.since, |(time, _)| *time);
        Some(cluster)
    }

    /// A file of its state.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.state.join(name)
    }

    /// This program in the network namespace of the cluster, which is that of a native node.
    pub(crate) fn enter(&self, program: &str) -> Command {
        let mut command = Command::new(self.file("enter"));
        command.arg(program);
        command
    }

    /// Waits until the agent is ready.
    pub(crate) fn agent_is_ready(&self) {
        self.kubectl.run(&["rollout", "status", "--namespace=telltale", "daemonset/telltale", "--timeout=300s"]);
    }

    /// The access log since the test began, with the agent's own lines left out.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let logged = self.logged(&[&format!("--since-time={}", self.since)]);
        let new = logged.into_iter().filter(|(time, _)| *time > self.since);
        let lines = new.filter_map(|(_, line)| serde_json::from_str::<Value>(&line).ok());
        lines.filter(|line| line.get("reporter").is_some()).collect()
    }

    /// What the agent's pod logged, and when.
    fn logged(&self, which: &[&str]) -> Vec<(Timestamp, String)> {
        let arguments = ["logs", "--namespace=telltale", "daemonset/telltale", "--timestamps"];
        // A busy kubelet may be late, and a pod that was replaced is gone while it is asked for.
        let text = self.kubectl.until(&[&arguments, which].concat(), |said| !said.to_lowercase().starts_with("error"));
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        lines.filter_map(|(time, line)| Some((time.parse().ok()?, line.to_owned()))).collect()
    }

    /// Waits until the lines of the access log are what is waited for; gives them.
    pub(crate) fn lines_until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let lines = self.lines();
            if wanted(&lines) {
                return lines;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let lines = self.lines();
        panic!(
            "waited in vain for {what}; the last of {} lines are {:#?}",
            lines.len(),
            lines.iter().rev().take(3).collect::<Vec<_>>()
        );
    }

    /// What the agent's pod serves at `/metrics`.
    pub(crate) fn metrics(&self) -> String {
        let selector = ["--selector=app.kubernetes.io/name=telltale", "--output=jsonpath={.items[0].metadata.name}"];
        let pod = self.kubectl.run(&[&["get", "pods", "--namespace=telltale"], &selector[..]].concat());
        self.kubectl.run(&["get", "--raw", &format!("/api/v1/namespaces/telltale/pods/{pod}:9464/proxy/metrics")])
    }

    /// The sum of all series of a metric about the agent.
    pub(crate) fn sum(&self, name: &str) -> f64 {
        let text = self.metrics();
        let of_name =
            text.lines().filter(|line| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' '])));
        of_name.map(|line| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok()).expect("a value")).sum()
    }

    /// Nothing that the agent ever asked the API server for was refused, and it did ask.
    pub(crate) fn nothing_was_refused(&self) {
        let text = fs::read_to_string(self.state.join("audit.log")).expect("the API server writes it");
        // The last line may be in the middle of being written.
        let events: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let own: Vec<_> = events
            .iter()
            .filter(|event| event["user"]["username"] == "system:serviceaccount:telltale:telltale")
            .collect();
        assert!(!own.is_empty());
        let refused: Vec<_> = own
            .iter()
            .filter(|event| event["responseStatus"]["code"] == 403)
            .map(|event| format!("{} {}", event["verb"], event["requestURI"]))
            .collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }
}
