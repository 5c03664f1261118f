//! A file of one document that is no Kubernetes object: `--config`.

use std::{fmt, sync::Arc};

use serde_json::Value;

use super::{
    files::Source,
    raw::{Problem, parse},
    split::split,
    tree::{Kind, Node},
};
use crate::policy::{Finding, model::FieldPath};

/// The document, every value of which knows its line.
#[derive(Clone)]
pub(crate) struct Plain {
    file: Arc<str>,
    /// `None` if the file holds nothing.
    tree: Option<Node>,
}

impl fmt::Debug for Plain {
    /// Values may be credentials: they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain({})", self.file)
    }
}

impl Plain {
    /// Reads a file.
    ///
    /// # Errors
    /// It is not YAML, it has more than one document, or the document is not a mapping.
    pub(crate) fn read(source: &Source) -> Result<Self, Problem> {
        let file: Arc<str> = source.name.as_str().into();
        let wrong = |line, problem: String, remedy: Option<&str>| Problem {
            file: Arc::clone(&file),
            line,
            problem,
            remedy: remedy.map(str::to_owned),
        };
        let mut found = None;
        for chunk in split(&source.bytes) {
            let Some(tree) = parse(&chunk).map_err(|broken| wrong(broken.line, broken.problem, None))? else {
                continue;
            };
            if !matches!(tree.kind, Kind::Map(_)) {
                return Err(wrong(tree.line, "has no keys".to_owned(), Some("write KEY: VALUE")));
            }
            if found.is_some() {
                return Err(wrong(tree.line, "is a second document".to_owned(), Some("a configuration has one")));
            }
            found = Some(tree);
        }
        Ok(Self { file, tree: found })
    }

    /// The document as JSON; an empty object if there is none.
    pub(crate) fn value(&self) -> Value {
        self.tree.as_ref().map_or_else(|| Value::Object(serde_json::Map::new()), Node::value)
    }

    /// Keys that are given again, with the lines of the later ones.
    pub(crate) fn duplicates(&self) -> Vec<(FieldPath, u32)> {
        self.tree.as_ref().map(Node::duplicates).unwrap_or_default()
    }

    /// A finding, where its field stands.
    pub(crate) fn problem(&self, finding: Finding) -> Problem {
        self.problem_at(&finding.field, &finding.problem, finding.remedy)
    }

    /// The problem with a field, where it stands.
    pub(crate) fn problem_at(&self, field: &FieldPath, text: &str, remedy: Option<String>) -> Problem {
        let line = self.tree.as_ref().map_or(1, |tree| tree.line_of(field));
        Problem { file: Arc::clone(&self.file), line, problem: format!("{field}: {text}"), remedy }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Plain, String> {
        Plain::read(&Source::new("c.yaml", text)).map_err(|problem| problem.to_string())
    }

    #[test]
    fn one_mapping_is_read_with_its_lines() {
        let plain = read("# words\n---\na:\n  b: 1\na: 2\n").unwrap();
        assert_eq!(plain.value(), json!({"a": 2}));
        assert_eq!(plain.duplicates(), [(FieldPath::new("a"), 5)]);
        let plain = read("a:\n- b: 1\n- c: 1\n").unwrap();
        let at = FieldPath::new("a").index(1).field("c");
        assert_eq!(
            plain.problem_at(&at, "is wrong", Some("be right".to_owned())).to_string(),
            "c.yaml:3: a[1].c: is wrong; be right"
        );
        for empty in ["", "# words\n", "---\n"] {
            assert_eq!(read(empty).unwrap().value(), json!({}));
        }
    }

    #[test]
    fn what_is_none_is_refused_with_its_line() {
        assert_eq!(read("\n- a\n").unwrap_err(), "c.yaml:2: has no keys; write KEY: VALUE");
        assert_eq!(read("a: 1\n---\nb: 1\n").unwrap_err(), "c.yaml:3: is a second document; a configuration has one");
        assert!(read("a: 1\nb: [\n").unwrap_err().starts_with("c.yaml:"));
    }
}
