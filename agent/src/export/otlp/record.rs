//! What is exported one batch at a time.

use opentelemetry_proto::tonic::common::v1::{AnyValue, any_value::Value};

use super::transport::Request;
use crate::telemetry::{
    access_log::{LineRecord, logs_request},
    span::{SpanRecord, request},
};

/// A record of observed traffic that goes to a receiver in batches, each with a resource for every workload in it.
pub trait ExportRecord: std::fmt::Debug + Send + Sized + 'static {
    /// The name of its queues and exporters in metrics.
    const NAME: &'static str;
    /// What several of them are called in messages.
    const PLURAL: &'static str;
    /// Bytes of its texts, which content can make long.
    fn size(&self) -> usize;
    /// One request; the attributes are added to the resources of workloads that are of no pod.
    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request;
}

impl ExportRecord for SpanRecord {
    const NAME: &'static str = "otlp_spans";
    const PLURAL: &'static str = "spans";

    fn size(&self) -> usize {
        self.span.attributes.iter().filter_map(|attribute| attribute.value.as_ref()).map(text_size).sum()
    }

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Traces(request(batch, local_attributes))
    }
}

impl ExportRecord for LineRecord {
    const NAME: &'static str = "otlp_logs";
    const PLURAL: &'static str = "access-log lines";

    fn size(&self) -> usize {
        self.record.body.as_ref().map_or(0, text_size)
    }

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Logs(logs_request(batch, local_attributes))
    }
}

fn text_size(value: &AnyValue) -> usize {
    match &value.value {
        Some(Value::StringValue(text)) => text.len(),
        _ => 0,
    }
}
