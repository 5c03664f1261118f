//! The calls of a TLS library that a thread is in.

use agent_common::{counter, gap::GapReason, record::IN, tls};

use crate::{
    maps::count,
    tls::{lose, probed_since},
};

/// How much later a library calls itself at most: it does so at once. What is older is of a call whose end was missed.
const ITSELF: u64 = 1_000_000_000;

/// Those of each direction. An application that is called back from a read, as Node is at the end of a handshake, may write.
#[repr(C)]
pub(crate) struct TlsCalls {
    read: Nested,
    write: Nested,
}

impl TlsCalls {
    /// The thread moves bytes of this socket in a direction; 0 if they are of one that is not in scope. A read of plaintext receives and a write sends;
    /// what an application that is called back does otherwise is another connection's.
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
        self.read.is_under_way() || self.write.is_under_way()
    }

    /// A call begins.
    #[inline(always)]
    pub(crate) fn begin(&mut self, call: TlsCall) {
        self.read.leave(&call);
        self.write.leave(&call);
        if tls::probe_receives(call.probe) {
            self.read.begin(call);
        } else {
            self.write.begin(call);
        }
    }

    /// The call that ends, by the stack pointer that it began with; `None` if it was not seen to begin, or is part of another one.
    #[inline(always)]
    pub(crate) fn end(&mut self, stack: u64) -> Option<&mut TlsCall> {
        if self.read.holds(stack) { self.read.end(stack) } else { self.write.end(stack) }
    }
}

/// A call, and one within it on another object: TLS inside TLS, or an application that is called back.
#[repr(C)]
struct Nested {
    outer: TlsCall,
    inner: TlsCall,
}

impl Nested {
    #[inline(always)]
    fn uses(&mut self, cookie: u64) {
        if self.inner.object != 0 {
            self.inner.uses(cookie);
        } else {
            self.outer.uses(cookie);
        }
    }

    #[inline(always)]
    fn is_under_way(&self) -> bool {
        self.outer.object != 0 || self.inner.object != 0
    }

    /// A call begins: those that did not begin above it are over, although their ends were missed, or a jump left them.
    #[inline(always)]
    fn leave(&mut self, call: &TlsCall) {
        if call.stack >= self.outer.stack && !self.outer.is_itself(call) {
            self.outer.abandon();
        }
        if call.stack >= self.inner.stack && !self.inner.is_itself(call) {
            self.inner.abandon();
        }
    }

    #[inline(always)]
    fn begin(&mut self, call: TlsCall) {
        if self.outer.object == 0 || self.outer.object == call.object {
            if self.outer.is_itself(&call) {
                return self.outer.seen_again(&call);
            }
            self.inner.abandon();
            self.outer.replace(call);
        } else if self.inner.object == 0 || self.inner.object == call.object {
            if self.inner.is_itself(&call) {
                return self.inner.seen_again(&call);
            }
            self.inner.replace(call);
        } else {
            count(counter::gap(GapReason::NoState), 1);
            lose(call.object, true);
        }
    }

    #[inline(always)]
    fn holds(&self, stack: u64) -> bool {
        self.outer.is_at(stack) || self.inner.is_at(stack)
    }

    #[inline(always)]
    fn end(&mut self, stack: u64) -> Option<&mut TlsCall> {
        if self.outer.is_at(stack) {
            self.inner.abandon();
            Some(&mut self.outer)
        } else if self.inner.is_at(stack) {
            Some(&mut self.inner)
        } else {
            None
        }
    }
}

/// A call of a library.
#[repr(C)]
pub(crate) struct TlsCall {
    /// Address of the object; 0 if no call is under way.
    pub(crate) object: u64,
    pub(crate) buffer: u64,
    /// Where the library writes how many bytes it moved; 0 if its result says so.
    pub(crate) moved: u64,
    /// Stack pointer when it began: that of its end is the same, and those of calls within it are lower.
    pub(crate) stack: u64,
    pub(crate) time: u64,
    /// Cookie of the probe.
    pub(crate) probe: u64,
    /// That of another set of probes in the same file that saw it too; else the same. One may be on its way out while the next one is there already.
    pub(crate) also: u64,
    /// Cookie of the socket that the thread used inside the call; 0 if it used none.
    pub(crate) socket: u64,
    /// The thread used two sockets inside the call.
    pub(crate) mixed: u64,
    /// Generation of the scope when it began.
    pub(crate) generation: u32,
    /// What that said ([`crate::scope::Inside`]).
    pub(crate) inside: u32,
}

impl TlsCall {
    #[inline(always)]
    fn is_at(&self, stack: u64) -> bool {
        self.object != 0 && self.stack == stack
    }

    /// The thread uses this socket.
    #[inline(always)]
    fn uses(&mut self, cookie: u64) {
        if self.object != 0 {
            if cookie == 0 || self.socket != 0 && self.socket != cookie {
                self.mixed = 1;
            }
            self.socket = cookie;
        }
    }

    /// Whether a call is a part of this one. Either the library's own, of a function that this one's is made from: with the same object and the same buffer,
    /// and with the same stack pointer if it ends with it. Or the same call, which another set of probes sees. Another call of the same function that the
    /// same probe sees comes after a jump that left this one (`longjmp`).
    #[inline(always)]
    fn is_itself(&self, call: &Self) -> bool {
        self.object == call.object
            && self.stack >= call.stack
            && self.buffer == call.buffer
            && call.time.wrapping_sub(self.time) < ITSELF
            && (tls::probe_function(self.probe) != tls::probe_function(call.probe)
                || self.stack == call.stack
                    && tls::probe_file(self.probe) != tls::probe_file(call.probe)
                    && is_of_another_set(call.probe, self.time))
    }

    /// A part of it begins, or another set of probes sees it.
    #[inline(always)]
    fn seen_again(&mut self, call: &Self) {
        if tls::probe_file(self.probe) != tls::probe_file(call.probe) {
            self.also = call.probe;
        }
    }

    #[inline(always)]
    fn replace(&mut self, call: Self) {
        self.abandon();
        *self = call;
    }

    /// Its end was not seen: it may have moved bytes.
    #[inline(always)]
    fn abandon(&mut self) {
        if self.object != 0 {
            lose(self.object, true);
            self.object = 0;
        }
    }
}

/// Whether a probe may see a call that began then and was seen by a probe of another set. Where its own set was not there then, what it sees is another
/// call, and the end of that one was missed.
#[inline(never)]
fn is_of_another_set(probe: u64, began: u64) -> bool {
    // One that is not told of yet is being attached.
    probed_since(probe) <= began
}
