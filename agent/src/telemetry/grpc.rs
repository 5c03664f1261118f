//! The status of a gRPC call (gRPC over HTTP/2, "Responses"; status codes: `google.rpc.Code`).

use crate::exchange::Exchange;

/// Success.
pub const OK: u32 = 0;
/// The caller is known and may not do this.
pub const PERMISSION_DENIED: u32 = 7;
/// The server does not know the method.
pub const UNIMPLEMENTED: u32 = 12;
/// The caller is not known.
pub const UNAUTHENTICATED: u32 = 16;

/// Names by number.
const NAMES: &[&str] = &[
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The name of a status; `None` for a number that has none.
pub fn name(status: u32) -> Option<&'static str> {
    NAMES.get(status as usize).copied()
}

/// Whether the request is a call: its content type begins with `application/grpc`.
pub fn is_call(exchange: &Exchange) -> bool {
    let content_type = exchange.request.head.headers.get("content-type");
    content_type.and_then(|value| value.get(..16)).is_some_and(|value| value.eq_ignore_ascii_case(b"application/grpc"))
}

/// The status of a call: `grpc-status` of the trailers, else of the header section, which an answer without content has it in.
pub fn status(exchange: &Exchange) -> Option<u32> {
    let response = exchange.response.as_ref()?;
    let text = response.trailers.get_str("grpc-status").or_else(|| response.head.headers.get_str("grpc-status"))?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stand_at_their_numbers() {
        for (number, expected) in [
            (OK, "OK"),
            (PERMISSION_DENIED, "PERMISSION_DENIED"),
            (UNIMPLEMENTED, "UNIMPLEMENTED"),
            (UNAUTHENTICATED, "UNAUTHENTICATED"),
        ] {
            assert_eq!(name(number), Some(expected));
        }
        assert_eq!(name(17), None);
    }
}
