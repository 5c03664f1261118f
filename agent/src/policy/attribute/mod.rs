//! What an exchange can be asked: one dictionary of keys for spans, metrics, logs and CEL.

mod cel;
#[cfg(test)]
mod documentation;
mod extractor;
mod faults;
mod key;
mod row;
mod subject;
#[cfg(test)]
pub(crate) mod test_support;
mod value;

pub use cel::Program;
pub(in crate::policy) use cel::not_kept;
pub use extractor::Extractor;
pub use faults::Faults;
pub use key::Key;
pub use row::{Row, Type, When};
pub use subject::{Side, Subject};
pub use value::Value;
