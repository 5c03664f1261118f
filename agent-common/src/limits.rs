//! The bounds of the kernel side. Each has a counter or a gap reason for what it costs.

/// Payload bytes in one record. A call that moves more makes several records.
pub const CHUNK: u32 = 16 * 1024;
/// Bytes of one call that are copied. What is left over is a gap [`CallLimit`](crate::gap::GapReason::CallLimit).
pub const CALL_BYTES: u32 = 512 * 1024;
/// The same while the ring is more than half full: large bodies give way, so that the heads of messages, which are at the
/// beginning of calls, are not lost. What is left over is a gap [`RingFull`](crate::gap::GapReason::RingFull).
pub const PRESSED_CALL_BYTES: u32 = 4 * 1024;
/// Copy steps of one program run: a step is one record, which is of one buffer. A vectored call has at most 1024 buffers
/// (`UIO_MAXIOV`), so all that is below [`CALL_BYTES`] is copied.
pub const STEPS: u32 = 1024 + CALL_BYTES / CHUNK;
/// The same where the kernel has no `bpf_loop` (before 5.17): the verifier walks each step.
pub const STEPS_WITHOUT_LOOP: u32 = 4;
/// Scratch slots of a CPU: how many programs that preempt each other can copy at once
/// ([`ScratchBusy`](crate::gap::GapReason::ScratchBusy)).
pub const SCRATCH_SLOTS: u32 = 4;
/// Ring buffers declared in the object; one per worker, unused ones are a page.
pub const RINGS: u32 = 4;
/// Levels of cgroup that are walked to find one in scope. A task that is deeper is not, and counted
/// ([`CgroupDepth`](crate::counter::Counter::CgroupDepth)).
pub const CGROUP_LEVELS: u32 = 16;
/// Calls shorter than this are copied without looking up whether userspace wants them skipped.
pub const SKIP_LOOKUP: u32 = 2048;
/// Entries of the map of skip positions.
pub const SKIPS: u32 = 8192;
/// Processes in scope at once.
pub const PROCESSES: u32 = 16384;
/// Cgroups in scope at once.
pub const CGROUPS: u32 = 4096;
/// Ports in scope at once.
pub const PORTS: u32 = 256;
