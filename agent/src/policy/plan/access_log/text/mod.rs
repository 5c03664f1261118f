//! `accessLogs.text`: a format string with Envoy's command operators, compiled.

mod argument;
mod coalesce;
mod operator;
mod parse;
mod source;
mod time;

pub use source::{AddressPart, End, Expression, GrpcStatusStyle, Moment, Point, Section, Source};
pub use time::TimeFormat;

pub(super) use argument::{is_field_name, pseudo_header};

use operator::Meaning;
use parse::{Command, Piece};

use super::Compiler;
use crate::policy::{Capture, Effect, Finding, model::FieldPath, nearest::nearest};

/// Envoy's default format, for `format: Text` that says nothing else.
pub const DEFAULT_TEXT: &str = "[%START_TIME%] \"%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%\" %RESPONSE_CODE% \
     %RESPONSE_FLAGS% %BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% \"%REQ(X-FORWARDED-FOR)%\" \
     \"%REQ(USER-AGENT)%\" \"%REQ(X-REQUEST-ID)%\" \"%REQ(:AUTHORITY)%\" \"%UPSTREAM_HOST%\"";

/// Characters of a format string at most.
const MAX_FORMAT: usize = 8192;

/// A compiled format string.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Template {
    /// In order. The line ends after the last one, whatever the format ended with.
    pub parts: Vec<Part>,
}

/// One part of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// Written as it is; has no control characters.
    Literal(Box<str>),
    /// A value.
    Operand(Operand),
}

/// The first of these that has a value, cut to a length; `-` if none has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Operand {
    /// Each with characters of its own at most.
    pub choices: Vec<(Source, Option<usize>)>,
    /// Characters at most.
    pub length: Option<usize>,
}

impl Operand {
    /// What has a value or has not.
    fn of(choices: impl IntoIterator<Item = Source>, length: Option<usize>) -> Self {
        Self { choices: choices.into_iter().map(|source| (source, None)).collect(), length }
    }
}

impl Template {
    /// Compiles a format string; what is wrong with it goes to the findings, all at once.
    pub(super) fn compile(at: &FieldPath, format: &str, compiler: &mut Compiler<'_>) -> Self {
        if format.chars().count() > MAX_FORMAT {
            compiler.push(Finding::invalid(at, format!("a format string has at most {MAX_FORMAT} characters")));
            return Self::default();
        }
        // Envoy leaves the end of the line to the format; here every line has one.
        let format = format.trim_end_matches(['\n', '\r']);
        let pieces = match parse::parse(format) {
            Ok(pieces) => pieces,
            Err(fault) => {
                let problem = format!("the percent sign at character {} begins no operator", fault.position);
                compiler.push(
                    Finding::invalid(at, problem)
                        .instead("write %NAME%, %NAME(ARGUMENT)%, %NAME(ARGUMENT):LENGTH%, or %% for a percent sign"),
                );
                return Self::default();
            }
        };
        let mut unknown = Vec::new();
        let mut template = Self::default();
        for piece in pieces {
            match piece {
                Piece::Literal(text) => template.literal(text),
                Piece::Command(command) => match compile(command, at, &mut unknown, compiler) {
                    Ok(operand) => template.parts.push(Part::Operand(operand)),
                    Err(problem) => compiler.push(problem.at(at, command)),
                },
            }
        }
        if !unknown.is_empty() {
            unknown.sort_unstable();
            unknown.dedup();
            let names = unknown.join(", ");
            compiler.push(Finding::new(
                at,
                Effect::Partial,
                format!("only a proxy can know {names}: \"-\" is written"),
            ));
        }
        template
    }

    /// What must be captured for it.
    pub(super) fn needs(&self) -> Capture {
        let sources = self.parts.iter().flat_map(|part| match part {
            Part::Literal(_) => &[][..],
            Part::Operand(operand) => &operand.choices[..],
        });
        sources.map(|(source, _)| source.needs()).max().unwrap_or_default()
    }

    /// Adds to the last literal. A line has no line breaks inside, so a control character is written as an escape.
    fn literal(&mut self, text: &str) {
        let escaped: String = text
            .chars()
            .flat_map(|c| if c.is_ascii_control() { c.escape_default().collect() } else { vec![c] })
            .collect();
        if let Some(Part::Literal(last)) = self.parts.last_mut() {
            *last = format!("{last}{escaped}").into();
        } else {
            self.parts.push(Part::Literal(escaped.into()));
        }
    }
}

/// Why a command cannot be compiled.
pub(super) struct Problem {
    problem: String,
    remedy: Option<String>,
}

impl Problem {
    fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()) }
    }

    fn at(self, at: &FieldPath, command: Command<'_>) -> Finding {
        let problem = format!("%{}% at character {}: {}", command.name, command.position, self.problem);
        Finding { remedy: self.remedy, ..Finding::invalid(at, problem) }
    }
}

/// Compiles one command. Adds its name to `unknown` if only a proxy could know what it asks.
fn compile(
    command: Command<'_>,
    at: &FieldPath,
    unknown: &mut Vec<String>,
    compiler: &mut Compiler<'_>,
) -> Result<Operand, Problem> {
    let Some(meaning) = operator::find(command.name) else {
        let remedy = nearest(command.name, operator::names()).map(|name| format!("the nearest is `{name}`"));
        return Err(Problem { problem: "no such operator".to_owned(), remedy });
    };
    if meaning == Meaning::Unknown {
        unknown.push(command.name.to_owned());
        return Ok(Operand::default());
    }
    if meaning == Meaning::Coalesce {
        let choices = coalesce::compile(command.argument.unwrap_or_default(), at, unknown, compiler)?;
        return Ok(Operand { choices, length: command.length });
    }
    let sources = argument::compile(meaning, command.argument, at, compiler)?;
    Ok(Operand::of(sources, command.length))
}

#[cfg(test)]
mod tests;
