//! Records into the ring of the connection's worker.

use agent_common::{
    counter::{self, Counter},
    gap::GapReason,
    limits::SCRATCH_SLOTS,
    record::{Head, KIND_CLOSE, KIND_GAP, KIND_OPEN, Open},
};
use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_RING_SIZE},
    helpers::generated::{bpf_ringbuf_output, bpf_ringbuf_query},
};
use core::ffi::c_void;

use crate::{
    atomic, debug,
    kernel::{layout, member, read},
    maps::{RING0, RING1, RING2, RING3, SCRATCH, Scratch, WAKE, count},
    socket::{Admitted, INET, Socket},
    task,
};

pub(crate) const HEAD: u64 = size_of::<Head>() as u64;

/// The ring of a connection.
#[inline(always)]
fn ring(cookie: u64) -> u32 {
    // What is inside TLS goes the way of its socket.
    (cookie & agent_common::tls::COOKIE).checked_rem(u64::from(layout!(rings))).unwrap_or(0) as u32
}

#[inline(always)]
fn map(ring: u32) -> *mut c_void {
    match ring {
        0 => (&raw const RING0).cast_mut().cast(),
        1 => (&raw const RING1).cast_mut().cast(),
        2 => (&raw const RING2).cast_mut().cast(),
        _ => (&raw const RING3).cast_mut().cast(),
    }
}

/// Whether the ring of a connection is more than half full: its worker does not keep up.
#[inline(always)]
pub(crate) fn is_pressed(cookie: u64) -> bool {
    let ring = ring(cookie);
    // SAFETY: the map is a ring; the helper only reads its positions.
    let (held, size) = unsafe {
        (
            bpf_ringbuf_query(map(ring), u64::from(BPF_RB_AVAIL_DATA)),
            bpf_ringbuf_query(map(ring), u64::from(BPF_RB_RING_SIZE)),
        )
    };
    held > size / 2
}

/// Hands a record to the worker of the connection. The worker is only woken if it sleeps.
#[inline(always)]
pub(crate) fn output(cookie: u64, record: *const u8, size: u64) -> bool {
    let ring = ring(cookie);
    let mut flags = u64::from(BPF_RB_NO_WAKEUP);
    if let Some(asleep) = WAKE.get_ptr_mut(ring) {
        // SAFETY: the value is one word, written by both sides on purpose; a lost update costs one more wake-up.
        unsafe {
            if core::ptr::read_volatile(asleep) != 0 {
                core::ptr::write_volatile(asleep, 0);
                flags = u64::from(BPF_RB_FORCE_WAKEUP);
            }
        }
    }
    // SAFETY: `record` holds `size` bytes; the verifier checks it.
    let failed = unsafe { bpf_ringbuf_output(map(ring), record.cast_mut().cast(), size, flags) };
    if failed != 0 {
        count(Counter::RingFull as u32, 1);
        return false;
    }
    count(Counter::Records as u32, 1);
    true
}

/// Says that bytes were moved and not seen.
#[inline(always)]
pub(crate) fn gap(cookie: u64, time: u64, direction: u8, position: u64, length: u64, reason: u8) {
    let head = Head {
        connection: cookie,
        time,
        position,
        length: if length > u64::from(u32::MAX) { u32::MAX } else { length as u32 },
        copied: 0,
        kind: KIND_GAP,
        direction,
        reason,
        reserved: [0; 5],
    };
    if u32::from(reason) < GapReason::ALL.len() as u32 {
        count(counter::PLAIN + u32::from(reason), 1);
    }
    if !output(cookie, (&raw const head).cast(), HEAD) {
        count(Counter::RingFullBytes as u32, length);
    }
}

/// Says that the connection is over, as `closing` has it.
#[inline(always)]
pub(crate) fn close(socket: &mut Socket, time: u64) {
    let how = socket.closing;
    let opened = socket.opened;
    // The socket may be used again: an open is due then.
    socket.closing = 0;
    socket.opened = 0;
    if opened == 0 {
        return;
    }
    let head = Head {
        connection: socket.cookie,
        time,
        position: 0,
        length: 0,
        copied: 0,
        kind: KIND_CLOSE,
        direction: 0,
        reason: how,
        reserved: [0; 5],
    };
    output(socket.cookie, (&raw const head).cast(), HEAD);
    debug::closed(socket.cookie, how);
}

/// Begins the record that says whose a connection is, and gives the part to fill.
#[inline(always)]
pub(crate) fn opening(scratch: &mut Scratch, connection: u64, time: u64) -> &mut Open {
    scratch.head = Head {
        connection,
        time,
        position: 0,
        length: 0,
        copied: size_of::<Open>() as u32,
        kind: KIND_OPEN,
        direction: 0,
        reason: 0,
        reserved: [0; 5],
    };
    // SAFETY: the payload is larger than an `Open`, which has no invalid bit patterns, and is aligned to 8.
    unsafe { &mut *(&raw mut scratch.payload).cast::<c_void>().cast::<Open>() }
}

/// Says who is connected to whom. False if the ring was full: then it is said at the next call.
#[inline(never)]
pub(crate) fn open(socket: &Admitted, time: u64) -> bool {
    let Some(scratch) = claim() else { return false };
    // SAFETY: `sk` is typed.
    let (family, local_port, peer_port) = unsafe {
        (
            member::<u16>(socket.sk, layout!(sk_family)),
            member::<u16>(socket.sk, layout!(sk_num)),
            u16::from_be(member::<u16>(socket.sk, layout!(sk_dport))),
        )
    };
    let sk = socket.sk as u64;
    let open = opening(scratch, socket.state.cookie, time);
    (open.local, open.peer) = ([0; 16], [0; 16]);
    if family == INET {
        let own = read::<[u8; 4]>(sk + u64::from(layout!(sk_rcv_saddr))).unwrap_or_default();
        let other = read::<[u8; 4]>(sk + u64::from(layout!(sk_daddr))).unwrap_or_default();
        open.local[..4].copy_from_slice(&own);
        open.peer[..4].copy_from_slice(&other);
    } else {
        open.local = read::<[u8; 16]>(sk + u64::from(layout!(sk_v6_rcv_saddr))).unwrap_or_default();
        open.peer = read::<[u8; 16]>(sk + u64::from(layout!(sk_v6_daddr))).unwrap_or_default();
    }
    open.cgroup = task::current_cgroup_id();
    open.comm = task::current_comm();
    open.pid = task::current_process();
    open.isn_out = socket.state.base[0].wrapping_sub(1);
    open.isn_in = socket.state.base[1].wrapping_sub(1);
    open.local_port = local_port;
    open.peer_port = peer_port;
    open.family = family;
    open.role = socket.state.role;
    open.isn_known = socket.state.isn_known;
    open.reserved = [0; 4];
    let written = output(socket.state.cookie, (&raw const scratch.head).cast(), HEAD + size_of::<Open>() as u64);
    release(scratch);
    debug::opened(socket.state, task::current_process());
    written
}

/// Claims a scratch slot of this CPU. Programs can preempt each other, so each run takes its own.
#[inline(always)]
pub(crate) fn claim() -> Option<&'static mut Scratch> {
    for index in 0..SCRATCH_SLOTS {
        if index >= layout!(scratch_slots) {
            return None;
        }
        let slot = SCRATCH.get_ptr_mut(index)?;
        // SAFETY: the slot lives as long as the map; `taken` is only accessed by exchange.
        if unsafe { atomic::exchange(&raw mut (*slot).taken, 1) } == 0 {
            // SAFETY: the exchange made this run the only user of the slot.
            return unsafe { slot.as_mut() };
        }
    }
    None
}

#[inline(always)]
pub(crate) fn release(scratch: &mut Scratch) {
    // SAFETY: as in `claim`.
    unsafe { atomic::exchange(&raw mut scratch.taken, 0) };
}
