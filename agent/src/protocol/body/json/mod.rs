//! Values at wanted paths of JSON documents (RFC 8259) that arrive in pieces: no tree, and nothing decoded that no path wants.
//!
//! What no path leads into is passed over by its brackets and quotes alone; only what is followed is checked to be JSON.

mod paths;
mod scanner;
mod skipped;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use paths::{Paths, Take};
pub use scanner::{Outcome, Scanner};
pub(super) use skipped::{Skip, Skipped};
pub(super) use text::end as text_end;
pub use value::{Found, Value};

/// Longest number that is told, in bytes; a longer one is passed over.
pub const MAX_NUMBER: usize = 128;
/// Most bytes of a text of which only the beginning is wanted ([`Take::Brief`]).
pub const MAX_BRIEF: usize = 2048;
