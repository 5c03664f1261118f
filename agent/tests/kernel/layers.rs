//! Sockets whose connection does not carry the bytes of the application as they are: counted by kind, and nothing is invented.

use std::{
    io::{Error, Result},
    net::{TcpListener, TcpStream},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    path::Path,
};

use agent_common::counter::Counter;
use telltale::capture::{Direction, GapReason, kernel::Backend};

use super::{
    calls::{Receive, Send},
    captured::{Captured, Connection},
    generator::{Generator, Stage},
    memory::{connect, new_socket},
    pair::{LOOPBACK, Pair, Told},
    pattern::Way,
    session::{Session, each_backend, processes},
};

/// `IPPROTO_MPTCP`.
const MULTIPATH: i32 = 262;
/// `TCP_ULP`, `SOL_TLS`, `TLS_TX` and `TLS_RX`.
const TCP_ULP: i32 = 31;
const SOL_TLS: i32 = 282;
const TLS_TX: i32 = 1;
const TLS_RX: i32 = 2;
/// `BPF_MAP_CREATE`, `BPF_MAP_UPDATE_ELEM` and `BPF_MAP_TYPE_SOCKMAP`.
const MAP_CREATE: i32 = 0;
const MAP_UPDATE: i32 = 2;
const SOCKMAP: u64 = 15;

/// Bytes before a layer is put on a connection, and after it.
const BEFORE: usize = 100;
const AFTER: usize = 3000;

/// Whether this is a kernel of `cargo xtask vm` with its modules, which has it all.
fn in_test_kernel() -> bool {
    std::env::var_os("TELLTALE_TEST_VM").is_some() && Path::new("/modules/0.ko").exists()
}

/// The connections that are counted, how often, and what was captured. `None` if the kernel lacks the layer.
fn run(backend: Backend, scenario: &str, kind: Counter) -> Option<(Told, u64, Captured)> {
    let mut generator = Generator::start(scenario, "");
    let session = Session::start(&processes(backend, &[generator.pid()]));
    generator.tell("go");
    let refused = generator.hear();
    if !refused.is_empty() {
        assert!(!in_test_kernel(), "{scenario} is loaded in the kernels of the matrix: {refused}");
        println!("{}: no {scenario} here ({refused}): skipped", backend.name());
        return None;
    }
    let (layered, plain) = (Told::by(&mut generator), Told::by(&mut generator));
    generator.finish();
    let captured = session.finish();
    plain.check(&captured);
    let counted = captured.counter(kind);
    for other in [Counter::Mptcp, Counter::KernelTls, Counter::Sockmap].into_iter().filter(|other| *other != kind) {
        assert_eq!(captured.counter(other), 0, "{other:?}");
    }
    println!("{}: {scenario}: {counted} sockets counted", backend.name());
    Some((layered, counted, captured))
}

/// Only what came before the layer was captured.
#[track_caller]
fn check_before(end: &Connection, direction: Direction) {
    let [first, rest @ ..] = end.pieces(direction) else { panic!("what came before: {}", end.tell()) };
    assert!(first.content.is_ok() && (first.position, first.end()) == (0, BEFORE as u64), "{}", end.tell());
    assert!(rest.iter().all(|piece| matches!(piece.content, Err(GapReason::Unseen))), "{}", end.tell());
}

/// Both ways of a connection that has nothing special.
fn plain(stage: &mut Stage) {
    let mut pair = Pair::new(LOOPBACK);
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::Read, AFTER);
    }
    pair.tell(stage);
}

fn multipath_pair() -> Result<Pair> {
    let listener = new_socket(MULTIPATH)?;
    // SAFETY: no memory is passed. A socket that is not bound listens on a port that the kernel chooses.
    if unsafe { libc::listen(listener.as_raw_fd(), 1) } != 0 {
        return Err(Error::last_os_error());
    }
    let listener = TcpListener::from(listener);
    Ok(Pair::of(connect(new_socket(MULTIPATH)?, &listener)?, &listener))
}

/// Scenario: a connection of Multipath TCP, and one of TCP.
pub(crate) fn multipath(stage: &mut Stage) {
    stage.wait();
    let mut pair = match multipath_pair() {
        Ok(pair) => pair,
        Err(error) => return stage.say(&error.to_string()),
    };
    stage.say("");
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::Read, AFTER);
    }
    pair.tell(stage);
    drop(pair);
    plain(stage);
}

#[test]
fn multipath_tcp_is_counted() {
    each_backend(|backend| {
        let Some((_, counted, captured)) = run(backend, "multipath", Counter::Mptcp) else { return };
        assert_eq!(captured.connections.len(), 2, "the ends of the other connection");
        assert_eq!(counted, 2, "both ends");
    });
}

fn bpf(command: i32, attributes: [u64; 9]) -> Result<i32> {
    // SAFETY: the kernel reads the attributes, and what the addresses in them point to, during the call.
    let result = unsafe { libc::syscall(libc::SYS_bpf, command, attributes.as_ptr(), size_of_val(&attributes)) };
    if result < 0 { Err(Error::last_os_error()) } else { Ok(result as i32) }
}

/// Puts a socket into a new socket map, which lives as long as what is returned.
fn put_into_map(stream: &TcpStream) -> Result<OwnedFd> {
    // Type and size of keys, size of values and number of entries.
    let map = bpf(MAP_CREATE, [SOCKMAP | 4 << 32, 4 | 1 << 32, 0, 0, 0, 0, 0, 0, 0])?;
    // SAFETY: a new descriptor, nobody else's.
    let map = unsafe { OwnedFd::from_raw_fd(map) };
    let (key, value) = (0_u32, stream.as_raw_fd() as u32);
    let (key_at, value_at) = ((&raw const key) as u64, (&raw const value) as u64);
    bpf(MAP_UPDATE, [map.as_raw_fd() as u64, key_at, value_at, 0, 0, 0, 0, 0, 0])?;
    Ok(map)
}

/// Scenario: the client of a connection comes into a socket map after its first bytes.
pub(crate) fn socket_map(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::WaitAll, BEFORE);
    }
    let _map = match put_into_map(&pair.client) {
        Ok(map) => map,
        Err(error) => return stage.say(&error.to_string()),
    };
    stage.say("");
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::Read, AFTER);
    }
    pair.tell(stage);
    plain(stage);
}

#[test]
fn a_socket_in_a_socket_map_is_counted() {
    each_backend(|backend| {
        let Some((told, counted, captured)) = run(backend, "socket_map", Counter::Sockmap) else { return };
        let ends = told.ends(&captured);
        for direction in [Direction::Out, Direction::In] {
            check_before(ends.client, direction);
            let (first, last) = ends.server.whole(direction);
            assert_eq!((first, last), (0, (BEFORE + AFTER) as u64), "the other end is in no map");
        }
        assert_eq!(ends.server.data_bytes(), 2 * (BEFORE + AFTER) as u64);
        assert_eq!(counted, 1, "the client");
    });
}

fn option(stream: &TcpStream, level: i32, name: i32, value: &[u8]) -> Result<()> {
    // SAFETY: the pointer is to so many bytes.
    let failed = unsafe {
        libc::setsockopt(stream.as_raw_fd(), level, name, value.as_ptr().cast(), value.len() as libc::socklen_t)
    };
    if failed == 0 { Ok(()) } else { Err(Error::last_os_error()) }
}

/// Scenario: both ends of a connection come under kernel TLS after their first bytes.
pub(crate) fn kernel_tls(stage: &mut Stage) {
    stage.wait();
    let mut pair = Pair::new(LOOPBACK);
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::WaitAll, BEFORE);
    }
    if let Err(error) =
        [&pair.client, &pair.server].into_iter().try_for_each(|end| option(end, libc::SOL_TCP, TCP_ULP, b"tls"))
    {
        return stage.say(&error.to_string());
    }
    stage.say("");
    // `struct tls12_crypto_info_aes_gcm_128`: version 1.2, the cipher, then its keys, zeros here.
    let mut keys = [0_u8; 40];
    keys[..4].copy_from_slice(&[0x03, 0x03, 51, 0]);
    let encrypted = [&pair.client, &pair.server]
        .into_iter()
        .try_for_each(|end| [TLS_TX, TLS_RX].into_iter().try_for_each(|way| option(end, SOL_TLS, way, &keys)));
    if let Err(error) = encrypted {
        assert!(!in_test_kernel(), "the cipher is loaded in the kernels of the matrix: {error}");
        // Without it the layer is there and lets the bytes through.
        eprintln!("kernel TLS without AES-GCM: {error}");
    }
    for way in [Way::Request, Way::Response] {
        pair.carry(way, Send::Write, Receive::Read, AFTER);
    }
    pair.tell(stage);
    plain(stage);
}

#[test]
fn kernel_tls_is_counted() {
    each_backend(|backend| {
        let Some((told, counted, captured)) = run(backend, "kernel_tls", Counter::KernelTls) else { return };
        let ends = told.ends(&captured);
        for end in [ends.client, ends.server] {
            check_before(end, Direction::Out);
            check_before(end, Direction::In);
        }
        assert_eq!(counted, 2, "both ends");
    });
}
