//! `/metrics`, `/healthz` and `/readyz`.

use std::{sync::Arc, time::Instant};

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use tokio::{sync::Mutex, task::spawn_blocking};

use super::{Liveness, Readiness};
use crate::export::prometheus::{Exposition, Format};

#[derive(Clone)]
struct Shared {
    exposition: Arc<Exposition>,
    /// One scrape at a time is rendered; the others wait for it without a thread.
    turn: Arc<Mutex<()>>,
    liveness: Liveness,
    readiness: Readiness,
}

pub(super) fn router(exposition: Arc<Exposition>, liveness: Liveness, readiness: Readiness) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .with_state(Shared { exposition, turn: Arc::default(), liveness, readiness })
}

async fn metrics(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    let format = Format::negotiate(accept);
    let turn = shared.turn.lock_owned().await;
    // Many series take long to read, and exporters share this thread.
    let rendered = spawn_blocking(move || {
        let text = shared.exposition.render(format);
        // Also if the scraper has gone in the meantime, the next one starts only now.
        drop(turn);
        text
    });
    match rendered.await {
        Ok(text) => ([(header::CONTENT_TYPE, format.content_type())], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn alive(State(shared): State<Shared>) -> (StatusCode, String) {
    verdict("ok", &shared.liveness.faults(Instant::now()))
}

async fn ready(State(shared): State<Shared>) -> (StatusCode, String) {
    let waits = shared.readiness.waits_for().into_iter().map(|(name, reason)| format!("{name}: {reason}"));
    verdict("ready", &waits.collect::<Vec<_>>())
}

/// One line for each thing that is wrong.
fn verdict(good: &str, wrong: &[String]) -> (StatusCode, String) {
    if wrong.is_empty() {
        (StatusCode::OK, format!("{good}\n"))
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, wrong.join("\n") + "\n")
    }
}
