//! The system calls that move the bytes of a socket, one by one, as no library makes them.

use std::{
    io::{Error, Result},
    net::TcpStream,
    os::fd::AsRawFd as _,
};

fn moved(result: isize) -> Result<usize> {
    usize::try_from(result).map_err(|_| Error::last_os_error())
}

/// A way to send.
#[expect(clippy::enum_variant_names, reason = "named after the system calls")]
#[derive(Clone, Copy, Debug)]
pub(crate) enum Send {
    /// `write`.
    Write,
    /// `writev` of buffers of this size.
    Writev(usize),
    /// `send`.
    Send,
    /// `sendto`.
    SendTo,
    /// `sendmsg` of buffers of this size.
    SendMsg(usize),
    /// `sendmmsg` of messages of two buffers of this size.
    SendMmsg(usize),
    /// `write`, byte by byte.
    Bytewise,
}

/// A way to receive.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Receive {
    /// `read`.
    Read,
    /// `readv` into buffers of this size.
    Readv(usize),
    /// `recv`.
    Recv,
    /// `recvfrom`.
    RecvFrom,
    /// `recvmsg` into buffers of this size.
    RecvMsg(usize),
    /// `recvmmsg` of messages of two buffers of this size.
    RecvMmsg(usize),
    /// `read`, byte by byte.
    Bytewise,
    /// `recv` with `MSG_PEEK`, then the same bytes with `recv`.
    Peek,
    /// `recv` with `MSG_WAITALL`.
    WaitAll,
    /// `recv` with `MSG_TRUNC`: the kernel discards the bytes.
    Truncate,
}

fn vectors(bytes: &mut [u8], size: usize, most: usize) -> Vec<libc::iovec> {
    let vector = |part: &mut [u8]| libc::iovec { iov_base: part.as_mut_ptr().cast(), iov_len: part.len() };
    bytes.chunks_mut(size).take(most).map(vector).collect()
}

fn message(vectors: &mut [libc::iovec]) -> libc::msghdr {
    // SAFETY: all zeros is a message without buffers.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    message
}

/// Messages of two buffers each, as the multi-message calls take them.
fn messages(vectors: &mut [libc::iovec]) -> Vec<libc::mmsghdr> {
    vectors.chunks_mut(2).take(64).map(|pair| libc::mmsghdr { msg_hdr: message(pair), msg_len: 0 }).collect()
}

/// Sends some of the bytes with one call (one byte with [`Send::Bytewise`]).
pub(crate) fn send(stream: &TcpStream, how: Send, bytes: &mut [u8], flags: i32) -> Result<usize> {
    let fd = stream.as_raw_fd();
    let (start, length) = (bytes.as_ptr().cast(), bytes.len());
    // SAFETY: every pointer is to a buffer of the length given beside it, which outlives the call.
    moved(unsafe {
        match how {
            Send::Write => libc::write(fd, start, length),
            Send::Bytewise => libc::write(fd, start, 1),
            Send::Send => libc::send(fd, start, length, flags),
            Send::SendTo => libc::sendto(fd, start, length, flags, std::ptr::null(), 0),
            Send::Writev(size) => {
                let vectors = vectors(bytes, size, 1024);
                libc::writev(fd, vectors.as_ptr(), vectors.len() as i32)
            }
            Send::SendMsg(size) => {
                let mut vectors = vectors(bytes, size, 1024);
                let message = message(&mut vectors);
                libc::sendmsg(fd, &raw const message, flags)
            }
            Send::SendMmsg(size) => {
                let mut vectors = vectors(bytes, size, 1024);
                let mut messages = messages(&mut vectors);
                let sent = libc::sendmmsg(fd, messages.as_mut_ptr(), messages.len() as u32, flags as _);
                if sent < 0 { sent as isize } else { total(&messages, sent) }
            }
        }
    })
}

fn total(messages: &[libc::mmsghdr], count: i32) -> isize {
    messages[..count as usize].iter().map(|message| message.msg_len as isize).sum()
}

/// Receives with one call, at most what the buffer holds (one byte with [`Receive::Bytewise`]).
pub(crate) fn receive(stream: &TcpStream, how: Receive, bytes: &mut [u8], flags: i32) -> Result<usize> {
    let fd = stream.as_raw_fd();
    let (start, length) = (bytes.as_mut_ptr().cast(), bytes.len());
    let nobody = std::ptr::null_mut();
    // SAFETY: every pointer is to a buffer of the length given beside it, which outlives the call.
    moved(unsafe {
        match how {
            Receive::Read => libc::read(fd, start, length),
            Receive::Bytewise => libc::read(fd, start, 1),
            Receive::Recv => libc::recv(fd, start, length, flags),
            Receive::RecvFrom => libc::recvfrom(fd, start, length, flags, nobody, std::ptr::null_mut()),
            Receive::WaitAll => libc::recv(fd, start, length, libc::MSG_WAITALL),
            Receive::Truncate => libc::recv(fd, start, length, libc::MSG_TRUNC),
            Receive::Peek => {
                let peeked = libc::recv(fd, start, length, libc::MSG_PEEK);
                if peeked <= 0 { peeked } else { libc::recv(fd, start, peeked as usize, 0) }
            }
            Receive::Readv(size) => {
                let vectors = vectors(bytes, size, 1024);
                libc::readv(fd, vectors.as_ptr(), vectors.len() as i32)
            }
            Receive::RecvMsg(size) => {
                let mut vectors = vectors(bytes, size, 1024);
                let mut message = message(&mut vectors);
                libc::recvmsg(fd, &raw mut message, flags)
            }
            Receive::RecvMmsg(size) => {
                let mut vectors = vectors(bytes, size, 1024);
                let mut messages = messages(&mut vectors);
                let count = messages.len() as u32;
                let flags = libc::MSG_WAITFORONE as _;
                let received = libc::recvmmsg(fd, messages.as_mut_ptr(), count, flags, std::ptr::null_mut());
                if received < 0 { received as isize } else { total(&messages, received) }
            }
        }
    })
}

/// Sends all of the bytes.
pub(crate) fn send_all(stream: &TcpStream, how: Send, mut bytes: Vec<u8>) {
    let mut done = 0;
    while done < bytes.len() {
        done += send(stream, how, &mut bytes[done..], 0).unwrap_or_else(|error| panic!("{how:?}: {error}"));
    }
}

/// Receives so many bytes, and checks nothing of them. Vectored calls are given a buffer that they do not fill.
pub(crate) fn receive_exactly(stream: &TcpStream, how: Receive, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    let mut done = 0;
    while done < length {
        let some = receive(stream, how, &mut bytes[done..], 0).unwrap_or_else(|error| panic!("{how:?}: {error}"));
        assert!(some > 0, "{how:?}: the stream ended after {done} of {length} bytes");
        done += some;
    }
    bytes
}

/// Receives until the other end has closed; how many bytes.
pub(crate) fn receive_to_end(stream: &TcpStream, how: Receive, size: usize) -> usize {
    let mut bytes = vec![0; size];
    let mut done = 0;
    loop {
        match receive(stream, how, &mut bytes, 0).unwrap_or_else(|error| panic!("{how:?}: {error}")) {
            0 => return done,
            some => done += some,
        }
    }
}

/// Sets an integer option.
pub(crate) fn set_option<T>(stream: &TcpStream, level: i32, name: i32, value: &T) {
    let size = size_of::<T>() as libc::socklen_t;
    // SAFETY: the pointer is to a value of that size.
    let failed = unsafe { libc::setsockopt(stream.as_raw_fd(), level, name, std::ptr::from_ref(value).cast(), size) };
    assert_eq!(failed, 0, "option {level}/{name}: {}", Error::last_os_error());
}

/// Makes the close of the socket a reset.
pub(crate) fn reset_on_close(stream: &TcpStream) {
    set_option(stream, libc::SOL_SOCKET, libc::SO_LINGER, &libc::linger { l_onoff: 1, l_linger: 0 });
}
