use std::{fs, path::Path};

use super::*;
use crate::{
    capture::Role,
    policy::{model::Dialect, plan::AccessLogPlan},
    telemetry::{ExchangeSubject, KnownMethods, test_support::Sample},
};

const DEADLINE: Duration = Duration::from_mins(1);

fn key(name: &str) -> PolicyKey {
    PolicyKey { namespace: "a".to_owned(), name: name.to_owned(), dialect: Dialect::Gep }
}

fn plan(name: &str, sinks: Vec<Sink>) -> Plan {
    let logs = AccessLogPlan { sinks, ..AccessLogPlan::default() };
    Plan { policy: Some(key(name)), access_logs: Some(Arc::new(logs)), ..Plan::default() }
}

fn log(sink: &mut dyn LogSink, line: &[u8]) {
    Sample::new(Role::Client).facts(|facts| {
        sink.log(line, &ExchangeSubject { facts, identity: None, methods: &KnownMethods::default() });
    });
}

fn files(health: &Arc<Health>) -> LogSinks {
    LogSinks::new(None, LogSettings::default(), health)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn plans_that_name_one_file_share_its_writer() {
    let root = tempfile::tempdir().unwrap();
    let (path, other) = (root.path().join("a.log"), root.path().join("b.log"));
    let health = Health::new();
    let sinks = files(&health);
    let mut one = sinks.open(&plan("one", vec![Sink::File(path.clone()), Sink::File(other.clone())]));
    let mut two = sinks.open(&plan("two", vec![Sink::File(path.clone())]));
    assert_eq!(sinks.0.lock().files.len(), 2);
    for sink in one.iter_mut().chain(&mut two) {
        log(&mut **sink, b"x\n");
    }
    drop(one);
    assert_eq!(sinks.0.lock().files.len(), 1, "nobody writes there any more");
    log(&mut *two[0], b"y\n");
    drop(two);
    sinks.close(DEADLINE);
    assert_eq!((read(&path), read(&other)), ("x\nx\ny\n".to_owned(), "x\n".to_owned()));
    assert_eq!(health.value(&table::EXPORTED, &[ACCESS_LOG_FILE]), 4);
    assert_eq!(health.value(&table::QUEUE_CAPACITY, &[ACCESS_LOG_FILE]), 0);
}

#[test]
fn a_rotated_file_is_opened_again() {
    let root = tempfile::tempdir().unwrap();
    let (path, moved) = (root.path().join("a.log"), root.path().join("a.log.1"));
    let health = Health::new();
    let sinks = files(&health);
    assert!(!sinks.reopen());
    let mut open = sinks.open(&plan("one", vec![Sink::File(path.clone())]));
    log(&mut *open[0], b"before\n");
    while health.value(&table::EXPORTED, &[ACCESS_LOG_FILE]) == 0 {
        std::thread::yield_now();
    }
    fs::rename(&path, &moved).unwrap();
    assert!(sinks.reopen());
    log(&mut *open[0], b"after\n");
    drop(open);
    sinks.close(DEADLINE);
    assert_eq!((read(&moved), read(&path)), ("before\n".to_owned(), "after\n".to_owned()));
}

#[test]
fn files_are_bounded_and_what_that_cost_is_counted() {
    let root = tempfile::tempdir().unwrap();
    let health = Health::new();
    let sinks = files(&health);
    let paths = (0..=MAX_FILES).map(|n| Sink::File(root.path().join(n.to_string()))).collect();
    let mut open = sinks.open(&plan("greedy", paths));
    for sink in &mut open {
        log(&mut **sink, b"x\n");
    }
    assert_eq!(health.value(&table::QUEUE_DROPPED, &[ACCESS_LOG_FILE, "too_many_files"]), 1);
    // Room is made by what ends.
    open.remove(0);
    let last = open.len() - 1;
    while sinks.0.lock().ending.iter().any(|queue| !queue.has_ended()) {
        std::thread::yield_now();
    }
    log(&mut *open[last], b"late\n");
    drop(open);
    sinks.close(DEADLINE);
    assert_eq!(read(&root.path().join(MAX_FILES.to_string())), "late\n");
}

#[test]
fn a_file_that_cannot_be_written_costs_its_own_lines_only() {
    let root = tempfile::tempdir().unwrap();
    let good = root.path().join("good");
    let health = Health::new();
    let sinks = files(&health);
    let broken = root.path().join("not there/x");
    let mut open = sinks.open(&plan("a", vec![Sink::File(broken), Sink::File(good.clone())]));
    for sink in &mut open {
        log(&mut **sink, b"x\n");
    }
    drop(open);
    sinks.close(DEADLINE);
    assert_eq!(read(&good), "x\n");
    assert_eq!(health.value(&table::QUEUE_DROPPED, &[ACCESS_LOG_FILE, "write_failed"]), 1);
}

#[test]
fn a_tenants_files_are_below_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let health = Health::new();
    let directory = Arc::new(crate::export::LogDirectory::open(root.path()).unwrap());
    let settings = LogSettings { directory: Some(directory), ..LogSettings::default() };
    let sinks = LogSinks::new(None, settings, &health);
    let mut open = sinks.open(&plan("a", vec![Sink::File("team/a.log".into()), Sink::File("../b.log".into())]));
    for sink in &mut open {
        log(&mut **sink, b"x\n");
    }
    drop(open);
    sinks.close(DEADLINE);
    assert_eq!(read(&root.path().join("team/a.log")), "x\n");
    assert_eq!(health.value(&table::QUEUE_DROPPED, &[ACCESS_LOG_FILE, "write_failed"]), 1);
}

#[test]
fn standard_output_has_a_limit_for_each_policy_where_there_is_one() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("stdout");
    let written = |limit: Option<u32>| {
        let health = Health::new();
        let queue = LineQueue::start(Output::open(&path, false).unwrap(), &health).unwrap();
        let settings = LogSettings { stdout_limit: limit.and_then(NonZeroU32::new), ..LogSettings::default() };
        let sinks = LogSinks::new(Some(queue), settings, &health);
        for name in ["a", "b"] {
            // Two workers share the limit of their policy.
            for _ in 0..2 {
                let mut open = sinks.open(&plan(name, vec![Sink::Stdout]));
                (0..20).for_each(|_| log(&mut *open[0], b"x\n"));
            }
        }
        let refused = (sinks.refused(&key("a")), sinks.refused(&key("b")), sinks.refused(&key("c")));
        sinks.close(DEADLINE);
        assert_eq!(health.value(&table::QUEUE_DROPPED, &[ACCESS_LOG, "rate_limit"]), refused.0 + refused.1);
        (read(&path).lines().count() as u64, refused)
    };
    assert_eq!(written(None), (80, (0, 0, 0)));
    let (lines, (a, b, c)) = written(Some(1));
    // Time goes on while lines are written, so a few more than one may pass.
    assert!(a > 0 && b > 0 && c == 0 && lines + a + b == 80, "{lines} {a} {b}");
}

#[test]
fn an_exporter_that_is_not_there_is_counted() {
    let health = Health::new();
    let sinks = files(&health);
    let mut open = sinks.open(&plan("a", vec![Sink::Otlp(None)]));
    log(&mut *open[0], b"x\n");
    assert_eq!(health.value(&table::QUEUE_DROPPED, &["otlp_logs", "no_exporter"]), 1);
}
