//! Which plan holds for which exchange, while plans change.

use std::sync::Arc;

use telltale::{
    admin::table,
    capture::Direction,
    policy::{Plan, PlanStore, Plans},
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
