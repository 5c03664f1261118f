//! What is exported one batch at a time.

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
    /// One request; the attributes are added to the resources of workloads that are of no pod.
    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request;
}

impl ExportRecord for SpanRecord {
    const NAME: &'static str = "otlp_spans";
    const PLURAL: &'static str = "spans";

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Traces(request(batch, local_attributes))
    }
}

impl ExportRecord for LineRecord {
    const NAME: &'static str = "otlp_logs";
    const PLURAL: &'static str = "access-log lines";

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Logs(logs_request(batch, local_attributes))
    }
}
