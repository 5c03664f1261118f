//! An attribute of a policy, compiled: where its value comes from for each exchange.

use std::borrow::Cow;

use super::{
    Key, Program, Side, Subject, Value,
    cel::{absent, left_out},
};
use crate::{
    policy::{
        Capture, Effect, Finding, Trust,
        model::{Attribute, AttributeSource, FieldPath},
        nearest::nearest,
    },
    protocol::secret::is_secret_header,
};

/// Where a value comes from.
#[derive(Debug)]
enum Source {
    /// Nowhere: only the default is left.
    Nothing,
    Text(Box<str>),
    /// Of the request, else of the response.
    Header(Box<str>),
    /// Of one side, as the semantic conventions name it.
    HeaderOf(Side, Box<str>),
    Key(Key),
    Cel(Box<Program>),
    PodLabel(Box<str>),
    PodAnnotation(Box<str>),
    NamespaceLabel(Box<str>),
}

/// Gives the value of an attribute for an exchange.
#[derive(Debug)]
pub struct Extractor {
    source: Source,
    default: Option<Box<str>>,
}

impl Extractor {
    /// Compiles an attribute. `None` only if it makes the policy `Invalid`; a source that never gives a value says so in a message.
    pub fn compile(attribute: &Attribute, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        let at = attribute.at.field(attribute.source.member());
        let source = match &attribute.source {
            AttributeSource::Literal(text) => Source::Text(clamped(text, &at, trust, findings)),
            AttributeSource::Header(name) => header(name, &at, findings, Source::Header),
            AttributeSource::Key(name) => named(name, &at, trust, findings),
            AttributeSource::Cel(expression) => {
                Source::Cel(Box::new(Program::compile(expression, &at, trust, findings)?))
            }
            AttributeSource::PodLabel(key) => Source::PodLabel(key.as_str().into()),
            AttributeSource::PodAnnotation(key) => Source::PodAnnotation(key.as_str().into()),
            AttributeSource::NamespaceLabel(key) => Source::NamespaceLabel(key.as_str().into()),
            AttributeSource::Environment(variable) => environment(variable, &at, trust, findings),
        };
        let default = (attribute.default.as_ref())
            .map(|default| clamped(default, &attribute.at.field("default"), trust, findings));
        Some(Self { source, default })
    }

    /// Compiles a list, in order, each with the name that it is given out under. Those above the agent's limit are left out, and a message says so.
    pub fn compile_all<'a>(
        attributes: &'a [Attribute],
        trust: &Trust,
        findings: &mut Vec<Finding>,
    ) -> Vec<(&'a str, Self)> {
        let limit = trust.limits.attributes;
        if let Some(first) = attributes.get(limit) {
            let problem =
                format!("{} attributes are more than this agent's {limit}; the rest is left out", attributes.len());
            findings.push(Finding::new(&first.at, Effect::Message, problem));
        }
        (attributes.iter().take(limit))
            .filter_map(|attribute| Some((attribute.name.as_str(), Self::compile(attribute, trust, findings)?)))
            .collect()
    }

    /// A header of the request, else of the response: what a name that is no key means in `accessLogs.fields` and `fromHeader`.
    pub fn header(name: &str, at: &FieldPath, findings: &mut Vec<Finding>) -> Self {
        Self { source: header(name, at, findings, Source::Header), default: None }
    }

    /// The value of a key.
    pub fn key(key: Key) -> Self {
        Self { source: Source::Key(key), default: None }
    }

    /// The value for an exchange; `None` if it has none and there is no default.
    pub fn value<'a>(&'a self, subject: &'a dyn Subject) -> Option<Value<'a>> {
        let text = |text: Option<&'a str>| text.map(Value::from);
        let value = match &self.source {
            Source::Nothing => None,
            Source::Text(value) => Some(Value::from(&**value)),
            Source::Header(name) => {
                let value = subject.header(Side::Request, name).or_else(|| subject.header(Side::Response, name));
                value.map(Value::Text)
            }
            Source::HeaderOf(side, name) => subject.header(*side, name).map(|value| Value::List(vec![value])),
            Source::Key(key) => subject.key(*key),
            Source::Cel(program) => program.value(subject),
            Source::PodLabel(key) => text(subject.pod_label(key)),
            Source::PodAnnotation(key) => text(subject.pod_annotation(key)),
            Source::NamespaceLabel(key) => text(subject.namespace_label(key)),
        };
        value.or_else(|| self.default.as_deref().map(Value::from))
    }

    /// The value as text, for labels and text lines.
    pub fn text<'a>(&'a self, subject: &'a dyn Subject) -> Option<Cow<'a, str>> {
        self.value(subject).map(Value::into_text)
    }

    /// The key that it gives, if it is one.
    pub const fn as_key(&self) -> Option<Key> {
        match self.source {
            Source::Key(key) => Some(key),
            _ => None,
        }
    }

    /// Whether its value may be a piece of content.
    pub fn may_give_content(&self) -> bool {
        match &self.source {
            Source::Key(key) => key.is_content(),
            Source::Cel(program) => program.may_give_content(),
            _ => false,
        }
    }

    /// What must be captured for it.
    pub fn needs(&self) -> Capture {
        match &self.source {
            Source::Header(_) | Source::HeaderOf(..) => Capture::Heads,
            Source::Key(key) => key.row().asks(),
            Source::Cel(program) => program.needs(),
            Source::Nothing
            | Source::Text(_)
            | Source::PodLabel(_)
            | Source::PodAnnotation(_)
            | Source::NamespaceLabel(_) => Capture::Nothing,
        }
    }
}

/// Makes a source of the rest of a name.
type Template = fn(Box<str>) -> Source;

/// Names of the semantic conventions that end in the name of something else, and what they mean.
const TEMPLATES: &[(&str, Template)] = &[
    ("http.request.header.", |name| Source::HeaderOf(Side::Request, name)),
    ("http.response.header.", |name| Source::HeaderOf(Side::Response, name)),
    ("k8s.pod.label.", Source::PodLabel),
    ("k8s.pod.annotation.", Source::PodAnnotation),
    ("k8s.namespace.label.", Source::NamespaceLabel),
];

/// What `attributeKey` names.
fn named(name: &str, at: &FieldPath, trust: &Trust, findings: &mut Vec<Finding>) -> Source {
    // A key of log lines says in any signal what it says there: `fields` of the proposal become such attributes.
    if let Some(key) = Key::of_attribute(name).or_else(|| Key::of_log(name)) {
        findings.extend(absent(at, key, trust));
        return Source::Key(key);
    }
    for (prefix, source) in TEMPLATES {
        if let Some(rest) = name.strip_prefix(prefix).filter(|rest| !rest.is_empty()) {
            return if prefix.starts_with("http.") { header(rest, at, findings, source) } else { source(rest.into()) };
        }
    }
    let finding = Finding::new(at, Effect::Message, format!("unknown key `{name}`, it has no value"));
    let known = Key::ALL.iter().filter_map(|key| key.row().attribute);
    findings.push(match nearest(name, known) {
        Some(nearest) => finding.instead(format!("the nearest is `{nearest}`")),
        None => finding.instead("docs/attributes.md lists them"),
    });
    Source::Nothing
}

fn header(name: &str, at: &FieldPath, findings: &mut Vec<Finding>, source: impl FnOnce(Box<str>) -> Source) -> Source {
    let name = name.to_ascii_lowercase();
    if is_secret_header(name.as_bytes()) {
        findings.push(left_out(at, &name));
        return Source::Nothing;
    }
    source(name.into())
}

/// Variables of the agent do not change while it runs: they are read once.
fn environment(variable: &str, at: &FieldPath, trust: &Trust, findings: &mut Vec<Finding>) -> Source {
    if !trust.may_read(variable) {
        let problem = format!("policies may not read the agent's variable `{variable}`");
        findings.push(Finding::new(at, Effect::Message, problem).instead("the agent's --config can allow it"));
        return Source::Nothing;
    }
    match (trust.variable)(variable) {
        Some(value) => Source::Text(clamped(&value, at, trust, findings)),
        None => Source::Nothing,
    }
}

/// A text of at most so many bytes, cut between characters.
fn clamped(text: &str, at: &FieldPath, trust: &Trust, findings: &mut Vec<Finding>) -> Box<str> {
    let limit = trust.limits.text;
    if text.len() <= limit {
        return text.into();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    findings.push(Finding::new(at, Effect::Message, format!("{} bytes are cut to this agent's {limit}", text.len())));
    text[..end].into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Environment, attribute::test_support::Told};

    fn attribute(source: AttributeSource) -> Attribute {
        Attribute { at: FieldPath::new("a"), name: "n".into(), source, default: None }
    }

    /// The value for the exchange as text, and what was said of the attribute.
    fn with(attribute: &Attribute, trust: &Trust, told: &Told) -> (Option<String>, Vec<String>) {
        let mut findings = Vec::new();
        let extractor = Extractor::compile(attribute, trust, &mut findings);
        let value = extractor.as_ref().and_then(|extractor| extractor.text(told).map(Cow::into_owned));
        (value, findings.iter().map(|finding| format!("{:?} {finding}", finding.effect)).collect())
    }

    fn value(source: AttributeSource, told: &Told) -> Option<String> {
        let (value, said) = with(&attribute(source), &Trust::own(), told);
        assert_eq!(said, [""; 0]);
        value
    }

    fn said(source: AttributeSource) -> Vec<String> {
        with(&attribute(source), &Trust::own(), &Told::sample()).1
    }

    #[test]
    fn every_source_gives_its_value() {
        let mut told = Told::sample()
            .header(Side::Request, "x-both", "request")
            .header(Side::Response, "X-Both", "response")
            .header(Side::Response, "x-model", "large");
        told.pod_labels.insert("team".into(), "red".into());
        told.pod_annotations.insert("note".into(), "n1".into());
        told.namespace_labels.insert("stage".into(), "prod".into());
        let is = |source: AttributeSource, expected: &str| assert_eq!(value(source, &told).as_deref(), Some(expected));
        is(AttributeSource::Literal("x".into()), "x");
        is(AttributeSource::Header("X-Both".into()), "request");
        is(AttributeSource::Header("X-Model".into()), "large");
        is(AttributeSource::Key("http.response.status_code".into()), "200");
        is(AttributeSource::Key("http.response.header.x-both".into()), "response");
        is(AttributeSource::Key("http.request.header.X-Both".into()), "request");
        is(AttributeSource::Key("k8s.pod.label.team".into()), "red");
        is(AttributeSource::Cel("response.code >= 500 ? 'bad' : 'good'".into()), "good");
        is(AttributeSource::PodLabel("team".into()), "red");
        is(AttributeSource::PodAnnotation("note".into()), "n1");
        is(AttributeSource::NamespaceLabel("stage".into()), "prod");
        assert_eq!(value(AttributeSource::Header("x-none".into()), &told), None);
        assert_eq!(value(AttributeSource::Key("error.type".into()), &told), None);
    }

    #[test]
    fn the_default_stands_where_there_is_no_value() {
        for source in [
            AttributeSource::Header("x-none".into()),
            AttributeSource::Cel("error.type + 'x'".into()),
            AttributeSource::PodLabel("team".into()),
            AttributeSource::Key("no.such.key".into()),
            AttributeSource::Header("authorization".into()),
        ] {
            let attribute = Attribute { default: Some("none".into()), ..attribute(source) };
            assert_eq!(with(&attribute, &Trust::own(), &Told::sample()).0.as_deref(), Some("none"), "{attribute:?}");
        }
    }

    #[test]
    fn what_never_has_a_value_is_said() {
        assert_eq!(
            said(AttributeSource::Key("http.request.metod".into())),
            [
                "Message a.attributeKey: unknown key `http.request.metod`, it has no value; the nearest is `http.request.method`"
            ]
        );
        assert_eq!(
            said(AttributeSource::Key("zzz".into())),
            ["Message a.attributeKey: unknown key `zzz`, it has no value; docs/attributes.md lists them"]
        );
        assert_eq!(
            said(AttributeSource::Key("http.request.size".into())),
            ["Partial a.attributeKey: `http.request.size` is known to a proxy only and always absent here"]
        );
    }

    #[test]
    fn credentials_are_left_out_whatever_names_them() {
        // Told has them, although a real exchange never does: the name alone has to be enough.
        let told = Told::sample().header(Side::Request, "x-api-key", "s3cret");
        for source in [
            AttributeSource::Header("X-Api-Key".into()),
            AttributeSource::Key("http.request.header.x-api-key".into()),
            AttributeSource::Key("http.response.header.X-API-KEY".into()),
            AttributeSource::Cel("request.headers['X-Api-Key']".into()),
        ] {
            let (value, said) = with(&attribute(source), &Trust::own(), &told);
            assert_eq!(value, None);
            assert!(
                said.len() == 1 && said[0].contains("header `x-api-key` holds credentials and is left out"),
                "{said:?}"
            );
        }
    }

    #[test]
    fn variables_are_read_only_where_it_is_allowed() {
        let variable = |name: &str| (name == "REGION" || name == "SECRET").then(|| format!("<{name}>"));
        let run = Trust { variable, ..Trust::own() };
        let named = Environment::Named(["REGION".to_owned()].into());
        let agent = Trust { variable, environment: named, ..Trust::tenant() };
        let read = |name: &str, trust: &Trust| {
            with(&attribute(AttributeSource::Environment(name.into())), trust, &Told::sample())
        };
        assert_eq!(read("SECRET", &run), (Some("<SECRET>".into()), vec![]));
        assert_eq!(read("UNSET", &run), (None, vec![]));
        assert_eq!(read("REGION", &agent), (Some("<REGION>".into()), vec![]));
        let (value, said) = read("SECRET", &agent);
        assert_eq!(value, None);
        assert_eq!(
            said,
            [
                "Message a.variable: policies may not read the agent's variable `SECRET`; the agent's --config can allow it"
            ]
        );
    }

    #[test]
    fn lists_and_texts_are_clamped() {
        let literal = attribute(AttributeSource::Literal("ä".repeat(600)));
        let (value, said) = with(&literal, &Trust::tenant(), &Told::sample());
        assert_eq!(value.map(|value| value.len()), Some(1024));
        assert_eq!(said, ["Message a.literalValue: 1200 bytes are cut to this agent's 1024"]);
        let many = vec![attribute(AttributeSource::Literal("x".into())); 100];
        let mut findings = Vec::new();
        assert_eq!(Extractor::compile_all(&many, &Trust::tenant(), &mut findings).len(), 64);
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn what_must_be_captured_follows_from_the_source() {
        let needs = |source| Extractor::compile(&attribute(source), &Trust::own(), &mut Vec::new()).unwrap().needs();
        assert_eq!(needs(AttributeSource::Literal("x".into())), Capture::Nothing);
        assert_eq!(needs(AttributeSource::PodLabel("x".into())), Capture::Nothing);
        assert_eq!(needs(AttributeSource::Header("x".into())), Capture::Heads);
        assert_eq!(needs(AttributeSource::Cel("response.code > 1".into())), Capture::Heads);
        assert_eq!(needs(AttributeSource::Cel("has(mcp.tool.name) || response.code > 1".into())), Capture::Bodies);
        assert_eq!(needs(AttributeSource::Key("gen_ai.usage.output_tokens".into())), Capture::Bodies);
    }
}
