//! A socket whose own memory is used up: there is none left for the state that capture keeps of it.

use std::{
    io::{Error, Result},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

use agent_common::counter::Counter;
use telltale::capture::Role;

use super::{
    calls::{Receive, Send},
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair, Told},
    pattern::Way,
    session::{Session, each_backend, processes},
};

/// `BPF_MAXINSNS`.
const MOST: usize = 4096;
/// `ret #-1`: the packet is taken.
const TAKE: libc::sock_filter = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: u32::MAX };
/// `ldxb 4*([0]&0xf)`, which the kernel makes several instructions of.
const LARGE: libc::sock_filter = libc::sock_filter { code: 0xb1, jt: 0, jf: 0, k: 0 };
/// `ld #0`, of which it makes one.
const SMALL: libc::sock_filter = libc::sock_filter { code: 0x00, jt: 0, jf: 0, k: 0 };

/// A TCP socket of IPv4 (or of the protocol given).
pub(crate) fn new_socket(protocol: i32) -> Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, protocol) };
    if fd < 0 {
        return Err(Error::last_os_error());
    }
    // SAFETY: a new descriptor, nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Connects a socket to a listener on the loopback of IPv4.
pub(crate) fn connect(socket: OwnedFd, listener: &TcpListener) -> Result<TcpStream> {
    let port = listener.local_addr().map(|address: SocketAddr| address.port())?;
    let address = libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from(Ipv4Addr::LOCALHOST).to_be() },
        sin_zero: [0; 8],
    };
    let size = size_of::<libc::sockaddr_in>() as u32;
    // SAFETY: the pointer is to an address of that size.
    if unsafe { libc::connect(socket.as_raw_fd(), (&raw const address).cast(), size) } != 0 {
        return Err(Error::last_os_error());
    }
    Ok(socket.into())
}

/// Gives the socket a filter that takes every packet with its first instruction; so many more follow. False if the socket
/// has no memory for it.
fn filter(socket: &OwnedFd, large: usize, small: usize) -> bool {
    let mut instructions = vec![TAKE];
    instructions.extend(std::iter::repeat_n(LARGE, large));
    instructions.extend(std::iter::repeat_n(SMALL, small));
    instructions.push(TAKE);
    let program = libc::sock_fprog { len: instructions.len() as u16, filter: instructions.as_mut_ptr() };
    let set = |option, size: usize| {
        // SAFETY: the pointer is to a value of that size.
        unsafe {
            libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, (&raw const program).cast(), size as u32)
        }
    };
    // One that was there before, if any, would still count.
    set(libc::SO_DETACH_FILTER, size_of::<i32>());
    set(libc::SO_ATTACH_FILTER, size_of::<libc::sock_fprog>()) == 0
}

/// The largest number up to `most` for which something is so, if it is for 0 and for all up to the largest.
fn largest(most: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut low, mut high) = (0, most);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if holds(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

/// Uses up the memory that a socket may have for its options (`net.core.optmem_max`), to a few bytes.
fn use_up(socket: &OwnedFd) {
    let large = largest(MOST - 2, |large| filter(socket, large, 0));
    let small = largest(MOST - 2 - large, |small| filter(socket, large, small));
    assert!(!filter(socket, large, small + 1), "there is memory left after {large} and {small} instructions");
    assert!(filter(socket, large, small), "the largest filter that fits");
}

/// Scenario: a connection whose client has no memory left, and another one.
pub(crate) fn full_socket(stage: &mut Stage) {
    stage.wait();
    let listener = TcpListener::bind((LOOPBACK, 0)).expect("a port");
    let socket = new_socket(0).expect("a socket");
    use_up(&socket);
    let full = Pair::of(connect(socket, &listener).expect("a listener"), &listener);
    for mut pair in [full, Pair::new(LOOPBACK)] {
        for length in [100, 3000] {
            pair.carry(Way::Request, Send::Write, Receive::Read, length);
            pair.carry(Way::Response, Send::Write, Receive::Read, length);
        }
        pair.tell(stage);
    }
}

#[test]
fn a_socket_without_memory_for_its_state_is_counted() {
    each_backend(|backend| {
        let mut generator = Generator::start("full_socket", "");
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let (full, other) = (Told::by(&mut generator), Told::by(&mut generator));
        generator.finish();
        let captured = session.finish();
        other.check(&captured);
        let server = captured.end(Role::Server, full.server, full.client);
        assert_eq!(server.data_bytes(), 2 * 3100, "the other end is as ever: {}", server.tell());
        assert_eq!(captured.connections.len(), 3, "nothing of the socket");
        let counted = captured.counter(Counter::SocketState);
        assert!(counted >= 4, "each of its calls is counted");
        println!("{}: {counted} times no memory for the state of a socket", backend.name());
    });
}
