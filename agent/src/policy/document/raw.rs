//! Objects of any kind, as they stand in files.

use std::sync::Arc;

use super::{
    files::Source,
    split::{Chunk, split},
    tree::{Broken, Entry, Kind, Node},
};

/// Kubernetes refuses requests above 1.5 MiB and stores at most 1 MiB in annotations and the like; nothing that is larger can be a policy.
pub(super) const MAX_DOCUMENT: usize = 1 << 20;

/// An object: something with `apiVersion` and `kind`.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Object {
    /// The file it came from.
    pub(in crate::policy) file: Arc<str>,
    /// `apiVersion`
    pub(in crate::policy) api_version: String,
    /// `kind`
    pub(in crate::policy) kind: String,
    /// The whole of it.
    pub(in crate::policy) tree: Node,
}

/// Something that is wrong with a file rather than with a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: Arc<str>,
    /// The line in it, from 1.
    pub line: u32,
    /// What is wrong.
    pub problem: String,
    /// What would be right.
    pub remedy: Option<String>,
}

impl std::fmt::Display for Problem {
    /// `FILE:LINE: what is wrong; what would be right`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.problem)?;
        match &self.remedy {
            Some(remedy) => write!(f, "; {remedy}"),
            None => Ok(()),
        }
    }
}

/// The objects of files, in the order in which they stand there, and what could not be read.
pub(in crate::policy) fn objects(sources: &[Source]) -> (Vec<Object>, Vec<Problem>) {
    let (mut objects, mut problems) = (Vec::new(), Vec::new());
    for source in sources {
        let file: Arc<str> = source.name.as_str().into();
        for chunk in split(&source.bytes) {
            match parse(&chunk) {
                Ok(Some(tree)) => flatten(&file, tree, None, &mut objects, &mut problems),
                Ok(None) => {}
                Err(Broken { line, problem }) => {
                    problems.push(Problem { file: Arc::clone(&file), line, problem, remedy: None });
                }
            }
        }
    }
    (objects, problems)
}

/// Reads one document of a file. `None` if it holds nothing.
pub(super) fn parse(chunk: &Chunk<'_>) -> Result<Option<Node>, Broken> {
    if chunk.bytes.len() > MAX_DOCUMENT {
        let problem = format!("the document has {} bytes, more than 1 MiB", chunk.bytes.len());
        return Err(Broken { line: chunk.line, problem });
    }
    let text = std::str::from_utf8(chunk.bytes).map_err(|error| {
        let newlines = memchr::memchr_iter(b'\n', &chunk.bytes[..error.valid_up_to()]).count();
        Broken { line: chunk.line + newlines as u32, problem: "is not UTF-8".to_owned() }
    })?;
    Node::parse(text, chunk.line).map_err(|broken| {
        // Where the last line has no end the parser stands behind it.
        let breaks = text.split(['\n', '\r']).count() as u32 - 1;
        Broken { line: broken.line.min(chunk.line + breaks), ..broken }
    })
}

/// Takes lists apart. The items of a typed list (`PodList`) need no kind of their own.
fn flatten(
    file: &Arc<str>,
    mut tree: Node,
    item_of: Option<(&str, &str)>,
    objects: &mut Vec<Object>,
    problems: &mut Vec<Problem>,
) {
    let text = |key| {
        tree.get(key).and_then(|node| match &node.kind {
            Kind::Scalar(serde_json::Value::String(text)) if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
    };
    let (Some(api_version), Some(kind)) =
        (text("apiVersion").or(item_of.map(|of| of.0)), text("kind").or(item_of.map(|of| of.1)))
    else {
        problems.push(Problem {
            file: Arc::clone(file),
            line: tree.line,
            problem: "is no Kubernetes object".to_owned(),
            remedy: Some("it needs `apiVersion` and `kind`".to_owned()),
        });
        return;
    };
    let (api_version, kind) = (api_version.to_owned(), kind.to_owned());
    if item_of.is_some()
        && let Kind::Map(entries) = &mut tree.kind
    {
        // An object says what it is, wherever it goes from here.
        for (key, text) in [("apiVersion", &api_version), ("kind", &kind)] {
            entries.retain(|entry| entry.key != key);
            let node = Node { line: tree.line, kind: Kind::Scalar(text.as_str().into()) };
            entries.push(Entry { key: key.to_owned(), line: tree.line, node });
        }
    }
    let item_kind =
        kind.strip_suffix("List").filter(|_| matches!(tree.get("items"), Some(Node { kind: Kind::List(_), .. })));
    let Some(item_kind) = item_kind else {
        objects.push(Object { file: Arc::clone(file), api_version, kind, tree });
        return;
    };
    let item_of = (!item_kind.is_empty()).then_some((api_version.as_str(), item_kind));
    let Kind::Map(entries) = tree.kind else { return };
    for entry in entries.into_iter().filter(|entry| entry.key == "items") {
        if let Kind::List(items) = entry.node.kind {
            for item in items {
                flatten(file, item, item_of, objects, problems);
            }
        }
    }
}
