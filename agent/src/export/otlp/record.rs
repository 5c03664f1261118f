//! What is exported one batch at a time.

use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};

use super::transport::Request;
use crate::telemetry::{
    access_log::{LineRecord, logs_request},
    span::{SpanRecord, request},
};

/// Bytes of every record: its identifiers, times, flags and status.
const RECORD: usize = 128;
/// Bytes of every value beside its text: a number, or the tags and lengths around a text.
const VALUE: usize = 24;

/// A record of observed traffic that goes to a receiver in batches, each with a resource for every workload in it.
pub trait ExportRecord: std::fmt::Debug + Send + Sized + 'static {
    /// The name of its queues and exporters in metrics.
    const NAME: &'static str;
    /// What several of them are called in messages.
    const PLURAL: &'static str;
    /// Bytes that it takes, about: those of its texts and names, which headers and content can make long, and some for what is always there.
    fn size(&self) -> usize;
    /// One request; the attributes are added to the resources of workloads that are of no pod.
    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request;
}

impl ExportRecord for SpanRecord {
    const NAME: &'static str = "otlp_spans";
    const PLURAL: &'static str = "spans";

    fn size(&self) -> usize {
        RECORD + self.span.name.len() + self.span.trace_state.len() + attributes_size(&self.span.attributes)
    }

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Traces(request(batch, local_attributes))
    }
}

impl ExportRecord for LineRecord {
    const NAME: &'static str = "otlp_logs";
    const PLURAL: &'static str = "access-log lines";

    fn size(&self) -> usize {
        RECORD + self.record.body.as_ref().map_or(0, value_size) + attributes_size(&self.record.attributes)
    }

    fn request(batch: Vec<Self>, local_attributes: &[(String, String)]) -> Request {
        Request::Logs(logs_request(batch, local_attributes))
    }
}

fn attributes_size(attributes: &[KeyValue]) -> usize {
    attributes.iter().map(|one| VALUE + one.key.len() + one.value.as_ref().map_or(0, value_size)).sum()
}

/// Values nest as deep as the agent makes them: lists of texts.
fn value_size(value: &AnyValue) -> usize {
    match &value.value {
        Some(Value::StringValue(text)) => text.len(),
        Some(Value::BytesValue(bytes)) => bytes.len(),
        Some(Value::ArrayValue(list)) => list.values.iter().map(|value| VALUE + value_size(value)).sum(),
        Some(Value::KvlistValue(list)) => attributes_size(&list.values),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::ArrayValue;
    use prost::Message as _;

    use super::*;
    use crate::{
        capture::Role,
        policy::plan::TracingPlan,
        telemetry::{
            KnownMethods,
            span::{self, boolean, number, text},
            test_support::Sample,
            trace_context,
        },
    };

    /// What the bounds of queues and requests count is no less than what is sent, whatever kind of value is long.
    #[test]
    fn a_record_is_as_large_as_what_is_sent_of_it() {
        let plain = Sample::new(Role::Client).facts(|facts| {
            let head = &facts.exchange.request.head;
            let open = &facts.exchange.connection.open;
            let identity = trace_context::identify(open, facts.role, head.position, head.first_byte, None);
            span::build(facts, &identity, &KnownMethods::default(), &TracingPlan::default())
        });
        let string = |length| Value::StringValue("x".repeat(length));
        let list = (0..100).map(|_| AnyValue { value: Some(string(300)) }).collect();
        let list = Value::ArrayValue(ArrayValue { values: list });
        let header = KeyValue { value: Some(AnyValue { value: Some(list) }), ..text("http.request.header.cookie", "") };
        let many = (0..500).map(|index| number(&format!("k{index}"), i64::MIN)).chain([boolean("b", true)]).collect();
        for attributes in [Vec::new(), vec![text("a", "x".repeat(5000))], vec![header], many] {
            let mut record = plain.clone();
            record.span.trace_state = "a=b".repeat(100);
            record.span.attributes.extend(attributes);
            let (size, sent) = (record.size(), record.span.encoded_len());
            assert!(size >= sent && size <= sent * 2 + RECORD, "{size} for {sent}");
        }
    }
}
