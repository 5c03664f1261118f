//! Addresses that name a Service.

use crate::policy::api::gep::BackendObjectReference;

/// OTLP/gRPC, which an address without a port means (OpenTelemetry protocol specification, "OTLP/gRPC Default Port").
const DEFAULT_PORT: i32 = 4317;

/// The Service of an address of the form `name.namespace.svc[:port]`. Any other stays an address.
pub(super) fn of_address(address: &str) -> Option<BackendObjectReference> {
    let (host, port) = match address.split_once(':') {
        Some((host, port)) => (host, port_of(port)?),
        None => (address, DEFAULT_PORT),
    };
    let (name, namespace) = host.strip_suffix(".svc")?.split_once('.')?;
    (is_label(name) && is_label(namespace)).then(|| BackendObjectReference {
        group: String::new(),
        kind: "Service".to_owned(),
        name: name.to_owned(),
        namespace: Some(namespace.to_owned()),
        port: Some(port),
    })
}

/// Digits only: `parse` would take a sign.
fn port_of(text: &str) -> Option<i32> {
    let number = text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u16>().ok())?;
    number.filter(|port| *port > 0).map(i32::from)
}

/// RFC 1123.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_form_of_a_service_becomes_a_reference() {
        for (address, expected) in [
            ("otel-collector.monitoring.svc:4317", Some(("otel-collector", "monitoring", 4317))),
            ("c.m.svc", Some(("c", "m", 4317))),
            ("c.m.svc:4318", Some(("c", "m", 4318))),
            ("c.m.svc:0", None),
            ("c.m.svc:x", None),
            ("c.m.svc:+1", None),
            ("c.m.svc.cluster.local:4317", None),
            ("c.svc:4317", None),
            ("a.b.c.svc:4317", None),
            ("http://c.m.svc:4317", None),
            ("C.m.svc:4317", None),
            ("c.m.svc:4317/v1", None),
            ("127.0.0.1:4317", None),
            (".m.svc:1", None),
        ] {
            let found = of_address(address);
            let found = found.as_ref().map(|found| {
                (found.name.as_str(), found.namespace.as_deref().unwrap_or_default(), found.port.unwrap_or_default())
            });
            assert_eq!(found, expected, "{address}");
        }
    }
}
