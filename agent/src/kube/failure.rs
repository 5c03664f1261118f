//! What went wrong with a request to the API server.

use std::{future::Future, sync::Arc, time::Duration};

use crate::admin::{Health, table};

/// Why a request failed, in the words of our metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such object (404).
    NotFound,
    /// Somebody else wrote before (409).
    Conflict,
    /// Our account may not (401, 403).
    Forbidden,
    /// The server refuses what was sent (any other 4xx): the same again is refused again.
    Refused,
    /// The server asks for fewer requests (429).
    Throttled,
    /// The server has a problem (5xx).
    Server,
    /// No answer in time.
    Timeout,
    /// No connection, or no answer that can be read.
    Unreachable,
}

impl Failure {
    /// Of an error.
    pub(super) fn of(error: &kube::Error) -> Self {
        let kube::Error::Api(status) = error else { return Self::Unreachable };
        Self::of_code(status.code)
    }

    /// Of the HTTP status of an answer.
    pub(super) const fn of_code(code: u16) -> Self {
        match code {
            404 => Self::NotFound,
            409 => Self::Conflict,
            401 | 403 => Self::Forbidden,
            429 => Self::Throttled,
            400..500 => Self::Refused,
            _ => Self::Server,
        }
    }

    /// Whether another request would most likely fail too. What is forbidden or refused may be so for one object only: by its namespace's roles, or
    /// by an admission webhook.
    pub(super) const fn is_of_the_server(self) -> bool {
        match self {
            Self::Throttled | Self::Server | Self::Timeout | Self::Unreachable => true,
            Self::NotFound | Self::Conflict | Self::Forbidden | Self::Refused => false,
        }
    }

    /// Its word.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Refused => "refused",
            Self::Throttled => "throttled",
            Self::Server => "server",
            Self::Timeout => "timeout",
            Self::Unreachable => "unreachable",
        }
    }
}

/// Waits for an answer for at most this long; the message of a failure is for the log.
pub(super) async fn within<T>(
    limit: Duration,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, (Failure, String)> {
    match tokio::time::timeout(limit, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err((Failure::of(&error), error.to_string())),
        Err(_) => Err((Failure::Timeout, format!("no answer within {limit:?}"))),
    }
}

/// Counts the writes of one kind.
#[derive(Clone, Debug)]
pub(super) struct Writes {
    what: &'static str,
    health: Arc<Health>,
}

impl Writes {
    /// Of this kind, a value of the label `what`.
    pub(super) fn new(what: &'static str, health: &Arc<Health>) -> Self {
        Self { what, health: Arc::clone(health) }
    }

    /// One was written.
    pub(super) fn written(&self) {
        self.health.shared_counter(&table::KUBERNETES_WRITES, &[self.what]).add(1);
    }

    /// One was not.
    pub(super) fn failed(&self, failure: Failure) {
        self.health.shared_counter(&table::KUBERNETES_WRITE_FAILURES, &[self.what, failure.word()]).add(1);
    }
}
