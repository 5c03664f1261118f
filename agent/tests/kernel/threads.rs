//! More threads than processors, and threads that share a socket.

use std::{
    collections::BTreeMap,
    net::TcpStream,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use telltale::capture::{Direction, GapReason};

use super::{
    calls::{self, Receive, Send},
    captured::Piece,
    ends::MISSED,
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair, Told},
    pattern::{Pattern, Way},
    session::{Session, each_backend, processes},
};

/// Rounds of each connection.
const ROUNDS: usize = 40;

fn threads() -> usize {
    4 * thread::available_parallelism().map_or(4, usize::from).min(8)
}

/// Scenario: a connection for each thread, all at once.
pub(crate) fn connections(stage: &mut Stage) {
    let mut pairs: Vec<Pair> = (0..threads()).map(|_| Pair::new(LOOPBACK)).collect();
    stage.wait();
    thread::scope(|scope| {
        for (index, pair) in pairs.iter_mut().enumerate() {
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let length = 1 + (index * 131 + round * 577) % 6000;
                    pair.carry(Way::Request, Send::Write, Receive::Read, length);
                    pair.carry(Way::Response, Send::Writev(700), Receive::Readv(900), 2 * length);
                }
            });
        }
    });
    for pair in &pairs {
        pair.tell(stage);
    }
}

#[test]
fn more_threads_than_processors() {
    each_backend(|backend| {
        let mut generator = Generator::start("thread_connections", "");
        // The connections are older than the capture at times, and younger at others: both must be whole.
        let mut settings = processes(backend, &[generator.pid()]);
        settings.workers = 2;
        let session = Session::start(&settings);
        generator.tell("go");
        let told: Vec<Told> = (0..threads()).map(|_| Told::by(&mut generator)).collect();
        generator.finish();
        let captured = session.finish();
        for told in &told {
            told.check(&captured);
            told.ends(&captured).check_order();
        }
        assert_eq!(captured.connections.len(), 2 * told.len());
        println!(
            "{}: {} threads, {} events, {} payload bytes compared",
            backend.name(),
            3 * told.len(),
            captured.events,
            captured.data_bytes()
        );
    });
}

/// Threads that share a socket, and calls of each.
const SHARERS: u64 = 4;
const CALLS: u64 = 400;

/// Lengths of calls: equal ones and different ones, since equal ones are the easiest to mistake for each other.
fn length_of_call(thread: u64, call: u64) -> usize {
    if call.is_multiple_of(2) { 64 } else { 1 + ((thread * 7919 + call * 104_729) % 900) as usize }
}

/// Scenario: threads write to one socket with no lock. What the other end received goes to a file.
pub(crate) fn shared_writers(stage: &mut Stage) {
    stage.wait();
    let pair = Pair::new(LOOPBACK);
    let (mut received, total) = (Vec::new(), AtomicU64::new(0));
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut all = Vec::new();
            let mut buffer = vec![0; 65_536];
            loop {
                match calls::receive(&pair.server, Receive::Read, &mut buffer, 0).expect("readable") {
                    0 => return all,
                    some => all.extend_from_slice(&buffer[..some]),
                }
            }
        });
        let writers: Vec<_> = (0..SHARERS)
            .map(|thread| {
                let (client, total) = (&pair.client, &total);
                scope.spawn(move || {
                    for call in 0..CALLS {
                        let pattern = Pattern::new((thread * CALLS + call) as u16, Way::Request);
                        let mut bytes = pattern.bytes(0, length_of_call(thread, call));
                        let sent = calls::send(client, Send::Write, &mut bytes, 0).expect("writable");
                        total.fetch_add(sent as u64, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.join().expect("a writer");
        }
        pair.client.shutdown(std::net::Shutdown::Write).expect("connected");
        received = reader.join().expect("a reader");
    });
    assert_eq!(received.len() as u64, total.load(Ordering::Relaxed));
    let path = PathBuf::from(&stage.arguments[0]);
    std::fs::write(path, &received).expect("a writable folder");
    pair.tell(stage);
}

/// Scenario: threads read from one socket with no lock.
pub(crate) fn shared_readers(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    let pattern = pair.pattern(Way::Request);
    let total = 250 * SHARERS * CALLS;
    thread::scope(|scope| {
        let read = |thread: u64, server: &TcpStream| {
            for call in 0.. {
                let mut buffer = vec![0; length_of_call(thread, call)];
                if calls::receive(server, Receive::Read, &mut buffer, 0).expect("readable") == 0 {
                    return;
                }
            }
        };
        for thread in 0..SHARERS {
            let server = &pair.server;
            scope.spawn(move || read(thread, server));
        }
        let mut sent = 0;
        while sent < total {
            let length = (total - sent).min(1 + sent * 31 % 3000);
            calls::send_all(&pair.client, Send::Write, pattern.bytes(sent, length as usize));
            sent += length;
        }
        pair.client.shutdown(std::net::Shutdown::Write).expect("connected");
    });
    pair.sent[0] = total;
    pair.tell(stage);
}

/// Data must be the bytes that were really at its position, and every byte must be told of. Gives the missing, by reason.
fn check_shared(pieces: &[Piece], total: u64, missed: bool, byte: impl Fn(u64) -> u8) -> BTreeMap<GapReason, u64> {
    let mut told = vec![None; total as usize];
    for piece in pieces {
        assert!(piece.end() <= total, "{}+{} is beyond the stream of {total}", piece.position, piece.length);
        for position in piece.position..piece.end() {
            let captured = match &piece.content {
                Ok(bytes) => Ok(bytes[(position - piece.position) as usize]),
                Err(reason) => Err(*reason),
            };
            assert!(captured.is_err() || captured == Ok(byte(position)), "wrong byte at {position}");
            // Data and a gap of another thread's call may both tell of a byte.
            let known = &mut told[position as usize];
            if !matches!(known, Some(Ok(_))) {
                *known = Some(captured);
            }
        }
    }
    let mut missing = BTreeMap::new();
    for (position, told) in told.iter().enumerate() {
        match told {
            Some(Ok(_)) => {}
            Some(Err(reason)) => *missing.entry(*reason).or_default() += 1,
            None if missed => *missing.entry(GapReason::Unseen).or_default() += 1,
            None => panic!("nothing tells of the byte at {position} of {total}"),
        }
    }
    missing
}

fn report(backend: &str, what: &str, total: u64, missing: &BTreeMap<GapReason, u64>) {
    println!("{backend}: {SHARERS} {what}, {total} bytes, none wrong, missing: {missing:?}");
    assert!(missing.keys().all(|reason| MISSED.contains(reason)), "{missing:?}");
}

#[test]
fn threads_that_write_to_one_socket() {
    each_backend(|backend| {
        let folder = tempfile::tempdir().expect("a folder for temporary files");
        let path = folder.path().join("received");
        let mut generator = Generator::start("shared_writers", path.to_str().expect("a plain path"));
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let told = Told::by(&mut generator);
        generator.finish();
        let captured = session.finish();
        let received = std::fs::read(path).expect("the file");
        let ends = told.ends(&captured);
        let total = received.len() as u64;
        let missing = check_shared(ends.client.pieces(Direction::Out), total, ends.missed, |position| {
            received[position as usize]
        });
        report(backend.name(), "writers", total, &missing);
        let missing =
            check_shared(ends.server.pieces(Direction::In), total, ends.missed, |position| received[position as usize]);
        assert!(missing.is_empty() || ends.missed, "one thread reads: {missing:?}");
    });
}

#[test]
fn threads_that_read_from_one_socket() {
    each_backend(|backend| {
        let mut generator = Generator::start("shared_readers", "");
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let told = Told::by(&mut generator);
        generator.finish();
        let captured = session.finish();
        let ends = told.ends(&captured);
        let pattern = Pattern::of(told.client, Way::Request);
        let missing = check_shared(ends.server.pieces(Direction::In), told.sent[0], ends.missed, |position| {
            pattern.byte(position)
        });
        report(backend.name(), "readers", told.sent[0], &missing);
    });
}
