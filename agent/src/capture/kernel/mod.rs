//! The running kernel as a source of events: backend choice, offsets, rings.

pub mod backend;
pub mod btf;
pub mod capability;
mod clock;
pub(in crate::capture) mod confined;
mod counters;
mod debug_log;
mod detacher;
mod handles;
mod inside;
mod layout;
mod loaded;
mod loader;
mod memory;
mod probe_error;
mod record;
mod ring;
mod scope;
mod scope_control;
mod sizes;
mod tls;
mod uprobe_multi;
mod uprobes;

pub use backend::Backend;
pub use counters::{KernelCounters, ProgramCost};
pub use inside::InsideCounts;
pub use loader::{Capture, CaptureError, Refusal, Settings};
pub use probe_error::TlsError;
pub use ring::{Ring, Skips, Worker};
pub use scope::{Scope, ScopeError};
pub use scope_control::{Membership, ScopeControl};
pub use sizes::{Failpoints, Sizes};
pub use tls::{Attached, Notice, Notices, TlsProbes};
pub use uprobes::Detaching;
