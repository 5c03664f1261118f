//! Content of messages of JSON-RPC: arguments and results of tools.

use super::table::{
    Field::{Arguments, CallId, JsonResult},
    Place::{Message, One},
    Row,
};

/// Of either direction: a message by itself, or those of a batch.
pub(super) static ROWS: &[Row] = &[
    ("id", One, CallId),
    ("params.arguments", One, Arguments),
    ("result", One, JsonResult),
    ("[].id", Message, CallId),
    ("[].params.arguments", Message, Arguments),
    ("[].result", Message, JsonResult),
];
