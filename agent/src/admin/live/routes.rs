//! The paths of the live state.

use axum::{
    Router,
    extract::{RawQuery, State},
    http::{HeaderName, StatusCode, header},
    middleware,
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use serde_json::json;
use tokio::task::spawn_blocking;

use super::{
    LiveState, connections::ConnectionsView, guard::guard, plans::PlansView, query::Query, state::StateView,
    workloads::WorkloadsView,
};
use crate::policy::{
    attachment::Subject,
    explain::{explain as explanation, to_text},
};

/// What each path shows; the page at `/` says the same.
const INDEX: &str = "\
Telltale: live state, read-only. docs/admin.md explains it.

/v1/state                          version, node, backend, what it waits for, workers, counters
/v1/workloads                      pods and processes that are known here, and the policy of each
/v1/plans                          which policy holds for whom
/v1/connections?pod=NS/NAME        connections that are followed now (pod and limit may be left out)
/v1/explain?pod=NS/NAME            which policy holds for a pod, why not the others, what comes out
/v1/explain?namespace=NS           the same for the ordinary pods of a namespace (&output=text: in sentences)
";

pub(in super::super) fn router(live: LiveState) -> Router {
    Router::new()
        .route("/", get(|| async { INDEX }))
        .route("/v1/state", get(state))
        .route("/v1/workloads", get(workloads))
        .route("/v1/plans", get(plans))
        .route("/v1/connections", get(connections))
        .route("/v1/explain", get(explain))
        .fallback(|| async { fault(StatusCode::NOT_FOUND, "there is nothing here; GET / says where".to_owned()) })
        .layer(middleware::from_fn(guard))
        .with_state(live)
}

/// An answer that is none, with what is wrong.
pub(super) type Fault = (StatusCode, [(HeaderName, &'static str); 1], String);

const JSON: [(HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

pub(super) fn fault(status: StatusCode, error: impl std::fmt::Display) -> Fault {
    (status, JSON, json!({"error": error.to_string()}).to_string() + "\n")
}

fn wrong(error: String) -> Fault {
    fault(StatusCode::BAD_REQUEST, error)
}

/// Lines, so that it can be read without tools.
fn pretty(value: &impl Serialize) -> Response {
    match serde_json::to_string_pretty(value) {
        Ok(text) => (JSON, text + "\n").into_response(),
        Err(error) => fault(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Away from the thread of the exporters, which long lists would keep waiting.
async fn aside(work: impl FnOnce() -> Result<Response, Fault> + Send + 'static) -> Result<Response, Fault> {
    let lost = |_| fault(StatusCode::INTERNAL_SERVER_ERROR, "the answer was lost".to_owned());
    spawn_blocking(work).await.map_err(lost)?
}

async fn state(State(live): State<LiveState>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    Query::read(query.as_deref(), &[]).map_err(wrong)?;
    aside(move || Ok(pretty(&StateView::of(&live)))).await
}

async fn plans(State(live): State<LiveState>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    Query::read(query.as_deref(), &[]).map_err(wrong)?;
    aside(move || Ok(pretty(&PlansView::of(&live)))).await
}

async fn workloads(State(live): State<LiveState>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    Query::read(query.as_deref(), &[]).map_err(wrong)?;
    Ok(pretty(&WorkloadsView::of(&live).await))
}

async fn connections(State(live): State<LiveState>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    let query = Query::read(query.as_deref(), &["pod", "limit"]).map_err(wrong)?;
    let (pod, limit) = (query.pod().map_err(wrong)?, query.limit().map_err(wrong)?);
    Ok(pretty(&ConnectionsView::of(&live, pod, limit).await))
}

async fn explain(State(live): State<LiveState>, RawQuery(query): RawQuery) -> Result<Response, Fault> {
    let query = Query::read(query.as_deref(), &["pod", "namespace", "output"]).map_err(wrong)?;
    let subject = match (query.pod().map_err(wrong)?, query.get("namespace")) {
        (Some(pod), None) => Subject::Pod(pod),
        (None, Some(namespace)) if !namespace.is_empty() => Subject::Namespace(namespace.to_owned()),
        _ => return Err(wrong("one of pod and namespace is needed".to_owned())),
    };
    let in_sentences = match query.get("output") {
        None | Some("json") => false,
        Some("text") => true,
        Some(_) => return Err(wrong("output is json or text".to_owned())),
    };
    let Some(compiled) = live.compiled() else {
        return Err(fault(StatusCode::SERVICE_UNAVAILABLE, "no policies were read yet".to_owned()));
    };
    aside(move || {
        let objects = &compiled.objects;
        match &subject {
            Subject::Pod(pod) if !objects.pods.contains_key(pod) => {
                let node = live.0.about.node.as_ref().map_or_else(String::new, |node| format!(" (node {node})"));
                let error = format!("no Pod {pod} is known here{node}; ask the agent of its node");
                return Err(fault(StatusCode::NOT_FOUND, error));
            }
            Subject::Namespace(name) if !objects.known_namespaces().contains(name.as_str()) => {
                return Err(fault(StatusCode::NOT_FOUND, format!("no Namespace {name} is known here")));
            }
            _ => {}
        }
        let answer = explanation(&compiled, &subject);
        if in_sentences {
            return Ok(to_text(&answer, &|_, text| text.to_owned()).into_response());
        }
        // As `telltale policy explain -o json` writes it.
        Ok(pretty(&json!(answer)))
    })
    .await
}
