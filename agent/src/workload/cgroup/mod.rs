//! Cgroups -> pods and containers.

#[cfg(target_os = "linux")]
mod hierarchy;
mod index;
#[cfg(target_os = "linux")]
mod mirror;
mod path;
#[cfg(target_os = "linux")]
mod watcher;

#[cfg(target_os = "linux")]
pub use hierarchy::{Tree, TreeError};
pub use index::{CgroupDirectory, Place, PodCgroups};
#[cfg(target_os = "linux")]
pub use mirror::MAX_CGROUPS;
pub use path::{PodPath, parse};
#[cfg(target_os = "linux")]
pub use watcher::{CgroupWatcher, WatchError};
