//! Kernel -> [`Event`]: what a capture backend or a recording says happened on a connection.

#[cfg(target_os = "linux")]
pub mod command_cgroup;
mod event;
#[cfg(target_os = "linux")]
mod hierarchy;
#[cfg(all(feature = "ebpf", target_os = "linux"))]
pub mod kernel;
#[cfg(target_os = "linux")]
mod process;
pub mod recording;
#[cfg(target_os = "linux")]
pub mod tls;

pub use agent_common::gap::GapReason;
pub use event::{CloseHow, ConnectionId, Direction, Event, EventKind, Open, Role, Timestamp};
#[cfg(target_os = "linux")]
pub use hierarchy::Hierarchy;
