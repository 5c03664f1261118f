//! Whether a request was let through, as an answer shows it to whoever watches.

use super::grpc;

/// What an answer tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authorization {
    /// It was let through.
    Allowed,
    /// It was refused.
    Denied,
    /// The answer does not tell: it may have failed before anybody asked, or a refusal may be hidden behind it.
    Unknown,
}

impl Authorization {
    /// Of a status code, whether `WWW-Authenticate` or `Proxy-Authenticate` came with it, and a gRPC status.
    ///
    /// 401, 403 and 407 refuse (RFC 9110 section 15.5); so does any other 4xx that names a challenge (section 11.6.1 allows that), and gRPC's
    /// `UNAUTHENTICATED` and `PERMISSION_DENIED`. Success means that it was let through. A redirection may lead to a login, a 404 may hide
    /// what it denies, a 500 says nothing.
    pub fn of(status: u16, challenged: bool, grpc_status: Option<u32>) -> Self {
        match (status, grpc_status) {
            (401 | 403 | 407, _) | (200, Some(grpc::UNAUTHENTICATED | grpc::PERMISSION_DENIED)) => Self::Denied,
            (400..=499, _) if challenged => Self::Denied,
            (200..=299, None | Some(grpc::OK)) | (101, _) => Self::Allowed,
            _ => Self::Unknown,
        }
    }

    /// `event.action`
    pub const fn action(self) -> Option<&'static str> {
        match self {
            Self::Allowed => Some("allow"),
            Self::Denied => Some("deny"),
            Self::Unknown => None,
        }
    }

    /// `event.outcome`
    pub const fn outcome(self) -> &'static str {
        match self {
            Self::Allowed => "success",
            Self::Denied => "failure",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_what_it_tells() {
        for (status, challenged, grpc, expected) in [
            (200, false, None, Authorization::Allowed),
            // The information that credentials might give more is no refusal (RFC 9110 section 11.6.1).
            (200, true, None, Authorization::Allowed),
            (204, false, None, Authorization::Allowed),
            (101, false, None, Authorization::Allowed),
            (302, false, None, Authorization::Unknown),
            (401, true, None, Authorization::Denied),
            (401, false, None, Authorization::Denied),
            (403, false, None, Authorization::Denied),
            (407, true, None, Authorization::Denied),
            (404, false, None, Authorization::Unknown),
            (404, true, None, Authorization::Denied),
            (500, false, None, Authorization::Unknown),
            (503, true, None, Authorization::Unknown),
            (200, false, Some(0), Authorization::Allowed),
            (200, false, Some(7), Authorization::Denied),
            (200, false, Some(16), Authorization::Denied),
            (200, false, Some(14), Authorization::Unknown),
        ] {
            assert_eq!(Authorization::of(status, challenged, grpc), expected, "{status} {challenged} {grpc:?}");
        }
    }
}
