//! The agent's own messages to the OpenTelemetry SDK, once there is one.

use std::sync::OnceLock;

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::{SdkLogger, SdkLoggerProvider};
use tracing::{Event, Subscriber};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

type Bridge = OpenTelemetryTracingBridge<SdkLoggerProvider, SdkLogger>;

static BRIDGE: OnceLock<Bridge> = OnceLock::new();

/// A layer that does nothing until [`super::SelfTelemetry`] connects it: the subscriber is set up before the configuration is read.
///
/// Only messages of this program pass: those of the libraries that export would cause exports.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogBridge;

impl LogBridge {
    pub(super) fn connect(bridge: Bridge) {
        // A second one in the same process (tests) stays unconnected.
        let _ = BRIDGE.set(bridge);
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for LogBridge {
    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let target = event.metadata().target();
        if let Some(bridge) = BRIDGE.get()
            && (target == "telltale" || target.starts_with("telltale::"))
        {
            Layer::<S>::on_event(bridge, event, context);
        }
    }
}
