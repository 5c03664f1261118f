//! The agent's own telemetry through the OpenTelemetry SDK: its health as metrics, its messages as logs.

use std::{sync::Arc, time::Duration};

use opentelemetry::{InstrumentationScope, KeyValue, metrics::MeterProvider as _};
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol as SdkProtocol, WithExportConfig as _,
    WithHttpConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::{
    Resource,
    logs::{SdkLoggerProvider, log_processor_with_async_runtime::BatchLogProcessor},
    metrics::{SdkMeterProvider, periodic_reader_with_async_runtime::PeriodicReader},
    runtime,
};
use tokio::{task::spawn_blocking, time::timeout};

use super::{Health, LogBridge, table, table::Kind};
use crate::{
    export::{
        otlp::{Choice, ConfigError, EnvironmentResource, OtlpConfig, Protocol, Signal, TransportError, grpc, http},
        user_agent,
    },
    telemetry::names::{SCOPE_NAME, SCOPE_VERSION, key},
};

/// The agent's own telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SelfTelemetryError {
    /// A variable cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A client cannot be made.
    #[error(transparent)]
    Transport(#[from] TransportError),
    /// The SDK refuses.
    #[error("cannot make an exporter for the agent's own telemetry: {0}")]
    Build(#[from] ExporterBuildError),
}

/// What exports the agent's own telemetry, while it lives.
#[derive(Debug)]
pub struct SelfTelemetry {
    meters: Option<SdkMeterProvider>,
    loggers: Option<SdkLoggerProvider>,
}

impl SelfTelemetry {
    /// Starts what the `OTEL_*` variables ask for, on the current tokio runtime: metrics and logs, each where its endpoint (or the general one) is
    /// named. [`LogBridge`] must be a layer of the subscriber for logs to come.
    pub fn from_environment(
        lookup: &dyn Fn(&str) -> Option<String>,
        resource: &EnvironmentResource,
        health: &Arc<Health>,
    ) -> Result<Self, SelfTelemetryError> {
        let metrics = Choice::from_environment(Signal::Metrics, lookup)?;
        let logs = Choice::from_environment(Signal::Logs, lookup)?;
        Self::start(metrics, logs, crate::export::otlp::metric_interval(lookup)?, resource, health)
    }

    /// Starts what is chosen, on the current tokio runtime; metrics are sent every `interval`.
    ///
    /// # Errors
    /// An exporter that cannot be made.
    pub fn start(
        metrics: Choice,
        logs: Choice,
        interval: Duration,
        resource: &EnvironmentResource,
        health: &Arc<Health>,
    ) -> Result<Self, SelfTelemetryError> {
        let resource = sdk_resource(resource);
        let meters = match metrics {
            Choice::Otlp(config) => {
                let reader = PeriodicReader::builder(metric_exporter(&config)?, runtime::Tokio)
                    .with_interval(interval)
                    .with_timeout(config.timeout)
                    .build();
                let meters = SdkMeterProvider::builder().with_reader(reader).with_resource(resource.clone()).build();
                register(&meters, health);
                Some(meters)
            }
            Choice::Console | Choice::None => None,
        };
        let loggers = match logs {
            Choice::Otlp(config) => {
                let processor = BatchLogProcessor::builder(log_exporter(&config)?, runtime::Tokio).build();
                let loggers =
                    SdkLoggerProvider::builder().with_log_processor(processor).with_resource(resource).build();
                LogBridge::connect(OpenTelemetryTracingBridge::new(&loggers));
                Some(loggers)
            }
            Choice::Console | Choice::None => None,
        };
        Ok(Self { meters, loggers })
    }

    /// Exports what is left, for at most this long.
    pub async fn close(self, deadline: Duration) {
        // The SDK waits for its tasks with a blocking call, which must not hold up the runtime that they run on. Each signal has all of the time.
        let Self { meters, loggers } = self;
        let metrics = spawn_blocking(move || meters.map_or(Ok(()), |meters| meters.shutdown_with_timeout(deadline)));
        let logs = spawn_blocking(move || loggers.map_or(Ok(()), |loggers| loggers.shutdown_with_timeout(deadline)));
        let (metrics, logs) = tokio::join!(timeout(deadline, metrics), timeout(deadline, logs));
        for (signal, last) in [("metrics", metrics), ("logs", logs)] {
            match last {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => tracing::debug!("the agent's own {signal} did not end well: {error}"),
                Ok(Err(_)) | Err(_) => {
                    tracing::debug!("the agent's own {signal} were not exported before the deadline");
                }
            }
        }
    }
}

fn sdk_resource(environment: &EnvironmentResource) -> Resource {
    let attributes = environment.attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone()));
    Resource::builder_empty()
        .with_attributes([KeyValue::new("service.version", SCOPE_VERSION)])
        .with_attributes(attributes)
        .with_attributes([KeyValue::new(
            key::SERVICE_NAME,
            environment.service_name.clone().unwrap_or_else(|| SCOPE_NAME.to_owned()),
        )])
        .build()
}

/// Both builders of `opentelemetry-otlp` take the same settings through different traits of the same names.
macro_rules! exporter {
    ($builder:ty, $config:expr) => {{
        let config: &OtlpConfig = $config;
        match config.protocol {
            Protocol::Grpc => {
                let mut metadata = grpc::metadata(config)?;
                // As metadata, since the exporter would put its own name before the channel's.
                if let Ok(value) = user_agent().parse() {
                    metadata.insert("user-agent", value);
                }
                <$builder>::builder()
                    .with_tonic()
                    .with_channel(grpc::channel(config)?)
                    .with_metadata(metadata)
                    .with_timeout(config.timeout)
                    .build()?
            }
            Protocol::HttpProtobuf => {
                let mut headers: std::collections::HashMap<_, _> = config.headers.iter().cloned().collect();
                headers.insert("User-Agent".to_owned(), user_agent());
                <$builder>::builder()
                    .with_http()
                    .with_http_client(http::plain_client(config)?)
                    .with_protocol(SdkProtocol::HttpBinary)
                    .with_endpoint(config.endpoint.clone())
                    .with_headers(headers)
                    .with_timeout(config.timeout)
                    .build()?
            }
        }
    }};
}

fn metric_exporter(config: &OtlpConfig) -> Result<MetricExporter, SelfTelemetryError> {
    Ok(exporter!(MetricExporter, config))
}

fn log_exporter(config: &OtlpConfig) -> Result<LogExporter, SelfTelemetryError> {
    Ok(exporter!(LogExporter, config))
}

/// One observable instrument per row of the table.
fn register(meters: &SdkMeterProvider, health: &Arc<Health>) {
    let scope = InstrumentationScope::builder(SCOPE_NAME).with_version(SCOPE_VERSION).build();
    let meter = meters.meter_with_scope(scope);
    for &metric in table::ALL {
        let health = Arc::clone(health);
        let observe = move |observer: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            for sample in health.samples().iter().filter(|sample| sample.metric == metric) {
                let labels = metric.labels.iter().zip(&sample.labels);
                let attributes: Vec<_> = labels.map(|(&key, value)| KeyValue::new(key, value.clone())).collect();
                observer.observe(sample.value, &attributes);
            }
        };
        let name = metric.name.replace('_', ".");
        let unit = match metric.unit {
            Some("seconds") => "s",
            Some("bytes") => "By",
            _ => "1",
        };
        match metric.kind {
            Kind::Counter => {
                let builder = meter.f64_observable_counter(name).with_unit(unit).with_description(metric.help);
                builder.with_callback(observe).build();
            }
            Kind::Gauge => {
                let builder = meter.f64_observable_gauge(name).with_unit(unit).with_description(metric.help);
                builder.with_callback(observe).build();
            }
        }
    }
}
