//! `io_uring`: its operations have no system call of their own.

use std::{
    io::{Error, Result},
    net::TcpStream,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    ptr::null_mut,
    sync::atomic::{AtomicU32, Ordering},
};

use telltale::capture::{Direction, GapReason, kernel::Backend};

use super::{
    calls::{Receive, Send},
    generator::{Generator, Stage},
    pair::{LOOPBACK, Pair, Told},
    pattern::Way,
    session::{Session, each_backend, processes},
};

/// `IORING_OP_SEND` and `IORING_OP_RECV`.
const SEND: u8 = 26;
const RECEIVE: u8 = 27;
/// Where the entries are mapped (`IORING_OFF_SQES`).
const ENTRIES: i64 = 0x1000_0000;
/// Indices of words in `struct io_uring_params` (`include/uapi/linux/io_uring.h`).
const SQ_TAIL: usize = 11;
const SQ_ARRAY: usize = 16;
const CQ_HEAD: usize = 20;
const CQ_COMPLETIONS: usize = 25;

/// A ring of one operation at a time. Its memory is never unmapped: it lives as long as the process.
struct Ring {
    fd: OwnedFd,
    parameters: [u32; 30],
    rings: *mut u8,
    entries: *mut u8,
}

impl Ring {
    fn new() -> Result<Self> {
        let mut parameters = [0_u32; 30];
        // SAFETY: the kernel writes 120 bytes, the size of the array.
        let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 1, parameters.as_mut_ptr()) };
        if fd < 0 {
            return Err(Error::last_os_error());
        }
        // SAFETY: a new descriptor, nobody else's.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let map = |offset| {
            // SAFETY: new memory, of a ring whose parts fit into a page each.
            let memory = unsafe {
                let protection = libc::PROT_READ | libc::PROT_WRITE;
                libc::mmap(null_mut(), 4096, protection, libc::MAP_SHARED, fd.as_raw_fd(), offset)
            };
            if memory == libc::MAP_FAILED { Err(Error::last_os_error()) } else { Ok(memory.cast::<u8>()) }
        };
        Ok(Self { rings: map(0)?, entries: map(ENTRIES)?, parameters, fd })
    }

    /// A word of the rings.
    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: within the mapped page, aligned, and shared with the kernel by atomic access only.
        unsafe { AtomicU32::from_ptr(self.rings.add(offset as usize).cast()) }
    }

    /// Carries out one operation on a buffer and waits for its result.
    fn operate(&self, operation: u8, stream: &TcpStream, bytes: &mut [u8]) -> Result<usize> {
        let mut entry = [0_u8; 64];
        entry[0] = operation;
        entry[4..8].copy_from_slice(&stream.as_raw_fd().to_ne_bytes());
        entry[16..24].copy_from_slice(&(bytes.as_mut_ptr() as u64).to_ne_bytes());
        entry[24..28].copy_from_slice(&(bytes.len() as u32).to_ne_bytes());
        // SAFETY: the first entry, which the kernel reads at the next call only.
        unsafe { self.entries.copy_from_nonoverlapping(entry.as_ptr(), entry.len()) };
        self.word(self.parameters[SQ_ARRAY]).store(0, Ordering::Relaxed);
        self.word(self.parameters[SQ_TAIL]).fetch_add(1, Ordering::Release);
        // SAFETY: the operation's buffer outlives the call, which waits for its end (`IORING_ENTER_GETEVENTS`).
        let submitted =
            unsafe { libc::syscall(libc::SYS_io_uring_enter, self.fd.as_raw_fd(), 1, 1, 1, null_mut::<u8>(), 0) };
        if submitted != 1 {
            return Err(Error::last_os_error());
        }
        let head = self.word(self.parameters[CQ_HEAD]).fetch_add(1, Ordering::AcqRel);
        // A ring of one entry has two completions of 16 bytes, the result after eight of them.
        let result = self.word(self.parameters[CQ_COMPLETIONS] + (head % 2) * 16 + 8).load(Ordering::Acquire) as i32;
        usize::try_from(result).map_err(|_| Error::from_raw_os_error(-result))
    }
}

/// Scenario: operations of `io_uring` between calls.
pub(crate) fn operations(stage: &mut Stage) {
    stage.wait();
    let ring = match Ring::new() {
        Ok(ring) => ring,
        Err(error) => return stage.say(&error.to_string()),
    };
    stage.say("");
    let mut pair = Pair::new(LOOPBACK);
    for length in [300_usize, 3000] {
        pair.carry(Way::Request, Send::Write, Receive::Read, 10);
        let mut bytes = pair.pattern(Way::Request).bytes(pair.sent[0], length);
        let sent = ring.operate(SEND, &pair.client, &mut bytes).expect("writable");
        let mut received = vec![0; length];
        assert_eq!((sent, ring.operate(RECEIVE, &pair.server, &mut received).expect("readable")), (length, length));
        assert_eq!(received, bytes);
        pair.sent[0] += length as u64;
        pair.received[0] += length as u64;
        pair.carry(Way::Request, Send::Write, Receive::Read, 20);
    }
    pair.tell(stage);
}

#[test]
fn operations_without_a_call() {
    each_backend(|backend| {
        let mut generator = Generator::start("io_uring", "");
        let session = Session::start(&processes(backend, &[generator.pid()]));
        generator.tell("go");
        let refused = generator.hear();
        if !refused.is_empty() {
            println!("no io_uring here ({refused}): skipped");
            return;
        }
        let told = Told::by(&mut generator);
        generator.finish();
        let captured = session.finish();
        let ends = told.ends(&captured);
        ends.check_bytes();
        ends.check_whole(3360, 0);
        ends.check_reasons(match backend {
            Backend::Socket => &[],
            Backend::Syscall => &[GapReason::IoUring],
        });
        let missing = |end: &super::captured::Connection, direction| end.gaps(direction).values().sum::<u64>();
        let (sent, received) = (missing(ends.client, Direction::Out), missing(ends.server, Direction::In));
        if backend == Backend::Syscall {
            assert_eq!(received, 3300, "nothing sees the buffer of a receive");
        }
        println!("{}: of 3300 bytes of io_uring missing: {sent} sent, {received} received", backend.name());
    });
}
