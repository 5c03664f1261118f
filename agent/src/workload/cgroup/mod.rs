//! Cgroups -> pods and containers.

mod path;

pub use path::{PodPath, parse};
