//! A file -> [`Config`], with everything that is wrong in it.

use axum::http::HeaderValue;
use serde_json::{Map, Value};

use super::{
    Config,
    file::{DefaultSinkType, File, Otlp},
    schema,
};
use crate::{
    export::otlp::{Choice, Signal},
    policy::{
        Finding,
        conversion::default_policy,
        document::{Plain, Problem, Source},
        model::{Dialect, FieldPath, Policy, Sink, SinkKind},
        schema::check_strictly,
    },
};

/// What is wrong with a configuration: at least one problem, in the order of their lines.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} {}", .0.len(), if .0.len() == 1 { "error" } else { "errors" })]
pub struct ReadError(pub Vec<Problem>);

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong by itself, each with its line.
    pub fn read(source: &Source) -> Result<Self, ReadError> {
        let document = Plain::read(source).map_err(|problem| ReadError(vec![problem]))?;
        let mut findings: Vec<Finding> = Vec::new();
        let mut value = document.value();
        let specification = value.as_object_mut().and_then(|fields| fields.remove("defaultPolicy"));
        check_strictly(None, schema::of_file(), &FieldPath::default(), &mut value, &mut findings);
        let file = File::deserialize_or_default(&value);
        let mut config = Self { document: Some(document.clone()), ..Self::default() };
        // What the schema refuses is not looked into.
        if findings.is_empty() {
            check_secrets(&file, &mut findings);
            if let Some(otlp) = &file.otlp {
                check_otlp(otlp, &mut findings);
            }
            config.endpoints = endpoints(&file, &mut findings);
            config.sinks = sinks(&file);
        }
        config.policy = specification.and_then(|specification| policy(specification, &mut findings));
        config.file = file;
        let mut problems: Vec<Problem> = findings.into_iter().map(|finding| document.problem(finding)).collect();
        problems.extend(document.duplicates().into_iter().map(|(field, line)| {
            let remedy = Some("write it once".to_owned());
            Problem { line, ..document.problem_at(&field, "is given twice", remedy) }
        }));
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(config) } else { Err(ReadError(problems)) }
    }
}

impl File {
    /// The keys of a value that the schema allows; nothing where it does not.
    fn deserialize_or_default(value: &Value) -> Self {
        serde::Deserialize::deserialize(value).unwrap_or_default()
    }
}

/// Agents know each other's exports by it, and leave them out (DESIGN section 3, "No feedback").
const USER_AGENT: &str = "user-agent";

fn check_secrets(file: &File, findings: &mut Vec<Finding>) {
    let at = FieldPath::new("secrets").field("headers");
    for (index, name) in file.secrets.iter().flat_map(|secrets| &secrets.headers).enumerate() {
        if name.eq_ignore_ascii_case(USER_AGENT) {
            let problem = format!("`{name}` is what agents know each other's exports by");
            findings.push(Finding::invalid(&at.index(index), problem).instead("leave it out"));
        }
    }
}

fn check_otlp(otlp: &Otlp, findings: &mut Vec<Finding>) {
    let at = FieldPath::new("otlp");
    for (index, header) in otlp.headers.iter().enumerate() {
        if HeaderValue::from_str(&header.value).is_err() {
            // The value may be a credential: it is not repeated.
            let at = at.field("headers").index(index).field("value");
            findings.push(Finding::invalid(&at, "has characters that no header field can have"));
        }
    }
    let endpoint = at.field("endpoint");
    if otlp.endpoint.contains('@') {
        findings.push(Finding::invalid(&endpoint, "holds credentials").instead("write them as a header"));
    } else if !otlp.endpoint.contains("://") {
        findings
            .push(Finding::invalid(&endpoint, "has no scheme").instead("write http://HOST:PORT or https://HOST:PORT"));
    } else if let Err(error) = Choice::from_environment(Signal::Traces, &|name| otlp.variable(name)) {
        findings
            .push(Finding::invalid(&endpoint, error.problem()).instead("write http://HOST:PORT or https://HOST:PORT"));
    }
    if otlp.tls.is_some() && !otlp.endpoint.starts_with("https://") {
        let finding = Finding::invalid(&at.field("tls"), "the endpoint is in plaintext");
        findings.push(finding.instead("write https://HOST:PORT"));
    }
}

fn endpoints(file: &File, findings: &mut Vec<Finding>) -> Vec<crate::policy::Allowed> {
    let at = FieldPath::new("policies").field("endpoints");
    let written = file.policies.iter().flat_map(|policies| &policies.endpoints).enumerate();
    let read = written.filter_map(|(index, text)| match text.parse() {
        Ok(allowed) => Some(allowed),
        Err(error) => {
            let finding = Finding::invalid(&at.index(index), format!("{error}"));
            findings.push(finding.instead("write collector.infra.svc, 10.0.0.7 or 10.0.0.0/8"));
            None
        }
    });
    read.collect()
}

fn sinks(file: &File) -> Vec<Sink> {
    let at = FieldPath::new("accessLogs").field("defaultSinks");
    let written = file.access_logs.iter().flat_map(|logs| &logs.default_sinks).enumerate();
    let read = written.map(|(index, sink)| Sink {
        at: at.index(index),
        kind: match sink.kind {
            DefaultSinkType::Stdout => SinkKind::Stdout,
            DefaultSinkType::File => SinkKind::File(sink.path.clone().unwrap_or_default()),
            DefaultSinkType::Otlp => SinkKind::Otlp(None),
        },
    });
    read.collect()
}

fn policy(mut specification: Value, findings: &mut Vec<Finding>) -> Option<Policy> {
    let at = FieldPath::new("defaultPolicy");
    let before = findings.len();
    if let Some(fields) = specification.as_object_mut() {
        refuse_whole_object(&at, fields, findings);
    }
    check_strictly(Some(Dialect::Gep), schema::of_default_policy(), &at, &mut specification, findings);
    if findings.len() > before {
        return None;
    }
    let policy = match default_policy(&at, &specification) {
        Ok(policy) => policy,
        Err(error) => {
            findings.push(Finding::invalid(&at, error.to_string()));
            return None;
        }
    };
    let provider = policy.spec.tracing.as_ref().and_then(|tracing| tracing.provider.as_ref());
    if let Some(backend) = provider.and_then(|provider| provider.backend_ref.as_ref()) {
        let problem = "the default policy is in no namespace, and refers to no object";
        findings.push(Finding::invalid(&backend.at, problem).instead("write endpoint: NAME.NAMESPACE.svc:PORT"));
    }
    Some(policy)
}

/// Fields that somebody writes who takes it for a whole TelemetryPolicy, or for one that has targets.
fn refuse_whole_object(at: &FieldPath, fields: &mut Map<String, Value>, findings: &mut Vec<Finding>) {
    for (name, why) in [
        ("apiVersion", "write the fields of the policy's `spec` here"),
        ("kind", "write the fields of the policy's `spec` here"),
        ("metadata", "write the fields of the policy's `spec` here"),
        ("spec", "write its fields here"),
        ("targetRefs", "leave it out: this policy holds wherever no other does"),
    ] {
        if fields.remove(name).is_some() {
            findings.push(Finding::invalid(&at.field(name), "is no field here").instead(why));
        }
    }
}
