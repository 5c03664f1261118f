//! What an exchange can be asked: one dictionary of keys for spans, metrics, logs and CEL.

mod subject;
mod value;

pub use subject::{Side, Subject};
pub use value::Value;
