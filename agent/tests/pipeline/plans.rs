//! Which plan holds for which exchange, while plans change.

use std::sync::Arc;

use serde_json::json;
use telltale::{
    admin::table,
    capture::Direction,
    exchange::{MAX_CONNECTION_CONTENT, MAX_WORKER_CONTENT},
    policy::{
        Defaults, Plan, PlanStore, Plans, Setting, Trust, compile,
        document::{Documents, Source},
        model, validation,
    },
};

use super::{bench::Bench, properties::messages};

/// Feeds whole messages of one connection, each at its position.
struct Feeder {
    bench: Bench,
    positions: [u64; 2],
}

impl Feeder {
    fn new(plans: &Arc<PlanStore>) -> Self {
        let mut bench = Bench::following(plans);
        bench.open(1);
        Self { bench, positions: [0; 2] }
    }

    fn send(&mut self, direction: Direction, bytes: &[u8]) {
        let position = self.positions[direction.index()];
        self.positions[direction.index()] += bytes.len() as u64;
        self.bench.data(1, direction, position, bytes);
    }

    fn exchange(&mut self, number: usize) {
        let [request, response] = messages(number, false, 3);
        self.send(Direction::Out, &request);
        self.send(Direction::In, &response);
    }

    fn paths(&self) -> Vec<String> {
        self.bench.lines.take().iter().map(|line| line["path"].as_str().expect("a path").to_owned()).collect()
    }
}

#[test]
fn an_exchange_ends_under_the_plan_that_it_began_with() {
    let plans = PlanStore::new(Plans::everywhere(Plan::of_signals(true, false, true)));
    let mut feeder = Feeder::new(&plans);
    feeder.exchange(0);
    let [request, response] = messages(1, true, 5);
    feeder.send(Direction::Out, &request);
    plans.replace(Plans::everywhere(Plan::of_signals(true, false, false)));
    feeder.send(Direction::In, &response);
    feeder.exchange(2);
    assert_eq!(feeder.paths(), ["/0", "/1"]);
    plans.replace(Plans::everywhere(Plan::of_signals(false, false, true)));
    feeder.exchange(3);
    assert_eq!(feeder.paths(), ["/3"]);
}

#[test]
fn what_no_plan_asks_for_is_not_read_until_one_does() {
    let plans = PlanStore::new(Plans::everywhere(Plan::default()));
    let mut feeder = Feeder::new(&plans);
    feeder.exchange(0);
    let skips: Vec<_> = feeder.bench.pipeline.take_skips().map(|skip| (skip.direction, skip.until)).collect();
    assert_eq!(skips, [(Direction::Out, u64::MAX), (Direction::In, u64::MAX)]);
    plans.replace(Plans::everywhere(Plan::of_signals(false, false, true)));
    // Joined late: where each direction begins is certain after a while.
    feeder.exchange(1);
    feeder.bench.tick(10_000_000_000);
    feeder.exchange(2);
    assert_eq!(feeder.paths(), ["/1", "/2"]);
    let skips: Vec<_> = feeder.bench.pipeline.take_skips().map(|skip| (skip.direction, skip.until)).collect();
    assert_eq!(skips[..2], [(Direction::Out, 0), (Direction::In, 0)]);
    // Off again: what has begun is told, nothing behind it is.
    let [request, response] = messages(3, false, 0);
    feeder.send(Direction::Out, &request);
    plans.replace(Plans::everywhere(Plan::default()));
    feeder.send(Direction::In, &response);
    feeder.exchange(4);
    assert_eq!(feeder.paths(), ["/3"]);
    feeder.bench.pipeline.finish();
    assert_eq!(feeder.bench.health.value(&table::EXCHANGES, &[]), 3);
}

/// A plan whose lines have the content that it keeps.
fn keeping(capture: &str) -> Plan {
    let text = format!(
        "apiVersion: gateway.networking.x-k8s.io/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: p, namespace: shop}}\nspec:\n  \
         targetRefs: [{{group: '', kind: Namespace, name: shop}}]\n  content: {{capture: {capture}}}\n  accessLogs:\n    \
         mode: Enabled\n    fields:\n    - {{path: [path], type: Attribute, attributeKey: url.path}}\n    \
         - {{path: [request], type: Attribute, attributeKey: telltale.http.request.body}}\n    \
         - {{path: [response], type: Attribute, attributeKey: telltale.http.response.body}}\n"
    );
    let documents = Documents::read(&[Source::new("policy.yaml", text)]);
    let setting = Setting { defaults: Defaults::default(), trust: Trust::own() };
    let candidate = validation::candidates(&documents).remove(0);
    compile(&candidate.policy, &setting).0
}

/// An exchange that began under a plan that keeps content has all of it, however the plan changes; one that did not has none.
#[test]
fn content_is_kept_as_the_plan_says_that_the_exchange_began_with() {
    let plans = PlanStore::new(Plans::everywhere(keeping("All")));
    let mut feeder = Feeder::new(&plans);
    let halves = |number, chunked| {
        let [request, response] = messages(number, chunked, 10);
        [request[..request.len() - 5].to_vec(), request[request.len() - 5..].to_vec(), response]
    };
    let [begin, end, response] = halves(0, true);
    feeder.send(Direction::Out, &begin);
    plans.replace(Plans::everywhere(keeping("None")));
    feeder.send(Direction::Out, &end);
    assert!(feeder.bench.pipeline.take_skips().all(|skip| skip.until == 0), "its content is still read");
    feeder.send(Direction::In, &response);
    let [begin, end, response] = halves(1, false);
    feeder.send(Direction::Out, &begin);
    assert!(feeder.bench.pipeline.take_skips().any(|skip| skip.until > 0), "nobody reads content any more");
    plans.replace(Plans::everywhere(keeping("Response")));
    feeder.send(Direction::Out, &end);
    feeder.send(Direction::In, &response);
    let [begin, end, response] = halves(2, false);
    for (direction, bytes) in [(Direction::Out, begin), (Direction::Out, end), (Direction::In, response)] {
        feeder.send(direction, &bytes);
    }
    let (r, s) = ("r".repeat(10), "s".repeat(10));
    let expected = [
        json!({"path": "/0", "request": r, "response": s}),
        json!({"path": "/1"}),
        json!({"path": "/2", "response": s}),
    ];
    assert_eq!(feeder.bench.lines.take(), expected);
}

/// A policy that does not report an end does not keep its content either.
#[test]
fn content_of_an_end_that_is_not_reported_is_not_kept() {
    for (direction, cut) in [(model::Direction::Server, 0), (model::Direction::Client, 100_000 - 65_536)] {
        let plans = PlanStore::new(Plans::everywhere(Plan { direction, ..keeping("Request") }));
        let mut feeder = Feeder::new(&plans);
        let [request, response] = messages(0, false, 100_000);
        feeder.send(Direction::Out, &request);
        feeder.send(Direction::In, &response);
        assert_eq!(feeder.bench.lines.take().len(), usize::from(cut > 0));
        assert_eq!(feeder.bench.count(&table::CONTENT_CUT_BYTES, &["size"]), cut);
    }
}

/// Requests that wait for their responses hold no more content than a connection may, and what that costs is counted and said.
#[test]
fn content_of_a_connection_is_bounded() {
    let plans = PlanStore::new(Plans::everywhere(keeping("All")));
    let mut feeder = Feeder::new(&plans);
    // Of each 65536 bytes are kept.
    let requests = MAX_CONNECTION_CONTENT / 65_536 + 3;
    for number in 0..requests {
        let [request, _] = messages(number, false, 70_000);
        feeder.send(Direction::Out, &request);
    }
    for number in 0..requests {
        let [_, response] = messages(number, false, 0);
        feeder.send(Direction::In, &response);
    }
    let lengths: Vec<_> =
        feeder.bench.lines.take().iter().map(|line| line["request"].as_str().map_or(0, str::len)).collect();
    assert_eq!(lengths.len(), requests);
    assert!(lengths[..requests - 3].iter().all(|length| *length == 65_536) && lengths[requests - 3..] == [0, 0, 0]);
    assert_eq!(feeder.bench.count(&table::CONTENT_CUT_BYTES, &["connection_limit"]), 3 * 70_000);
    assert_eq!(feeder.bench.count(&table::CONTENT_CUT_BYTES, &["size"]), (requests as u64 - 3) * (70_000 - 65_536));
    // All of it was given back.
    let [request, response] = messages(0, false, 9);
    feeder.send(Direction::Out, &request);
    feeder.send(Direction::In, &response);
    assert_eq!(feeder.bench.lines.take()[0]["request"], "r".repeat(9));
}

#[test]
fn content_of_a_worker_is_bounded() {
    let plans = PlanStore::new(Plans::everywhere(keeping("All")));
    let connections = MAX_WORKER_CONTENT / MAX_CONNECTION_CONTENT + 1;
    let mut bench = Bench::following_many(&plans, connections);
    let [request, _] = messages(0, false, 65_536);
    for connection in 0..connections as u64 {
        bench.open(connection);
        for number in 0..MAX_CONNECTION_CONTENT as u64 / 65_536 {
            bench.data(connection, Direction::Out, number * request.len() as u64, &request);
        }
    }
    assert_eq!(bench.count(&table::CONTENT_CUT_BYTES, &["connection_limit"]), 0);
    assert_eq!(bench.count(&table::CONTENT_CUT_BYTES, &["worker_limit"]), MAX_CONNECTION_CONTENT as u64);
    for connection in 0..connections as u64 {
        bench.close(connection);
    }
    // All of it was given back.
    bench.lines.take();
    bench.exchange(1, &request, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let line = bench.lines.take().remove(0);
    assert_eq!((line["request"].as_str().map(str::len), &line["response"]), (Some(65_536), &json!("ok")));
}
