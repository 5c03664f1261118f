//! The API types, one module a dialect, and the custom resource definitions that are made from them.

mod attribute;
mod definition;
pub mod extension;
pub mod gep;
pub mod proposal;
mod rule;
pub mod status;
#[cfg(test)]
mod tests;

pub(crate) use definition::tidy;
pub use definition::{definition, schema};
