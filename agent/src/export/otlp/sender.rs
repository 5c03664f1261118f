//! Requests to one endpoint, with retries, no sooner than it wants them.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    OtlpConfig, RetryPolicy, Transport,
    queue::SHUTDOWN,
    transport::{Accepted, Request, SendError},
};
use crate::admin::{Counter, Health, table};

/// Characters of a receiver's own words that the agent's log shows: whoever runs the receiver need not be who reads the log.
const MAX_WORDS: usize = 200;

/// Why a request was not sent before its time was over.
const EXHAUSTED: &str = "retries_exhausted";

/// Sends with retries. The log says once each when an endpoint goes away and comes back, and when it begins to reject entries and ends.
pub(super) struct Sender {
    transport: Transport,
    endpoint: String,
    retry: RetryPolicy,
    /// Longest time for one request, retries included.
    limit: Duration,
    sink: &'static str,
    health: Arc<Health>,
    /// Until when the last requests may take, once the end has come.
    closes: watch::Receiver<Option<Instant>>,
    /// When the receiver wants the next request, at the earliest.
    not_before: Option<Instant>,
    /// Whether a request whose time was over before that is sent once more then.
    pub(super) keeps: bool,
    away: bool,
    complains: bool,
    failures: Vec<(String, Counter)>,
}

impl Sender {
    /// Counts under the name of `sink`. One request takes at most `limit`, retries included; `closes` says when no request may start any more.
    pub(super) fn new(
        transport: Transport,
        config: &OtlpConfig,
        sink: &'static str,
        limit: Duration,
        retry: RetryPolicy,
        closes: watch::Receiver<Option<Instant>>,
        health: &Arc<Health>,
    ) -> Self {
        Self {
            transport,
            endpoint: config.endpoint.clone(),
            retry,
            limit,
            sink,
            health: Arc::clone(health),
            closes,
            not_before: None,
            keeps: true,
            away: false,
            complains: false,
            failures: Vec::new(),
        }
    }

    /// Sends until it is accepted, refused for good, or the time is over. Returns how many entries were rejected, or why all were lost.
    ///
    /// The time that a receiver asks for is waited before this and every later request (OTLP specification, "OTLP/gRPC Throttling" and "OTLP/HTTP
    /// Throttling"). If it is longer than the limit, the request is sent once more after it, and that is the last time.
    pub(super) async fn send(&mut self, request: &Request) -> Result<u64, &'static str> {
        if !self.allowed().await {
            return Err(SHUTDOWN);
        }
        let end = Instant::now().checked_add(self.limit);
        let mut last = false;
        for attempt in 0.. {
            let error = match self.transport.send(request).await {
                Ok(accepted) => {
                    self.accepted(&accepted);
                    return Ok(accepted.rejected);
                }
                Err(error) => error,
            };
            self.failed(&error);
            if !error.retryable {
                return Err("refused");
            }
            let until = Instant::now() + self.retry.wait(attempt, error.retry_after);
            if error.retry_after.is_some() {
                self.not_before = Some(until);
            }
            if last {
                return Err(EXHAUSTED);
            }
            if end.is_some_and(|end| until >= end) {
                last = self.keeps && error.retry_after.is_some();
                if !last {
                    return Err(EXHAUSTED);
                }
            }
            if !self.rest(until).await {
                return Err(SHUTDOWN);
            }
        }
        Err(EXHAUSTED)
    }

    /// Waits until the receiver wants requests again. Whether that is before the end.
    pub(super) async fn allowed(&mut self) -> bool {
        match self.not_before.take() {
            Some(until) => self.rest(until).await,
            None => true,
        }
    }

    /// Waits until then, unless the end comes sooner: then there is nothing to wait for.
    async fn rest(&mut self, until: Instant) -> bool {
        let sooner = |end: &Option<Instant>| end.is_some_and(|end| end <= until);
        tokio::select! {
            Ok(_) = self.closes.wait_for(sooner) => false,
            () = sleep_until(until) => true,
        }
    }

    fn accepted(&mut self, accepted: &Accepted) {
        if self.away {
            tracing::info!("OTLP endpoint {} works again", self.endpoint);
            self.away = false;
        }
        let complains = accepted.rejected > 0 || !accepted.message.is_empty();
        match (self.complains, complains) {
            (false, true) => tracing::warn!(
                "OTLP endpoint {} rejected {} entries: {}; what more it rejects is counted",
                self.endpoint,
                accepted.rejected,
                words(&accepted.message)
            ),
            (true, false) => tracing::info!("OTLP endpoint {} takes all entries again", self.endpoint),
            _ => {}
        }
        self.complains = complains;
    }

    fn failed(&mut self, error: &SendError) {
        self.count(error);
        if !self.away {
            let then = if error.retryable { "it is tried again" } else { "the batch is lost and counted" };
            tracing::error!("cannot export to OTLP endpoint {}: {}; {then}", self.endpoint, words(&error.message));
            self.away = true;
        }
    }

    fn count(&mut self, error: &SendError) {
        // Reasons are statuses and codes: at most some hundred, in practice a handful.
        let found = self.failures.iter().position(|(reason, _)| *reason == error.reason);
        let index = found.unwrap_or_else(|| {
            let counter = self.health.shared_counter(&table::EXPORT_FAILURES, &[self.sink, &error.reason]);
            self.failures.push((error.reason.clone(), counter));
            self.failures.len() - 1
        });
        self.failures[index].1.add(1);
    }
}

/// What a receiver says, so that it cannot be taken for the agent's own words: quoted, escaped and cut.
fn words(text: &str) -> String {
    let cut = text.char_indices().nth(MAX_WORDS).map_or(text.len(), |(end, _)| end);
    let more = if cut < text.len() { "..." } else { "" };
    format!("{:?}{more}", &text[..cut])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_receiver_are_escaped_and_cut() {
        assert_eq!(words("too many"), "\"too many\"");
        assert_eq!(words("a\n\u{1b}[31m2026 ERROR"), "\"a\\n\\u{1b}[31m2026 ERROR\"");
        let long = words(&"\u{e9}".repeat(4 << 20));
        assert_eq!(long, format!("{:?}...", "\u{e9}".repeat(MAX_WORDS)));
    }
}
