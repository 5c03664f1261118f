//! `run --policy`: pods under different policies at the same time, and policies that change.

use std::{fs, path::PathBuf};

use crate::common::{
    agent::Run,
    cgroup::Cgroup,
    program::{Program, Server, curl, done},
    seen::text,
    tools, wait_for,
};

/// A pod in a namespace of the same name whose processes are those of a cgroup.
fn pod(namespace: &str, cgroup: &Cgroup) -> String {
    format!(
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {namespace}}}\n\
         ---\napiVersion: v1\nkind: Pod\nmetadata:\n  namespace: {namespace}\n  name: {namespace}-1\n  \
         annotations: {{telltale.dev/cgroup: {}}}\n",
        cgroup.path().display()
    )
}

/// A policy for a namespace with these signals.
fn policy(namespace: &str, signals: &str) -> String {
    format!(
        "---\napiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\n\
         metadata: {{namespace: {namespace}, name: {namespace}}}\nspec:\n  \
         targetRefs: [{{group: \"\", kind: Namespace, name: {namespace}}}]\n  {signals}\n"
    )
}

const LOGS: &str = "accessLogs: {mode: Enabled}";
const SPANS: &str = "tracing: {}";

struct Pods {
    server: Server,
    cgroups: Vec<Cgroup>,
    folder: tempfile::TempDir,
}

impl Pods {
    /// Pods `a`, `b` and `c`; `None` where no cgroup can be made.
    fn new() -> Option<Self> {
        let cgroups: Option<Vec<_>> = (0..3).map(|_| Cgroup::v2()).collect();
        Some(Self {
            server: Server::python(),
            cgroups: cgroups?,
            folder: tempfile::tempdir().expect("a folder can be made"),
        })
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("policies.yaml")
    }

    /// Writes the policies, all at once, as an editor does.
    fn write(&self, policies: &[(&str, &str)]) {
        let pods = ["a", "b", "c"].iter().zip(&self.cgroups).map(|(name, cgroup)| pod(name, cgroup));
        let policies = policies.iter().map(|(namespace, signals)| policy(namespace, signals));
        let new = self.folder.path().join("new");
        fs::write(&new, pods.chain(policies).collect::<String>()).expect("a file can be written");
        fs::rename(new, self.file()).expect("a file can be renamed");
    }

    fn run(&self) -> Run {
        Run::start(["--policy".as_ref(), self.folder.path().as_os_str()])
    }

    /// A request by a process of pod `index`.
    fn request(&self, index: usize, path: &str) {
        done(&mut self.cgroups[index].inside(&curl([self.server.url(path)])));
    }
}

/// What the kernel side handed over so far.
fn records(run: &Run) -> u64 {
    run.value("telltale_kernel_records_total", "") as u64
}

fn changes(run: &Run) -> usize {
    run.stderr().matches(" changed").count()
}

fn paths(run: &Run) -> Vec<String> {
    let written = fs::read_to_string(run.file("logs")).unwrap_or_default();
    let lines = crate::common::agent::logs(&written);
    lines.iter().map(|line| text(line, "path").to_owned()).collect()
}

#[test]
fn pods_follow_their_own_policies_at_the_same_time() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", LOGS), ("b", SPANS)]);
    let run = pods.run();
    pods.request(2, "/bytes/5000?by=c");
    assert_eq!(records(&run), 0, "no policy, no payload");
    pods.request(0, "/bytes/1?by=a");
    pods.request(1, "/bytes/2?by=b");
    wait_for("the line of a", || (paths(&run) == ["/bytes/1?by=a"]).then_some(()));
    let seen = run.stop();
    assert_eq!(seen.logs.len(), 1);
    assert_eq!((text(&seen.logs[0], "reporter"), text(&seen.logs[0], "source")), ("client", "a/a-1"));
    let spans: Vec<_> = seen.spans.iter().map(|span| text(span, "name").to_owned()).collect();
    assert_eq!(spans, ["GET"]);
    assert!(!seen.metrics.contains("http_client_request_duration"), "nobody asked for metrics");
}

#[test]
fn an_edit_holds_soon_and_a_bad_one_never() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", LOGS)]);
    let run = pods.run();
    pods.request(0, "/bytes/1");
    pods.request(2, "/bytes/2");
    pods.write(&[("b", SPANS), ("c", LOGS)]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    // Told of first, then written into the kernel.
    std::thread::sleep(std::time::Duration::from_millis(100));
    let before = records(&run);
    pods.request(0, "/bytes/3");
    assert_eq!(records(&run), before, "it has no policy any more");
    pods.request(2, "/bytes/4");
    wait_for("the line of c", || (paths(&run) == ["/bytes/1", "/bytes/4"]).then_some(()));
    fs::write(pods.file(), "kind: [").expect("a file can be written");
    wait_for("the refusal", || run.stderr().contains("hold on").then_some(()));
    pods.request(2, "/bytes/5");
    wait_for("the next line of c", || (paths(&run) == ["/bytes/1", "/bytes/4", "/bytes/5"]).then_some(()));
    run.stop();
}

/// Requests one after the other on one connection while the policy changes again and again: each has its line, once.
#[test]
fn a_change_loses_nothing() {
    const REQUESTS: usize = 120;
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", LOGS)]);
    let run = pods.run();
    let mut client = tools::python("client.py");
    client.arg("held").arg(pods.server.url(""));
    let mut client = Program::start(&mut pods.cgroups[0].inside(&client));
    assert_eq!(client.line(), "ready");
    let signals = [LOGS.to_owned(), format!("{LOGS}\n  metrics: {{mode: Enabled}}"), format!("{LOGS}\n  {SPANS}")];
    for number in 0..REQUESTS {
        if number % 10 == 5 {
            let changed = changes(&run);
            pods.write(&[("a", &signals[(number / 10) % signals.len()])]);
            if number % 20 == 5 {
                wait_for("the change", || (changes(&run) > changed || number < 10).then_some(()));
            }
        }
        client.say(&format!("/bytes/{number}"));
        assert_eq!(client.line(), "done");
    }
    // The client begins with a request of its own.
    let mut expected = paths(&run)[..1].to_vec();
    expected.extend((0..REQUESTS).map(|number| format!("/bytes/{number}")));
    wait_for("all lines", || (paths(&run).len() >= expected.len()).then_some(()));
    assert_eq!(paths(&run), expected);
    client.finish();
    let seen = run.stop();
    assert_eq!(seen.logs.len(), expected.len());
}

/// The default policy of the configuration puts the pods into scope that no policy is for, and takes over those whose policy goes.
#[test]
fn the_default_policy_is_for_pods_that_no_policy_is_for() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", SPANS)]);
    let run = Run::start_with(["--policy".as_ref(), pods.folder.path().as_os_str()], |folder, command| {
        let config = folder.join("config");
        fs::write(&config, "defaultPolicy: {accessLogs: {mode: Enabled}}\n").expect("a file can be written");
        command.arg("--config").arg(config)
    });
    pods.request(0, "/bytes/1");
    pods.request(1, "/bytes/2");
    wait_for("the line of b", || (paths(&run) == ["/bytes/2"]).then_some(()));
    pods.write(&[]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    // Told of first, then given to the workers.
    std::thread::sleep(std::time::Duration::from_millis(100));
    pods.request(0, "/bytes/3");
    wait_for("the line of a", || (paths(&run) == ["/bytes/2", "/bytes/3"]).then_some(()));
    let seen = run.stop();
    assert_eq!(seen.spans.len(), 1, "of a, while it had its policy");
}
