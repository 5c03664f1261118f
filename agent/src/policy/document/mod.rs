//! Policy files -> [`Documents`]: policies with the lines of their fields, and the objects that stand for the cluster.

pub(crate) mod cluster;
mod files;
mod plain;
mod raw;
mod scalar;
mod split;
#[cfg(test)]
mod tests;
mod tree;
mod write;

use std::{fmt, sync::Arc};

pub use files::{Source, SourceError, read_source, read_sources};
use jiff::Timestamp;
pub(crate) use plain::Plain;
pub use raw::Problem;
pub(super) use raw::objects;
use serde_json::Value;
pub(super) use tree::Node;
pub use write::to_yaml;

use super::{
    Effect, Finding, conversion,
    model::{Dialect, FieldPath, GEP_GROUP, KIND, PROPOSAL_GROUP, Policy, PolicyKey, TargetRef},
    objects::Objects,
    schema,
};

/// What policy files hold.
#[derive(Clone, Debug, Default)]
pub struct Documents {
    /// The policies of both dialects, in the order in which they stand there. A later one with the same key is kept too; `findings` says so.
    pub policies: Vec<Arc<Document>>,
    /// The objects that stand for the cluster; of two with one name the later.
    pub objects: Arc<Objects>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// A policy as it stands in a file.
#[derive(Clone, Debug)]
pub struct Document {
    /// The file.
    pub file: Arc<str>,
    /// Its first line, from 1.
    pub line: u32,
    /// Which policy it is. A name that is missing is empty, and a finding.
    pub key: PolicyKey,
    /// The object as it is written; null of one of the API server, whose holder has it.
    pub value: Value,
    /// `metadata.creationTimestamp`
    pub created: Option<Timestamp>,
    /// `metadata.generation`; 0 where there is none.
    pub generation: i64,
    /// What it attaches to, as far as that can be made out.
    pub targets: Vec<TargetRef>,
    /// What it says, with the schema's defaults; `None` if it is not of the schema's types, and then a finding says where.
    pub policy: Option<Policy>,
    /// What is wrong with it by itself, in the order of its lines: the schema, unknown fields, fields that contradict one another.
    pub findings: Vec<Finding>,
    /// None of an object of the API server, which has no lines.
    tree: Option<Node>,
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        (&self.file, self.line, &self.value) == (&other.file, other.line, &other.value)
    }
}

/// So many keys of one policy that are given again are named.
const MAX_DUPLICATES: usize = 100;

/// Keys that are given more than once, the first of them.
fn duplicates(tree: &Node) -> impl Iterator<Item = Finding> {
    let all = tree.duplicates();
    let more = all.len().saturating_sub(MAX_DUPLICATES);
    let rest = (more > 0).then(|| {
        Finding::new(
            &FieldPath::default(),
            Effect::Warning,
            format!("{more} more keys are given again; the last one of each counts"),
        )
    });
    let named = all.into_iter().take(MAX_DUPLICATES).map(|(path, line)| {
        Finding::new(&path, Effect::Warning, format!("is given again in line {line}; the last one counts"))
    });
    named.chain(rest)
}

impl Document {
    /// The line of a field in the file, from 1; of what is nearest above it, where there is no such field.
    pub fn line_of(&self, field: &FieldPath) -> u32 {
        self.tree.as_ref().map_or(self.line, |tree| tree.line_of(field))
    }

    /// Whether an API server would refuse it, or what it asks for contradicts itself.
    pub fn is_invalid(&self) -> bool {
        self.policy.is_none() || self.findings.iter().any(|finding| finding.effect == Effect::Invalid)
    }
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.key)
    }
}

impl Documents {
    /// Reads sources. Whatever is wrong becomes a finding or a problem; nothing stops the rest from being read.
    pub fn read(sources: &[Source]) -> Self {
        let (read, problems) = objects(sources);
        let mut documents = Self { problems, ..Self::default() };
        let mut cluster = Objects { all_pods: true, ..Objects::default() };
        for object in read {
            let group = object.api_version.split_once('/').map_or("", |(group, _)| group);
            match Dialect::of(&object.api_version) {
                Some(dialect) if object.kind == KIND => {
                    documents.policies.push(Arc::new(Document::new(object, dialect)));
                }
                None if object.kind == KIND && [PROPOSAL_GROUP, GEP_GROUP].contains(&group) => {
                    let line = object.tree.line_of(&FieldPath::new("apiVersion"));
                    documents.problems.push(Problem {
                        file: object.file,
                        line,
                        problem: format!("apiVersion: `{}` is not served", object.api_version),
                        remedy: Some(format!(
                            "`{}` and `{}` are; `telltale policy convert` reads older drafts",
                            Dialect::Proposal.api_version(),
                            Dialect::Gep.api_version()
                        )),
                    });
                }
                _ => {
                    let value = object.tree.value();
                    if let Err(problem) = cluster::add(&mut cluster, &object.api_version, &object.kind, &value) {
                        let line = object.tree.line_of(&FieldPath::new("metadata.name"));
                        documents.problems.push(Problem {
                            file: object.file,
                            line,
                            problem: format!("{}: {problem}", object.kind),
                            remedy: None,
                        });
                    }
                }
            }
        }
        documents.objects = Arc::new(cluster);
        documents
    }

    /// Policies and objects of an API server, in the order in which they are given.
    pub fn of_objects(policies: impl IntoIterator<Item = Arc<Document>>, objects: Arc<Objects>) -> Self {
        Self { policies: policies.into_iter().collect(), objects, problems: Vec::new() }
    }
}

impl Document {
    fn new(object: raw::Object, dialect: Dialect) -> Self {
        let raw::Object { file, tree, .. } = object;
        let value = tree.value();
        let mut document = Self::of_object(dialect, &value);
        document.findings.extend(duplicates(&tree));
        document.findings.sort_by_cached_key(|finding| tree.line_of(&finding.field));
        Self { file, line: tree.line, value, tree: Some(tree), ..document }
    }

    /// A policy of an API server. It keeps no copy of the object.
    pub fn of_object(dialect: Dialect, object: &Value) -> Self {
        let metadata = &object["metadata"];
        let key = PolicyKey {
            namespace: metadata["namespace"].as_str().filter(|name| !name.is_empty()).unwrap_or("default").to_owned(),
            name: metadata["name"].as_str().unwrap_or_default().to_owned(),
            dialect,
        };
        let mut findings = Vec::new();
        let kept = schema::check(dialect, object, &mut findings);
        let read = conversion::policy(key.clone(), &kept, &mut findings);
        let policy = read
            .inspect_err(|error| {
                if findings.iter().all(|finding| finding.effect != Effect::Invalid) {
                    findings.push(Finding::invalid(&FieldPath::new("spec"), error.to_string()));
                }
            })
            .ok();
        Self {
            file: dialect.api_version().into(),
            line: 1,
            key,
            value: Value::Null,
            created: metadata["creationTimestamp"].as_str().and_then(|time| time.parse().ok()),
            generation: metadata["generation"].as_i64().unwrap_or_default(),
            targets: conversion::targets(dialect, &kept),
            policy,
            findings,
            tree: None,
        }
    }
}
