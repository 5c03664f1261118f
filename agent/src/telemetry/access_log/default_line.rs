//! The default line: one flat JSON object with the default keys of POLICY.md section 4, in their order, absent keys left out.

use std::io::Write as _;

use super::{
    ExchangeSubject, fields,
    json::{self, escape, string},
    time::{decimal, write_time},
};
use crate::{
    capture::Role,
    policy::{
        attribute::{Key, Subject as _, Value},
        plan::access_log::Object,
    },
    telemetry::{calls, names::followed},
    workload::Workload,
};

/// Appends the object, with the added members at its end.
pub(super) fn write(line: &mut Vec<u8>, entry: &ExchangeSubject<'_>, added: &Object) {
    let facts = entry.facts;
    let exchange = facts.exchange;
    line.extend_from_slice(b"{\"start_time\":\"");
    write_time(line, exchange.request.head.first_byte.0);
    line.extend_from_slice(match facts.role {
        Role::Client => b"\",\"reporter\":\"client\"".as_slice(),
        Role::Server => b"\",\"reporter\":\"server\"".as_slice(),
    });
    text(line, "method", facts.method.as_bytes());
    if let Some(authority) = facts.authority() {
        text(line, "authority", authority.as_bytes());
    }
    text(line, "path", facts.target.as_bytes());
    field(line, "protocol");
    line.extend_from_slice(b"\"HTTP/");
    line.extend_from_slice(facts.version.as_str().as_bytes());
    line.push(b'"');
    if let Some(status) = facts.status {
        number(line, "response_code", status.into());
    }
    if let Some(nanos) = facts.duration() {
        number(line, "duration", nanos / 1_000_000);
    }
    if let Some(size) = exchange.request.body_size {
        number(line, "bytes_received", size);
    }
    if let Some(size) = exchange.response.as_ref().and_then(|response| response.body_size) {
        number(line, "bytes_sent", size);
    }
    if let Some(user_agent) = facts.user_agent() {
        text(line, "user_agent", user_agent);
    }
    if let Some(id) = facts.request_id() {
        text(line, "request_id", id.as_bytes());
    }
    let (own, other) = (Some(&*exchange.connection.workload), exchange.connection.peer.as_deref());
    let (source, destination) = if facts.role == Role::Client { (own, other) } else { (other, own) };
    for (name, workload) in [("source", source), ("destination", destination)] {
        if let Some(workload) = workload {
            field(line, name);
            write_workload(line, workload);
        } else if let Some(peer) = facts.peer_name() {
            // Of the other end often nothing is known but its address.
            text(line, name, peer.as_bytes());
        }
    }
    if let Some(identity) = entry.identity {
        field(line, "trace_id");
        let _ = write!(line, "\"{}\"", identity.trace_id);
        field(line, "span_id");
        let _ = write!(line, "\"{}\"", identity.span_id);
    }
    if let Some(Value::Int(status)) = entry.key(Key::GrpcStatus) {
        number(line, "grpc_status", status as u64);
    }
    if let Some(error) = facts.failure() {
        text(line, "error_type", error.as_bytes());
    }
    write_call(line, entry);
    if let Some(incomplete) = exchange.incomplete {
        text(line, "incomplete", incomplete.name().as_bytes());
    }
    fields::members(line, added, entry, true);
    line.push(b'}');
}

/// What a call says beyond HTTP, by the names of the conventions; never what people or models wrote.
fn write_call(line: &mut Vec<u8>, entry: &ExchangeSubject<'_>) {
    let Some(call) = &entry.facts.exchange.call else { return };
    for row in calls::attributes(call, followed()).filter(|row| row.is_in_lines()) {
        if let Some(value) = row.value(entry, followed()) {
            field(line, row.name());
            json::value(line, &value);
        }
    }
}

/// `namespace/service`, or the service alone.
fn write_workload(line: &mut Vec<u8>, workload: &Workload) {
    line.push(b'"');
    if let Some(namespace) = &workload.namespace {
        escape(line, namespace);
        line.push(b'/');
    }
    escape(line, &workload.service_name);
    line.push(b'"');
}

fn field(line: &mut Vec<u8>, name: &str) {
    line.extend_from_slice(b",\"");
    line.extend_from_slice(name.as_bytes());
    line.extend_from_slice(b"\":");
}

fn number(line: &mut Vec<u8>, name: &str, value: u64) {
    field(line, name);
    decimal(line, value, 1);
}

fn text(line: &mut Vec<u8>, name: &str, value: &[u8]) {
    field(line, name);
    string(line, value);
}
