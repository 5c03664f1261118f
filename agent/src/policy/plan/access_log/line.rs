//! How a line is written.

use super::{
    Compiler, Object, field,
    text::{DEFAULT_TEXT, Template},
};
use crate::policy::{
    Capture, Finding,
    attribute::{Extractor, Key},
    model::{AccessLogs, LogFormat},
};

/// How a line is written.
#[derive(Debug)]
pub enum Line {
    /// JSON with the default keys of POLICY.md section 4, and these members after them.
    Default(Object),
    /// JSON with exactly these members.
    Json(Object),
    /// Text: these values in order, one space between.
    Values(Vec<Extractor>),
    /// Text with command operators.
    Text(Template, Vec<Extractor>),
}

impl Default for Line {
    fn default() -> Self {
        Self::Default(Object::default())
    }
}

/// Keys of the default line, in order (POLICY.md section 4). Those that are absent are left out.
pub(super) const DEFAULT_KEYS: &[&str] = &[
    "start_time",
    "reporter",
    "method",
    "authority",
    "path",
    "protocol",
    "response_code",
    "duration",
    "bytes_received",
    "bytes_sent",
    "user_agent",
    "request_id",
    "source",
    "destination",
    "trace_id",
    "span_id",
    "grpc_status",
    "error_type",
    "incomplete",
];

/// Those, and what default lines have of calls of language models and tools, in both profiles of the conventions.
fn default_keys() -> Vec<&'static str> {
    let of_calls = Key::ALL.iter().filter(|key| key.is_in_default_lines()).map(|key| key.name());
    DEFAULT_KEYS.iter().copied().chain(of_calls).collect()
}

impl Line {
    pub(super) fn compile(logs: &AccessLogs, compiler: &mut Compiler<'_>) -> Self {
        let at = logs.at.field("text");
        match (logs.format, &logs.text) {
            (LogFormat::Json, Some(_)) => {
                compiler.push(
                    Finding::invalid(&at, "a line of JSON has no format string")
                        .instead("write format: Text, or leave out text"),
                );
                Self::default()
            }
            (LogFormat::Text, Some(text)) => {
                if !(logs.fields.is_empty() && logs.attributes.is_empty()) {
                    let finding = Finding::invalid(
                        &at,
                        "the format string is the whole line, so it excludes fields and attributes",
                    );
                    compiler
                        .push(finding.instead("write their operators in it, such as %REQ(NAME)% or %CEL(EXPRESSION)%"));
                }
                Self::Text(Template::compile(&at, text, compiler), Vec::new())
            }
            (format, None) => {
                let fields = field::compile(&logs.fields, &logs.attributes, compiler);
                match format {
                    LogFormat::Json if logs.fields.is_empty() => {
                        Self::Default(Object::of(fields, &default_keys(), compiler))
                    }
                    LogFormat::Json => Self::Json(Object::of(fields, &[], compiler)),
                    LogFormat::Text => {
                        let values = fields.into_iter().map(|field| field.value).collect();
                        if !logs.fields.is_empty() {
                            return Self::Values(values);
                        }
                        // What only a proxy knows was not asked for by the policy.
                        let mut unsaid = Vec::new();
                        let mut compiler = Compiler::new(compiler.trust, &mut unsaid);
                        Self::Text(Template::compile(&at, DEFAULT_TEXT, &mut compiler), values)
                    }
                }
            }
        }
    }

    pub(super) fn needs(&self) -> Capture {
        match self {
            Self::Default(object) | Self::Json(object) => object.needs(),
            Self::Values(values) => needs(values),
            Self::Text(template, added) => template.needs().max(needs(added)),
        }
    }
}

fn needs(values: &[Extractor]) -> Capture {
    values.iter().map(Extractor::needs).max().unwrap_or_default()
}
