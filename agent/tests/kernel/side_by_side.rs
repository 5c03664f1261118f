//! Captures beside each other, what is left when one ends, and the programs of older kernels.

use std::time::{Duration, Instant};

use super::{
    generator::{Generator, LIMIT},
    pair::exchange,
    session::{Session, alone, each_backend, owned_ids, processes},
};

/// The programs that this process holds.
fn held() -> Vec<u32> {
    owned_ids("prog_id:")
}

fn are_loaded(programs: &[u32]) -> bool {
    let loaded = aya::programs::loaded_programs().filter_map(Result::ok).map(|program| program.id());
    loaded.into_iter().any(|id| programs.contains(&id))
}

#[test]
fn two_captures_see_everything_and_leave_nothing() {
    each_backend(|backend| {
        let mut generator = Generator::start("exchanges", "");
        let settings = processes(backend, &[generator.pid()]);
        let before = held();
        let first = Session::start(&settings);
        let of_first = held();
        let second = Session::start(&settings);
        let of_both = held();
        assert!(before.is_empty() && !of_first.is_empty() && of_both.len() > of_first.len());
        let together = exchange(&mut generator);
        let first = first.finish();
        let after = exchange(&mut generator);
        let second = second.finish();
        together.check(&first);
        assert_eq!(first.connections.len(), 2, "nothing after its end");
        together.check(&second);
        after.check(&second);
        assert_eq!(second.connections.len(), 4);
        // The kernel frees programs a moment after their last use.
        let deadline = Instant::now() + LIMIT;
        while are_loaded(&of_both) {
            assert!(Instant::now() < deadline, "programs are left");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(held().is_empty());
        println!("{}: {} programs of two captures, none left", backend.name(), of_both.len());
    });
}

#[test]
fn what_older_kernels_lack_is_done_without() {
    each_backend(|backend| {
        let mut generator = Generator::start("exchanges", "");
        let mut settings = processes(backend, &[generator.pid()]);
        settings.failpoints.without_new_helpers = true;
        let session = Session::start(&settings);
        let exchanges: Vec<_> = (0..10).map(|_| exchange(&mut generator)).collect();
        let captured = session.finish();
        for told in &exchanges {
            told.check(&captured);
        }
        println!("{}: {} payload bytes without the helpers of 5.17", backend.name(), captured.data_bytes());
    });
}

#[test]
fn a_connection_keeps_its_ring() {
    let _alone = alone();
    let backend = super::session::backends()[0];
    let mut generator = Generator::start("exchanges", "");
    let mut settings = processes(backend, &[generator.pid()]);
    settings.workers = 4;
    let session = Session::start(&settings);
    let exchanges: Vec<_> = (0..12).map(|_| exchange(&mut generator)).collect();
    // That no connection came through two rings is checked there.
    let captured = session.finish();
    for told in &exchanges {
        told.check(&captured);
    }
    let rings = captured.connections.values().fold(0, |rings, connection| rings | connection.rings);
    assert!(rings.count_ones() > 1, "the connections are spread over rings");
}
