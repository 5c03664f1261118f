//! What is remembered of a socket, and where in its streams it is.
//!
//! Runs on several CPUs may update one state at once (two threads in one socket). Bytes are given out only where positions
//! prove whose they are (see [`crate::account`]), so a lost update costs at most a gap, never a wrong byte.

use agent_common::{
    counter::Counter,
    record::{IN, OUT, ROLE_CLIENT, ROLE_SERVER, ROLE_UNKNOWN},
};
use aya_ebpf::helpers::generated::bpf_skc_to_tcp_sock;

use crate::{
    kernel::{layout, member, read},
    maps::{count, socket_state},
    scope,
};

/// `AF_INET`.
pub(crate) const INET: u16 = 2;
/// `AF_INET6`.
pub(crate) const INET6: u16 = 10;
/// `IPPROTO_TCP`.
const TCP: u16 = 6;
/// `IPPROTO_MPTCP`.
const MULTIPATH: u16 = 262;

/// TCP states (`include/net/tcp_states.h`).
pub(crate) mod state {
    pub(crate) const ESTABLISHED: u8 = 1;
    pub(crate) const SYN_SENT: u8 = 2;
    pub(crate) const SYN_RECV: u8 = 3;
    pub(crate) const FIN_WAIT1: u8 = 4;
    pub(crate) const FIN_WAIT2: u8 = 5;
    pub(crate) const TIME_WAIT: u8 = 6;
    pub(crate) const CLOSE: u8 = 7;
    pub(crate) const LAST_ACK: u8 = 9;
    pub(crate) const LISTEN: u8 = 10;
    pub(crate) const CLOSING: u8 = 11;
    pub(crate) const NEW_SYN_RECV: u8 = 12;
}

/// `SOCK_DONE` of `enum sock_flags`: the FIN of the other end was received.
const SOCK_DONE: u64 = 1 << 1;
/// `SK_USER_DATA_PSOCK`: the socket is in a socket map.
const IN_SOCKMAP: u64 = 4;

/// Not looked up yet.
const UNDECIDED: u8 = 0;
const REFUSED: u8 = 1;
const ADMITTED: u8 = 2;

/// State of a socket.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Socket {
    /// Sequence number of position 0 (the SYN's plus one), by direction.
    pub(crate) base: [u32; 2],
    /// Position after the last byte that was accounted for, by direction.
    pub(crate) reached: [u64; 2],
    /// Bytes before `reached` that were told of as gaps and whose calls have not ended yet, by direction.
    pub(crate) owed: [u64; 2],
    /// When such bytes were last found.
    pub(crate) unsettled: [u64; 2],
    /// When the connection was seen to begin.
    begun: u64,
    /// Socket cookie.
    pub(crate) cookie: u64,
    /// Generation of the scope that `verdict` is of.
    generation: u32,
    verdict: u8,
    /// 1 once `base` and `reached` are set.
    pub(crate) placed: u8,
    /// 1 once the open record is in the ring.
    pub(crate) opened: u8,
    pub(crate) role: u8,
    /// 1 if `base[OUT]` is proven.
    pub(crate) isn_known: u8,
    /// By direction: 1 once a byte was accounted for, so that `reached` is proven.
    pub(crate) proven: [u8; 2],
    /// 1 if the connection was seen to begin under the scope that holds: nothing was moved before.
    fresh: u8,
    /// How the connection ended, while the application still has bytes to receive; 0 otherwise.
    pub(crate) closing: u8,
    /// 1 once the socket was counted as one whose bytes cannot be seen.
    counted: u8,
    /// 1 if it is known to carry TLS: what userspace has seen enough of is not copied.
    pub(crate) tls: u8,
    reserved: u8,
}

impl Socket {
    /// A connection begins under this generation of the scope; the socket may have had another one before.
    #[inline(always)]
    pub(crate) fn begin(&mut self, generation: u32, time: u64) {
        self.generation = generation;
        self.begun = time;
        self.verdict = UNDECIDED;
        self.placed = 0;
        self.opened = 0;
        self.closing = 0;
        self.counted = 0;
        self.tls = 0;
        self.fresh = 1;
    }

    /// When the connection began; 0 if that was not seen under the scope that holds.
    #[inline(always)]
    pub(crate) fn began(&self) -> u64 {
        if self.fresh != 0 { self.begun } else { 0 }
    }
}

/// A TCP socket in scope, with its state.
pub(crate) struct Admitted {
    /// Typed `struct sock`.
    pub(crate) sk: *const u8,
    /// Typed `struct tcp_sock`.
    pub(crate) tcp: *const u8,
    pub(crate) state: &'static mut Socket,
}

/// The socket, if it is TCP and in scope of the current task. Nothing of it is read otherwise.
#[inline(always)]
pub(crate) fn admit(sk: *const u8) -> Option<Admitted> {
    let process = scope::process();
    if scope::is_agent(process) {
        return None;
    }
    let scope = scope::current();
    // Nothing in scope: not even a verdict is kept.
    if scope.generation == 0 || scope.kinds == 0 {
        return None;
    }
    let state = if let Some(state) = socket_state(sk, false) {
        state
    } else {
        if !is_tcp(sk) {
            return None;
        }
        if let Some(state) = socket_state(sk, true) {
            state
        } else {
            count(Counter::SocketState as u32, 1);
            return None;
        }
    };
    let new = state.verdict == UNDECIDED || state.generation != scope.generation;
    // Processes in scope and others may use one socket at once, so what was decided for one says nothing of the next.
    let by_process = scope.kinds & agent_common::scope::PROCESS != 0;
    let verdict = if new || by_process {
        let verdict = if scope::admits(scope, sk, process) { ADMITTED } else { REFUSED };
        if state.generation != scope.generation {
            // Out of scope until now, it may have moved bytes: it is joined where it is.
            state.fresh = 0;
        }
        state.verdict = verdict;
        state.generation = scope.generation;
        verdict
    } else {
        state.verdict
    };
    if verdict != ADMITTED {
        return None;
    }
    // SAFETY: `sk` is typed.
    let tcp = unsafe { bpf_skc_to_tcp_sock(sk.cast_mut().cast()) } as *const u8;
    if tcp.is_null() {
        return None;
    }
    // A socket may come under kernel TLS or into a socket map at any moment.
    // SAFETY: `tcp` is typed.
    if unsafe { member::<u64>(tcp, layout!(icsk_ulp_ops)) } != 0 {
        leave(state, sk, true);
        return None;
    }
    // Not a typed load: with what it gives some kernels allow no arithmetic.
    let user_data = read::<u64>(sk as u64 + u64::from(layout!(sk_user_data))).unwrap_or(0);
    if user_data & IN_SOCKMAP != 0 {
        leave(state, sk, false);
        return None;
    }
    Some(Admitted { sk, tcp, state })
}

/// Counts, once, a socket whose connection does not carry the bytes of the application as they are.
#[inline(always)]
fn leave(state: &mut Socket, sk: *const u8, layered: bool) {
    if state.counted != 0 {
        return;
    }
    state.counted = 1;
    if !layered {
        return count(Counter::Sockmap as u32, 1);
    }
    let ops = read::<u64>(sk as u64 + u64::from(layout!(icsk_ulp_ops))).unwrap_or(0);
    // A connection of Multipath TCP is the kernel's own; the socket of the application is counted.
    if read::<u8>(ops + u64::from(layout!(ulp_name))).unwrap_or(0) != b'm' {
        count(Counter::KernelTls as u32, 1);
    }
}

/// A socket changes: is it one whose bytes pass no hook? Then it is counted, if the current task or one before was in scope.
/// For sockets of Multipath TCP and for what no call tells of: with some backends, kernel TLS.
#[inline(always)]
pub(crate) fn changes(sk: *const u8) {
    let multipath = is_multipath(sk);
    let (mut layered, mut mapped) = (false, false);
    if !multipath {
        if !is_tcp(sk) {
            return;
        }
        layered = read::<u64>(sk as u64 + u64::from(layout!(icsk_ulp_ops))).unwrap_or(0) != 0;
        mapped = read::<u64>(sk as u64 + u64::from(layout!(sk_user_data))).unwrap_or(0) & IN_SOCKMAP != 0;
    }
    let (process, scope) = (scope::process(), scope::current());
    if !(multipath || layered || mapped) || scope.generation == 0 || scope::is_agent(process) {
        return;
    }
    let known = socket_state(sk, false);
    let admitted = known.is_some_and(|state| state.verdict == ADMITTED && state.generation == scope.generation);
    if !admitted && !scope::admits(scope, sk, process) {
        return;
    }
    let Some(state) = socket_state(sk, true) else {
        return count(Counter::SocketState as u32, 1);
    };
    if !multipath {
        leave(state, sk, layered);
    } else if state.counted == 0 {
        state.counted = 1;
        count(Counter::Mptcp as u32, 1);
    }
}

/// A position near `reached` from a sequence number: the numbers wrap, the position does not.
#[inline(always)]
pub(crate) fn position(reached: u64, base: u32, sequence: u32) -> u64 {
    let relative = sequence.wrapping_sub(base);
    let step = relative.wrapping_sub(reached as u32) as i32;
    reached.wrapping_add(i64::from(step) as u64)
}

impl Admitted {
    /// TCP state.
    #[inline(always)]
    pub(crate) fn tcp_state(&self) -> u8 {
        // SAFETY: `sk` is typed.
        unsafe { member::<u8>(self.sk, layout!(sk_state)) }
    }

    /// Sequence number after the last byte that the application sent.
    #[inline(always)]
    pub(crate) fn write_sequence(&self) -> u32 {
        // SAFETY: `tcp` is typed.
        unsafe { member::<u32>(self.tcp, layout!(write_seq)) }
    }

    /// Sequence number after the last byte that the application received, the FIN not counted.
    #[inline(always)]
    pub(crate) fn read_sequence(&self) -> u32 {
        // SAFETY: `tcp` and `sk` are typed.
        let (copied, next, flags) = unsafe {
            (
                member::<u32>(self.tcp, layout!(copied_seq)),
                member::<u32>(self.tcp, layout!(rcv_nxt)),
                member::<u64>(self.sk, layout!(sk_flags)),
            )
        };
        // A receive that comes to the FIN steps over it, and nothing follows a FIN.
        copied.wrapping_sub(u32::from(flags & SOCK_DONE != 0 && copied == next))
    }

    /// Bytes that came and that the application has not received yet, the FIN not counted.
    #[inline(always)]
    pub(crate) fn unread(&self) -> u32 {
        unread(self.sk, self.tcp)
    }

    /// Finds position 0 of both directions, at the first call seen on the socket. False if that cannot be done in the
    /// socket's state: the numbers of the other end are not known yet, or the own ones not known any more.
    ///
    /// `bytes_acked` counts the SYN of a socket that connected and not that of one that was accepted, so
    /// `snd_una - bytes_acked` is the initial sequence number or the one after it; `snd_nxt` less the data sent for the
    /// first time is always the one after it. Their difference tells which, and with it the role.
    #[inline(always)]
    pub(crate) fn place(&mut self) -> bool {
        if self.state.placed != 0 {
            return true;
        }
        if matches!(
            self.tcp_state(),
            state::CLOSE | state::LISTEN | state::SYN_SENT | state::SYN_RECV | state::NEW_SYN_RECV
        ) {
            return false;
        }
        let mut out_base = 0_u32;
        let mut in_base = 0_u32;
        let mut role = ROLE_UNKNOWN;
        // Off the socket lock the counters move under us: take readings until two tell a possible story.
        for _ in 0..8 {
            // SAFETY: `tcp` is typed.
            let (una, acked, next, sent, resent, write, received_next, received) = unsafe {
                (
                    member::<u32>(self.tcp, layout!(snd_una)),
                    member::<u64>(self.tcp, layout!(bytes_acked)),
                    member::<u32>(self.tcp, layout!(snd_nxt)),
                    member::<u64>(self.tcp, layout!(bytes_sent)),
                    member::<u64>(self.tcp, layout!(bytes_retrans)),
                    member::<u32>(self.tcp, layout!(write_seq)),
                    member::<u32>(self.tcp, layout!(rcv_nxt)),
                    member::<u64>(self.tcp, layout!(bytes_received)),
                )
            };
            let fin = u32::from(fin_sent(self.tcp_state()) && next == write);
            let acked_base = una.wrapping_sub(acked as u32);
            let sent_base = next.wrapping_sub(sent.wrapping_sub(resent) as u32).wrapping_sub(fin);
            in_base = received_next.wrapping_sub(received as u32);
            out_base = acked_base;
            let syn = sent_base.wrapping_sub(acked_base);
            // SAFETY: `tcp` is typed.
            let settled = unsafe {
                member::<u32>(self.tcp, layout!(snd_una)) == una
                    && member::<u64>(self.tcp, layout!(bytes_acked)) == acked
                    && member::<u64>(self.tcp, layout!(bytes_received)) == received
                    && member::<u32>(self.tcp, layout!(rcv_nxt)) == received_next
            };
            if settled && syn <= 1 {
                out_base = sent_base;
                role = if syn == 1 { ROLE_CLIENT } else { ROLE_SERVER };
                break;
            }
        }
        // SAFETY: `sk` is typed.
        self.state.cookie = unsafe { aya_ebpf::helpers::generated::bpf_get_socket_cookie(self.sk.cast_mut().cast()) };
        self.state.role = role;
        self.state.isn_known = u8::from(role != ROLE_UNKNOWN);
        self.state.base = [out_base, in_base];
        // SAFETY: `tcp` is typed.
        let (acked, una, received, received_next) = unsafe {
            (
                member::<u64>(self.tcp, layout!(bytes_acked)),
                member::<u32>(self.tcp, layout!(snd_una)),
                member::<u64>(self.tcp, layout!(bytes_received)),
                member::<u32>(self.tcp, layout!(rcv_nxt)),
            )
        };
        let fresh = self.state.fresh;
        self.state.reached[OUT as usize] = if fresh != 0 { 0 } else { position(acked, out_base, una) };
        self.state.reached[IN as usize] = if fresh != 0 { 0 } else { position(received, in_base, received_next) };
        self.state.proven = [fresh; 2];
        self.state.owed = [0; 2];
        self.state.placed = 1;
        true
    }
}

/// Bytes in the receive queue of a typed socket, the FIN not counted.
#[inline(always)]
pub(crate) fn unread(sk: *const u8, tcp: *const u8) -> u32 {
    // SAFETY: both are typed.
    let (copied, next, flags) = unsafe {
        (
            member::<u32>(tcp, layout!(copied_seq)),
            member::<u32>(tcp, layout!(rcv_nxt)),
            member::<u64>(sk, layout!(sk_flags)),
        )
    };
    let queued = next.wrapping_sub(copied);
    if flags & SOCK_DONE != 0 && queued != 0 { queued.wrapping_sub(1) } else { queued }
}

/// Whether the socket is one of TCP over IPv4 or IPv6.
#[inline(always)]
pub(crate) fn is_tcp(sk: *const u8) -> bool {
    // SAFETY: `sk` is typed.
    let (family, protocol) =
        unsafe { (member::<u16>(sk, layout!(sk_family)), member::<u16>(sk, layout!(sk_protocol))) };
    protocol == TCP && (family == INET || family == INET6)
}

/// Whether the socket is one of Multipath TCP.
#[inline(always)]
fn is_multipath(sk: *const u8) -> bool {
    // SAFETY: `sk` is typed.
    unsafe { member::<u16>(sk, layout!(sk_protocol)) == MULTIPATH }
}

/// Whether a FIN may have been sent in this state.
#[inline(always)]
pub(crate) fn fin_sent(state: u8) -> bool {
    matches!(state, state::FIN_WAIT1 | state::FIN_WAIT2 | state::TIME_WAIT | state::LAST_ACK | state::CLOSING)
}

const _: () = assert!(size_of::<Socket>() == 88);
