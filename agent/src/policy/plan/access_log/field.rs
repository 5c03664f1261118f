//! `accessLogs.fields` and `accessLogs.attributes`: names and values of a line.

use super::{
    Compiler,
    text::{Section, is_field_name, pseudo_header},
};
use crate::policy::{
    Capture, Effect, Finding,
    attribute::{Extractor, Key, When, not_kept},
    model::{Attribute, FieldPath, LogField},
    nearest::nearest,
};

/// Objects in objects at most.
const MAX_DEPTH: usize = 16;

/// A field with the keys under which it is written, from the outermost object inwards.
#[derive(Debug)]
pub(super) struct Field {
    at: FieldPath,
    path: Vec<String>,
    pub(super) value: Extractor,
    named: bool,
}

/// The fields of a list that can be written, in order: `fields`, then `attributes`.
pub(super) fn compile(fields: &[LogField], attributes: &[Attribute], compiler: &mut Compiler<'_>) -> Vec<Field> {
    let limit = compiler.trust.limits.attributes;
    let given = fields.len() + attributes.len();
    if given > limit {
        let at = (fields.iter().map(at_of).chain(attributes.iter().map(|attribute| &attribute.at))).nth(limit);
        let problem = format!("{given} fields are more than this agent's {limit}; the rest is left out");
        compiler.findings.extend(at.map(|at| Finding::new(at, Effect::Message, problem)));
    }
    let fields = fields.iter().map(|field| match field {
        LogField::Named { at, name } => (at, None, name),
        LogField::Attribute { path, attribute } => (&attribute.at, Some((path.clone(), attribute)), &attribute.name),
    });
    let attributes = attributes.iter().map(|added| (&added.at, Some((vec![added.name.clone()], added)), &added.name));
    fields
        .chain(attributes)
        .take(limit)
        .filter_map(|(at, attribute, name)| match attribute {
            None => {
                Some(Field { at: at.clone(), path: vec![name.clone()], value: named(name, at, compiler), named: true })
            }
            Some((path, attribute)) => {
                let value = Extractor::compile(attribute, compiler.trust, compiler.findings)?;
                Some(Field { at: at.clone(), path, value, named: false })
            }
        })
        .collect()
}

fn at_of(field: &LogField) -> &FieldPath {
    match field {
        LogField::Named { at, .. } => at,
        LogField::Attribute { attribute, .. } => &attribute.at,
    }
}

/// What a name of `fields` means: Istio's JSON keys, then ours, then headers (POLICY.md section 4).
fn named(name: &str, at: &FieldPath, compiler: &mut Compiler<'_>) -> Extractor {
    let pseudo = || pseudo_header(Section::Request, name).or_else(|| pseudo_header(Section::Response, name));
    if let Some(key) = Key::of_log(name).or_else(|| name.starts_with(':').then(pseudo).flatten()) {
        if key.row().when == When::Never {
            compiler.push(Finding::new(
                at,
                Effect::Partial,
                format!("only a proxy can know `{name}`: it is always absent"),
            ));
        }
        compiler.findings.extend(not_kept(at, key, compiler.trust));
        return Extractor::key(key);
    }
    let known = || Key::ALL.iter().flat_map(|key| key.row().log_names());
    if !is_field_name(name) {
        let finding = Finding::new(
            at,
            Effect::Message,
            format!("`{name}` is neither a key nor the name of a header; it has no value"),
        );
        compiler.push(match nearest(name, known()) {
            Some(key) => finding.instead(format!("the nearest is `{key}`")),
            None => finding.instead("docs/attributes.md lists the keys"),
        });
    } else if name.contains('_')
        && let Some(key) = nearest(name, known())
    {
        // Names of headers seldom have underscores, names of keys do.
        let finding =
            Finding::new(at, Effect::Warning, format!("`{name}` is no key, so the header of this name is written"));
        compiler.push(finding.instead(format!("the nearest is `{key}`")));
    }
    Extractor::header(name, at, compiler.findings)
}

/// A JSON object.
#[derive(Debug, Default)]
pub struct Object {
    /// In the order of the policy.
    pub members: Vec<Member>,
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its key as JSON, with quotes and colon: `"start_time":`.
    pub key: Box<str>,
    /// Its value.
    pub node: Node,
}

/// The value of a member.
#[derive(Debug)]
pub enum Node {
    /// One value; the member is left out if it is absent.
    Value(Extractor),
    /// More of them; the member is left out if all are absent.
    Object(Object),
}

impl Object {
    /// Nests fields by their paths. `taken` are keys that the line has already.
    pub(super) fn of(fields: Vec<Field>, taken: &[&str], compiler: &mut Compiler<'_>) -> Self {
        let mut object = Self::default();
        for Field { at, path, value, named } in fields {
            let name = path.join(".");
            if path.is_empty() || path.len() > MAX_DEPTH {
                compiler.push(Finding::invalid(&at, format!("a path has 1 to {MAX_DEPTH} keys")));
            } else if path.len() == 1 && taken.contains(&path[0].as_str()) {
                let problem = format!("the default line has a key `{name}` already");
                compiler.push(
                    Finding::invalid(&at, problem).instead("choose another name, or list the whole line in `fields`"),
                );
            } else if !object.insert(&path, value) {
                let (effect, remedy) = if named {
                    (Effect::Warning, "list it once")
                } else {
                    (Effect::Invalid, "give each field a path of its own, none of which begins with another")
                };
                let problem = format!("`{name}` is in the line already");
                compiler.push(Finding::new(&at, effect, problem).instead(remedy));
            }
        }
        object
    }

    /// Whether there was room for it.
    fn insert(&mut self, path: &[String], value: Extractor) -> bool {
        let [first, rest @ ..] = path else { return false };
        let key = serde_json::Value::from(first.as_str()).to_string() + ":";
        let existing = self.members.iter_mut().find(|member| *member.key == *key);
        match (existing, rest) {
            (Some(Member { node: Node::Object(inner), .. }), [_, ..]) => inner.insert(rest, value),
            (Some(_), _) => false,
            (None, []) => {
                self.members.push(Member { key: key.into(), node: Node::Value(value) });
                true
            }
            (None, _) => {
                let mut inner = Self::default();
                let inserted = inner.insert(rest, value);
                self.members.push(Member { key: key.into(), node: Node::Object(inner) });
                inserted
            }
        }
    }

    pub(super) fn needs(&self) -> Capture {
        let needs = |member: &Member| match &member.node {
            Node::Value(value) => value.needs(),
            Node::Object(object) => object.needs(),
        };
        self.members.iter().map(needs).max().unwrap_or_default()
    }
}
