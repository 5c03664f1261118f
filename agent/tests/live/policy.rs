//! `run --policy`: pods under different policies at the same time, and policies that change.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::common::{
    agent::{Run, logs},
    cgroup::Cgroup,
    program::{Program, Server, curl, done},
    rotel::Rotel,
    seen::{attribute, text},
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

/// The same once nothing more comes: the end of a connection comes after its last exchange.
fn settled(run: &Run) -> u64 {
    wait_for("the last record", || {
        let before = records(run);
        std::thread::sleep(Duration::from_secs(1));
        (records(run) == before).then_some(before)
    })
}

fn changes(run: &Run) -> usize {
    run.stderr().matches("hold now").count()
}

fn paths(run: &Run) -> Vec<String> {
    let written = fs::read_to_string(run.file("logs")).unwrap_or_default();
    logs(&written).iter().map(|line| text(line, "path").to_owned()).collect()
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
    let before = settled(&run);
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
    pods.request(0, "/bytes/3");
    wait_for("the line of a", || (paths(&run) == ["/bytes/2", "/bytes/3"]).then_some(()));
    let seen = run.stop();
    assert_eq!(seen.spans.len(), 1, "of a, while it had its policy");
}

/// The paths of the lines of a file that a policy names; none where there is no such file.
fn paths_in(file: &Path) -> Vec<String> {
    let lines = logs(&fs::read_to_string(file).unwrap_or_default());
    lines.iter().map(|line| text(line, "path").to_owned()).collect()
}

fn hang_up(run: &Run) {
    kill(Pid::from_raw(run.id().cast_signed()), Signal::SIGHUP).expect("it is our child");
}

/// As logrotate does it: the file is moved away, then there is a hangup. It comes before the first line, between lines, and while lines come.
#[test]
fn a_log_that_is_rotated_has_each_line_once() {
    const REQUESTS: usize = 150;
    let mut requests = 0;
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let kept = tempfile::tempdir().expect("a folder can be made");
    let file = kept.path().join("access.log");
    let moved = |number: usize| kept.path().join(format!("access.log.{number}"));
    let sinks = format!("accessLogs: {{sinks: [{{type: File, path: {}}}, {{type: Stdout}}]}}", file.display());
    pods.write(&[("a", &sinks)]);
    let run = pods.run();
    // Nothing is open yet, and yet it is no reason to end.
    hang_up(&run);
    let mut client = tools::python("client.py");
    client.arg("held").arg(pods.server.url(""));
    let mut client = Program::start(&mut pods.cgroups[0].inside(&client));
    assert_eq!(client.line(), "ready");
    let mut request = || {
        client.say(&format!("/bytes/{requests}"));
        assert_eq!(client.line(), "done");
        requests += 1;
    };
    for number in 0..REQUESTS {
        request();
        if number % 25 == 10 {
            // Those after a hangup may still come to the file that was moved, and the new one comes with the first that does not.
            wait_for("a line to move", || {
                let is_there = file.exists();
                if !is_there {
                    request();
                }
                is_there.then_some(())
            });
            fs::rename(&file, moved(number)).expect("a file can be renamed");
            hang_up(&run);
        }
    }
    wait_for("all lines", || (paths(&run).len() > requests).then_some(()));
    client.finish();
    let seen = run.stop();
    let expected: Vec<_> = seen.logs.iter().map(|line| text(line, "path").to_owned()).collect();
    let rotated = (0..REQUESTS).filter(|number| number % 25 == 10).map(moved);
    let parts: Vec<Vec<String>> = rotated.chain([file]).map(|part| paths_in(&part)).collect();
    assert_eq!(parts.concat(), expected, "{}", seen.stderr);
    assert!(parts.iter().filter(|part| !part.is_empty()).count() > 2, "it was not rotated: {parts:?}");
}

/// The log goes elsewhere from one edit on; what the edit before named keeps what it has.
#[test]
fn a_log_moves_with_an_edit() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let kept = tempfile::tempdir().expect("a folder can be made");
    let [first, second] = ["first.log", "second.log"].map(|name| kept.path().join(name));
    let to = |file: &Path| format!("accessLogs: {{sinks: [{{type: File, path: {}}}]}}", file.display());
    pods.write(&[("a", &to(&first))]);
    let run = pods.run();
    pods.request(0, "/bytes/1");
    wait_for("the first line", || (paths_in(&first) == ["/bytes/1"]).then_some(()));
    pods.write(&[("a", &to(&second))]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    pods.request(0, "/bytes/2");
    wait_for("the second line", || (paths_in(&second) == ["/bytes/2"]).then_some(()));
    let seen = run.stop();
    assert_eq!((paths_in(&first), paths_in(&second)), (vec!["/bytes/1".to_owned()], vec!["/bytes/2".to_owned()]));
    assert!(seen.logs.is_empty(), "standard output is no sink of the policy");
}

/// A log that goes back and forth between two files while requests come: each line is in one of them, once.
#[test]
fn a_log_that_moves_again_and_again_loses_nothing() {
    const REQUESTS: usize = 120;
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let kept = tempfile::tempdir().expect("a folder can be made");
    let files = ["first.log", "second.log"].map(|name| kept.path().join(name));
    let to = |file: &Path| format!("accessLogs: {{sinks: [{{type: File, path: {}}}]}}", file.display());
    pods.write(&[("a", &to(&files[0]))]);
    let run = pods.run();
    let mut client = tools::python("client.py");
    client.arg("held").arg(pods.server.url(""));
    let mut client = Program::start(&mut pods.cgroups[0].inside(&client));
    assert_eq!(client.line(), "ready");
    for number in 0..REQUESTS {
        if number % 20 == 10 {
            let changed = changes(&run);
            pods.write(&[("a", &to(&files[(number / 20 + 1) % 2]))]);
            // One time the requests go on while it changes, the next time they wait.
            if number % 40 == 10 {
                wait_for("the change", || (changes(&run) > changed).then_some(()));
            }
        }
        client.say(&format!("/bytes/{number}"));
        assert_eq!(client.line(), "done");
    }
    client.finish();
    run.stop();
    let [first, second] = files.each_ref().map(|file| paths_in(file));
    assert!(first.len() > 5 && second.len() > 5, "it did not move: {first:?} {second:?}");
    let mut all = [first, second].concat();
    // The client begins with a request of its own.
    let expected = (0..REQUESTS).chain([11]).map(|number| format!("/bytes/{number}"));
    let mut expected: Vec<_> = expected.collect();
    all.sort();
    expected.sort();
    assert_eq!(all, expected);
}

/// Spans go to the receiver that the policy names now; those that wait when it changes still go to the one before.
#[test]
fn spans_move_to_another_receiver_with_an_edit() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let (before, after) = (Rotel::start(), Rotel::start());
    let to = |rotel: &Rotel| {
        format!("tracing: {{mode: Enabled, provider: {{endpoint: '127.0.0.1:{}', protocol: http}}}}", rotel.http)
    };
    pods.write(&[("a", &to(&before))]);
    let run = pods.run();
    let paths_at = |rotel: &Rotel| {
        let output = rotel.output();
        let paths = output.lines().filter_map(|line| line.split_once("-> url.full: Str(").map(|(_, rest)| rest));
        let paths = paths.filter_map(|url| url.split_once("/bytes/").map(|(_, number)| number.trim_end_matches(')')));
        paths.map(str::to_owned).collect::<Vec<_>>()
    };
    for number in 0..20 {
        pods.request(0, &format!("/bytes/{number}"));
    }
    // Batches are sent every five seconds: the last of these wait while the policy changes.
    pods.write(&[("a", &to(&after))]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    pods.request(0, "/bytes/20");
    let first: Vec<_> = (0..20).map(|number| number.to_string()).collect();
    wait_for("what waited", || (paths_at(&before) == first).then_some(()));
    wait_for("the span after the change", || (paths_at(&after) == ["20"]).then_some(()));
    let seen = run.stop();
    assert_eq!(seen.spans.len(), 21, "{}", seen.stderr);
    assert_eq!((paths_at(&before), paths_at(&after)), (first, vec!["20".to_owned()]));
}

/// A policy that is gone leaves nothing behind: neither series nor capture. Those of others go on.
#[test]
fn the_series_of_a_removed_policy_disappear() {
    const METRICS: &str = "metrics: {mode: Enabled}";
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", METRICS), ("b", METRICS)]);
    let run = pods.run();
    pods.request(0, "/bytes/1");
    pods.request(1, "/bytes/2");
    let count = |namespace: &str| {
        let label = format!("k8s_namespace_name=\"{namespace}\"");
        run.value("http_client_request_duration_seconds_count", &label) as u64
    };
    wait_for("both series", || ((count("a"), count("b")) == (1, 1)).then_some(()));
    pods.write(&[("b", METRICS)]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    wait_for("the end of a's series", || (!run.scrape().contains("k8s_namespace_name=\"a\"")).then_some(()));
    let before = settled(&run);
    pods.request(0, "/bytes/3");
    assert_eq!(records(&run), before, "it has no policy any more");
    pods.request(1, "/bytes/4");
    wait_for("b's series to go on", || (count("b") == 2).then_some(()));
    let seen = run.stop();
    assert!(!seen.metrics.contains("k8s_namespace_name=\"a\""), "{}", seen.metrics);
}

/// Whatever is wrong with an edit, the plans from before hold, and a line names the file, the line and the field; a good edit later holds.
#[test]
fn a_bad_edit_is_told_of_and_a_good_one_after_it_holds() {
    let Some(pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", LOGS)]);
    let run = pods.run();
    pods.request(0, "/bytes/1");
    let mut expected = vec!["/bytes/1".to_owned()];
    let bad = [
        ("accessLogs: {matches: 'response.code >='}", "spec.accessLogs.matches: "),
        ("accessLogs: {mode: Enabld}", "spec.accessLogs.mode: "),
        ("tracing: {mode: Enabled}", "spec.tracing: provider must be specified"),
    ];
    for (number, (signals, said)) in bad.iter().enumerate() {
        pods.write(&[("a", signals), ("c", LOGS)]);
        wait_for("the refusal", || (run.stderr().matches("hold on").count() == number + 1).then_some(()));
        let stderr = run.stderr();
        let line = stderr.lines().find(|line| line.contains(said)).unwrap_or_else(|| panic!("{stderr}"));
        assert!(line.contains("policies.yaml:"), "{line}");
        let path = format!("/bytes/{}", number + 2);
        pods.request(0, &path);
        expected.push(path);
        wait_for("the next line", || (paths(&run) == expected).then_some(()));
    }
    // A file that is gone is no wish to have no policy.
    fs::rename(pods.file(), pods.folder.path().join("policies.txt")).expect("a file can be renamed");
    wait_for("the refusal", || (run.stderr().matches("hold on").count() == bad.len() + 1).then_some(()));
    pods.write(&[("c", LOGS)]);
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    pods.request(2, "/bytes/9");
    expected.push("/bytes/9".to_owned());
    wait_for("the line of c", || (paths(&run) == expected).then_some(()));
    run.stop();
}

/// Content of a real server: of both ends, in spans and lines, redacted, cut where the policy says, and nothing of it where no policy asks.
#[test]
fn content_is_given_out_as_the_policy_says() {
    const SECRET: &str = "4111222233334444";
    let server = Server::python();
    let folder = tempfile::tempdir().expect("a folder can be made");
    let file = folder.path().join("policy.yaml");
    let keys = ["request.body", "request.body_incomplete", "response.body", "response.body_incomplete"];
    let attributes = keys.map(|key| format!("{{name: {key}, type: Attribute, attributeKey: telltale.http.{key}}}"));
    let signals = format!("accessLogs: {{mode: Enabled, attributes: [{}]}}\n  {SPANS}", attributes.join(", "));
    let run_with = |content: &str| {
        fs::write(&file, policy("shop", &format!("{signals}\n  content: {content}"))).expect("a file can be written");
        Run::start(["--port".as_ref(), server.port.to_string().as_ref(), "--policy".as_ref(), file.as_os_str()])
    };
    let sent = format!("{{\"card\": \"{SECRET}\", \"state\": \"paid\"}}");
    let echo = || {
        done(&mut curl(["-H", "Content-Type: application/json", "--data-binary", &sent, &server.url("/echo")]));
    };

    let run = run_with("{capture: All, maxBytes: 50000, redact: [{pattern: '[0-9]{16}'}]}");
    echo();
    done(&mut curl([server.url("/chunked/300000")]));
    let seen = run.stop_after(4);
    let shown = sent.replace(SECRET, "REDACTED");
    for reporter in ["client", "server"] {
        let lines = seen.of(reporter);
        assert_eq!(lines.len(), 2, "{}", seen.stderr);
        assert_eq!((text(lines[0], "request.body"), text(lines[0], "response.body")), (&*shown, &*shown), "{reporter}");
        assert_eq!(text(lines[1], "response.body"), "y".repeat(50_000 - 16), "{reporter}");
        assert_eq!(text(lines[1], "response.body_incomplete"), "size");
    }
    let bodies: Vec<_> = seen.spans.iter().filter_map(|span| attribute(span, "telltale.http.request.body")).collect();
    assert_eq!(bodies, [shown.clone(), shown]);
    assert!(!seen.raw.contains(SECRET) && !seen.stderr.contains(SECRET));

    let run = run_with("{capture: None}");
    echo();
    let seen = run.stop_after(2);
    assert_eq!(seen.logs.len(), 2);
    for word in [SECRET, "paid"] {
        assert!(!seen.raw.contains(word) && !seen.stderr.contains(word), "{word}");
    }
}

/// An edit that names a pod whose cgroup is gone still takes the policy from another pod, and gives it to a third.
#[test]
fn a_cgroup_that_is_gone_keeps_no_other_in_scope() {
    let Some(mut pods) = Pods::new() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    pods.write(&[("a", LOGS)]);
    let run = pods.run();
    pods.request(0, "/bytes/1");
    let gone = Cgroup::v2().expect("another could be made");
    let path = gone.path().to_owned();
    pods.cgroups[1] = gone;
    let text = ["a", "b", "c"].iter().zip(&pods.cgroups).map(|(name, cgroup)| pod(name, cgroup)).collect::<String>();
    pods.cgroups[1] = Cgroup::v2().expect("another could be made");
    assert!(!path.exists(), "it is removed with its handle");
    fs::write(pods.file(), text + &policy("b", LOGS) + &policy("c", LOGS)).expect("a file can be written");
    wait_for("the change", || (changes(&run) == 1).then_some(()));
    wait_for("the warning", || run.stderr().contains("is no cgroup").then_some(()));
    let before = settled(&run);
    pods.request(0, "/bytes/2");
    assert_eq!(records(&run), before, "it has no policy any more");
    pods.request(2, "/bytes/3");
    wait_for("the line of c", || (paths(&run) == ["/bytes/1", "/bytes/3"]).then_some(()));
    run.stop();
}

/// `tls.mode: Disabled` for local processes: no file has probes, whatever they are chosen by. An edit that allows it holds for those of a cgroup.
#[test]
fn nobody_is_looked_into_where_the_policy_forbids_it() {
    let Some(cgroup) = Cgroup::v2() else { return eprintln!("skipped: no cgroup v2 can be made here") };
    let folder = tempfile::tempdir().expect("a folder can be made");
    let write = |mode: &str| {
        let new = folder.path().join("new");
        fs::write(&new, policy("a", &format!("tls: {{mode: {mode}}}\n  {LOGS}"))).expect("a file can be written");
        fs::rename(new, folder.path().join("policy.yaml")).expect("a file can be renamed");
    };
    let code = "import ssl; print('loaded', flush=True); input()";
    let mut user =
        Program::start(&mut cgroup.inside(std::process::Command::new(tools::interpreter()).args(["-c", code])));
    assert_eq!(user.line(), "loaded");
    let pid = user.id().to_string();
    let files = |run: &Run| run.value("telltale_tls_files", "") as u64;
    for flags in [["--pid", &pid], ["--cgroup", cgroup.path().to_str().expect("text")]] {
        for (mode, expected) in [("Enabled", true), ("Disabled", false)] {
            write(mode);
            let policies = ["--policy", folder.path().to_str().expect("text")];
            let run = Run::start([flags, policies].concat());
            assert_eq!(files(&run) > 0, expected, "{mode}: {}", run.stderr());
            if flags[0] == "--cgroup" && !expected {
                write("Enabled");
                wait_for("probes", || (files(&run) > 0).then_some(()));
            }
            run.stop();
        }
    }
    user.say("end");
    user.finish();
}
