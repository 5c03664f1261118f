//! Access-log lines as OTLP log records: sent to the receiver that a policy names, over both protocols.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Bytes, extract::State, routing::post};
use opentelemetry_proto::tonic::{
    collector::logs::v1::{
        ExportLogsServiceRequest, ExportLogsServiceResponse,
        logs_service_server::{LogsService, LogsServiceServer},
    },
    common::v1::any_value::Value,
    logs::v1::LogRecord,
};
use prost::Message as _;
use telltale::{
    admin::{Health, table},
    capture::Role,
    export::{
        LogExporters, LogSettings, LogSinks,
        otlp::{BatchConfig, ExporterSettings, Exporters, RetryPolicy},
    },
    policy::{
        Capture, Defaults, Plan, Reach, Trust,
        model::{AccessLogs, Endpoint, FieldPath, Mode, Protocol, Sink, SinkKind},
        plan::AccessLogPlan,
    },
    telemetry::{Outlets, Recorder, Settings},
};
use tokio::{net::TcpListener, runtime::Handle};

use super::{otlp::DEADLINE, sample::exchange};

#[derive(Clone, Default)]
struct Receiver(Arc<Mutex<Vec<ExportLogsServiceRequest>>>);

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: tonic::Request<ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<ExportLogsServiceResponse>, tonic::Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(tonic::Response::new(ExportLogsServiceResponse::default()))
    }
}

async fn take(State(receiver): State<Receiver>, body: Bytes) -> Vec<u8> {
    receiver.0.lock().unwrap().push(ExportLogsServiceRequest::decode(body).unwrap());
    ExportLogsServiceResponse::default().encode_to_vec()
}

impl Receiver {
    async fn start() -> (Self, SocketAddr) {
        let receiver = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let path = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
        let router = Router::new()
            .route("/v1/logs", post(take))
            .route_service(path, LogsServiceServer::new(receiver.clone()))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (receiver, address)
    }

    /// Services with their records.
    fn records(&self) -> Vec<(Option<Value>, Vec<LogRecord>)> {
        let requests = self.0.lock().unwrap().clone();
        let resources = requests.into_iter().flat_map(|request| request.resource_logs);
        resources
            .map(|mut logs| {
                let service = logs.resource.unwrap().attributes.remove(0).value.and_then(|value| value.value);
                (service, logs.scope_logs.remove(0).log_records)
            })
            .collect()
    }
}

fn plan(address: SocketAddr, protocol: Protocol) -> Arc<Plan> {
    let endpoint = Endpoint { address: address.to_string(), protocol: Some(protocol), ..Endpoint::default() };
    let sinks = vec![Sink { at: FieldPath::default(), kind: SinkKind::Otlp(Some(endpoint)) }];
    let stanza = AccessLogs { mode: Mode::Enabled, sinks, ..AccessLogs::default() };
    let mut findings = Vec::new();
    let logs = AccessLogPlan::compile(&stanza, Defaults::default(), &Trust::own(), &mut findings);
    assert_eq!(findings, []);
    Arc::new(Plan { capture: Capture::Heads, access_logs: logs.map(Arc::new), ..Plan::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_reach_the_receiver_of_their_policy() {
    for protocol in [Protocol::Grpc, Protocol::Http] {
        let (receiver, address) = Receiver::start().await;
        let health = Health::new();
        let settings = ExporterSettings {
            batch: BatchConfig::default(),
            retry: RetryPolicy { initial: Duration::from_millis(10), max: Duration::from_millis(50) },
            local_attributes: Vec::new(),
            reach: Reach::ANYWHERE,
            deadline: DEADLINE,
        };
        let named = Exporters::new(Handle::current(), settings, &health);
        let exporters = LogExporters { own: None, named: named.clone() };
        let sinks = LogSinks::new(None, LogSettings { exporters: Some(exporters), ..LogSettings::default() }, &health);
        let open = move |plan: &Arc<Plan>| Outlets { logs: sinks.open(plan), ..Outlets::default() };
        let mut recorder = Recorder::new(Settings::default(), Box::new(open), &health);
        let plan = plan(address, protocol);
        for number in 0..3 {
            recorder.record(&exchange("shop", Role::Server, number), &plan);
        }
        recorder.record(&exchange("cart", Role::Client, 3), &plan);
        drop((recorder, plan));
        named.close().await;
        let records = receiver.records();
        assert_eq!(health.value(&table::EXPORTED, &["otlp_logs"]), 4, "{protocol:?}");
        let service = |name: &str| Some(Value::StringValue(name.to_owned()));
        let counts: Vec<_> = records.iter().map(|(service, records)| (service.clone(), records.len())).collect();
        assert_eq!(counts, [(service("shop"), 3), (service("cart"), 1)]);
        let record = &records[0].1[0];
        assert_eq!((record.trace_id.len(), record.span_id.len()), (16, 8));
        let Some(Value::StringValue(body)) = record.body.clone().and_then(|body| body.value) else {
            panic!("{record:?}")
        };
        let line: serde_json::Value = serde_json::from_str(&body).unwrap();
        assert_eq!(line["reporter"], "server");
    }
}
