//! The core of the probes in TLS libraries: a call of the library begins, a call is done.
//!
//! A library's object stands for one connection. Which socket its bytes go over is never guessed; it is proven in one of two ways:
//! - the thread used one socket in scope while it was inside a call on the object;
//! - a random of the handshake that the object keeps is one that went over a socket in scope ([`hello`]). This holds however
//!   the application carries the bytes from the one to the other.

use agent_common::{
    counter::Counter,
    layout::ABSENT,
    record::{Head, IN, KIND_CLOSE, OUT, Open},
    tls::{self, Function, LATE, LAYOUTS, OBJECTS_OF_SOCKET, UNKNOWN},
};
use aya_ebpf::helpers::generated::{bpf_get_prandom_u32, bpf_probe_read_user};
use core::ffi::c_void;

use crate::{
    call::now,
    emit::{HEAD, claim, opening, output, release},
    hello::{self, CLIENT_HELLO, Random, SERVER_HELLO, TlsConnection},
    maps::{TLS_CONNECTIONS, TLS_FILES, TLS_LAYOUTS, TLS_OBJECTS, count, current_call},
    scope::{self, Inside},
    source::Source,
    task,
    transfer::{self, Transfer},
};

/// How much later a call may begin within another one: a library that calls itself does so at once. What is older is of a call
/// whose end was missed.
const NESTED: u64 = 1_000_000_000;

/// The calls of a library that a thread is in, one of each direction. A library that calls itself goes on in the same direction; an application that is called
/// back from a read, as Node is at the end of a handshake, may write.
#[repr(C)]
pub(crate) struct TlsCalls {
    read: TlsCall,
    write: TlsCall,
}

impl TlsCalls {
    /// The thread moves bytes of this socket in a direction. A read of plaintext receives and a write sends; what an application that is called back
    /// does otherwise is another connection's.
    #[inline(always)]
    pub(crate) fn uses(&mut self, cookie: u64, direction: u8) {
        if direction == IN {
            self.read.uses(cookie);
        } else {
            self.write.uses(cookie);
        }
    }

    /// Whether a call is under way.
    #[inline(always)]
    pub(crate) fn is_under_way(&self) -> bool {
        self.read.object != 0 || self.write.object != 0
    }
}

/// A call of a library.
#[repr(C)]
struct TlsCall {
    /// Address of the object; 0 if no call is under way.
    object: u64,
    buffer: u64,
    /// Where the library writes how many bytes it moved; 0 if its result says so.
    moved: u64,
    /// Stack pointer when it began: that of its end is the same, and those of calls within it are lower.
    stack: u64,
    time: u64,
    /// Cookie of the probe.
    probe: u64,
    /// Cookie of the socket that the thread used inside the call; 0 if it used none.
    socket: u64,
    /// The thread used two sockets inside the call.
    mixed: u64,
}

impl TlsCall {
    /// The thread uses this socket.
    #[inline(always)]
    fn uses(&mut self, cookie: u64) {
        if self.object != 0 && cookie != 0 {
            if self.socket != 0 && self.socket != cookie {
                self.mixed = 1;
            }
            self.socket = cookie;
        }
    }
}

/// An object: its address is one only within a process.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct ObjectKey {
    object: u64,
    process: u64,
}

/// What is remembered of an object.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Object {
    /// Identity of its connection.
    connection: u64,
    /// Cookie of its socket; 0 if not known.
    socket: u64,
    /// The first word of the random by which its socket was found; 0 if it was found otherwise.
    random: u64,
    /// By direction: position of the next byte.
    position: [u64; 2],
    /// Where it keeps that random, as in [`tls::ObjectLayout`].
    pointer: u32,
    offset: u32,
    /// Whose random it is: [`CLIENT_HELLO`] or [`SERVER_HELLO`].
    message: u32,
    reserved: u32,
}

/// A call on an object begins. `fourth` and `fifth` are the arguments of these numbers.
#[inline(always)]
pub(crate) fn begin(probe: u64, object: u64, buffer: u64, fourth: u64, fifth: u64, stack: u64) {
    if scope::inside(scope::process()) == Inside::No {
        return count(Counter::TlsOthers as u32, 1);
    }
    let Some(call) = current_call(true) else {
        count(Counter::ThreadState as u32, 1);
        return;
    };
    let function = tls::probe_function(probe);
    let TlsCalls { read, write } = &mut call.tls;
    let (call, other) = if tls::probe_receives(probe) { (read, write) } else { (write, read) };
    // It is over, although its end was missed.
    if stack >= other.stack {
        other.object = 0;
    }
    let time = now();
    if call.object != 0 && stack < call.stack && time.wrapping_sub(call.time) < NESTED {
        return;
    }
    call.moved = if function == Function::Read as u8 || function == Function::Write as u8 {
        0
    } else if function == Function::WriteEx2 as u8 {
        fifth
    } else {
        fourth
    };
    call.buffer = buffer;
    call.stack = stack;
    call.time = time;
    call.probe = probe;
    call.socket = 0;
    call.mixed = 0;
    call.object = object;
}

/// A call is done. `stack` is the stack pointer that it began with.
#[inline(always)]
pub(crate) fn end(result: i32, stack: u64) {
    let Some(call) = current_call(false) else { return };
    let TlsCalls { read, write } = &mut call.tls;
    let call = if read.object != 0 && read.stack == stack { read } else { write };
    if call.object == 0 || call.stack != stack {
        return;
    }
    let key = ObjectKey { object: call.object, process: u64::from(scope::process()) };
    let (buffer, began, probe, moved) = (call.buffer, call.time, call.probe, call.moved);
    let socket = if call.mixed != 0 { 0 } else { call.socket };
    call.object = 0;
    let length = if result <= 0 {
        0
    } else if moved == 0 {
        result as u32
    } else if result == 1 {
        read_user::<u64>(moved).map_or(0, |length| if length > i32::MAX as u64 { 0 } else { length as u32 })
    } else {
        0
    };
    if length == 0 {
        return;
    }
    let inside = scope::inside(scope::process());
    if inside == Inside::No {
        return;
    }
    count(Counter::TlsCalls as u32, 1);
    let receives = tls::probe_receives(probe);
    let direction = if receives { IN } else { OUT };
    let Some(object) = object_of(&key, socket, tls::probe_file(probe), began, inside) else { return };
    let side = usize::from(direction & 1);
    let position = object.position[side];
    object.position[side] = position.wrapping_add(u64::from(length));
    transfer::transfer(&Transfer {
        cookie: object.connection,
        time: if receives { now() } else { began },
        position,
        length,
        direction,
        ask: false,
        source: Source::of_buffer(buffer),
    });
}

/// An object is over; another may get its address.
#[inline(always)]
pub(crate) fn free(object: u64) {
    let key = ObjectKey { object, process: u64::from(scope::process()) };
    // SAFETY: the value is not kept.
    let Some(known) = (unsafe { TLS_OBJECTS.get(key) }) else { return };
    let connection = known.connection;
    let _ = TLS_OBJECTS.remove(key);
    if connection & UNKNOWN != 0 {
        // No socket's end will tell of it.
        let head = Head {
            connection,
            time: now(),
            position: 0,
            length: 0,
            copied: 0,
            kind: KIND_CLOSE,
            direction: 0,
            reason: 0,
            reserved: [0; 5],
        };
        output(connection, (&raw const head).cast(), HEAD);
    }
}

/// What is remembered of the object, which is made where there is nothing, or where it is of another connection.
#[inline(always)]
fn object_of(key: &ObjectKey, socket: u64, file: u32, began: u64, inside: Inside) -> Option<&'static mut Object> {
    if let Some(object) = TLS_OBJECTS.get_ptr_mut(*key) {
        // SAFETY: the entry of a map is valid while the program runs; only the thread that is in a call on the object uses it.
        let object = unsafe { &mut *object };
        // Of one that was found by its random another socket is another's.
        let another_socket = socket != 0 && object.socket != 0 && socket != object.socket && object.random == 0;
        // A handshake after the first one is inside TLS: its random is none that is known.
        let another_hello = object.random != 0
            && random_of(key.object, object.pointer, object.offset, object.message)
                .is_some_and(|random| random.words[0] != object.random && random.hello().is_some());
        if !another_socket && !another_hello {
            return Some(object);
        }
    }
    let found = find(key.object, socket, file);
    let mut made = Object {
        connection: 0,
        socket: found.socket,
        random: found.random,
        position: [if found.is_begin { 0 } else { LATE }; 2],
        pointer: found.pointer,
        offset: found.offset,
        message: found.message,
        reserved: 0,
    };
    if found.socket != 0
        && let Some(ordinal) = next_ordinal(found.socket)
    {
        made.connection = tls::inside(found.socket, ordinal);
        count(Counter::TlsBound as u32, 1);
    } else {
        if inside == Inside::SomeSocket {
            count(Counter::TlsNoSocket as u32, 1);
            return None;
        }
        made.socket = 0;
        made.position = [LATE; 2];
        // SAFETY: no arguments.
        let number = (now() << 8) ^ u64::from(unsafe { bpf_get_prandom_u32() });
        made.connection = tls::TLS | UNKNOWN | (number & tls::COOKIE);
        count(Counter::TlsUnbound as u32, 1);
        open(made.connection, began);
    }
    if TLS_OBJECTS.insert(*key, made, 0).is_err() {
        count(Counter::TlsObjects as u32, 1);
        return None;
    }
    // SAFETY: as above.
    TLS_OBJECTS.get_ptr_mut(*key).map(|object| unsafe { &mut *object })
}

/// The next ordinal of a socket's objects, if it may have one more.
#[inline(always)]
fn next_ordinal(cookie: u64) -> Option<u32> {
    let Some(known) = TLS_CONNECTIONS.get_ptr_mut(cookie) else {
        let _ = TLS_CONNECTIONS.insert(cookie, TlsConnection::of_object(), 0);
        return Some(0);
    };
    // SAFETY: as in `object_of`.
    let known = unsafe { &mut *known };
    let ordinal = known.objects;
    if ordinal >= OBJECTS_OF_SOCKET {
        return None;
    }
    known.objects = ordinal + 1;
    Some(ordinal)
}

/// The socket of an object, and how that was proven.
struct Found {
    socket: u64,
    random: u64,
    pointer: u32,
    offset: u32,
    message: u32,
    /// Nothing was moved inside TLS before: the handshake began when the file was probed already, and no object was bound by it.
    is_begin: bool,
}

#[inline(always)]
fn find(object: u64, socket: u64, file: u32) -> Found {
    let probed = match TLS_FILES.get(file) {
        Some(time) if *time != 0 => *time,
        _ => u64::MAX,
    };
    let generation = scope::current().generation;
    for index in 0..LAYOUTS {
        let Some(row) = TLS_LAYOUTS.get(index) else { break };
        if row.used == 0 {
            break;
        }
        // Both ends of a connection may be in scope; the object says which one it is.
        let is_server = read_user::<u32>(object.wrapping_add(u64::from(row.server))).unwrap_or(0) & 1 != 0;
        let hello = |message: u32| {
            let offset = row.offset(message == SERVER_HELLO);
            let random = random_of(object, row.pointer, offset, message)?;
            Some((random.hello()?, random.words[0], offset))
        };
        let (from_client, from_server) = (hello(CLIENT_HELLO), hello(SERVER_HELLO));
        let (client_side, server_side) = (hello::side(CLIENT_HELLO, is_server), hello::side(SERVER_HELLO, is_server));
        let by_client = from_client.as_ref().map_or(0, |(hello, ..)| hello.socket(client_side));
        let by_server = from_server.as_ref().map_or(0, |(hello, ..)| hello.socket(server_side));
        // An end's own hello is the better proof: nobody knew it before it was sent.
        let of_server = if is_server { by_server != 0 } else { by_client == 0 };
        let socket = if of_server { by_server } else { by_client };
        if socket == 0 {
            continue;
        }
        let mut is_begin = is_begin(socket, probed, generation);
        let (mut random, mut offset) = (0, 0);
        if let Some((hello, word, place)) = from_client {
            is_begin |= by_client == socket && hello.is_begin(client_side, probed, generation);
            hello.bind(client_side, socket);
            (random, offset) = (word, place);
        }
        if let Some((hello, word, place)) = from_server {
            hello.bind(server_side, socket);
            if of_server {
                (random, offset) = (word, place);
            }
        }
        let message = if of_server { SERVER_HELLO } else { CLIENT_HELLO };
        return Found { socket, random, pointer: row.pointer, offset, message, is_begin };
    }
    let is_begin = is_begin(socket, probed, generation);
    Found { socket, random: 0, pointer: 0, offset: 0, message: 0, is_begin }
}

#[inline(always)]
fn is_begin(socket: u64, probed: u64, generation: u32) -> bool {
    // SAFETY: the value is not kept.
    unsafe { TLS_CONNECTIONS.get(socket) }.is_some_and(|known| known.is_begin(probed, generation))
}

/// A random that an object keeps, if it is one that proves anything.
#[inline(always)]
fn random_of(object: u64, pointer: u32, offset: u32, message: u32) -> Option<Random> {
    let base = if pointer == ABSENT { object } else { read_user::<u64>(object.wrapping_add(u64::from(pointer)))? };
    let words = read_user(base.wrapping_add(u64::from(offset)))?;
    let random = Random { words, process: scope::process(), message };
    random.is_proof().then_some(random)
}

/// Says whose a connection is of which no socket is known.
#[inline(never)]
fn open(connection: u64, time: u64) {
    let Some(scratch) = claim() else { return };
    let open = opening(scratch, connection, time);
    *open = Open {
        cgroup: task::current_cgroup_id(),
        local: [0; 16],
        peer: [0; 16],
        comm: task::current_comm(),
        pid: task::current_process(),
        isn_out: 0,
        isn_in: 0,
        local_port: 0,
        peer_port: 0,
        family: 0,
        role: 0,
        isn_known: 0,
        reserved: [0; 4],
    };
    output(connection, (&raw const scratch.head).cast(), HEAD + size_of::<Open>() as u64);
    release(scratch);
}

#[inline(always)]
fn read_user<T: Copy + Default>(address: u64) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper checks the source; the destination is a local of that size.
    let failed =
        unsafe { bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const c_void) };
    (failed == 0).then_some(value)
}
