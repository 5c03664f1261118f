//! Where the payload of a call is: found at its start from the kernel's iterator, or at its end from its registers.

use agent_common::{gap::GapReason, layout::ABSENT};
use aya_ebpf::helpers::generated::{bpf_get_current_task_btf, bpf_probe_read_user, bpf_task_pt_regs};

use crate::kernel::{layout, member, read};

/// Not in user memory, or not to be found: a gap.
pub(crate) const NOWHERE: u8 = 0;
/// One buffer in user memory.
pub(crate) const BUFFER: u8 = 1;
/// An array of `struct iovec` in kernel memory.
pub(crate) const KERNEL_VECTOR: u8 = 2;
/// An array of `struct iovec` in user memory.
pub(crate) const USER_VECTOR: u8 = 3;

/// `MSG_SPLICE_PAGES`: the payload is pages of a file or pipe.
const SPLICE_PAGES: u32 = 0x0800_0000;

/// `PF_IO_WORKER`.
const IO_WORKER: u32 = 0x10;

/// The payload of one call.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Source {
    /// Address of the buffer or of the array.
    pub(crate) base: u64,
    /// Bytes of the first buffer that are not of this call.
    pub(crate) offset: u64,
    /// Buffers.
    pub(crate) count: u32,
    /// [`BUFFER`] and the like.
    pub(crate) form: u8,
    /// Of [`NOWHERE`]: the [`GapReason`] number.
    pub(crate) reason: u8,
    pub(crate) reserved: [u8; 2],
}

impl Source {
    #[inline(always)]
    pub(crate) const fn nowhere(reason: GapReason) -> Self {
        Self { base: 0, offset: 0, count: 0, form: NOWHERE, reason: reason as u8, reserved: [0; 2] }
    }

    /// One buffer in user memory.
    #[inline(always)]
    pub(crate) const fn of_buffer(base: u64) -> Self {
        Self { base, offset: 0, count: 1, form: BUFFER, reason: 0, reserved: [0; 2] }
    }

    #[inline(always)]
    const fn vector(form: u8, base: u64, count: u64) -> Self {
        Self { base, offset: 0, count: count as u32, form, reason: 0, reserved: [0; 2] }
    }

    /// From the typed `struct msghdr` of a call that begins.
    #[inline(always)]
    pub(crate) fn of_message(message: *const u8) -> Self {
        let iterator = layout!(msg_iter);
        // SAFETY: `message` is typed.
        let (kind, offset, segments) = unsafe {
            (
                u32::from(member::<u8>(message, iterator + layout!(iter_type))),
                member::<u64>(message, iterator + layout!(iter_offset)),
                member::<u64>(message, iterator + layout!(iter_segments)),
            )
        };
        // A typed load would give a typed pointer, with which some kernels allow no arithmetic. User memory needs none.
        let base = read::<u64>(message as u64 + u64::from(iterator + layout!(iter_base))).unwrap_or(0);
        let mut source = if kind == layout!(iter_ubuf) {
            Self::of_buffer(base)
        } else if kind == layout!(iter_iovec) {
            Self::vector(KERNEL_VECTOR, base, segments)
        } else {
            // SAFETY: `message` is typed.
            let flags = unsafe { member::<u32>(message, layout!(msg_flags)) };
            let spliced = flags & SPLICE_PAGES != 0;
            Self::nowhere(if spliced { GapReason::Sendfile } else { GapReason::ZeroCopy })
        };
        source.offset = offset;
        source
    }

    /// From the typed `struct msghdr` of a call that ends and has moved `length` bytes. `kept` is what was found at the begin
    /// of the thread's call: that may have been an older one, if the kernel left out runs of the programs.
    #[inline(always)]
    pub(crate) fn of_done_message(message: *const u8, length: u32, kept: Self) -> Self {
        let mut source = Self::of_message(message);
        // The iterator has gone on. Within one buffer it can be taken back; in an array its end stays where it was.
        if source.form == BUFFER && source.offset >= u64::from(length) {
            source.offset -= u64::from(length);
            return source;
        }
        if source.form == NOWHERE || (source.form == kept.form && source.array_end() == kept.array_end()) {
            return kept;
        }
        Self::nowhere(GapReason::NoState)
    }

    #[inline(always)]
    const fn array_end(&self) -> u64 {
        self.base.wrapping_add(16 * self.count as u64)
    }

    /// From the registers that the current system call was entered with, or what was `kept` at the begin of the call if they
    /// do not tell.
    #[inline(always)]
    pub(crate) fn of_registers_or(sk: *const u8, kept: Self) -> Self {
        let source = Self::of_registers(sk);
        if source.form == NOWHERE && kept.form != NOWHERE { kept } else { source }
    }

    #[inline(always)]
    fn of_registers(sk: *const u8) -> Self {
        let (task, registers) = current();
        // A worker of io_uring has the registers of whatever call it was made in.
        let flags = read::<u32>(task + u64::from(layout!(task_flags))).unwrap_or(IO_WORKER);
        if flags & IO_WORKER != 0 {
            return Self::nowhere(GapReason::IoUring);
        }
        let calls_compat = layout!(calls.compat_word);
        if calls_compat != ABSENT {
            let word = read::<u32>(task + u64::from(calls_compat)).unwrap_or(0);
            if word & layout!(calls.compat_bit) != 0 {
                return Self::nowhere(GapReason::UnknownCall);
            }
        }
        let number = number_of(registers);
        if number == layout!(calls.sendfile) || number == layout!(calls.splice) {
            return Self::nowhere(GapReason::Sendfile);
        }
        if number == layout!(calls.io_uring_enter) {
            return Self::nowhere(GapReason::IoUring);
        }
        let argument = |register: u32| read::<u64>(registers + u64::from(register)).unwrap_or(0);
        // The kernel uses sockets of its own within system calls on files, and io_uring completes its operations at the end
        // of any: the buffer is this socket's only if the call is.
        if !is_of(sk, task, argument(layout!(calls.register_first))) {
            return Self::nowhere(GapReason::UnknownCall);
        }
        let second = argument(layout!(calls.register_second));
        if number == layout!(calls.read)
            || number == layout!(calls.recvfrom)
            || number == layout!(calls.write)
            || number == layout!(calls.sendto)
        {
            return Self::of_buffer(second);
        }
        if number == layout!(calls.readv) || number == layout!(calls.writev) {
            return Self::vector(USER_VECTOR, second, argument(layout!(calls.register_third)));
        }
        if number == layout!(calls.recvmsg) || number == layout!(calls.sendmsg) {
            // `struct user_msghdr`: the array's address is its third word, its length the fourth.
            let mut array = [0_u64; 2];
            // SAFETY: the destination is a local of that size; the helper checks the source.
            let failed =
                unsafe { bpf_probe_read_user((&raw mut array).cast(), 16, (second + 16) as *const core::ffi::c_void) };
            if failed != 0 {
                return Self::nowhere(GapReason::Fault);
            }
            return Self::vector(USER_VECTOR, array[0], array[1]);
        }
        Self::nowhere(GapReason::UnknownCall)
    }
}

/// Addresses of the current task and of the registers that its system call was entered with.
#[inline(always)]
fn current() -> (u64, u64) {
    // SAFETY: no arguments, and a typed task.
    unsafe {
        let task = bpf_get_current_task_btf();
        (task as u64, bpf_task_pt_regs(task.cast()) as u64)
    }
}

#[inline(always)]
fn number_of(registers: u64) -> u32 {
    read::<u64>(registers + u64::from(layout!(calls.register_number))).map_or(ABSENT, |number| number as u32)
}

/// Number of the current system call.
#[inline(always)]
pub(crate) fn current_number() -> u32 {
    number_of(current().1)
}

/// Whether a file descriptor of the task is this socket.
#[inline(always)]
fn is_of(sk: *const u8, task: u64, descriptor: u64) -> bool {
    let descriptor = u64::from(descriptor as u32);
    let pointer = |base: u64, offset: u32| read::<u64>(base + u64::from(offset)).unwrap_or(0);
    let table = pointer(pointer(task, layout!(task_files)), layout!(files_table));
    let length = read::<u32>(table + u64::from(layout!(table_length))).unwrap_or(0);
    if descriptor >= u64::from(length) {
        return false;
    }
    let file = pointer(pointer(table, layout!(table_files)) + descriptor * 8, 0);
    let socket = pointer(file, layout!(file_private));
    pointer(socket, layout!(socket_sk)) == sk as u64
}

const _: () = assert!(size_of::<Source>() == 24);
