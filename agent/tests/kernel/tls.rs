//! What is inside TLS, with a library of this binary's own that calls itself OpenSSL's interface: the same calls, results and objects, and records whose
//! content is turned round instead of encrypted. Real libraries and programs are tested in `tests/tls`; kernels of `cargo xtask vm` have none.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Seek as _, Write as _},
    mem::{ManuallyDrop, offset_of},
    net::TcpStream,
    os::fd::{AsRawFd as _, FromRawFd as _},
    path::Path,
};

use agent_common::{
    counter::Counter,
    layout::ABSENT,
    tls::{self, FILES, Function, LATE, ObjectLayout, RANDOM},
};
use aya::{
    maps::{Array, Map, MapData},
    util::KernelVersion,
};
use telltale::capture::{
    Direction, Open,
    kernel::{Attached, Backend, Failpoints, Settings, TlsProbes},
};

use super::{
    captured::{Captured, Connection},
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair},
    scope::map,
    session::{Session, Watch, alone, backends, each_backend, processes},
};

/// As `SSL`: an object of the library.
#[repr(C)]
pub(crate) struct Object {
    unused: [u64; 5],
    server: u32,
    /// The library uses the socket itself; else the application carries the records.
    uses_socket: u32,
    /// The application is called back from the next read, and writes its request.
    calls_back: u32,
    descriptor: i32,
    /// The next read of nothing leaves by a jump to here.
    pub(crate) leaves: *mut u64,
    /// Another connection, which has an exchange within the next read.
    pub(crate) within: *mut Secured,
    inner: *const Inner,
    /// Records on their way, where the application carries them.
    wire: Vec<u8>,
}

/// What older versions keep apart.
#[repr(C)]
pub(crate) struct Inner {
    unused: u64,
    server_random: [u8; RANDOM],
    random: [u8; RANDOM],
}

/// Where the library keeps what proves whose an object is.
pub(crate) const LAYOUT: ObjectLayout = ObjectLayout {
    pointer: offset_of!(Object, inner) as u32,
    random: offset_of!(Inner, random) as u32,
    server: offset_of!(Object, server) as u32,
    used: 1,
};
/// Of another version, in which the same places hold something else.
const ANOTHER: ObjectLayout = ObjectLayout { pointer: ABSENT, random: 8, server: 4, used: 1 };

/// A record of a handshake.
fn record(content: &[u8]) -> Vec<u8> {
    [&[22, 3, 1, (content.len() >> 8) as u8, content.len() as u8], content].concat()
}

fn turned(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0x55).collect()
}

/// The socket, without owning it.
fn socket_of(object: &Object) -> ManuallyDrop<TcpStream> {
    // SAFETY: the pair that owns the socket outlives its objects.
    ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(object.descriptor) })
}

fn move_out(object: &mut Object, bytes: &[u8]) {
    let record = [&[23, 3, 3, (bytes.len() >> 8) as u8, bytes.len() as u8], &*turned(bytes)].concat();
    if object.uses_socket == 0 {
        object.wire = record;
    } else {
        socket_of(object).write_all(&record).expect("a socket");
    }
}

fn move_in(object: &mut Object, length: usize) -> Vec<u8> {
    if object.uses_socket == 0 {
        return turned(&object.wire.drain(..length).collect::<Vec<_>>());
    }
    let mut bytes = vec![0; length];
    socket_of(object).read_exact(&mut bytes).expect("a socket");
    turned(&bytes)
}

/// `SSL_write`. Fails as OpenSSL does where it would block, for a length of 0.
#[inline(never)]
pub(crate) extern "C" fn write(object: *mut Object, buffer: *const u8, length: i32) -> i32 {
    if length == 0 {
        return -1;
    }
    // SAFETY: the scenario gives an object and a buffer of that length.
    let (object, bytes) = unsafe { (&mut *object, std::slice::from_raw_parts(buffer, length as usize)) };
    move_out(object, bytes);
    length
}

/// `SSL_read`.
#[inline(never)]
pub(crate) extern "C" fn read(object: *mut Object, buffer: *mut u8, length: i32) -> i32 {
    if length == 0 {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the scenario gives an object, and a place that it has entered. Nothing here or between has to be dropped.
        unsafe {
            let place = std::mem::replace(&mut (*object).leaves, std::ptr::null_mut());
            if !place.is_null() {
                super::tls_calls::leave(place);
            }
        }
        // SAFETY: as above.
        if std::mem::take(unsafe { &mut (*object).calls_back }) != 0 {
            write(object, REQUEST.as_ptr(), REQUEST.len() as i32);
        }
        return 0;
    }
    // SAFETY: as above.
    let (object, bytes) = unsafe { (&mut *object, std::slice::from_raw_parts_mut(buffer, length as usize)) };
    bytes.copy_from_slice(&move_in(object, length as usize));
    length
}

/// `SSL_write_ex2`.
#[inline(never)]
extern "C" fn write_ex2(
    object: *mut Object,
    buffer: *const u8,
    length: usize,
    _flags: u64,
    written: *mut usize,
) -> i32 {
    // SAFETY: as above.
    unsafe {
        if length > 0 {
            move_out(&mut *object, std::slice::from_raw_parts(buffer, length));
        }
        *written = length;
    }
    1
}

/// `SSL_write_ex`, which newer versions make from `SSL_write_ex2`: compilers let it end with a jump there.
#[cfg(target_arch = "x86_64")]
#[unsafe(naked)]
pub(crate) extern "C" fn write_ex(
    _object: *mut Object,
    _buffer: *const u8,
    _length: usize,
    _written: *mut usize,
) -> i32 {
    core::arch::naked_asm!("mov r8, rcx", "xor ecx, ecx", "jmp {}", sym write_ex2)
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(never)]
pub(crate) extern "C" fn write_ex(object: *mut Object, buffer: *const u8, length: usize, written: *mut usize) -> i32 {
    write_ex2(object, buffer, length, 0, written)
}

/// `SSL_read_ex`.
#[inline(never)]
extern "C" fn read_ex(object: *mut Object, buffer: *mut u8, length: usize, got: *mut usize) -> i32 {
    // SAFETY: as above.
    unsafe {
        if let Some(within) = std::mem::replace(&mut (*object).within, std::ptr::null_mut()).as_mut() {
            within.exchange(false);
        }
        std::slice::from_raw_parts_mut(buffer, length).copy_from_slice(&move_in(&mut *object, length));
        *got = length;
    }
    1
}

/// `SSL_write_early_data`.
#[inline(never)]
pub(crate) extern "C" fn write_early(
    object: *mut Object,
    buffer: *const u8,
    length: usize,
    written: *mut usize,
) -> i32 {
    write_ex(object, buffer, length, written)
}

/// `SSL_sendfile`: the kernel encrypts what it sends, and none of it comes by here.
#[inline(never)]
pub(crate) extern "C" fn sendfile(
    object: *mut Object,
    _descriptor: i32,
    _offset: i64,
    length: usize,
    _flags: i32,
) -> isize {
    std::hint::black_box(object);
    length as isize
}

/// `SSL_free`; the scenario owns the object.
#[inline(never)]
extern "C" fn free(object: *mut Object) {
    std::hint::black_box(object);
}

fn functions() -> Vec<(Function, u64)> {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    let offset = |address: usize| {
        let hex = |text: &str| u64::from_str_radix(text, 16).expect("a number");
        let found = maps.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words.next()?.split_once('-')?;
            let from = hex(words.nth(1)?);
            (hex(start)..hex(end)).contains(&(address as u64)).then(|| address as u64 - hex(start) + from)
        });
        found.expect("the function is of this binary")
    };
    vec![
        (Function::Write, offset(write as *const () as usize)),
        (Function::Read, offset(read as *const () as usize)),
        (Function::WriteEx, offset(write_ex as *const () as usize)),
        (Function::WriteEx2, offset(write_ex2 as *const () as usize)),
        (Function::ReadEx, offset(read_ex as *const () as usize)),
        (Function::WriteEarly, offset(write_early as *const () as usize)),
        (Function::Sendfile, offset(sendfile as *const () as usize)),
        (Function::Free, offset(free as *const () as usize)),
    ]
}

/// Both ends of a connection with TLS, their objects and what is known to both.
pub(crate) struct Secured {
    pair: Pair,
    /// What the server's end is of, if all is passed on from the first connection to another.
    behind: Option<Pair>,
    pub(crate) client: Box<Object>,
    pub(crate) server: Box<Object>,
    /// The object's part that the layout finds by a pointer.
    inner: Box<Inner>,
}

/// What one connection carries inside.
pub(crate) const REQUEST: &[u8] = b"GET /inside HTTP/1.1\r\nhost: tls\r\n\r\n";
pub(crate) const RESPONSE: usize = 5000;

fn response() -> Vec<u8> {
    (0..RESPONSE).map(|index| (index % 251) as u8).collect()
}

impl Secured {
    /// Connects. `seed` makes the randoms differ from those of other connections of the scenario.
    pub(crate) fn new(uses_socket: bool, seed: u8) -> Self {
        let pair = Pair::new(LOOPBACK);
        let random = |of_end: u8| {
            let mut random = [seed ^ of_end; RANDOM];
            random[..2].copy_from_slice(&pair.addresses().0.port().to_be_bytes());
            random
        };
        let inner = Box::new(Inner { unused: 7, server_random: random(0x80), random: random(0x40) });
        let object = |descriptor: i32, server: u32| {
            Box::new(Object {
                unused: [9; 5],
                server,
                uses_socket: u32::from(uses_socket),
                calls_back: 0,
                descriptor,
                leaves: std::ptr::null_mut(),
                within: std::ptr::null_mut(),
                inner: &raw const *inner,
                wire: Vec::new(),
            })
        };
        let (client, server) = (object(pair.client.as_raw_fd(), 0), object(pair.server.as_raw_fd(), 1));
        Self { pair, behind: None, client, server, inner }
    }

    /// Bytes of one end to the other, which receives them in these parts.
    fn pass(&mut self, is_request: bool, bytes: &[u8], parts: &[usize]) -> Vec<u8> {
        let mut ends = vec![(&self.pair.client, &self.pair.server)];
        ends.extend(self.behind.as_ref().map(|behind| (&behind.client, &behind.server)));
        if !is_request {
            ends.reverse();
        }
        let last = ends.len() - 1;
        let mut received = vec![0; bytes.len()];
        for (index, (client, server)) in ends.into_iter().enumerate() {
            let (mut from, mut to) = if is_request { (client, server) } else { (server, client) };
            from.write_all(bytes).expect("a socket");
            if index < last {
                to.read_exact(&mut received).expect("a socket");
                continue;
            }
            let mut rest = &mut received[..];
            for part in parts {
                let (first, others) = rest.split_at_mut(*part);
                to.read_exact(first).expect("a socket");
                rest = others;
            }
            to.read_exact(rest).expect("a socket");
        }
        received
    }

    /// The client's hello, which the server receives in two parts as OpenSSL does, and the server's.
    pub(crate) fn handshake(&mut self) {
        let hello = self.client_hello();
        self.pass(true, &hello, &[5]);
        self.answer();
    }

    fn client_hello(&self) -> Vec<u8> {
        record(&[&[1, 0, 0, 196, 3, 3], &self.inner.random[..], &[0; 162]].concat())
    }

    /// The server's hello and what follows it at once; OpenSSL receives it in two parts, an application as much as there is.
    fn answer(&mut self) {
        let hello = record(&[&[2, 0, 0, 118, 3, 3], &self.inner.server_random[..], &[0; 84]].concat());
        let uses_socket = self.client.uses_socket != 0;
        self.pass(false, &[&hello[..], &[20, 3, 3, 0, 1, 1]].concat(), if uses_socket { &[5, 122] } else { &[] });
    }

    /// As [`Self::handshake`], but the client's hello goes ways that no hook sees: out of a file, and into a pipe.
    pub(crate) fn handshake_unseen(&mut self) {
        self.begin_unseen(&self.pair);
        self.answer();
    }

    fn begin_unseen(&self, pair: &Pair) {
        let hello = self.client_hello();
        let mut file = tempfile::tempfile().expect("a folder for temporary files");
        file.write_all(&hello).and_then(|()| file.rewind()).expect("a writable file");
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let (client, server, null) = (pair.client.as_raw_fd(), pair.server.as_raw_fd(), std::ptr::null_mut());
        // SAFETY: no memory is passed.
        let (sent, received) = unsafe {
            (
                libc::sendfile(client, file.as_raw_fd(), std::ptr::null_mut(), hello.len()),
                libc::splice(server, null, writer.as_raw_fd(), null, hello.len(), libc::SPLICE_F_MOVE),
            )
        };
        assert_eq!((sent, received), (hello.len() as isize, hello.len() as isize));
    }

    /// The application carries the records of one end to the other, where the library does not; their headers are for no one.
    fn carry(&mut self, request: bool) {
        let (from, to) =
            if request { (&mut self.client, &mut self.server) } else { (&mut self.server, &mut self.client) };
        if from.uses_socket == 0 {
            let wire = std::mem::take(&mut from.wire);
            let received = self.pass(request, &wire, &[5]);
            let to = if request { &mut self.server } else { &mut self.client };
            to.wire = received[5..].to_vec();
        } else {
            socket_of(to).read_exact(&mut [0; 5]).expect("a socket");
        }
    }

    /// An exchange inside: all functions, and calls that move nothing. The request is written from within a read or by itself.
    pub(crate) fn exchange(&mut self, within_read: bool) {
        self.client.calls_back = u32::from(within_read);
        let (client, server): (*mut Object, *mut Object) = (&raw mut *self.client, &raw mut *self.server);
        assert_eq!(write(client, REQUEST.as_ptr(), 0), -1, "as if it would block");
        if within_read {
            assert_eq!(read(client, std::ptr::null_mut(), 0), 0);
        } else {
            assert_eq!(write(client, REQUEST.as_ptr(), REQUEST.len() as i32), REQUEST.len() as i32);
        }
        self.carry(true);
        let mut bytes = [0; RESPONSE];
        assert_eq!(read(server, bytes.as_mut_ptr(), 0), 0);
        assert_eq!(read(server, bytes.as_mut_ptr(), 10), 10);
        let rest = REQUEST.len() - 10;
        assert_eq!(read(server, bytes[10..].as_mut_ptr(), rest as i32), rest as i32);
        assert_eq!(&bytes[..REQUEST.len()], REQUEST);
        let mut moved = 0;
        assert_eq!(write_ex(server, response().as_ptr(), RESPONSE, &raw mut moved), 1);
        assert_eq!(moved, RESPONSE);
        self.carry(false);
        assert_eq!(read_ex(client, bytes.as_mut_ptr(), RESPONSE, &raw mut moved), 1);
        assert_eq!((moved, &bytes[..]), (RESPONSE, &*response()));
    }

    /// The objects stay where they are; all else is another connection's.
    pub(crate) fn become_another(&mut self, next: Self) {
        let Self { pair, client, server, inner, .. } = next;
        self.client.descriptor = client.descriptor;
        self.server.descriptor = server.descriptor;
        self.client.inner = client.inner;
        self.server.inner = server.inner;
        self.pair = pair;
        self.inner = inner;
    }

    /// Gives the server a random that proves nothing.
    pub(crate) fn forget_randoms(&mut self) {
        self.inner.server_random = [0; RANDOM];
    }

    /// The client writes its request by this function, and the server receives it.
    pub(crate) fn request_by(&mut self, write: extern "C" fn(*mut Object, *const u8, usize, *mut usize) -> i32) {
        let mut moved = 0;
        assert_eq!(write(&raw mut *self.client, REQUEST.as_ptr(), REQUEST.len(), &raw mut moved), 1);
        self.carry(true);
        let mut bytes = [0; REQUEST.len()];
        assert_eq!(read(&raw mut *self.server, bytes.as_mut_ptr(), REQUEST.len() as i32), REQUEST.len() as i32);
    }

    /// Gives both objects back.
    pub(crate) fn free(&mut self) {
        free(&raw mut *self.client);
        free(&raw mut *self.server);
    }

    pub(crate) fn tell(&self, stage: &mut Stage) {
        let (client, server) = self.pair.addresses();
        stage.say(&format!("{client} {server}"));
    }
}

/// Connections whose library uses the socket, and whose application carries the records, in turns.
pub(crate) fn exchanges(stage: &mut Stage) {
    stage.wait();
    for index in 0..4 {
        let mut session = Secured::new(index % 2 == 0, index);
        session.handshake();
        session.exchange(true);
        session.exchange(false);
        session.tell(stage);
        free(&raw mut *session.client);
        free(&raw mut *session.server);
    }
}

/// The random of a HelloRetryRequest.
const RETRY: &[u8; RANDOM] = b"\xcf\x21\xad\x74\xe5\x9a\x61\x11\xbe\x1d\x8c\x02\x1e\x65\xb8\x91\
    \xc2\xa2\x11\x16\x7a\xbb\x8c\x5e\x07\x9e\x09\xe2\xc8\xa8\x33\x9c";

/// Connections whose client's hello is not seen: with the socket used by the library, and not; then two whose server has a random that is none, the
/// one of a HelloRetryRequest (RFC 8446 section 4.1.3) and nothing at all.
pub(crate) fn unseen_hello(stage: &mut Stage) {
    stage.wait();
    for (seed, random) in [(1, None), (2, None), (3, Some(RETRY)), (4, Some(&[0; RANDOM]))] {
        let mut session = Secured::new(seed == 1, seed);
        if let Some(random) = random {
            session.inner.server_random = *random;
        }
        session.handshake_unseen();
        session.exchange(false);
        session.tell(stage);
        free(&raw mut *session.client);
        free(&raw mut *session.server);
    }
}

/// A connection of which the probes see the server's hello, but not the client's and what the client may have sent after it.
pub(crate) fn between_hellos(stage: &mut Stage) {
    stage.wait();
    let mut session = Secured::new(false, 1);
    session.begin_unseen(&session.pair);
    stage.say("ready");
    stage.wait();
    session.answer();
    session.exchange(false);
    session.tell(stage);
}

/// Connections that the same process passes on to another one; the client's hello of the second is not seen.
pub(crate) fn passed_on(stage: &mut Stage) {
    stage.wait();
    for is_seen in [true, false] {
        let mut session = Secured::new(false, u8::from(is_seen));
        let behind = Pair::new(LOOPBACK);
        if is_seen {
            session.behind = Some(behind);
            session.handshake();
        } else {
            session.begin_unseen(&session.pair);
            session.begin_unseen(&behind);
            session.behind = Some(behind);
            session.answer();
        }
        session.exchange(false);
        session.tell(stage);
        let (client, server) = session.behind.as_ref().expect("a pair").addresses();
        stage.say(&format!("{client} {server}"));
        free(&raw mut *session.client);
        free(&raw mut *session.server);
    }
}

/// Two connections that had their handshake before the probes came.
pub(crate) fn late(stage: &mut Stage) {
    let mut sessions = [Secured::new(true, 1), Secured::new(false, 2)];
    for session in &mut sessions {
        session.handshake();
        session.exchange(false);
    }
    stage.say("ready");
    stage.wait();
    for session in &mut sessions {
        session.exchange(false);
        session.tell(stage);
    }
}

/// One object after the other at one address, the first given back or not.
pub(crate) fn reused(stage: &mut Stage) {
    stage.wait();
    let mut session = Secured::new(false, 1);
    for index in 0..3 {
        session.handshake();
        session.exchange(false);
        session.tell(stage);
        if index == 0 {
            free(&raw mut *session.client);
            free(&raw mut *session.server);
        }
        session.become_another(Secured::new(false, 2 + index));
    }
}

/// A capture with probes in this binary.
pub(crate) struct Probed {
    pub(crate) session: Session,
    /// Detached when dropped.
    pub(crate) probes: (TlsProbes, Attached),
}

impl Probed {
    pub(crate) fn start(backend: Backend, pid: u32, layouts: &[ObjectLayout]) -> Self {
        Self::start_with(backend, pid, layouts, Failpoints::default())
    }

    fn start_with(backend: Backend, pid: u32, layouts: &[ObjectLayout], failpoints: Failpoints) -> Self {
        Self::of(Self::capture(backend, pid, failpoints), layouts)
    }

    /// A capture without probes.
    fn capture(backend: Backend, pid: u32, failpoints: Failpoints) -> Session {
        Session::start(&Settings { tls: true, workers: 2, failpoints, ..processes(backend, &[pid]) })
    }

    /// The same, watched.
    pub(crate) fn capture_watched(backend: Backend, pid: u32, watch: impl Fn() -> Option<Watch>) -> Session {
        Session::watched(&Settings { tls: true, workers: 2, ..processes(backend, &[pid]) }, watch)
    }

    pub(crate) fn of(session: Session, layouts: &[ObjectLayout]) -> Self {
        let mut probes = session.tls_probes();
        probes.set_layouts(layouts).expect("a map");
        let attached = attach(&mut probes);
        Self { session, probes: (probes, attached) }
    }

    /// Attaches to the same places once more.
    pub(crate) fn attach(&mut self) -> Attached {
        attach(&mut self.probes.0)
    }
}

fn attach(probes: &mut TlsProbes) -> Attached {
    let path = std::fs::read_link("/proc/self/exe").expect("procfs");
    let attached = probes.attach(Path::new(&path), &functions()).expect("uprobes");
    assert_eq!(attached.probes(), 2 * 7 + 1);
    attached
}

/// The connections inside TLS between these addresses, by whether they are the client's.
#[track_caller]
pub(crate) fn inside<'a>(captured: &'a Captured, told: &str) -> BTreeMap<bool, Vec<(u64, &'a Connection)>> {
    let (client, server) = told.split_once(' ').expect("two addresses");
    let (client, server) = (client.parse().expect("an address"), server.parse().expect("an address"));
    let mut found: BTreeMap<bool, Vec<_>> = BTreeMap::new();
    for (&id, connection) in captured.connections.iter().filter(|(id, _)| tls::is_inside(**id)) {
        let open = connection.open();
        assert!(open.tls);
        if (open.local, open.peer) == (client, server) {
            found.entry(true).or_default().push((id, connection));
        } else if (open.local, open.peer) == (server, client) {
            found.entry(false).or_default().push((id, connection));
        }
    }
    found
}

#[track_caller]
fn check_bytes(connection: &Connection, direction: Direction, start: u64, expected: &[u8]) {
    assert_eq!(connection.whole(direction), (start, start + expected.len() as u64), "{}", connection.tell());
    let bytes: Vec<u8> =
        connection.pieces(direction).iter().flat_map(|piece| piece.content.clone().expect("bytes")).collect();
    assert!(bytes == expected, "other bytes: {}", connection.tell());
}

/// Checks one end of `count` exchanges that begin at this position.
#[track_caller]
pub(crate) fn check_end(id: u64, connection: &Connection, is_client: bool, start: u64, count: usize) {
    let (requests, responses) = (REQUEST.repeat(count), response().repeat(count));
    let (out, into) = if is_client { (requests, responses) } else { (responses, requests) };
    check_bytes(connection, Direction::Out, start, &out);
    check_bytes(connection, Direction::In, start, &into);
    assert_eq!(connection.open().isn_out.is_some(), start == 0, "{id:x} {}", connection.tell());
    assert_eq!(connection.closes.len(), 1, "{id:x} {}", connection.tell());
    assert_eq!(connection.misplaced, 0);
}

#[track_caller]
pub(crate) fn check_ends(captured: &Captured, told: &str, start: u64, count: usize) {
    let ends = inside(captured, told);
    for is_client in [true, false] {
        let found = ends.get(&is_client).map_or(&[][..], Vec::as_slice);
        let [(id, connection)] = found else {
            panic!("one connection inside {told}, client: {is_client}, found {}", found.len());
        };
        check_end(*id, connection, is_client, start, count);
    }
}

#[test]
fn plaintext_has_its_socket_by_the_random_of_the_hello() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_exchanges", "");
        // One that is not in scope calls the same functions.
        let mut other = Generator::start("tls_exchanges", "");
        let probed = Probed::start(backend, generator.pid(), &[ANOTHER, LAYOUT]);
        generator.tell("go");
        other.tell("go");
        let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
        let others: Vec<String> = (0..4).map(|_| other.hear()).collect();
        generator.finish();
        other.finish();
        let captured = probed.session.finish();
        for told in &told {
            check_ends(&captured, told, 0, 2);
        }
        for told in &others {
            assert!(inside(&captured, told).is_empty(), "out of scope: {told}");
        }
        assert_eq!(captured.counter(Counter::TlsOthers), 4 * (8 + 9), "calls of the one that is not in scope");
        assert_eq!(captured.counter(Counter::TlsBound), 8);
        assert_eq!(captured.counter(Counter::TlsUnbound), 0);
        assert_eq!(captured.counter(Counter::TlsCalls), 4 * 2 * 5, "calls that moved something");
    });
}

/// As before 6.6; the others take what the kernel has.
#[test]
fn probes_may_be_perf_events() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_exchanges", "");
        let failpoints = Failpoints { without_uprobe_multi: true, ..Failpoints::default() };
        let probed = Probed::start_with(backend, generator.pid(), &[LAYOUT], failpoints);
        assert_eq!(probed.probes.0.means(), "perf_event");
        generator.tell("go");
        let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        for told in &told {
            check_ends(&captured, told, 0, 2);
        }
    });
}

#[test]
fn probes_are_one_link_for_each_program_since_6_6() {
    let _alone = alone();
    let expected = if KernelVersion::current().expect("a version") >= KernelVersion::new(6, 6, 0) {
        "uprobe_multi"
    } else {
        "perf_event"
    };
    let session = Session::start(&Settings { tls: true, ..processes(backends()[0], &[std::process::id()]) });
    let mut probes = session.tls_probes();
    assert_eq!(probes.means(), expected);
    let path = std::fs::read_link("/proc/self/exe").expect("procfs");
    let before = links();
    let attached = probes.attach(&path, &functions()).expect("uprobes");
    let made: BTreeSet<u32> = links().difference(&before).copied().collect();
    assert_eq!(made.len(), attached.links(), "{made:?}");
    // Two in each function, but one in `SSL_free`.
    let all = 2 * functions().len() - 1;
    assert_eq!((attached.probes(), attached.links()), (all, if expected == "uprobe_multi" { 3 } else { all }));
    let past_its_end = [(Function::Read, 1 << 40)];
    let error = probes.attach(&path, &past_its_end).err().expect("there is no such place").to_string();
    assert!(error.starts_with(&format!("attach to SSL_read of {}: ", path.display())), "{error}");
    drop(attached);
    // It waits for the threads that close them.
    drop(probes.detaching());
    assert_eq!(links().intersection(&made).next(), None, "of {made:?}");
    drop(session);
}

/// The links that this process holds, by their numbers in the kernel.
fn links() -> BTreeSet<u32> {
    let entries = std::fs::read_dir("/proc/self/fdinfo").expect("procfs").flatten();
    let texts = entries.filter_map(|entry| std::fs::read_to_string(entry.path()).ok());
    texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("link_id:")?.trim().parse().ok())).collect()
}

#[test]
fn a_file_has_no_time_until_all_of_its_probes_are_there() {
    let _alone = alone();
    let session = Session::start(&Settings { tls: true, ..processes(backends()[0], &[std::process::id()]) });
    let mut probes = session.tls_probes();
    let mut times: Array<_, u64> = Array::try_from(Map::Array(map("TLS_FILES"))).expect("an array");
    // As if all places had been others' before.
    for file in 0..FILES {
        times.set(file, 1, 0).expect("a place");
    }
    let of_others =
        |times: &Array<MapData, u64>| (0..FILES).filter(|file| times.get(file, 0).is_ok_and(|time| time == 1)).count();
    let path = std::fs::read_link("/proc/self/exe").expect("procfs");
    assert!(probes.attach(&path, &[(Function::Read, 1 << 40)]).is_err(), "there is no such place");
    assert_eq!(of_others(&times), FILES as usize - 1);
    let attached = attach(&mut probes);
    assert_eq!(of_others(&times), FILES as usize - 1);
    assert!((0..FILES).all(|file| times.get(&file, 0).expect("a place") > 0), "all of them are there");
    drop(attached);
}

#[test]
fn plaintext_has_its_socket_by_its_use_or_has_none() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_exchanges", "");
        let probed = Probed::start(backend, generator.pid(), &[]);
        generator.tell("go");
        let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        check_ends(&captured, &told[0], 0, 2);
        check_ends(&captured, &told[2], 0, 2);
        let unknown: Vec<_> =
            captured.connections.iter().filter(|(_, connection)| !connection.open().addresses_known()).collect();
        assert_eq!(unknown.len(), 4, "both ends of two connections whose records the application carries");
        for (id, connection) in unknown {
            let open: &Open = connection.open();
            assert_eq!((open.pid, open.role, tls::socket(*id)), (generator.pid(), None, None));
            let is_client = connection.pieces(Direction::Out)[0].length == REQUEST.len() as u64;
            check_end(*id, connection, is_client, LATE, 2);
        }
        assert_eq!(captured.counter(Counter::TlsUnbound), 4);
    });
}

#[test]
fn the_servers_hello_proves_the_socket_where_the_clients_was_not_seen() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_unseen_hello", "");
        let probed = Probed::start(backend, generator.pid(), &[ANOTHER, LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        check_ends(&captured, &told[0], 0, 1);
        check_ends(&captured, &told[1], 0, 1);
        for told in &told[2..] {
            assert!(inside(&captured, told).is_empty(), "a random that is none proves nothing");
        }
        assert_eq!((captured.counter(Counter::TlsBound), captured.counter(Counter::TlsUnbound)), (4, 4));
    });
}

#[test]
fn a_connection_whose_hello_is_older_than_the_probes_is_joined_late() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_between_hellos", "");
        let session = Probed::capture(backend, generator.pid(), Failpoints::default());
        generator.tell("go");
        generator.hear();
        let probed = Probed::of(session, &[LAYOUT]);
        generator.tell("go");
        let told = generator.hear();
        generator.finish();
        check_ends(&probed.session.finish(), &told, LATE, 1);
    });
}

#[test]
fn a_hello_that_is_passed_on_is_of_the_sockets_at_its_ends() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_passed_on", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..4).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        let ends = told.iter().zip([true, false, true, false]).enumerate();
        for (index, (told, is_client)) in ends {
            let ends = inside(&captured, told);
            assert!(!ends.contains_key(&!is_client), "the other end is not this connection's");
            let found = ends.get(&is_client).map_or(&[][..], Vec::as_slice);
            match found {
                [] if index == 2 => {}
                [(id, connection)] if index != 2 => check_end(*id, connection, is_client, 0, 1),
                _ => panic!("inside {told}, number {index}: {}", found.len()),
            }
        }
        assert_eq!(captured.counter(Counter::TlsUnbound), 1, "the client that received its only proof twice");
    });
}

#[test]
fn a_connection_older_than_the_probes_is_joined_late() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_late", "");
        generator.hear();
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..2).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        check_ends(&captured, &told[0], LATE, 1);
        assert!(inside(&captured, &told[1]).is_empty(), "nothing proves whose it is");
        assert_eq!(captured.counter(Counter::TlsUnbound), 2);
    });
}

#[test]
fn an_address_that_is_used_again_is_another_connection() {
    each_backend(|backend| {
        let mut generator = Generator::start("tls_reused", "");
        let probed = Probed::start(backend, generator.pid(), &[LAYOUT]);
        generator.tell("go");
        let told: Vec<String> = (0..3).map(|_| generator.hear()).collect();
        generator.finish();
        let captured = probed.session.finish();
        for told in &told {
            check_ends(&captured, told, 0, 1);
        }
    });
}
