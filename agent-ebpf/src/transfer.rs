//! Copies what a call moved into the ring: records of at most [`CHUNK`] bytes, gaps where a part cannot be had.

use agent_common::{
    counter::Counter,
    gap::GapReason,
    limits::{CALL_BYTES, CHUNK, PRESSED_CALL_BYTES, SKIP_LOOKUP, STEPS, STEPS_WITHOUT_LOOP},
    record::{Head, KIND_DATA},
    scope::Skip,
};
use aya_ebpf::helpers::generated::{bpf_loop, bpf_probe_read_kernel, bpf_probe_read_user};
use core::{ffi::c_void, hint::black_box};

use crate::{
    emit::{self, HEAD, claim, output, release},
    hello,
    kernel::layout,
    maps::{SKIP, Scratch, count},
    source::{BUFFER, KERNEL_VECTOR, NOWHERE, Source},
};

/// Bytes that one call moved.
pub(crate) struct Transfer {
    pub(crate) cookie: u64,
    pub(crate) time: u64,
    pub(crate) position: u64,
    pub(crate) length: u32,
    pub(crate) direction: u8,
    /// It is looked up whether they are wanted, however few.
    pub(crate) ask: bool,
    pub(crate) source: Source,
}

/// How far a transfer has come. It lives in the scratch slot, not on the stack: the verifier then knows nothing of its values
/// and need not follow them through every step.
#[repr(C)]
pub(crate) struct Cursor {
    cookie: u64,
    time: u64,
    position: u64,
    /// Bytes still to account for.
    left: u64,
    /// Bytes that may still be copied.
    budget: u64,
    /// Bytes that nobody wants, before those that are copied.
    skip: u64,
    /// Where the next byte is, and how many follow it in its buffer.
    base: u64,
    room: u64,
    /// The next buffer's `struct iovec`, and how many there are from it on.
    vector: u64,
    vectors: u64,
    /// Bytes at the start of the next buffer that are not of this call.
    offset: u64,
    direction: u8,
    kernel_vector: bool,
    reserved: [u8; 6],
}

/// How many bytes of the transfer userspace does not want copied.
#[inline(always)]
fn unwanted(transfer: &Transfer) -> u64 {
    let length = u64::from(transfer.length);
    if transfer.length < SKIP_LOOKUP && !transfer.ask {
        return 0;
    }
    // SAFETY: the value is read at once; userspace may write it meanwhile, either value is right.
    let Some(skip) = (unsafe { SKIP.get(transfer.cookie) }) else { return 0 };
    let Skip { until } = skip;
    let beyond = until[usize::from(transfer.direction & 1)].saturating_sub(transfer.position);
    if beyond >= length { length } else { beyond }
}

/// Copies a transfer.
#[inline(always)]
pub(crate) fn transfer(transfer: &Transfer) {
    let length = u64::from(transfer.length);
    let skip = unwanted(transfer);
    let whole = |reason: u8| {
        emit::gap(transfer.cookie, transfer.time, transfer.direction, transfer.position, length, reason);
    };
    if transfer.source.form == NOWHERE {
        return whole(transfer.source.reason);
    }
    if skip == length {
        return whole(GapReason::NotCopied as u8);
    }
    let Some(scratch) = claim() else {
        return whole(GapReason::ScratchBusy as u8);
    };
    let pressed = transfer.length > PRESSED_CALL_BYTES && emit::is_pressed(transfer.cookie);
    let one = transfer.source.form == BUFFER;
    scratch.cursor = Cursor {
        cookie: transfer.cookie,
        time: transfer.time,
        position: transfer.position,
        left: length,
        budget: u64::from(if pressed { PRESSED_CALL_BYTES } else { CALL_BYTES }),
        skip,
        base: if one { transfer.source.base.wrapping_add(transfer.source.offset) } else { 0 },
        room: if one { length } else { 0 },
        vector: transfer.source.base,
        vectors: if one { 0 } else { u64::from(transfer.source.count) },
        offset: transfer.source.offset,
        direction: transfer.direction,
        kernel_vector: transfer.source.form == KERNEL_VECTOR,
        reserved: [0; 6],
    };
    let mut scratch: *mut Scratch = scratch;
    if layout!(use_loop) != 0 {
        let callback: unsafe extern "C" fn(u64, *mut *mut Scratch) -> i64 = step;
        // SAFETY: the kernel calls back with an index and the pointer given here, which outlives the call.
        unsafe { bpf_loop(STEPS, callback as *mut c_void, (&raw mut scratch).cast(), 0) };
    } else {
        for index in 0..STEPS_WITHOUT_LOOP {
            // SAFETY: the variable is this frame's.
            if unsafe { step(u64::from(index), &raw mut scratch) } != 0 {
                break;
            }
        }
    }
    // SAFETY: the slot is this run's until it is released.
    let scratch = unsafe { &mut *scratch };
    let cursor = &scratch.cursor;
    if cursor.left > 0 {
        cursor.gap(cursor.left, if pressed { GapReason::RingFull } else { GapReason::CallLimit });
    }
    release(scratch);
}

impl Cursor {
    #[inline(always)]
    fn gap(&self, length: u64, reason: GapReason) {
        emit::gap(self.cookie, self.time, self.direction, self.position, length, reason as u8);
    }

    #[inline(always)]
    fn advance(&mut self, by: u64) {
        self.position = self.position.wrapping_add(by);
        self.base = self.base.wrapping_add(by);
        self.left = self.left.wrapping_sub(by);
        self.room = self.room.wrapping_sub(by);
    }

    /// Takes the next buffer of a vectored call. False if there is none.
    #[inline(always)]
    fn next_buffer(&mut self) -> bool {
        if self.vectors == 0 {
            return false;
        }
        // `struct iovec`: address, length.
        let mut buffer = [0_u64; 2];
        let address = self.vector as *const c_void;
        // SAFETY: the destination is a local of that size; the helpers check the source.
        let failed = unsafe {
            if self.kernel_vector {
                bpf_probe_read_kernel((&raw mut buffer).cast(), 16, address)
            } else {
                bpf_probe_read_user((&raw mut buffer).cast(), 16, address)
            }
        };
        if failed != 0 {
            return false;
        }
        self.base = buffer[0].wrapping_add(self.offset);
        self.room = buffer[1].saturating_sub(self.offset);
        self.offset = 0;
        self.vector = self.vector.wrapping_add(16);
        self.vectors = self.vectors.wrapping_sub(1);
        true
    }
}

/// One step: one record of a buffer, or what is skipped of it. Returns 1 when nothing is left to do.
#[inline(never)]
unsafe extern "C" fn step(_index: u64, scratch: *mut *mut Scratch) -> i64 {
    // SAFETY: the caller gives a variable of its own frame, which points to the slot that it claimed.
    let scratch = unsafe { &mut **scratch };
    let cursor = &mut scratch.cursor;
    if cursor.left == 0 {
        return 1;
    }
    if cursor.room == 0 {
        if !cursor.next_buffer() {
            return 1;
        }
        if cursor.room == 0 {
            return 0;
        }
    }
    let available = if cursor.room < cursor.left { cursor.room } else { cursor.left };
    if cursor.skip > 0 {
        let skipped = if available < cursor.skip { available } else { cursor.skip };
        cursor.gap(skipped, GapReason::NotCopied);
        cursor.skip -= skipped;
        cursor.advance(skipped);
        return 0;
    }
    let size = if available > u64::from(CHUNK) { u64::from(CHUNK) } else { available };
    let size = if size > cursor.budget { cursor.budget } else { size };
    // The verifier must see the bound on the very register that the helper is given.
    let size = black_box(size);
    if size == 0 || size > u64::from(CHUNK) {
        return 1;
    }
    // SAFETY: the payload holds CHUNK bytes; the helper checks the source.
    let failed =
        unsafe { bpf_probe_read_user((&raw mut scratch.payload).cast(), size as u32, cursor.base as *const c_void) };
    if failed == 0 {
        if layout!(tls) != 0 {
            let (bytes, made) = (&scratch.payload, &mut scratch.hello);
            hello::look(bytes, size, cursor.cookie, cursor.direction, cursor.position, cursor.time, made);
        }
        scratch.head = Head {
            connection: cursor.cookie,
            time: cursor.time,
            position: cursor.position,
            length: size as u32,
            copied: size as u32,
            kind: KIND_DATA,
            direction: cursor.direction,
            reason: 0,
            reserved: [0; 5],
        };
        let written = output(cursor.cookie, (&raw const scratch.head).cast(), HEAD + size);
        count(if written { Counter::CopiedBytes } else { Counter::RingFullBytes } as u32, size);
    } else {
        cursor.gap(size, GapReason::Fault);
    }
    cursor.budget = cursor.budget.wrapping_sub(size);
    cursor.advance(size);
    0
}
