//! Lines as OTLP log records (OpenTelemetry logs data model).

use std::sync::Arc;

use opentelemetry_proto::tonic::{
    collector::logs::v1::ExportLogsServiceRequest,
    common::v1::{AnyValue, any_value},
    logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber},
};

use crate::{
    telemetry::{
        ExchangeSubject,
        names::schema_url,
        span::{resource, scope},
    },
    workload::Workload,
};

/// A line and whom it belongs to.
#[derive(Clone, Debug, PartialEq)]
pub struct LineRecord {
    /// The source of its resource.
    pub workload: Arc<Workload>,
    /// The line, without its newline, as body; its time is that of the request, as Envoy's is.
    pub record: LogRecord,
}

impl LineRecord {
    /// The record of a line.
    pub fn new(line: &[u8], subject: &ExchangeSubject<'_>) -> Self {
        let exchange = subject.facts.exchange;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let body = any_value::Value::StringValue(String::from_utf8_lossy(line).into_owned());
        let record = LogRecord {
            time_unix_nano: exchange.request.head.first_byte.0,
            observed_time_unix_nano: exchange.end.0,
            severity_number: SeverityNumber::Info.into(),
            body: Some(AnyValue { value: Some(body) }),
            trace_id: subject.identity.map(|identity| identity.trace_id.0.to_be_bytes().to_vec()).unwrap_or_default(),
            span_id: subject.identity.map(|identity| identity.span_id.0.to_be_bytes().to_vec()).unwrap_or_default(),
            ..LogRecord::default()
        };
        Self { workload: Arc::clone(&exchange.connection.workload), record }
    }
}

/// One request with a resource for each workload, in the order in which they first appear. `local` is added where a workload is of no pod.
pub fn logs_request(
    records: impl IntoIterator<Item = LineRecord>,
    local: &[(String, String)],
) -> ExportLogsServiceRequest {
    let mut groups: Vec<(Arc<Workload>, Vec<LogRecord>)> = Vec::new();
    for LineRecord { workload, record } in records {
        let same = |(other, _): &(Arc<Workload>, _)| Arc::ptr_eq(other, &workload) || **other == *workload;
        match groups.iter().rposition(same) {
            Some(group) => groups[group].1.push(record),
            None => groups.push((workload, vec![record])),
        }
    }
    let resource_logs = groups
        .into_iter()
        .map(|(workload, log_records)| ResourceLogs {
            resource: Some(resource(
                &workload.service_name,
                workload.namespace.as_deref(),
                &workload.attributes,
                local,
            )),
            scope_logs: vec![ScopeLogs { scope: Some(scope()), log_records, schema_url: schema_url().into() }],
            schema_url: schema_url().into(),
        })
        .collect();
    ExportLogsServiceRequest { resource_logs }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        capture::Role,
        telemetry::{KnownMethods, test_support::Sample, trace_context::identify},
    };

    fn record(sample: &Sample) -> LineRecord {
        sample.facts(|facts| {
            let head = &facts.exchange.request.head;
            let open = &facts.exchange.connection.open;
            let identity = identify(open, facts.role, head.position, head.first_byte, None);
            let methods = KnownMethods::default();
            LineRecord::new(b"{\"a\":1}\n", &ExchangeSubject { facts, identity: Some(&identity), methods: &methods })
        })
    }

    #[test]
    fn a_line_is_a_body_with_the_ids_of_its_span() {
        let LineRecord { record, .. } = record(&Sample::new(Role::Client));
        assert_eq!(
            (record.time_unix_nano, record.observed_time_unix_nano),
            (1_700_000_000_123_456_789, 1_700_000_000_135_802_467)
        );
        assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8));
        let body = record.body.and_then(|body| body.value);
        assert_eq!(body, Some(any_value::Value::StringValue("{\"a\":1}".to_owned())));
    }

    #[test]
    fn each_workload_has_one_resource() {
        let records = [Role::Client, Role::Server, Role::Client].map(|role| record(&Sample::new(role)));
        let local = [("deployment.environment.name".to_owned(), "test".to_owned())];
        let request = logs_request(records, &local);
        let counts: Vec<_> = request.resource_logs.iter().map(|logs| logs.scope_logs[0].log_records.len()).collect();
        assert_eq!(counts, [2, 1]);
        let attributes = &request.resource_logs[0].resource.as_ref().unwrap().attributes;
        assert!(attributes.iter().any(|attribute| attribute.key == "deployment.environment.name"));
    }
}
