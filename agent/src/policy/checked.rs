//! Policy files, read, compiled and resolved, and all that is to be said about them: what `validate`, `status` and `explain` print.

use std::{fmt, sync::Arc};

use serde_json::{Value, json};

use super::{
    Compiled, Effect, Fallback, Setting,
    api::status::AncestorReference,
    attachment::PolicyIndex,
    document::{Document, Documents, Problem, Source},
    status::{NOT_OBSERVED, Nodes, merge, statuses},
    validation,
};

/// What policy files hold, and what became of it.
#[derive(Debug)]
pub struct Checked {
    /// The files, in the order in which they were read.
    pub files: Vec<String>,
    /// Their policies.
    pub policies: Vec<Arc<Document>>,
    /// What could not be read.
    pub problems: Vec<Problem>,
    /// One candidate for each of `policies`, in the same order.
    pub compiled: Compiled,
}

/// How bad a [`Remark`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The policy, or a target of it, is refused.
    Error,
    /// The policy holds all the same.
    Warning,
}

impl Severity {
    /// Its word in a line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One line that `validate` prints. Ordered as the files are read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    file_order: usize,
    /// The line in the file, from 1.
    pub line: u32,
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: Arc<str>,
    /// About which field, what is wrong, and what would be right.
    pub text: String,
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}: {}", self.file, self.line, self.severity.word(), self.text)
    }
}

/// Policies with their statuses.
#[derive(Debug)]
pub struct Statuses {
    /// A `List` of the policies as they were read, each with the status that the elected agent would write.
    pub list: Value,
    /// Targets of which nothing is said, since the list of their policy is full: which policy (an index into [`Checked::policies`]), which target.
    pub left_out: Vec<(usize, AncestorReference)>,
}

impl Checked {
    /// Reads, compiles and resolves. Whatever is wrong is kept to be said.
    pub fn new(sources: &[Source], setting: &Setting) -> Self {
        Self::of(sources, Documents::read(sources), setting, &Fallback::default())
    }

    /// The same of what was read from the sources, with a configuration to fall back on.
    pub fn of(sources: &[Source], documents: Documents, setting: &Setting, fallback: &Fallback) -> Self {
        let candidates = validation::candidates(&documents);
        let Documents { policies, objects, problems } = documents;
        let compiled = fallback.compile(candidates, objects, setting, None);
        Self { files: sources.iter().map(|source| source.name.clone()).collect(), policies, problems, compiled }
    }

    /// Everything that is to be said, in the order in which it stands in the files.
    pub fn remarks(&self) -> Vec<Remark> {
        let mut remarks = Vec::new();
        let order = |file: &str| self.files.iter().position(|known| known == file).unwrap_or(self.files.len());
        for problem in &self.problems {
            let text = match &problem.remedy {
                Some(remedy) => format!("{}; {remedy}", problem.problem),
                None => problem.problem.clone(),
            };
            let (file, line) = (Arc::clone(&problem.file), problem.line);
            remarks.push(Remark { file_order: order(&file), line, severity: Severity::Error, file, text });
        }
        for (index, (document, candidate)) in self.policies.iter().zip(&self.compiled.candidates).enumerate() {
            let targets = validation::target_findings(candidate, &self.compiled.resolution, PolicyIndex(index));
            for finding in candidate.findings.iter().chain(&targets) {
                let severity = if finding.effect == Effect::Invalid { Severity::Error } else { Severity::Warning };
                let (file, line) = (Arc::clone(&document.file), document.line_of(&finding.field));
                remarks.push(Remark { file_order: order(&file), line, severity, file, text: finding.to_string() });
            }
        }
        remarks.sort();
        remarks.dedup();
        remarks
    }

    /// The policies with the statuses that the elected agent would write; without `nodes` there is no cluster, and no `Programmed`.
    pub fn statuses(&self, nodes: Option<&Nodes>) -> Statuses {
        let Compiled { candidates, objects, resolution, .. } = &self.compiled;
        let statuses = statuses(candidates, objects, resolution, nodes, NOT_OBSERVED);
        let mut left_out = Vec::new();
        let items = self.policies.iter().zip(statuses).enumerate().map(|(index, (document, ours))| {
            let mut item = document.value.clone();
            let merged = merge(&document.key, item.get("status"), &ours);
            left_out.extend(merged.left_out.into_iter().map(|ancestor| (index, ancestor)));
            if let (Some(status), Some(fields)) = (merged.status, item.as_object_mut()) {
                fields.insert("status".to_owned(), status);
            }
            item
        });
        let list = json!({"apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>()});
        Statuses { list, left_out }
    }
}
