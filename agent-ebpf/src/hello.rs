//! The hellos of TLS handshakes that went over sockets, by their randoms: what proves which socket an object's bytes go over.
//!
//! Each end makes 32 random bytes of its own and sends them in clear, once: the client in its ClientHello (RFC 8446 section 4.1.2), the server in
//! its ServerHello (section 4.1.3). Objects keep both, so either is a proof, should the kernel leave out a run of the programs.

use agent_common::{
    record::{IN, OUT},
    tls::{self, RANDOM},
};

use aya_ebpf::bindings::BPF_NOEXIST;

use crate::{
    maps::{HELLOS, TLS_CONNECTIONS},
    scope,
};

/// Type of the message ClientHello (RFC 8446 section 4).
pub(crate) const CLIENT_HELLO: u32 = 1;
/// Type of the message ServerHello.
pub(crate) const SERVER_HELLO: u32 = 2;
/// Content type of handshake records (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;
/// Bytes of a hello up to the end of its random: handshake header (RFC 8446 section 4), version, random.
const HELLO: u64 = 4 + 2 + RANDOM as u64;
/// Bytes of a record's header (RFC 8446 section 5.1).
const RECORD: u64 = 5;
/// The first word of the random that says that a ServerHello is a HelloRetryRequest (RFC 8446 section 4.1.3), the same in every handshake.
const RETRY: u64 = u64::from_ne_bytes([0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11]);

/// A random, whose it is, and in which process. (What passes through another process of this machine has the same.)
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Random {
    pub(crate) words: [u64; RANDOM / 8],
    pub(crate) process: u32,
    /// [`CLIENT_HELLO`] or [`SERVER_HELLO`].
    pub(crate) message: u32,
}

impl Random {
    /// Room for that of a message, in the current process.
    #[inline(always)]
    pub(crate) fn of(message: u32) -> Self {
        Self { words: [0; RANDOM / 8], process: scope::process(), message }
    }

    /// Whether the bytes are such as are in no other handshake, and in nothing else that a wrong layout may find in an object: those that the other
    /// end of a connection chose to be like that prove nothing.
    #[inline(always)]
    pub(crate) fn is_proof(&self) -> bool {
        let [first, second, third, fourth] = self.words;
        first != 0 && second != 0 && third != 0 && fourth != 0 && first != RETRY
    }

    /// Where it went.
    #[inline(always)]
    pub(crate) fn hello(&self) -> Option<&'static mut Hello> {
        // SAFETY: the entry of a map is valid while the program runs; its words are only ever replaced whole.
        HELLOS.get_ptr_mut(self).map(|hello| unsafe { &mut *hello })
    }
}

/// Where a hello went, by direction of the socket.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Hello {
    /// Cookie of the socket; 0 if none in scope, [`SEVERAL`] if it cannot be told.
    cookies: [u64; 2],
    /// When.
    times: [u64; 2],
    /// Generation of the scope that held then.
    generations: [u32; 2],
    /// 1 if an object was bound by it.
    bound: [u32; 2],
}

/// Instead of a cookie: came in by several sockets.
const SEVERAL: u64 = u64::MAX;

impl Hello {
    /// The hello goes over a socket. A process that passes it on to itself sends it first where the handshake is made. If it comes in twice, who
    /// has it is not the only one who knows it: then it proves nothing.
    #[inline(always)]
    fn goes(&mut self, side: usize, cookie: u64, time: u64, generation: u32) {
        if self.cookies[side] == 0 {
            self.cookies[side] = cookie;
            self.times[side] = time;
            self.generations[side] = generation;
            self.bound[side] = 0;
        } else if side == IN as usize && self.cookies[side] != cookie {
            self.cookies[side] = SEVERAL;
        }
    }

    /// The socket that it proves; 0 if none.
    #[inline(always)]
    pub(crate) fn socket(&self, side: usize) -> u64 {
        if self.cookies[side] == SEVERAL { 0 } else { self.cookies[side] }
    }

    /// Whether all of what was inside since was seen by probes that are there since `probed`, as in [`TlsConnection::is_begin`].
    #[inline(always)]
    pub(crate) fn is_begin(&self, side: usize, probed: u64, generation: u32) -> bool {
        self.bound[side] == 0 && self.generations[side] == generation && self.times[side] > probed
    }

    /// An object is bound to the socket.
    #[inline(always)]
    pub(crate) fn bind(&mut self, side: usize, socket: u64) {
        if self.cookies[side] == socket {
            self.bound[side] = 1;
        }
    }
}

/// What is known of a socket that carries TLS.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct TlsConnection {
    /// When its ClientHello went by; 0 if that was not seen.
    hello: u64,
    /// When the connection of the socket began, if that was seen and a hello began it; else 0.
    began: u64,
    /// Generation of the scope that held when its first hello went by.
    generation: u32,
    /// Objects that were bound to it.
    pub(crate) objects: u32,
    /// 1 if its connection is over.
    over: u32,
    reserved: u32,
}

impl TlsConnection {
    /// One of which no hello was seen.
    pub(crate) const fn of_object() -> Self {
        Self { hello: 0, began: 0, generation: 0, objects: 1, over: 0, reserved: 0 }
    }

    /// Whether all of what is inside was seen by probes that are there since `probed`. The ServerHello does not tell: a client may have sent early
    /// data before it.
    #[inline(always)]
    pub(crate) fn is_begin(&self, probed: u64, generation: u32) -> bool {
        self.objects == 0 && self.generation == generation && (self.hello > probed || self.began > probed)
    }
}

/// What it takes to remember a hello. Not on the stack: where bytes are copied it is nearly full.
#[repr(C)]
pub(crate) struct Remembered {
    random: Random,
    hello: Hello,
    connection: TlsConnection,
}

/// Remembers whose a hello is, if the `size` bytes of a call at this position begin with one.
#[inline(always)]
pub(crate) fn look(
    bytes: &[u8],
    size: u64,
    connection: u64,
    direction: u8,
    position: u64,
    time: u64,
    made: &mut Remembered,
) {
    let message;
    let random: &[u8];
    if size >= RECORD + HELLO && bytes[0] == HANDSHAKE && bytes[1] == 3 && bytes[9] == 3 {
        message = u32::from(bytes[5]);
        random = &bytes[11..11 + RANDOM];
    } else if position == RECORD && size >= HELLO && bytes[1] == 0 && bytes[4] == 3 {
        // The application received the record's header first.
        message = u32::from(bytes[0]);
        random = &bytes[6..6 + RANDOM];
    } else {
        return;
    }
    if message != CLIENT_HELLO && message != SERVER_HELLO {
        return;
    }
    // SAFETY: both are of that size, and integers have any bytes.
    unsafe { core::ptr::copy_nonoverlapping(random.as_ptr(), made.random.words.as_mut_ptr().cast(), RANDOM) };
    made.random.process = scope::process();
    made.random.message = message;
    // The number of a connection whose socket is not known is no cookie.
    if !made.random.is_proof() || tls::socket(connection).is_none() {
        return;
    }
    let cookie = connection & tls::COOKIE;
    let generation = scope::current().generation;
    if made.random.hello().is_none() {
        made.hello = Hello { cookies: [0; 2], times: [0; 2], generations: [0; 2], bound: [0; 2] };
        let (random, hello) = (&made.random, &made.hello);
        // The other end may do so at the same moment.
        let _ = HELLOS.insert(random, hello, u64::from(BPF_NOEXIST));
    }
    if let Some(hello) = made.random.hello() {
        hello.goes(usize::from(direction & 1), cookie, time, generation);
    }
    // One within TLS is of a socket that had its own before.
    if !tls::is_inside(connection) && TLS_CONNECTIONS.get_ptr_mut(cookie).is_none() {
        let hello = if message == CLIENT_HELLO { time } else { 0 };
        made.connection = TlsConnection { hello, began: 0, generation, objects: 0, over: 0, reserved: 0 };
        let connection = &made.connection;
        let _ = TLS_CONNECTIONS.insert(cookie, connection, 0);
    }
}

/// The direction in which a hello goes over the socket of one end.
#[inline(always)]
pub(crate) fn side(message: u32, is_server: bool) -> usize {
    usize::from(if (message == SERVER_HELLO) == is_server { OUT } else { IN })
}

/// Whether a socket is known to carry TLS. Its first bytes were seen just now; `began` says when its connection began, 0 if that was not seen.
#[inline(always)]
pub(crate) fn begins(cookie: u64, began: u64) -> bool {
    let Some(known) = TLS_CONNECTIONS.get_ptr_mut(cookie) else { return false };
    // SAFETY: as above.
    unsafe { (*known).began = began };
    true
}

/// The connection of a socket is over.
#[inline(always)]
pub(crate) fn ends(cookie: u64) {
    if let Some(known) = TLS_CONNECTIONS.get_ptr_mut(cookie) {
        // SAFETY: as above.
        unsafe { (*known).over = 1 };
    }
}

/// Whether the connection of a socket is over, or may be.
#[inline(always)]
pub(crate) fn is_over(cookie: u64) -> bool {
    // SAFETY: the value is not kept.
    unsafe { TLS_CONNECTIONS.get(cookie) }.is_none_or(|known| known.over != 0)
}
