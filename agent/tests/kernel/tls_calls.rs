//! Calls of a TLS library that are within others, that are left by a jump, and that are on objects whose address is used again.

use std::{sync::mpsc::channel, time::Duration};

use agent_common::{
    counter::Counter,
    gap::GapReason,
    tls::{self, LATE},
};
use telltale::capture::{Direction, Event, EventKind, kernel::Skips};

use super::{
    gaps::gaps,
    generator::{Generator, LIMIT, Stage},
    scope::processes_in_scope,
    session::each_backend,
    tls::{
        LAYOUT, Object, Probed, REQUEST, RESPONSE, Secured, check_end, check_ends, inside, sendfile, write,
        write_early, write_ex,
    },
};

/// Calls `function` with the object, and returns when it does, or when [`leave`] is called within it. `place` keeps what that needs.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
extern "C" fn enter(_object: *mut Object, _place: *mut u64, _function: extern "C" fn(*mut Object)) {
    core::arch::naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "sub rsp, 8",
        "mov [rsi], rsp",
        "call rdx",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

/// `longjmp`: goes on where the [`enter`] of this place ends.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) extern "C" fn leave(_place: *const u64) {
    core::arch::naked_asm!(
        "mov rsp, [rdi]",
        "add rsp, 8",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
    )
}

#[cfg(target_arch = "x86_64")]
extern "C" fn read_nothing(object: *mut Object) {
    super::tls::read(object, std::ptr::null_mut(), 0);
}

/// Uses the stack below, and makes an exchange there.
#[inline(never)]
fn deeper(session: &mut Secured) {
    let room = std::hint::black_box([0_u8; 16000]);
    session.exchange(false);
    std::hint::black_box(room);
}

/// Scenario: a jump leaves a read; all that follows is deeper in the stack than that read was.
#[cfg(target_arch = "x86_64")]
pub(crate) fn left(stage: &mut Stage) {
    stage.wait();
    for uses_socket in [true, false] {
        let mut other = Secured::new(true, 8);
        let mut session = Secured::new(uses_socket, 9);
        other.handshake();
        session.handshake();
        let mut place = 0;
        for session in [&mut session, &mut other] {
            session.client.leaves = &raw mut place;
            enter(&raw mut *session.client, &raw mut place, read_nothing);
            assert!(session.client.leaves.is_null());
        }
        deeper(&mut session);
        deeper(&mut session);
        session.tell(stage);
        other.free();
        session.free();
    }
}

/// Scenario: a read within which there is an exchange on another object: one more connection, whose library uses its own socket.
pub(crate) fn within(stage: &mut Stage) {
    stage.wait();
    for uses_socket in [true, false] {
        let (mut outer, mut inner) = (Secured::new(uses_socket, 6), Secured::new(true, 7));
        outer.handshake();
        inner.handshake();
        outer.client.within = &raw mut inner;
        outer.exchange(false);
        outer.exchange(false);
        assert!(outer.client.within.is_null());
        outer.tell(stage);
        inner.tell(stage);
        outer.free();
        inner.free();
    }
}

/// Scenario: an address is used again and nothing was told of the end of the object that was there. The first connection has hellos that are seen, the
/// others have not; the library uses the sockets of those as `stage` says.
pub(crate) fn not_freed(stage: &mut Stage) {
    let uses_socket = stage.wait() == "sockets";
    let mut session = Secured::new(uses_socket, 1);
    session.handshake();
    session.exchange(false);
    session.tell(stage);
    for index in 0..2 {
        session.become_another(Secured::new(uses_socket, 2 + index));
        session.forget_randoms();
        session.handshake_unseen();
        session.exchange(false);
        session.tell(stage);
    }
}

/// Scenario: early data, a file that is sent, an exchange.
pub(crate) fn early_and_file(stage: &mut Stage) {
    stage.wait();
    let mut session = Secured::new(false, 3);
    session.handshake();
    session.request_by(write_early);
    assert_eq!(sendfile(&raw mut *session.server, 1, 0, FILE as usize, 0), FILE as isize);
    session.exchange(false);
    session.tell(stage);
}

/// Scenario: writes of the server that are not tried again: one of no bytes, and one before another object has the address.
pub(crate) fn not_tried_again(stage: &mut Stage) {
    stage.wait();
    let mut session = Secured::new(false, 8);
    session.handshake();
    session.exchange(false);
    let mut written = 1;
    assert_eq!(write_ex(&raw mut *session.server, REQUEST.as_ptr(), 0, &raw mut written), 1);
    assert_eq!(written, 0);
    session.exchange(false);
    session.tell(stage);
    assert_eq!(write(&raw mut *session.server, REQUEST.as_ptr(), 0), -1, "as if it would block");
    session.become_another(Secured::new(false, 9));
    session.handshake();
    session.exchange(false);
    session.tell(stage);
}

const FILE: u64 = 70_000;
/// Calls of an exchange that move something, of both ends.
const CALLS: u64 = 5;
/// Exchanges while probes are detached, which takes up to a second or so.
const DETACHING: usize = 100;

/// Scenario: a connection whose library uses the socket, or whose application carries the records (`memory`), with one exchange after another, each when
/// it is told.
pub(crate) fn in_turns(stage: &mut Stage) {
    let uses_socket = stage.wait() != "memory";
    let mut session = Secured::new(uses_socket, 4);
    session.handshake();
    loop {
        session.exchange(true);
        session.tell(stage);
        stage.wait();
    }
}

#[test]
fn a_file_is_a_gap_and_early_data_is_no_beginning() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_early_and_file", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told = generator.hear();
        generator.finish();
        let captured = probed.session.finish();
        let ends = inside(&captured, &told);
        let [(_, client)] = ends[&true][..] else { panic!("one connection: {told}") };
        let request = REQUEST.len() as u64;
        assert_eq!(client.whole(Direction::Out), (LATE, LATE + 2 * request), "{}", client.tell());
        assert!(client.open().isn_out.is_none());
        let [(_, server)] = ends[&false][..] else { panic!("one connection: {told}") };
        assert_eq!(server.whole(Direction::In), (0, 2 * request), "{}", server.tell());
        assert_eq!(server.whole(Direction::Out), (0, FILE + RESPONSE as u64), "{}", server.tell());
        assert_eq!(gaps(server, Direction::Out), [(0, FILE, GapReason::Sendfile)]);
    });
}

#[test]
fn a_process_that_was_out_of_scope_meanwhile_is_joined_late() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_in_turns", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        generator.hear();
        let mut processes = processes_in_scope();
        processes.remove(&generator.pid()).expect("it is in scope");
        generator.tell("go");
        generator.hear();
        processes.insert(generator.pid(), 1, 0).expect("room");
        generator.tell("go");
        let told = generator.hear();
        generator.finish();
        let captured = probed.session.finish();
        for (is_client, mut ends) in inside(&captured, &told) {
            ends.sort_by_key(|(id, _)| *id);
            let [(first, before), (second, after)] = ends[..] else { panic!("two connections: {}", ends.len()) };
            check_end(first, before, is_client, 0, 1);
            check_end(second, after, is_client, LATE, 1);
        }
    });
}

#[test]
fn two_sets_of_probes_at_one_place_see_each_call_once() {
    each_backend(|backend| {
        for way in ["socket", "memory"] {
            let mut generator = Generator::start("tls_in_turns", "");
            let mut probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
            let again = probed.attach();
            generator.tell(way);
            generator.hear();
            generator.tell("again");
            let told = generator.hear();
            generator.finish();
            drop(again);
            let captured = probed.session.finish();
            check_ends(&captured, &told, 0, 2);
            assert_eq!(captured.counter(Counter::TlsCalls), 2 * CALLS);
            assert_eq!((captured.counter(Counter::TlsBound), captured.counter(Counter::TlsUnbound)), (2, 0));
        }
    });
}

#[test]
fn a_connection_goes_on_while_one_set_of_probes_follows_another() {
    each_backend(|backend| {
        for way in ["socket", "memory"] {
            let mut generator = Generator::start("tls_in_turns", "");
            let mut probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
            generator.tell(way);
            generator.hear();
            let next = probed.attach();
            generator.tell("by both");
            let mut told = generator.hear();
            drop(std::mem::replace(&mut probed.probes.1, next));
            // The first set goes meanwhile, one link after the other.
            for _ in 0..DETACHING {
                std::thread::sleep(Duration::from_millis(10));
                generator.tell("again");
                told = generator.hear();
            }
            generator.finish();
            check_ends(&probed.session.finish(), &told, 0, 2 + DETACHING);
        }
    });
}

#[test]
fn a_write_that_is_not_tried_again_gives_its_time_to_no_other() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_not_tried_again", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..2).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        for (told, count) in told.iter().zip([2, 1]) {
            check_ends(&captured, told, 0, count);
            let [(_, server)] = inside(&captured, told)[&false][..] else { panic!("one connection: {told}") };
            // A response is not older than its request.
            for index in 0..count as u64 {
                let of = |direction, length| {
                    let pieces = server.pieces(direction).iter();
                    pieces.filter(move |piece| piece.position / length == index).map(|piece| piece.time)
                };
                let asked = of(Direction::In, REQUEST.len() as u64).max().expect("a request");
                let answered = of(Direction::Out, RESPONSE as u64).min().expect("a response");
                assert!(asked <= answered, "{told}, exchange {index}: {answered} is before {asked}");
            }
        }
    });
}

#[test]
fn a_connection_of_no_known_socket_ends_with_its_process() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_in_turns", "");
        let (sender, ended) = channel();
        let session = Probed::capture_watched(backend, generator.pid(), || {
            let sender = sender.clone();
            Some(Box::new(move |event: &Event<'_>, _: &mut Skips| {
                if tls::is_inside(event.connection.0) && matches!(event.kind, EventKind::Close { .. }) {
                    sender.send(event.connection.0).expect("the test waits");
                }
            }))
        });
        let probed = Probed::of(session, &[]);
        generator.tell("memory");
        generator.hear();
        assert!(ended.try_recv().is_err(), "it runs");
        // Killed.
        drop(generator);
        let mut ends: Vec<u64> = (0..2).map(|_| ended.recv_timeout(LIMIT).expect("an end")).collect();
        ends.sort_unstable();
        let captured = probed.session.finish();
        let unknown = captured.connections.iter().filter(|(id, _)| tls::is_inside(**id));
        let (ids, closes): (Vec<u64>, Vec<usize>) = unknown.map(|(id, end)| (*id, end.closes.len())).unzip();
        assert_eq!((ids, closes), (ends, vec![1, 1]));
    });
}

#[cfg(target_arch = "x86_64")]
#[test]
fn a_call_that_a_jump_left_hides_none_of_those_after_it() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_left", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..2).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        for told in &told {
            let ends = inside(&captured, told);
            let [(id, client)] = ends[&true][..] else { panic!("one connection: {told}") };
            check_end(id, client, true, LATE, 2);
            let [(id, server)] = ends[&false][..] else { panic!("one connection: {told}") };
            check_end(id, server, false, 0, 2);
        }
    });
}

#[test]
fn a_call_within_one_on_another_object_is_seen_too() {
    each_backend(|backend| {
        for layouts in [&[LAYOUT][..], &[]] {
            let mut generator = Generator::start("tls_within", "");
            let probed = Probed::start(backend, generator.pid(), layouts);
            generator.tell("go");
            let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
            generator.finish();
            let captured = probed.session.finish();
            check_ends(&captured, &told[0], 0, 2);
            check_ends(&captured, &told[1], 0, 1);
            check_ends(&captured, &told[3], 0, 1);
            if layouts.is_empty() {
                assert!(inside(&captured, &told[2]).is_empty(), "nothing proves whose it is");
            } else {
                check_ends(&captured, &told[2], 0, 2);
            }
        }
    });
}

#[test]
fn an_object_whose_end_was_not_seen_gives_its_socket_to_no_other() {
    each_backend(|backend| {
        for uses_socket in [true, false] {
            let mut generator = Generator::start("tls_not_freed", "");
            let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
            generator.tell(if uses_socket { "sockets" } else { "memory" });
            let told: Vec<String> = (0..3).map(|_| generator.hear()).collect();
            generator.finish();
            let captured = probed.session.finish();
            check_ends(&captured, &told[0], 0, 1);
            for told in &told[1..] {
                if uses_socket {
                    check_ends(&captured, told, LATE, 1);
                } else {
                    assert!(inside(&captured, told).is_empty(), "nothing proves whose it is");
                }
            }
            let unknown = captured.connections.keys().filter(|id| tls::is_inside(**id) && tls::socket(**id).is_none());
            assert_eq!(unknown.count() as u64, captured.counter(Counter::TlsUnbound));
        }
    });
}
