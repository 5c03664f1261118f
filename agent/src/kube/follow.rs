//! The loop that keeps one subject up to date.

use std::{
    error::Error as _,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::StreamExt as _;
use kube::{
    Api,
    runtime::watcher::{Config, Error, Event, watcher},
};
use serde::de::DeserializeOwned;

use super::{backoff::Backoff, clock, failure::Failure, kinds::Subject, received::Readable, watches::Shared};
use crate::admin::table;

/// A watch ends after so many seconds and is resumed, at the latest; no two subjects at the same time.
const LONGEST: u32 = 290;

/// The API server does not know the place in the sequence of changes from which a watch is to go on.
const GONE: u16 = 410;

/// How all objects are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    /// As the beginning of the watch, one by one (`sendInitialEvents`; Kubernetes 1.32).
    Streamed,
    /// In pages.
    Paged,
}

/// So many objects are in a page: what a page takes as JSON and parsed is in memory at once.
const PAGE: u32 = 100;

/// After so long without a failure the next one is a new one.
const CALM: Duration = Duration::from_mins(1);

/// Waits after failures. A watch that works for a moment between two of them, as one does whose place is forgotten again and again, does not make the
/// wait shorter.
#[derive(Default)]
struct Pauses {
    backoff: Backoff,
    last: Option<Instant>,
}

impl Pauses {
    async fn after_failure(&mut self) {
        if self.last.is_some_and(|last| last.elapsed() > CALM) {
            self.backoff.worked();
        }
        tokio::time::sleep(self.backoff.failed()).await;
        self.last = Some(Instant::now());
    }
}

/// Watches until it is dropped. The watcher resumes where it was as long as the API server knows that place, and lists again where it does not; every
/// failure, and every list that did not come to its end, is followed by a wait.
pub(super) async fn follow<K>(shared: Arc<Shared>, subject: Subject, api: Api<K>, fields: Option<String>)
where
    K: Readable + DeserializeOwned + Clone + std::fmt::Debug + Send + 'static,
{
    let label = subject.label();
    let (events, lists) = (
        shared.health.shared_counter(&table::KUBERNETES_EVENTS, &[label]),
        shared.health.shared_counter(&table::KUBERNETES_LISTS, &[label]),
    );
    let failed = |reason: &str| shared.health.shared_counter(&table::KUBERNETES_ERRORS, &[label, reason]).add(1);
    let mut listing = Listing::Streamed;
    let mut pauses = Pauses::default();
    let mut is_failing = false;
    loop {
        let mut config = Config { field_selector: fields.clone(), ..Config::default() };
        config = config.timeout(LONGEST - clock::random() as u32 % 60).page_size(PAGE);
        if listing == Listing::Streamed {
            config = config.streaming_lists();
        }
        let mut stream = pin!(watcher(api.clone(), config));
        let mut is_listing = false;
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => {
                    if is_listing {
                        // The last one was cut short; after an error there was a wait already, and `is_listing` is false.
                        failed("list_cut_short");
                        pauses.after_failure().await;
                    }
                    is_listing = true;
                    lists.add(1);
                    shared.change(subject, |store| {
                        store.begin(subject);
                        false
                    });
                }
                Ok(Event::InitApply(object) | Event::Apply(object)) => {
                    events.add(1);
                    let (name, received) = object.open();
                    shared.change(subject, |store| store.put(subject, name, received));
                }
                Ok(Event::Delete(object)) => {
                    events.add(1);
                    let (name, _) = object.open();
                    shared.change(subject, |store| store.remove(subject, &name));
                }
                Ok(Event::InitDone) => {
                    is_listing = false;
                    shared.change(subject, |store| store.complete(subject));
                }
                Err(error) => {
                    let (reason, text) = describe(&error);
                    if listing == Listing::Streamed && is_refused(&error) {
                        tracing::debug!(kind = label, "the API server does not stream lists: {text}");
                        listing = Listing::Paged;
                        break;
                    }
                    failed(reason);
                    // `410 Gone` is how the API server says that it has forgotten the place, and no fault.
                    if !is_failing && reason != "gone" {
                        tracing::warn!("cannot follow {label}: {text}; what is known of them stays");
                        is_failing = true;
                    } else {
                        tracing::debug!("cannot follow {label}: {text}");
                    }
                    is_listing = false;
                    pauses.after_failure().await;
                    // The watcher itself would ask for the same place again.
                    if matches!(&error, Error::WatchStartFailed(kube::Error::Api(status)) if status.code == GONE) {
                        break;
                    }
                    continue;
                }
            }
            if is_failing && !is_listing {
                tracing::info!("following {label} again");
                is_failing = false;
            }
        }
    }
}

/// Whether a streamed list is something that this API server does not do: it says that the request is invalid.
fn is_refused(error: &Error) -> bool {
    matches!(error, Error::WatchStartFailed(kube::Error::Api(status)) if matches!(status.code, 400 | 422))
}

/// A failure: its word in metrics, and a sentence.
fn describe(error: &Error) -> (&'static str, String) {
    let failed = match error {
        Error::InitialListFailed(error) | Error::WatchStartFailed(error) | Error::WatchFailed(error) => error,
        Error::WatchError(status) => return (word(status.code), status.message.clone()),
        Error::NoResourceVersion => return ("malformed", error.to_string()),
    };
    match failed {
        kube::Error::Api(status) => (word(status.code), status.message.clone()),
        kube::Error::SerdeError(error) => ("malformed", error.to_string()),
        _ => {
            // The first says no more than that something went wrong.
            let mut text = failed.to_string();
            let mut cause = failed.source();
            while let Some(inner) = cause {
                let words = inner.to_string();
                if !text.contains(&words) {
                    text = format!("{text}: {words}");
                }
                cause = inner.source();
            }
            (Failure::of(failed).word(), text)
        }
    }
}

fn word(code: u16) -> &'static str {
    if code == GONE { "gone" } else { Failure::of_code(code).word() }
}
