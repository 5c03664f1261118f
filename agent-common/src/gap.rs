//! Why bytes of a stream were not seen.

/// Declares the reasons once: number (kernel boundary), name (recordings, metrics, `telltale.incomplete`).
macro_rules! gap_reasons {
    ($($(#[$doc:meta])* $variant:ident = $number:literal, $name:literal;)+) => {
        /// Why bytes of a stream were not seen or not copied.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum GapReason {
            $($(#[$doc])* $variant = $number,)+
        }

        impl GapReason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name used in recordings, metric attributes and `telltale.incomplete`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }

            /// The reason of a number that the kernel wrote; `None` if no reason has it.
            pub const fn from_number(number: u8) -> Option<Self> {
                match number {
                    $($number => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The reason of a name in a recording; `None` if no reason has it.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|reason| reason.name() == name)
            }
        }
    };
}

gap_reasons! {
    /// Positions jumped and no record says why: a path that no hook sees (splice out of a socket, zero-copy receive).
    Unseen = 0, "unseen";
    /// The ring buffer of the worker was full.
    RingFull = 1, "ring_full";
    /// No per-CPU scratch slot was free.
    ScratchBusy = 2, "scratch_busy";
    /// The user page was not resident or not readable when the payload was read.
    Fault = 3, "fault";
    /// Calls of several threads overlapped on one socket; which bytes were whose cannot be known.
    Interleaved = 4, "interleaved";
    /// Copied less than the call moved, because the amount asked for is limited.
    NotCopied = 5, "not_copied";
    /// More buffers or bytes in one call than one program run reads.
    CallLimit = 6, "call_limit";
    /// The payload came from a file (`sendfile`, `splice` into a socket).
    Sendfile = 7, "sendfile";
    /// The payload is in kernel or registered memory (`MSG_ZEROCOPY`, `MSG_SPLICE_PAGES`, registered buffers).
    ZeroCopy = 8, "zero_copy";
    /// An `io_uring` operation whose buffer the backend cannot see.
    IoUring = 9, "io_uring";
    /// A system call whose buffer the backend does not know how to find.
    UnknownCall = 10, "unknown_call";
    /// `MSG_TRUNC`: the application let the kernel discard the bytes.
    Discarded = 11, "discarded";
    /// Kernel-side state for the socket or the thread could not be allocated.
    NoState = 12, "no_state";
    /// The agent's own buffer for this connection was full.
    AgentLimit = 13, "agent_limit";
}
