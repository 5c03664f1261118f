//! The core of the probes in TLS libraries: a call of the library begins, a call is done.
//!
//! A library's object stands for one connection. Which socket its bytes go over is never guessed; it is proven in one of two ways:
//! - the thread used one socket in scope while it was inside a call on the object;
//! - a random of the handshake that the object keeps is one that went over a socket in scope ([`hello`]). This holds however
//!   the application carries the bytes from the one to the other.

use agent_common::{
    counter::Counter,
    gap::GapReason,
    layout::ABSENT,
    record::{Head, IN, KIND_CLOSE, OUT, Open},
    tls::{self, Function, LATE, LAYOUTS, OBJECTS_OF_SOCKET, ObjectLayout, RANDOM, UNKNOWN},
};
use aya_ebpf::{
    bindings::BPF_NOEXIST,
    helpers::generated::{bpf_get_prandom_u32, bpf_probe_read_user},
};
use core::ffi::c_void;

use crate::{
    call::now,
    emit::{HEAD, claim, opening, output, release},
    hello::{self, CLIENT_HELLO, Hello, Random, SERVER_HELLO, TlsConnection},
    maps::{TLS_CONNECTIONS, TLS_FILES, TLS_LAYOUTS, TLS_OBJECTS, TLS_TRIES, count, current_call},
    scope::{self, Inside},
    source::Source,
    task,
    tls_call::TlsCall,
    transfer::{self, Transfer},
};

/// An object: its address is one only within a process.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct ObjectKey {
    object: u64,
    process: u64,
}

impl ObjectKey {
    #[inline(always)]
    fn of(object: u64) -> Self {
        Self { object, process: u64::from(scope::process()) }
    }
}

/// What is remembered of an object.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Object {
    /// Whose this is: a full table gives an entry to another object even while a program uses it.
    key: ObjectKey,
    /// Identity of its connection.
    connection: u64,
    /// Cookie of its socket; 0 if not known.
    socket: u64,
    /// The first word of the random by which its socket was found; 0 if it was found otherwise.
    random: u64,
    /// By direction: position of the next byte.
    position: [u64; 2],
    /// Since when its library was probed.
    probed: u64,
    /// Where it keeps that random, as in [`tls::ObjectLayout`].
    pointer: u32,
    offset: u32,
    /// 1 if it moved bytes that were not seen: what follows is joined late.
    lost: u64,
}

/// What it is to know of a call for whose object it was.
struct Use {
    key: ObjectKey,
    /// Cookie of the socket that the thread used inside; 0 if it used none, or several.
    socket: u64,
    /// Since when the library is probed.
    probed: u64,
    began: u64,
    inside: Inside,
    /// It moved early data, which the server may refuse (RFC 8446 section 4.2.10): then it is sent again.
    is_early: bool,
}

/// A call on an object begins. `fourth` and `fifth` are the arguments of these numbers.
#[inline(always)]
pub(crate) fn begin(probe: u64, object: u64, buffer: u64, fourth: u64, fifth: u64, stack: u64) {
    let scope = scope::current();
    let inside = scope::inside(scope, scope::process());
    if inside == Inside::No {
        lose(object, false);
        return count(Counter::TlsOthers as u32, 1);
    }
    let Some(call) = current_call(true) else {
        count(Counter::ThreadState as u32, 1);
        return lose(object, true);
    };
    let function = tls::probe_function(probe);
    let moved = if function == Function::WriteEx2 as u8 {
        fifth
    } else if is_told_by_result(function) {
        0
    } else {
        fourth
    };
    call.tls.begin(TlsCall {
        object,
        buffer,
        moved,
        stack,
        time: now(),
        probe,
        also: probe,
        socket: 0,
        mixed: 0,
        generation: scope.generation,
        inside: inside as u32,
    });
}

/// Whether the result of a function is how many bytes it moved.
#[inline(always)]
fn is_told_by_result(function: u8) -> bool {
    function == Function::Read as u8 || function == Function::Write as u8 || function == Function::Sendfile as u8
}

/// A call is done. `stack` is the stack pointer that it began with.
#[inline(always)]
pub(crate) fn end(result: u64, stack: u64) {
    let Some(call) = current_call(false) else { return };
    let Some(call) = call.tls.end(stack) else { return };
    let (object, buffer, began, probe, moved) = (call.object, call.buffer, call.time, call.probe, call.moved);
    let socket = if call.mixed != 0 { 0 } else { call.socket };
    let (generation, inside, also) = (call.generation, call.inside, call.also);
    call.object = 0;
    let function = tls::probe_function(probe);
    let is_file = function == Function::Sendfile as u8;
    if is_file && result as i64 > i64::from(i32::MAX) {
        return lose(object, true);
    }
    // Of an `int` the upper half is not told.
    let result = result as i32;
    let length = if result <= 0 {
        0
    } else if moved == 0 {
        result as u32
    } else if result == 1 {
        match read_user::<u64>(moved) {
            Some(length) if i32::try_from(length).is_ok() => length as u32,
            Some(_) => 0,
            None => return lose(object, true),
        }
    } else {
        0
    };
    if length == 0 {
        return tries(object, probe, began, result);
    }
    // A call may block for long.
    let scope = scope::current();
    let inside =
        if scope.generation == generation { Inside::of(inside) } else { scope::inside(scope, scope::process()) };
    if inside == Inside::No {
        return lose(object, false);
    }
    count(Counter::TlsCalls as u32, 1);
    let receives = tls::probe_receives(probe);
    let direction = if receives { IN } else { OUT };
    let probed = probed(object, probe, also);
    let is_early = function == Function::WriteEarly as u8;
    let of = Use { key: ObjectKey::of(object), socket, probed, began, inside, is_early };
    let Some(object) = object_of(&of) else { return };
    let side = usize::from(direction & 1);
    let (connection, position) = (object.connection, object.position[side]);
    if object.key != of.key {
        return count(Counter::TlsObjects as u32, 1);
    }
    object.position[side] = position.wrapping_add(u64::from(length));
    let time = if receives { now() } else { first_try(of.key.object, began) };
    transfer::transfer(&Transfer {
        cookie: connection,
        time,
        position,
        length,
        direction,
        ask: false,
        source: if is_file { Source::nowhere(GapReason::Sendfile) } else { Source::of_buffer(buffer) },
    });
}

/// Since when all probes of a set are there; 0 if they are not yet.
#[inline(always)]
pub(crate) fn probed_since(probe: u64) -> u64 {
    TLS_FILES.get(tls::probe_file(probe)).copied().unwrap_or(0)
}

/// Since when the library is probed whose call these probes saw. Of two sets the newer one counts, which remains: the older one may be on its way out, and
/// then it does not see all. What that saw of an object before goes on.
#[inline(never)]
fn probed(object: u64, probe: u64, also: u64) -> u64 {
    let (first, second) = (probed_since(probe), probed_since(also));
    let (older, newer) = if first < second { (first, second) } else { (second, first) };
    if newer == 0 {
        return u64::MAX;
    }
    if older != 0
        && older != newer
        && let Some(known) = TLS_OBJECTS.get_ptr_mut(ObjectKey::of(object))
    {
        // SAFETY: as in `object_of`.
        let known = unsafe { &mut *known };
        if known.probed == older {
            known.probed = newer;
        }
    }
    newer
}

/// A call moved nothing. A write that would have blocked is tried again with the same bytes, which were ready now (`SSL_write(3)`); one of no bytes is not.
/// Neither this nor [`first_try`] is part of its caller: what they know of a call would have the verifier of 6.1 take each of its paths once more, which
/// are too many then.
#[inline(never)]
fn tries(object: u64, probe: u64, began: u64, result: i32) {
    let would_block = if is_told_by_result(tls::probe_function(probe)) { result < 0 } else { result <= 0 };
    if would_block && !tls::probe_receives(probe) {
        let _ = TLS_TRIES.insert(ObjectKey::of(object), began, u64::from(BPF_NOEXIST));
    }
}

/// What was tried is of another object than has the address now.
#[inline(never)]
fn forget_tries(object: u64) {
    let _ = TLS_TRIES.remove(ObjectKey::of(object));
}

/// When a write was first tried that is done now.
#[inline(never)]
fn first_try(object: u64, began: u64) -> u64 {
    let key = ObjectKey::of(object);
    // SAFETY: the value is not kept.
    let Some(tried) = (unsafe { TLS_TRIES.get(key) }) else { return began };
    let tried = *tried;
    let _ = TLS_TRIES.remove(key);
    tried
}

/// An object is over; another may get its address.
#[inline(always)]
pub(crate) fn free(object: u64) {
    let key = ObjectKey::of(object);
    let _ = TLS_TRIES.remove(key);
    // SAFETY: the value is not kept.
    let Some(known) = (unsafe { TLS_OBJECTS.get(key) }) else { return };
    let connection = known.connection;
    let _ = TLS_OBJECTS.remove(key);
    close(connection);
}

/// An object may have moved bytes that are not seen. One that is not known is remembered for it if `whole` of it is asked for.
#[inline(never)]
pub(crate) fn lose(object: u64, whole: bool) {
    let key = ObjectKey::of(object);
    if let Some(known) = TLS_OBJECTS.get_ptr_mut(key) {
        // SAFETY: as in `object_of`.
        unsafe { (*known).lost = 1 };
    } else if whole {
        let lost = Object {
            key,
            connection: 0,
            socket: 0,
            random: 0,
            position: [LATE; 2],
            probed: 0,
            pointer: 0,
            offset: 0,
            lost: 1,
        };
        let _ = TLS_OBJECTS.insert(key, lost, 0);
    }
}

impl Object {
    /// Whether the object is another one than it was, or may be: its address is used again, and its end was not seen.
    #[inline(always)]
    fn is_doubtful(&self, of: &Use) -> bool {
        if self.random != 0 {
            // Of one that was found by its random another socket is another's.
            return self.random_now(of).is_some_and(|random| random != self.random);
        }
        self.socket != 0 && of.socket != self.socket && (of.socket != 0 || hello::is_over(self.socket))
    }

    /// Of one that is doubtful: whether it is the same nevertheless, or another one, whose socket is `found`.
    #[inline(always)]
    fn goes_on(&mut self, of: &Use, found: &mut Found) -> bool {
        if found.random != 0 {
            return self.random == 0 && found.socket == self.socket;
        }
        let is_over = hello::is_over(self.socket);
        if self.random == 0 {
            if of.socket == 0 {
                // What the library still had.
                return true;
            }
            if !is_over {
                // Two sockets, and which is its own is not known.
                found.socket = 0;
            }
            return false;
        }
        if is_over || of.socket != 0 && of.socket != self.socket {
            return false;
        }
        // A handshake after the first one is inside TLS: its randoms are none that are known.
        if let Some(random) = self.random_now(of) {
            self.random = random;
        }
        true
    }

    /// What it has at the place of its random.
    #[inline(always)]
    fn random_now(&self, of: &Use) -> Option<u64> {
        read_user(place(of.key.object, self.pointer, self.offset)?)
    }
}

/// What is remembered of the object, which is made where there is nothing, or where it is of another connection.
#[inline(always)]
fn object_of(of: &Use) -> Option<&'static mut Object> {
    let mut former = None;
    if let Some(object) = TLS_OBJECTS.get_ptr_mut(of.key) {
        // SAFETY: the entry of a map is valid while the program runs; only the thread that is in a call on the object uses it, but see `Object::key`.
        let object = unsafe { &mut *object };
        if object.lost == 0 && object.probed == of.probed && !object.is_doubtful(of) {
            return Some(object);
        }
        former = Some(object);
    }
    let mut found = find(of.key.object, of.socket, of.probed);
    found.is_begin &= !of.is_early;
    if let Some(object) = former {
        if object.lost != 0 || object.probed != of.probed {
            found.is_begin = false;
        } else if object.goes_on(of, &mut found) {
            return Some(object);
        }
        forget_tries(of.key.object);
        close(object.connection);
    }
    let mut made = Object {
        key: of.key,
        connection: 0,
        socket: found.socket,
        random: found.random,
        position: [if found.is_begin { 0 } else { LATE }; 2],
        probed: of.probed,
        pointer: found.pointer,
        offset: found.offset,
        lost: 0,
    };
    if found.socket != 0
        && let Some(ordinal) = next_ordinal(found.socket)
    {
        made.connection = tls::inside(found.socket, ordinal);
        count(Counter::TlsBound as u32, 1);
    } else {
        if of.inside == Inside::SomeSocket {
            count(Counter::TlsNoSocket as u32, 1);
            return None;
        }
        made.socket = 0;
        made.random = 0;
        made.position = [LATE; 2];
        // SAFETY: no arguments.
        let number = (now() << 8) ^ u64::from(unsafe { bpf_get_prandom_u32() });
        made.connection = tls::TLS | UNKNOWN | (number & tls::COOKIE);
        count(Counter::TlsUnbound as u32, 1);
        open(made.connection, of.began);
    }
    if TLS_OBJECTS.insert(of.key, made, 0).is_err() {
        count(Counter::TlsObjects as u32, 1);
        return None;
    }
    // SAFETY: as above.
    TLS_OBJECTS.get_ptr_mut(of.key).map(|object| unsafe { &mut *object })
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
    /// Nothing was moved inside TLS before: the handshake began when the file was probed already, and no object was bound by it.
    is_begin: bool,
}

#[inline(always)]
fn find(object: u64, socket: u64, probed: u64) -> Found {
    let generation = scope::current().generation;
    for index in 0..LAYOUTS {
        let Some(row) = TLS_LAYOUTS.get(index) else { break };
        if row.used == 0 {
            break;
        }
        // Both ends of a connection may be in scope; the object says which one it is.
        let is_server = read_user::<u32>(object.wrapping_add(u64::from(row.server))).unwrap_or(0) & 1 != 0;
        let (mut of_client_hello, mut of_server_hello) = (Random::of(CLIENT_HELLO), Random::of(SERVER_HELLO));
        let by_client_hello = hello_of(object, row, &mut of_client_hello);
        let by_server_hello = hello_of(object, row, &mut of_server_hello);
        let (client_side, server_side) = (hello::side(CLIENT_HELLO, is_server), hello::side(SERVER_HELLO, is_server));
        let by_client = by_client_hello.as_ref().map_or(0, |hello| hello.socket(client_side));
        let by_server = by_server_hello.as_ref().map_or(0, |hello| hello.socket(server_side));
        // An end's own hello is the better proof: nobody knew it before it was sent.
        let of_server = if is_server { by_server != 0 } else { by_client == 0 };
        let socket = if of_server { by_server } else { by_client };
        if socket == 0 {
            continue;
        }
        let mut is_begin = is_begin(socket, probed, generation);
        if let Some(hello) = by_client_hello {
            is_begin |= by_client == socket && hello.is_begin(client_side, probed, generation);
            hello.bind(client_side, socket);
        }
        if let Some(hello) = by_server_hello {
            hello.bind(server_side, socket);
        }
        let random = if of_server { of_server_hello.words[0] } else { of_client_hello.words[0] };
        let offset = row.offset(of_server);
        return Found { socket, random, pointer: row.pointer, offset, is_begin };
    }
    let is_begin = is_begin(socket, probed, generation);
    Found { socket, random: 0, pointer: 0, offset: 0, is_begin }
}

#[inline(always)]
fn is_begin(socket: u64, probed: u64, generation: u32) -> bool {
    // SAFETY: the value is not kept.
    unsafe { TLS_CONNECTIONS.get(socket) }.is_some_and(|known| known.is_begin(probed, generation))
}

/// Where the hello went whose random an object keeps, if it is one that proves anything.
#[inline(always)]
fn hello_of(object: u64, row: &ObjectLayout, random: &mut Random) -> Option<&'static mut Hello> {
    let address = place(object, row.pointer, row.offset(random.message == SERVER_HELLO))?;
    let words = &raw mut random.words;
    // SAFETY: the destination is of that size; the helper checks the source.
    let failed = unsafe { bpf_probe_read_user(words.cast(), RANDOM as u32, address as *const c_void) };
    if failed != 0 || !random.is_proof() {
        return None;
    }
    random.hello()
}

/// Address of a random in an object, as in [`tls::ObjectLayout`].
#[inline(always)]
fn place(object: u64, pointer: u32, offset: u32) -> Option<u64> {
    let base = if pointer == ABSENT { object } else { read_user::<u64>(object.wrapping_add(u64::from(pointer)))? };
    Some(base.wrapping_add(u64::from(offset)))
}

/// Says that a connection is over of which no socket is known: no socket's end will tell of it.
#[inline(never)]
fn close(connection: u64) {
    if connection & UNKNOWN == 0 {
        return;
    }
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
