//! Exchanges to export.

use std::sync::{Arc, LazyLock};

use telltale::{
    capture::{Open, Role, Timestamp},
    exchange::{Connection, Exchange, Half},
    policy::Plan,
    protocol::{Head, Headers, HttpVersion, Protocol, StartLine},
    workload::Workload,
};

/// Every signal is on.
pub(crate) static ALL: LazyLock<Arc<Plan>> = LazyLock::new(|| Arc::new(Plan::of_signals(true, true, true)));

/// `GET /item/<number>` answered with 200, seen by this service at this end.
pub(crate) fn exchange(service: &str, role: Role, number: u64) -> Exchange {
    let start = 1_700_000_000_000_000_000 + number * 1_000_000;
    let (client, server) = ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
    let (local, peer) = if role == Role::Client { (client, server) } else { (server, client) };
    let (isn_out, isn_in) = if role == Role::Client { (7, 9) } else { (9, 7) };
    let open = Open {
        role: Some(role),
        pid: 1,
        comm: service.to_owned(),
        isn_out: Some(isn_out),
        isn_in: Some(isn_in),
        ..Open::new(local, peer)
    };
    let workload = Workload {
        service_name: service.to_owned(),
        namespace: Some("shop".to_owned()),
        attributes: vec![("k8s.deployment.name".into(), service.to_owned())],
        ..Workload::default()
    };
    let mut headers = Headers::default();
    headers.push(b"Host", b"shop.example");
    let half = |start, headers, size, first, last| Half {
        head: Head {
            start,
            version: HttpVersion::Http11,
            headers,
            position: number * 100,
            request: number,
            first_byte: Timestamp(first),
            complete: Timestamp(first),
        },
        body_size: Some(size),
        trailers: Headers::default(),
        last_byte: Timestamp(last),
        complete: true,
        content: None,
    };
    let request = StartLine::Request { method: "GET".into(), target: format!("/item/{number}").into() };
    let end = start + 2_000_000;
    Exchange {
        connection: Arc::new(Connection {
            open,
            role,
            workload: Arc::new(workload),
            peer: None,
            protocol: Protocol::Http1,
            hello: None,
        }),
        request: half(request, headers, 0, start, start),
        response: Some(half(StartLine::Response { status: 200 }, Headers::default(), 300, end, end)),
        incomplete: None,
        end: Timestamp(end),
        call: None,
        closed: false,
        epoch: 0,
    }
}
