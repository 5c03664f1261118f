//! Every bound of the kernel side is reached: it is counted, and what it does not concern is right.

use agent_common::{
    counter::Counter,
    limits::{CALL_BYTES, CGROUP_LEVELS, CHUNK, PORTS, PRESSED_CALL_BYTES, STEPS_WITHOUT_LOOP},
};
use telltale::capture::{
    Direction, GapReason,
    kernel::{Backend, Capture, Failpoints, Scope, Settings, Sizes},
};

use super::{
    calls::{Receive, Send, set_option},
    captured::Captured,
    gaps::{gaps, skip},
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair, Told, exchange},
    pattern::Way,
    scope::{Cgroup, mounted},
    session::{Session, each_backend, processes},
};

#[test]
fn a_full_table_of_skip_positions_costs_only_copies() {
    each_backend(|backend| {
        let (told, captured) = skip(backend, Sizes { skips: 1, ..Sizes::default() });
        assert_eq!(captured.refused_skips, 1, "the end that came first made room for the second");
        let ends = told.ends(&captured);
        let skipped: Vec<bool> = [ends.client, ends.server]
            .map(|end| {
                let both = [gaps(end, Direction::Out), gaps(end, Direction::In)];
                let expected = [(100, 4900, GapReason::NotCopied), (100, 5900, GapReason::NotCopied)];
                assert!(both == [vec![], vec![]] || both == expected.map(|gap| vec![gap]), "{}", end.tell());
                !both[0].is_empty()
            })
            .into();
        assert_ne!(skipped[0], skipped[1], "one end was refused, the other not");
    });
}

#[test]
fn a_full_table_of_processes_leaves_out_new_ones() {
    each_backend(|backend| {
        let mut first = Generator::start("exchanges", "");
        let mut parent = Generator::start("exchanges", "1");
        let sizes = Sizes { processes: 2, ..Sizes::default() };
        let session = Session::start(&Settings { sizes, ..processes(backend, &[first.pid(), parent.pid()]) });
        parent.tell("go");
        parent.hear();
        let child = Told::by(&mut parent);
        let told = exchange(&mut first);
        let captured = session.finish();
        told.check(&captured);
        assert_eq!(captured.connections.len(), 2, "nothing of {}", child.client);
        assert_eq!(captured.counter(Counter::ProcessTable), 1, "the child was refused");
    });
}

fn refusal(settings: &Settings) -> String {
    Capture::start(settings).expect_err("more than the table holds").to_string()
}

#[test]
fn a_scope_beyond_the_tables_is_an_error() {
    each_backend(|backend| {
        let start = |scope: Scope, sizes: Sizes| Settings { scope, sizes, ..processes(backend, &[]) };
        let ports = |most: u32| Scope { ports: (1..=most as u16).collect(), ..Scope::default() };
        assert_eq!(refusal(&start(ports(PORTS + 1), Sizes::default())), "too many ports to capture: at most 256");
        drop(Capture::start(&start(ports(PORTS), Sizes::default())).expect("as many as the table holds"));
        let (own, init) = (std::process::id(), 1);
        let scope = Scope { processes: vec![own, init], ..Scope::default() };
        let sizes = Sizes { processes: 1, ..Sizes::default() };
        assert_eq!(refusal(&start(scope, sizes)), "too many processes to capture: at most 1");
        let Some((outer, inner)) = mounted("cgroup2", None).and_then(|mount| {
            let outer = Cgroup::make(&mount, &format!("telltale-test-{own}-many"))?;
            let inner = Cgroup::make(&outer.0, "inner")?;
            Some((outer, inner))
        }) else {
            println!("no cgroup v2 can be made here: skipped");
            return;
        };
        let scope = Scope { cgroups: vec![outer.0.clone(), inner.0.clone()], ..Scope::default() };
        let sizes = Sizes { cgroups: 1, ..Sizes::default() };
        assert_eq!(refusal(&start(scope, sizes)), "too many cgroups to capture: at most 1");
        drop((inner, outer));
    });
}

#[test]
fn a_task_too_deep_below_a_cgroup_is_counted() {
    each_backend(|backend| {
        let name = format!("telltale-test-{}-deep", std::process::id());
        let Some(outer) = mounted("cgroup2", None).and_then(|mount| Cgroup::make(&mount, &name)) else {
            println!("no cgroup v2 can be made here: skipped");
            return;
        };
        let mut levels = vec![outer];
        while levels.len() <= CGROUP_LEVELS as usize {
            let parent = &levels[levels.len() - 1].0;
            levels.push(Cgroup::make(parent, "inner").expect("a cgroup in an own one"));
        }
        let scope = Scope { cgroups: vec![levels[0].0.clone()], ..Scope::default() };
        let session = Session::start(&Settings { scope, ..processes(backend, &[]) });
        let mut deepest = Generator::start("exchanges", "");
        levels[levels.len() - 1].take(deepest.pid());
        exchange(&mut deepest);
        let mut above = Generator::start("exchanges", "");
        levels[levels.len() - 2].take(above.pid());
        let told = exchange(&mut above);
        let captured = session.finish();
        told.check(&captured);
        assert_eq!(captured.connections.len(), 2, "the two ends of one of two connections");
        assert!(captured.counter(Counter::CgroupDepth) >= 2, "both sockets of the task that is too deep");
        drop((deepest, above));
        while levels.pop().is_some() {}
    });
}

/// Scenario: three calls each way, the second of several buffers.
pub(crate) fn few_calls(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::WaitAll, 100);
        pair.send(way, Send::Writev(700), 3000);
        pair.receive(way, Receive::Readv(700), 3000);
        pair.carry(way, Send::Write, Receive::WaitAll, 100);
    }
    pair.tell(stage);
}

fn capture(backend: Backend, scenario: &str, change: impl FnOnce(Settings) -> Settings) -> (Told, Captured) {
    let mut generator = Generator::start(scenario, "");
    // Nothing is taken out of the ring until the traffic is over.
    let session = Session::idle(&change(processes(backend, &[generator.pid()])));
    generator.tell("go");
    let told = Told::by(&mut generator);
    generator.finish();
    (told, session.work().finish())
}

#[test]
fn without_a_scratch_slot_every_byte_is_a_gap() {
    each_backend(|backend| {
        let slots = |scratch_slots| Sizes { scratch_slots, ..Sizes::default() };
        let (told, captured) = capture(backend, "few_calls", |settings| Settings { sizes: slots(0), ..settings });
        assert_eq!(captured.data_bytes(), 0);
        assert_eq!(captured.connections.len(), 2);
        let (mut calls, mut lengths) = (0, Vec::new());
        for end in captured.connections.values() {
            assert!(end.opens.is_empty(), "an open needs a slot too");
            for direction in [Direction::Out, Direction::In] {
                let (first, last) = end.whole(direction);
                assert_eq!((first, last), (0, told.sent[0]), "both ways are alike: {}", end.tell());
                assert_eq!(gaps(end, direction), [(0, last, GapReason::ScratchBusy)]);
                calls += end.pieces(direction).len() as u64;
                lengths.push(last);
            }
        }
        assert_eq!(captured.gaps[&GapReason::ScratchBusy], calls, "each call is counted");
        // One is enough where nothing preempts.
        let (told, captured) = capture(backend, "few_calls", |settings| Settings { sizes: slots(1), ..settings });
        let ends = told.ends(&captured);
        ends.check_bytes();
        ends.check_whole(told.sent[0], told.sent[1]);
        ends.check_reasons(&[GapReason::ScratchBusy]);
        println!(
            "{}: {calls} calls without a slot, {} with one",
            backend.name(),
            captured.gaps[&GapReason::ScratchBusy]
        );
    });
}

#[test]
fn without_state_of_threads_only_what_needs_it_is_missing() {
    each_backend(|backend| {
        let failpoints = Failpoints { without_thread_state: true, ..Failpoints::default() };
        let (told, captured) = capture(backend, "few_calls", |settings| Settings { failpoints, ..settings });
        let ends = told.ends(&captured);
        ends.check_bytes();
        ends.check_numbers();
        ends.check_whole(told.sent[0], told.sent[1]);
        ends.check_reasons(&[GapReason::NoState]);
        assert!(captured.counter(Counter::ThreadState) > 0, "the calls whose start could not be kept are counted");
        let missing: u64 = captured
            .connections
            .values()
            .flat_map(|end| &end.pieces)
            .flatten()
            .filter(|piece| piece.content.is_err())
            .map(|piece| piece.length)
            .sum();
        match backend {
            // The end of a call tells where one buffer was, but not where an array of them began.
            Backend::Socket => assert!(missing >= 4 * 3000, "the vectored calls of both ends: {missing}"),
            Backend::Syscall => assert_eq!(missing, 0, "the registers tell"),
        }
    });
}

/// Scenario: three large calls, each received by one.
pub(crate) fn large_calls(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    for _ in 0..3 {
        pair.send(Way::Request, Send::Write, CHUNK as usize);
        pair.receive(Way::Request, Receive::WaitAll, CHUNK as usize);
    }
    pair.tell(stage);
}

#[test]
fn a_ring_more_than_half_full_keeps_room_for_heads() {
    each_backend(|backend| {
        // The two records of the first call fill a little more than half of it.
        let ring_bytes = 4 * CHUNK;
        let (told, captured) = capture(backend, "large_calls", |settings| Settings { ring_bytes, ..settings });
        assert_eq!(captured.counter(Counter::RingFull), 0, "no record was refused");
        let ends = told.ends(&captured);
        ends.check_bytes();
        ends.check_whole(told.sent[0], 0);
        let (call, kept) = (u64::from(CHUNK), u64::from(PRESSED_CALL_BYTES));
        let expected = [1, 2].map(|index| (index * call + kept, call - kept, GapReason::RingFull));
        assert_eq!(gaps(ends.client, Direction::Out), expected);
        assert_eq!(gaps(ends.server, Direction::In), expected);
    });
}

/// Scenario: one call of as many buffers as a call can have, which is of as many bytes as are copied of one.
pub(crate) fn many_buffers(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    set_option(&pair.client, libc::SOL_SOCKET, libc::SO_SNDBUF, &65_536_i32);
    pair.carry(Way::Request, Send::Writev(CALL_BYTES as usize / 1024), Receive::Read, CALL_BYTES as usize);
    pair.carry(Way::Request, Send::Write, Receive::Read, 100);
    pair.tell(stage);
}

#[test]
fn a_call_of_the_most_buffers_is_copied() {
    each_backend(|backend| {
        let (told, captured) = capture(backend, "many_buffers", |settings| settings);
        told.check(&captured);
        let records = told.ends(&captured).client.pieces(Direction::Out).len();
        assert_eq!(records, 1024 + 1, "one for each buffer");
        // Kernels without `bpf_loop` take fewer steps.
        let failpoints = Failpoints { without_new_helpers: true, ..Failpoints::default() };
        let (told, captured) = capture(backend, "many_buffers", |settings| Settings { failpoints, ..settings });
        let ends = told.ends(&captured);
        ends.check_bytes();
        ends.check_whole(told.sent[0], 0);
        let (call, copied) = (u64::from(CALL_BYTES), u64::from(STEPS_WITHOUT_LOOP * CALL_BYTES / 1024));
        assert_eq!(gaps(ends.client, Direction::Out), [(copied, call - copied, GapReason::CallLimit)]);
    });
}
