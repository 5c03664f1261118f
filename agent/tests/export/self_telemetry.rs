//! The agent's own telemetry through the SDK.

use std::{collections::HashMap, sync::Arc, time::Duration};

use telltale::{
    admin::{Health, LogBridge, SelfTelemetry, table},
    export::otlp::EnvironmentResource,
};
use tracing_subscriber::layer::SubscriberExt as _;

use super::peers::{free_address, rotel, wait_for};

const DEADLINE: Duration = Duration::from_mins(1);

/// What a receiver of this protocol printed.
async fn exported(protocol: &str) -> String {
    let (grpc, http) = (free_address(), free_address());
    let receiver = rotel(grpc, http);
    let address = if protocol == "grpc" { grpc } else { http };
    let variables = HashMap::from([
        ("OTEL_EXPORTER_OTLP_ENDPOINT", format!("http://{address}")),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol.to_owned()),
    ]);
    let health = Health::new();
    health.counter(&table::GAPS, &["ring_full"]).add(42);
    let resource = EnvironmentResource {
        service_name: Some("telltale-test".to_owned()),
        attributes: vec![("deployment.environment.name".to_owned(), "test".to_owned())],
    };
    let lookup = |name: &str| variables.get(name).cloned();
    let telemetry = SelfTelemetry::from_environment(&lookup, &resource, &health).unwrap();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(LogBridge), || {
        tracing::warn!(target: "telltale::test", "a message of the agent");
        tracing::warn!(target: "hyper", "a message of a library");
    });
    telemetry.close(DEADLINE).await;
    wait_for("the metrics", || Some(receiver.output()).filter(|output| output.contains("telltale.gaps")))
}

fn assert_metrics(output: &str) {
    for wanted in
        ["service.name: Str(telltale-test)", "deployment.environment.name: Str(test)", "reason: Str(ring_full)"]
    {
        assert!(output.contains(wanted), "{wanted} is not in {output}");
    }
}

/// One test for both protocols: a process has one connection of messages, the first.
#[tokio::test]
async fn a_real_receiver_takes_the_agents_own_telemetry() {
    let output = exported("grpc").await;
    assert_metrics(&output);
    assert!(output.contains("a message of the agent"), "{output}");
    assert!(!output.contains("a message of a library"), "{output}");
    assert_metrics(&exported("http/protobuf").await);
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_exported() {
    let health = Health::new();
    let telemetry = SelfTelemetry::from_environment(&|_| None, &EnvironmentResource::default(), &health).unwrap();
    telemetry.close(DEADLINE).await;
    assert_eq!(Arc::strong_count(&health), 1, "no instrument was registered");
}
