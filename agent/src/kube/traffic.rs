//! Counts what the API server sends, and when it last did.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Instant,
};

use bytes::{Buf as _, Bytes};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use tower_layer::Layer;
use tower_service::Service;

use crate::admin::{Counter, Health, Sample, table};

/// Counts the bodies of all responses of a client.
#[derive(Clone, Debug)]
pub(super) struct TrafficLayer {
    received: Counter,
    last: Arc<Last>,
}

/// When something came last.
#[derive(Debug)]
struct Last {
    start: Instant,
    /// Milliseconds since `start`.
    at: AtomicU64,
}

impl Last {
    fn now(&self) {
        self.at.store(self.start.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    fn age(&self) -> f64 {
        let age = self.start.elapsed().as_millis() as u64;
        age.saturating_sub(self.at.load(Ordering::Relaxed)) as f64 / 1e3
    }
}

impl TrafficLayer {
    pub(super) fn new(health: &Health) -> Self {
        let last = Arc::new(Last { start: Instant::now(), at: AtomicU64::new(0) });
        let asked = Arc::clone(&last);
        health.source(move |add| {
            add(Sample { metric: &table::KUBERNETES_CONTACT_AGE, labels: Vec::new(), value: asked.age() });
        });
        Self { received: health.counter(&table::KUBERNETES_RECEIVED, &[]), last }
    }
}

impl<S> Layer<S> for TrafficLayer {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, layer: self.clone() }
    }
}

/// A service whose responses are counted.
#[derive(Clone, Debug)]
pub(super) struct Counted<S> {
    inner: S,
    layer: TrafficLayer,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = Response<CountedBody<B>>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (response, layer) = (self.inner.call(request), self.layer.clone());
        Box::pin(async move {
            let response = response.await?;
            layer.last.now();
            Ok(response.map(|inner| CountedBody { inner: Box::pin(inner), layer }))
        })
    }
}

/// A body that is counted while it comes.
#[derive(Debug)]
pub(super) struct CountedBody<B> {
    inner: Pin<Box<B>>,
    layer: TrafficLayer,
}

impl<B: Body<Data = Bytes>> Body for CountedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(self.inner.as_mut().poll_frame(context));
        if let Some(Ok(frame)) = &frame {
            self.layer.received.add(frame.data_ref().map_or(0, |data| data.remaining() as u64));
            self.layer.last.now();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
