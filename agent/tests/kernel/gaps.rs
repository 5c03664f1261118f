//! What cannot be seen is a gap with its reason and its exact length, and what follows is right.

use std::{
    io::{Error, Seek as _, Write as _},
    net::TcpStream,
    os::fd::AsRawFd as _,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant},
};

use agent_common::{counter::Counter, limits::CALL_BYTES};
use telltale::capture::{
    Direction, EventKind, GapReason,
    kernel::{Backend, Settings, Sizes},
};

use super::{
    calls::{self, Receive, Send, set_option},
    captured::{Captured, Connection},
    generator::{Generator, LIMIT, Stage},
    pair::{LOOPBACK, Pair, Told},
    pattern::{Pattern, Way},
    session::{Session, Watch, each_backend, processes},
};

/// Bytes of a file that is sent.
const FILE: usize = 100_000;
/// Bytes that are spliced out of a socket.
const SPLICED: usize = 1000;
/// Bytes of one huge call.
const HUGE: usize = 4 << 20;
/// Bytes whose pages are taken away before the call ends.
const GONE: usize = 65_536;

/// Runs a scenario that says one connection, and gives what was captured of it.
fn run(backend: Backend, scenario: &str) -> (Told, Captured) {
    let mut generator = Generator::start(scenario, "");
    let session = Session::start(&processes(backend, &[generator.pid()]));
    generator.tell("go");
    let told = Told::by(&mut generator);
    generator.finish();
    let captured = session.finish();
    told.ends(&captured).check_bytes();
    told.ends(&captured).check_numbers();
    (told, captured)
}

/// The gaps of a direction, those of one reason that follow each other joined: start, length, reason.
pub(crate) fn gaps(end: &Connection, direction: Direction) -> Vec<(u64, u64, GapReason)> {
    let mut gaps: Vec<(u64, u64, GapReason)> = Vec::new();
    for piece in end.pieces(direction) {
        let Err(reason) = piece.content else { continue };
        match gaps.last_mut() {
            Some((start, length, last)) if *last == reason && *start + *length == piece.position => {
                *length += piece.length;
            }
            _ => gaps.push((piece.position, piece.length, reason)),
        }
    }
    gaps
}

/// Scenario: `sendfile` between two writes.
pub(crate) fn sendfile(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    let pattern = pair.pattern(Way::Request);
    let mut file = tempfile::tempfile().expect("a folder for temporary files");
    file.write_all(&pattern.bytes(10, FILE)).and_then(|()| file.rewind()).expect("a writable file");
    pair.send(Way::Request, Send::Write, 10);
    thread::scope(|scope| {
        let client = &pair.client;
        scope.spawn(move || {
            let mut done = 0;
            while done < FILE {
                // SAFETY: no memory is passed.
                let sent =
                    unsafe { libc::sendfile(client.as_raw_fd(), file.as_raw_fd(), std::ptr::null_mut(), FILE - done) };
                assert!(sent > 0, "{}", Error::last_os_error());
                done += sent as usize;
            }
        });
        calls::receive_exactly(&pair.server, Receive::Read, 10 + FILE);
    });
    pair.sent[0] += FILE as u64;
    pair.received[0] = pair.sent[0];
    pair.carry(Way::Request, Send::Write, Receive::Read, 20);
    pair.tell(stage);
}

#[test]
fn a_file_that_is_sent() {
    each_backend(|backend| {
        let (told, captured) = run(backend, "sendfile");
        let ends = told.ends(&captured);
        ends.check_whole(FILE as u64 + 30, 0);
        assert_eq!(gaps(ends.client, Direction::Out), [(10, FILE as u64, GapReason::Sendfile)]);
        assert_eq!(gaps(ends.server, Direction::In), [], "the other end sees it all");
        println!("{}: sendfile of {FILE} bytes", backend.name());
    });
}

/// Scenario: `splice` out of a socket between two reads, and a read a while after.
pub(crate) fn splice(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    pair.carry(Way::Request, Send::Write, Receive::Read, 10);
    pair.send(Way::Request, Send::Write, SPLICED);
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut done = 0;
    while done < SPLICED {
        let null = std::ptr::null_mut();
        // SAFETY: no memory is passed.
        let some = unsafe {
            libc::splice(pair.server.as_raw_fd(), null, writer.as_raw_fd(), null, SPLICED - done, libc::SPLICE_F_MOVE)
        };
        assert!(some > 0, "{}", Error::last_os_error());
        done += some as usize;
    }
    std::io::Read::read_exact(&mut reader, &mut vec![0; SPLICED]).expect("they are in the pipe");
    pair.received[0] += SPLICED as u64;
    pair.carry(Way::Request, Send::Write, Receive::Read, 500);
    thread::sleep(Duration::from_millis(1200));
    pair.carry(Way::Request, Send::Write, Receive::Read, 300);
    pair.tell(stage);
}

#[test]
fn what_is_spliced_out_of_a_socket() {
    each_backend(|backend| {
        let (told, captured) = run(backend, "splice");
        let ends = told.ends(&captured);
        ends.check_whole(10 + SPLICED as u64 + 800, 0);
        let spliced = SPLICED as u64;
        let expected = match backend {
            Backend::Socket => (10, spliced, GapReason::Unseen),
            // Nothing sees the read after it begin, so it might have been of any of the bytes.
            Backend::Syscall => (10, spliced + 500, GapReason::Interleaved),
        };
        assert_eq!(gaps(ends.server, Direction::In), [expected]);
    });
}

/// Scenario: a send whose memory the kernel pins instead of copying it.
pub(crate) fn zero_copy(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    set_option(&pair.client, libc::SOL_SOCKET, libc::SO_ZEROCOPY, &1_i32);
    pair.carry(Way::Request, Send::Write, Receive::Read, 10);
    let mut bytes = pair.pattern(Way::Request).bytes(10, 40_000);
    let sent = calls::send(&pair.client, Send::Send, &mut bytes, libc::MSG_ZEROCOPY).expect("zero copy");
    pair.sent[0] += sent as u64;
    pair.receive(Way::Request, Receive::Read, sent);
    pair.carry(Way::Request, Send::Write, Receive::Read, 20);
    pair.tell(stage);
}

#[test]
fn memory_that_is_pinned() {
    each_backend(|backend| {
        let (told, captured) = run(backend, "zero_copy");
        let ends = told.ends(&captured);
        ends.check_whole(told.sent[0], 0);
        // The memory is still the application's when the call ends, so it can be read as ever.
        assert_eq!(gaps(ends.client, Direction::Out), []);
        println!("{}: {} bytes of MSG_ZEROCOPY read", backend.name(), told.sent[0] - 30);
    });
}

/// Scenario: one call of four megabytes.
pub(crate) fn huge(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    pair.carry(Way::Request, Send::Write, Receive::Read, 10);
    pair.carry(Way::Request, Send::Write, Receive::Read, HUGE);
    pair.carry(Way::Request, Send::Write, Receive::Read, 20);
    pair.tell(stage);
}

#[test]
fn a_call_beyond_the_limit() {
    each_backend(|backend| {
        let (told, captured) = run(backend, "huge");
        let ends = told.ends(&captured);
        ends.check_whole(HUGE as u64 + 30, 0);
        let copied = u64::from(CALL_BYTES);
        let expected = (10 + copied, HUGE as u64 - copied, GapReason::CallLimit);
        assert_eq!(gaps(ends.client, Direction::Out), [expected]);
        println!("{}: of {HUGE} bytes of one call {copied} copied", backend.name());
    });
}

/// Bytes of calls that the other end has not received.
fn unacknowledged(stream: &TcpStream) -> usize {
    let mut count: libc::c_int = 0;
    // SAFETY: the request writes one integer.
    assert_eq!(unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count) }, 0);
    usize::try_from(count).expect("a count")
}

/// Scenario: the pages of a buffer are taken away while its call is under way.
pub(crate) fn unreadable(stage: &mut Stage) {
    const LENGTH: usize = 450_000;
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    pair.carry(Way::Request, Send::Write, Receive::Read, 10);
    set_option(&pair.client, libc::SOL_SOCKET, libc::SO_SNDBUF, &131_072_i32);
    set_option(&pair.server, libc::SOL_SOCKET, libc::SO_RCVBUF, &16_384_i32);
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: new memory, of no file.
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), LENGTH, protection, flags, -1, 0) };
    assert_ne!(memory, libc::MAP_FAILED);
    let bytes = pair.pattern(Way::Request).bytes(10, LENGTH);
    // SAFETY: the memory is of that length and nobody else's.
    let buffer = unsafe { std::slice::from_raw_parts_mut(memory.cast::<u8>(), LENGTH) };
    buffer.copy_from_slice(&bytes);
    thread::scope(|scope| {
        let client = &pair.client;
        scope.spawn(move || {
            assert_eq!(calls::send(client, Send::Write, buffer, 0).expect("writable"), LENGTH);
        });
        // The call sleeps, its first bytes copied, since nobody receives.
        let end = Instant::now() + LIMIT;
        while unacknowledged(client) <= GONE {
            assert!(Instant::now() < end, "the bytes are not sent");
            thread::sleep(Duration::from_millis(10));
        }
        let address = memory as usize;
        // SAFETY: the pages hold nothing that is read again but by the capture.
        assert_eq!(unsafe { libc::madvise(address as *mut libc::c_void, GONE, libc::MADV_DONTNEED) }, 0);
        let received = calls::receive_exactly(&pair.server, Receive::Read, LENGTH);
        assert_eq!(received, bytes, "the connection carries what was sent");
    });
    pair.sent[0] += LENGTH as u64;
    pair.received[0] = pair.sent[0];
    pair.carry(Way::Request, Send::Write, Receive::Read, 20);
    pair.tell(stage);
}

#[test]
fn memory_that_is_gone_when_the_call_ends() {
    each_backend(|backend| {
        let (told, captured) = run(backend, "unreadable");
        let ends = told.ends(&captured);
        ends.check_whole(told.sent[0], 0);
        assert_eq!(gaps(ends.client, Direction::Out), [(10, GONE as u64, GapReason::Fault)]);
    });
}

/// Scenario: a few thousand bytes each way, in calls of many sizes.
pub(crate) fn many_calls(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    for round in 0..60 {
        pair.carry(Way::Request, Send::Write, Receive::Read, 1 + round * 37 % 500);
        pair.carry(Way::Response, Send::Write, Receive::Read, 1 + round * 53 % 900);
    }
    pair.tell(stage);
}

#[test]
fn a_ring_that_is_full() {
    each_backend(|backend| {
        let mut generator = Generator::start("many_calls", "");
        let mut settings = processes(backend, &[generator.pid()]);
        settings.ring_bytes = 4096;
        let session = Session::idle(&settings);
        generator.tell("go");
        let told = Told::by(&mut generator);
        generator.finish();
        let captured = session.work().finish();
        let (full, lost) = (captured.counter(Counter::RingFull), captured.counter(Counter::RingFullBytes));
        assert!(full > 0 && lost > 0, "the ring is too small for all");
        assert_eq!(captured.counter(Counter::Records), captured.events, "every record that was written was read");
        // Which of the ends got its open into the ring is chance; its pieces tell which it is.
        let total = 2 * (told.sent[0] + told.sent[1]);
        assert_eq!(captured.data_bytes() + lost, total, "data and losses are all of both ends");
        for connection in captured.connections.values() {
            for (direction, pieces) in [Direction::Out, Direction::In].into_iter().zip(&connection.pieces) {
                let mut reached = 0;
                for piece in pieces {
                    assert!(piece.position >= reached, "positions grow");
                    reached = piece.end();
                }
                let client = connection.open().peer == told.server;
                let way = if client == (direction == Direction::Out) { Way::Request } else { Way::Response };
                let pattern = Pattern::of(told.client, way);
                for piece in pieces {
                    let bytes = piece.content.as_ref().expect("no gaps");
                    assert_eq!(pattern.first_difference(piece.position, bytes), None);
                }
            }
        }
        println!("{}: {} records kept, {full} lost, {lost} of {total} bytes lost", backend.name(), captured.events);
    });
}

/// Scenario: a little, then, when told, a lot in one call each way.
pub(crate) fn skipped(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    pair.carry(Way::Request, Send::Write, Receive::Read, 100);
    pair.carry(Way::Response, Send::Write, Receive::Read, 100);
    stage.wait();
    pair.carry(Way::Request, Send::Write, Receive::WaitAll, 8000);
    pair.carry(Way::Response, Send::Writev(3000), Receive::WaitAll, 8000);
    pair.carry(Way::Request, Send::Write, Receive::WaitAll, 8000);
    pair.tell(stage);
}

/// Runs [`skipped`] and asks for the first bytes of both ends not to be copied.
pub(crate) fn skip(backend: Backend, sizes: Sizes) -> (Told, Captured) {
    let mut generator = Generator::start("skipped", "");
    let (opened, opens) = mpsc::channel();
    let opened = Arc::new(Mutex::new(opened));
    let watch = || -> Option<Watch> {
        let opened = Arc::clone(&opened);
        Some(Box::new(move |event, skips| {
            if matches!(event.kind, EventKind::Open(_)) {
                skips.set(event.connection, Direction::Out, 5000);
                skips.set(event.connection, Direction::In, 6000);
                opened.lock().expect("no panic").send(()).expect("the test waits");
            }
        }))
    };
    let session = Session::watched(&Settings { sizes, ..processes(backend, &[generator.pid()]) }, watch);
    generator.tell("go");
    for _ in 0..2 {
        opens.recv_timeout(LIMIT).expect("both ends are opened");
    }
    generator.tell("go");
    let told = Told::by(&mut generator);
    generator.finish();
    let captured = session.finish();
    told.ends(&captured).check_bytes();
    told.ends(&captured).check_whole(16_100, 8100);
    (told, captured)
}

#[test]
fn what_nobody_wants_is_not_copied() {
    each_backend(|backend| {
        let (told, captured) = skip(backend, Sizes::default());
        assert_eq!(captured.refused_skips, 0);
        let ends = told.ends(&captured);
        for end in [ends.client, ends.server] {
            assert_eq!(gaps(end, Direction::Out), [(100, 4900, GapReason::NotCopied)], "{}", end.tell());
            assert_eq!(gaps(end, Direction::In), [(100, 5900, GapReason::NotCopied)], "{}", end.tell());
        }
    });
}
