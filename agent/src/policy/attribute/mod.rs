//! What an exchange can be asked: one dictionary of keys for spans, metrics, logs and CEL.

mod key;
mod row;
mod subject;
mod value;

pub use key::Key;
pub use row::{Row, Type, When};
pub use subject::{Side, Subject};
pub use value::Value;
