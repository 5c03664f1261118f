//! What is inside TLS: identities of its connections, and what the probes of a library are told of it.

/// Set in the identity of a connection whose bytes are what is inside TLS. The rest is the cookie of its socket, with the
/// object's ordinal ([`ordinal`]), or, with [`UNKNOWN`], a number of its own.
pub const TLS: u64 = 1 << 63;
/// Set beside [`TLS`] where it could not be proven which socket the bytes go over.
pub const UNKNOWN: u64 = 1 << 62;
/// The first bit of an object's ordinal.
const ORDINAL: u32 = 58;
/// Objects of one socket that are told apart: TLS within TLS has two. More are of an unknown socket.
pub const OBJECTS_OF_SOCKET: u32 = 16;
/// The bits of a socket's cookie.
pub const COOKIE: u64 = (1 << ORDINAL) - 1;
/// Position of the first byte seen where the beginning of a connection inside TLS was not.
pub const LATE: u64 = 1 << 48;

/// Identity of the connection inside TLS that is the socket's `ordinal`th.
pub const fn inside(cookie: u64, ordinal: u32) -> u64 {
    TLS | (cookie & COOKIE) | ((ordinal as u64) << ORDINAL)
}

/// Cookie of the socket that an identity is of; `None` if that is not known.
pub const fn socket(connection: u64) -> Option<u64> {
    if connection & (TLS | UNKNOWN) == TLS | UNKNOWN { None } else { Some(connection & COOKIE) }
}

/// Whether an identity is that of a connection inside TLS.
pub const fn is_inside(connection: u64) -> bool {
    connection & TLS != 0
}

/// Which of the objects of its socket a connection inside TLS is of.
pub const fn ordinal(connection: u64) -> u32 {
    (connection >> ORDINAL) as u32 & (OBJECTS_OF_SOCKET - 1)
}

/// Declares the functions that are probed once: number, symbol.
macro_rules! functions {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $symbol:literal;)+) => {
        /// A function of the OpenSSL interface that moves plaintext, or ends an object that does.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Function {
            $($(#[$doc])* $variant = $number,)+
        }

        impl Function {
            /// Every function.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Its symbol.
            pub const fn symbol(self) -> &'static str {
                match self {
                    $(Self::$variant => $symbol,)+
                }
            }
        }
    };
}

functions! {
    /// `int SSL_read(SSL *, void *, int)`: the result is how many bytes were read.
    Read = 0, "SSL_read";
    /// `int SSL_read_ex(SSL *, void *, size_t, size_t *)`: 1, and the fourth argument says how many.
    ReadEx = 1, "SSL_read_ex";
    /// `int SSL_read_early_data(SSL *, void *, size_t, size_t *)`: 1, and the fourth argument says how many.
    ReadEarly = 2, "SSL_read_early_data";
    /// `int SSL_write(SSL *, const void *, int)`: the result is how many bytes were written.
    Write = 3, "SSL_write";
    /// `int SSL_write_ex(SSL *, const void *, size_t, size_t *)`: 1, and the fourth argument says how many.
    WriteEx = 4, "SSL_write_ex";
    /// `int SSL_write_ex2(SSL *, const void *, size_t, uint64_t, size_t *)`: 1, and the fifth argument says how many.
    WriteEx2 = 5, "SSL_write_ex2";
    /// `int SSL_write_early_data(SSL *, const void *, size_t, size_t *)`: 1, and the fourth argument says how many.
    WriteEarly = 6, "SSL_write_early_data";
    /// `void SSL_free(SSL *)`: the object is over.
    Free = 7, "SSL_free";
    /// `ossl_ssize_t SSL_sendfile(SSL *, int, off_t, size_t, int)`: the result is how many bytes of a file the kernel encrypted and sent.
    Sendfile = 8, "SSL_sendfile";
}

/// The cookie of a probe: which file it is in, and which function it is of.
pub const fn probe(file: u32, function: Function) -> u64 {
    ((file as u64) << 8) | function as u64
}

/// The file of a probe's cookie, an index of the table of files.
pub const fn probe_file(cookie: u64) -> u32 {
    (cookie >> 8) as u32
}

/// The function of a probe's cookie.
pub const fn probe_function(cookie: u64) -> u8 {
    cookie as u8
}

/// Whether what the function of a probe's cookie moves is received: those that read have the first numbers.
pub const fn probe_receives(cookie: u64) -> bool {
    probe_function(cookie) <= Function::ReadEarly as u8
}

/// Files that can be probed at once.
pub const FILES: u32 = 1024;
/// Objects of which a position is kept at once. One that was not used for longest makes room; it is joined late if it is used again.
pub const OBJECTS: u32 = 16_384;
/// Objects of which it is kept at once when a write that would have blocked was first tried. Of another one the last attempt counts.
pub const TRIES: u32 = 4096;
/// Randoms of hellos that are remembered at once, likewise. The two of a handshake are needed until the first call that moves plaintext.
pub const HELLOS: u32 = 8192;
/// Layouts of objects that can be known at once.
pub const LAYOUTS: u32 = 8;
/// Bytes of the ring of notices.
pub const NOTICE_BYTES: u32 = 65536;
/// Length of the random of a ClientHello (RFC 8446 section 4.1.2) and of a ServerHello (section 4.1.3).
pub const RANDOM: usize = 32;

/// Where an object of some build of a library keeps what proves whose it is. That the bytes there are the random of a hello that
/// went over a socket proves that the object has this layout; so a wrong one does no harm.
///
/// The server's random stands right before the client's: so it was seen in all versions of which the agent's table of libraries has a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ObjectLayout {
    /// Offset of a pointer to the structure that has the random; [`ABSENT`](crate::layout::ABSENT) if the object itself has it.
    pub pointer: u32,
    /// Offset of `ClientHello.random` in that structure.
    pub random: u32,
    /// Offset in the object of a word whose lowest bit says that it is a server's.
    pub server: u32,
    /// 1 for a row in use.
    pub used: u32,
}

impl ObjectLayout {
    /// Offset of a hello's random: that of the server's hello or the client's.
    pub const fn offset(&self, of_server: bool) -> u32 {
        if of_server { self.random.wrapping_sub(RANDOM as u32) } else { self.random }
    }
}

/// A process may map files that it did not before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct Notice {
    /// Thread group id in the initial PID namespace.
    pub process: u32,
    /// [`NOTICE_EXEC`] and the like.
    pub kind: u32,
}

/// The process executes another program.
pub const NOTICE_EXEC: u32 = 1;
/// Its dynamic linker has mapped libraries.
pub const NOTICE_LIBRARIES: u32 = 2;

const _: () = assert!(size_of::<ObjectLayout>() == 16);
const _: () = assert!(size_of::<Notice>() == 8);
