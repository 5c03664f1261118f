//! What is done about one policy, without a server.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{Router, body::Bytes, http::StatusCode};
use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::{sync::watch, time::Instant};

use super::{
    BURST, Leadership, PolicyObjectRef, Rate, SPACING, StatusWriter, clock,
    entry::{EVENT_AGAIN, Entry, WORDS_SPACING},
};
use crate::{
    admin::{Health, table},
    policy::{
        api::status::{AncestorReference, Condition, ConditionStatus, PolicyAncestorStatus, PolicyStatus},
        model::{Dialect, PolicyKey},
        status::{CONTROLLER_NAME, MAX_ANCESTORS},
    },
};

fn ours(status: ConditionStatus, generation: i64, message: &str) -> PolicyStatus {
    let condition = Condition {
        kind: "Accepted".to_owned(),
        status,
        observed_generation: Some(generation),
        last_transition_time: "2026-01-01T00:00:00Z".to_owned(),
        reason: "Accepted".to_owned(),
        message: message.to_owned(),
    };
    let ancestor_ref =
        AncestorReference { kind: "Namespace".to_owned(), name: "shop".to_owned(), ..AncestorReference::default() };
    let controller_name = CONTROLLER_NAME.to_owned();
    PolicyStatus {
        ancestors: vec![PolicyAncestorStatus { ancestor_ref, controller_name, conditions: vec![condition] }],
    }
}

fn object(version: u64, status: Option<Value>) -> PolicyObjectRef {
    named("p", version, status)
}

fn named(name: &str, version: u64, status: Option<Value>) -> PolicyObjectRef {
    let key = PolicyKey { namespace: "shop".to_owned(), name: name.to_owned(), dialect: Dialect::Gep };
    let mut object = json!({"metadata": {"uid": "u", "resourceVersion": version.to_string()}});
    if let Some(status) = status {
        object["status"] = status;
    }
    PolicyObjectRef::new(key, &object)
}

/// Writes what is to be written, as a server would that keeps all.
fn write(entry: &mut Entry, version: u64, now: Instant) -> Value {
    let status = entry.todo(now).status.expect("something to write");
    entry.written(object(version, Some(status.clone())), now);
    status
}

#[test]
fn what_is_there_is_not_written_again() {
    let now = Instant::now();
    let good = || ours(ConditionStatus::True, 1, "Good.");
    let mut entry = Entry::new(object(1, None), good(), now);
    assert_eq!(entry.due, Some(now));
    let status = write(&mut entry, 2, now);
    assert_eq!(entry.due, None);
    // The watch is behind, and shows what we replaced.
    entry.want(object(1, None), good(), now);
    assert_eq!((entry.due, &entry.object().version), (None, &"2".to_owned()));
    // It caught up; another time of ours changes nothing.
    let mut later = good();
    later.ancestors[0].conditions[0].last_transition_time = "2026-02-02T00:00:00Z".to_owned();
    entry.want(object(2, Some(status)), later, now);
    assert_eq!(entry.due, None);
    // Somebody removed our entry.
    entry.want(object(3, Some(json!({"ancestors": []}))), good(), now);
    assert_eq!(entry.due, Some(now));
}

#[test]
fn words_wait_and_conditions_do_not() {
    let now = Instant::now();
    let mut entry = Entry::new(object(1, None), ours(ConditionStatus::True, 1, "1 node."), now);
    write(&mut entry, 2, now);
    let later = now + Duration::from_secs(1);
    let want = |entry: &mut Entry, ours, now| entry.want(entry.object().clone(), ours, now);
    want(&mut entry, ours(ConditionStatus::True, 1, "2 nodes."), later);
    assert_eq!(entry.due, Some(now + WORDS_SPACING));
    // Waiting for words does not hold up a condition: but it is written when its turn comes.
    want(&mut entry, ours(ConditionStatus::False, 1, "No node."), later);
    assert!(entry.due.is_some_and(|due| due <= later), "{:?}", entry.due);
    write(&mut entry, 3, later);
    want(&mut entry, ours(ConditionStatus::False, 2, "No node."), later);
    assert_eq!(entry.due, Some(later));
    // What is no longer wanted is not written.
    want(&mut entry, ours(ConditionStatus::False, 1, "No node."), later);
    assert_eq!(entry.due, None);
}

#[test]
fn what_the_server_drops_is_not_sent_again_and_again() {
    let now = Instant::now();
    let mut entry = Entry::new(object(1, None), ours(ConditionStatus::True, 1, "Good."), now);
    // A schema of somebody else, without messages.
    let mut pruned = entry.todo(now).status.unwrap();
    pruned["ancestors"][0]["conditions"][0].as_object_mut().unwrap().remove("message");
    entry.written(object(2, Some(pruned.clone())), now);
    assert_eq!(entry.due, None);
    entry.want(object(2, Some(pruned.clone())), ours(ConditionStatus::True, 1, "Good."), now);
    assert_eq!(entry.due, None);
    // Something else is tried, and so is the same with another object.
    entry.want(object(2, Some(pruned.clone())), ours(ConditionStatus::False, 1, "Bad."), now);
    assert_eq!(entry.due, Some(now));
    entry.want(object(2, Some(pruned.clone())), ours(ConditionStatus::True, 1, "Good."), now);
    assert_eq!(entry.due, None);
    entry.want(object(3, Some(pruned)), ours(ConditionStatus::True, 1, "Good."), now + WORDS_SPACING);
    assert!(entry.due.is_some());
}

#[test]
fn a_full_list_is_told_once_an_hour() {
    let now = Instant::now();
    let foreign = json!({"ancestorRef": {"name": "x"}, "controllerName": "example.com/other", "conditions": []});
    let full = json!({"ancestors": vec![foreign; MAX_ANCESTORS]});
    let mut entry = Entry::new(object(1, Some(full.clone())), ours(ConditionStatus::True, 1, "Good."), now);
    let todo = entry.todo(now);
    assert_eq!((todo.status, todo.tell.len(), entry.due), (None, 1, Some(now)));
    entry.due = None;
    entry.told(todo.tell, now);
    let want = |entry: &mut Entry, now| {
        entry.want(object(1, Some(full.clone())), ours(ConditionStatus::True, 1, "Good."), now);
    };
    want(&mut entry, now);
    assert_eq!(entry.due, None);
    want(&mut entry, now + EVENT_AGAIN);
    assert_eq!(entry.due, Some(now + EVENT_AGAIN));
}

#[test]
fn what_failed_waits_however_often_it_is_wanted() {
    let now = Instant::now();
    let mut entry = Entry::new(object(1, None), ours(ConditionStatus::True, 1, "Good."), now);
    let again = entry.failed(now);
    assert!(again > now);
    entry.want(object(1, None), ours(ConditionStatus::True, 1, "Better."), now);
    assert_eq!(entry.due, Some(again));
    // Read after a conflict: the older version may come by the watch yet.
    entry.read(object(5, Some(json!({"ancestors": []}))));
    entry.want(object(1, None), ours(ConditionStatus::True, 1, "Better."), now);
    assert_eq!(entry.object().version, "5");
}

#[test]
fn writes_come_in_bursts_and_then_one_at_a_time() {
    let now = Instant::now();
    let mut rate = Rate::new(now);
    for _ in 0..=BURST {
        assert_eq!(rate.next(now), now);
        rate.take(now);
    }
    assert_eq!(rate.next(now), now + SPACING);
    let later = now + SPACING * (BURST + 10);
    assert_eq!(rate.next(later), later);
}

/// A server that forbids to write the policies `forbidden-N`, takes all others as they are, and says which it took.
async fn server() -> (Client, watch::Receiver<Vec<String>>) {
    let (took, taken) = watch::channel(Vec::new());
    let answer = move |uri: http::Uri, body: Bytes| {
        let took = took.clone();
        async move {
            let name = uri.path().split('/').nth(7).unwrap_or_default().to_owned();
            if name.starts_with("forbidden") {
                let status =
                    json!({"kind": "Status", "status": "Failure", "reason": "Forbidden", "code": 403, "message": "no"});
                return (StatusCode::FORBIDDEN, status.to_string());
            }
            took.send_modify(|names| names.push(name));
            (StatusCode::OK, String::from_utf8(body.to_vec()).unwrap())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (Client::try_from(Config::new(url.parse().unwrap())).unwrap(), taken)
}

/// A leadership that the test gives and takes: until when, and who is told.
fn leadership(until: Duration) -> (Leadership, Arc<AtomicU64>, watch::Sender<bool>) {
    let until = Arc::new(AtomicU64::new(until.as_nanos() as u64));
    let (tell, changed) = watch::channel(true);
    (Leadership { until: Arc::clone(&until), changed }, until, tell)
}

const LONG: Duration = Duration::from_hours(10);

#[tokio::test]
async fn what_is_forbidden_of_some_policies_holds_up_no_other() {
    let (client, mut taken) = server().await;
    let (leadership, ..) = leadership(clock::local() + LONG);
    let health = Health::new();
    let writer = StatusWriter::start(client, "a", leadership, &health);
    let good = || ours(ConditionStatus::True, 1, "Good.");
    let mut wanted: Vec<_> = (0..100).map(|n| (named(&format!("forbidden-{n}"), 1, None), good())).collect();
    wanted.push((named("other", 1, None), good()));
    writer.write(wanted);
    // With a wait after each of the hundred it would come in a minute.
    let came = tokio::time::timeout(Duration::from_secs(30), taken.wait_for(|names| !names.is_empty())).await;
    assert_eq!(*came.expect("it is written").unwrap(), ["other"]);
}

#[tokio::test]
async fn what_was_due_in_a_lapse_is_written_after_it() {
    let (client, mut taken) = server().await;
    let (leadership, until, tell) = leadership(clock::local() + LONG);
    let health = Health::new();
    let writer = StatusWriter::start(client, "a", leadership, &health);
    // All of the burst, so that the last has to wait while we do not lead.
    let many = (0..BURST + 30).map(|n| (named(&format!("p{n}"), 1, None), ours(ConditionStatus::True, 1, "Good.")));
    writer.write(many.collect());
    taken.wait_for(|names| names.len() > BURST as usize).await.unwrap();
    until.store(0, Ordering::Release);
    tokio::time::sleep(SPACING * 4).await;
    until.store((clock::local() + LONG).as_nanos() as u64, Ordering::Release);
    tell.send_replace(true);
    let all = taken.wait_for(|names| names.len() == BURST as usize + 30);
    let came = tokio::time::timeout(Duration::from_mins(1), all).await;
    assert!(came.is_ok(), "{} are written", health.value(&table::KUBERNETES_WRITES, &["status"]));
}
