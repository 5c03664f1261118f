//! A YAML document as a tree in which every value knows its line.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use granit_parser::{Event, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Value};

use super::scalar;
use crate::policy::model::FieldPath;

/// Values may be nested this deep. No Kubernetes object comes near; what does is meant to exhaust a stack.
const MAX_DEPTH: usize = 64;
/// So many values may come from aliases in one document, which multiply ("billion laughs").
const MAX_ALIASED: usize = 10_000;
/// So many values may have anchors, each counted once for every anchor around it.
const MAX_ANCHORED: usize = 100_000;
/// So many comment lines in a row stay; the parser bounds how many it looks over.
const MAX_COMMENTS: usize = 16;

/// A value and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) struct Node {
    /// Line in the file, from 1.
    pub(in crate::policy) line: u32,
    /// What it is.
    pub(in crate::policy) kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) enum Kind {
    /// No list and no mapping.
    Scalar(Value),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, as written: a key may occur twice.
    Map(Vec<Entry>),
}

/// An entry of a mapping.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::policy) struct Entry {
    pub(in crate::policy) key: String,
    /// Line of the key.
    pub(in crate::policy) line: u32,
    pub(in crate::policy) node: Node,
}

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    /// Line in the file, from 1.
    pub(super) line: u32,
    /// What is wrong.
    pub(super) problem: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl Node {
    /// Reads the document that begins at a line of its file. `None` if it holds nothing.
    pub(super) fn parse(text: &str, first_line: u32) -> Result<Option<Self>, Broken> {
        match Composer::new(first_line).compose(text) {
            // Looking over many comments is the only thing that this changes.
            Err(_) if has_long_comment(text) => Composer::new(first_line).compose(&without_long_comments(text)),
            result => result,
        }
    }

    /// The value as JSON; of a key that occurs twice the last one counts, as in the API server.
    pub(in crate::policy) fn value(&self) -> Value {
        match &self.kind {
            Kind::Scalar(value) => value.clone(),
            Kind::List(items) => Value::Array(items.iter().map(Self::value).collect()),
            Kind::Map(entries) => Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.node.value())).collect::<Map<_, _>>(),
            ),
        }
    }

    /// The entry of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        match &self.kind {
            Kind::Map(entries) => entries.iter().rev().find(|entry| entry.key == key).map(|entry| &entry.node),
            _ => None,
        }
    }

    /// The line of the field at a path; of what is nearest above it, where there is no such field.
    pub(in crate::policy) fn line_of(&self, path: &FieldPath) -> u32 {
        let (mut node, mut line, mut rest) = (self, self.line, path.as_str());
        while !rest.is_empty() {
            match &node.kind {
                Kind::Map(entries) => {
                    // Keys may hold dots themselves (labels), so the longest one that fits is meant.
                    let field = rest.strip_prefix('.').unwrap_or(rest);
                    let fits = |entry: &&Entry| {
                        field
                            .strip_prefix(entry.key.as_str())
                            .is_some_and(|tail| matches!(tail.as_bytes().first(), None | Some(b'.' | b'[')))
                    };
                    let Some(entry) = entries.iter().filter(fits).max_by_key(|entry| entry.key.len()) else { break };
                    (node, line, rest) = (&entry.node, entry.line, &field[entry.key.len()..]);
                }
                Kind::List(items) => {
                    let index = rest.strip_prefix('[').and_then(|tail| tail.split_once(']'));
                    let item = index.and_then(|(index, tail)| Some((items.get(index.parse::<usize>().ok()?)?, tail)));
                    let Some((item, tail)) = item else { break };
                    (node, line, rest) = (item, item.line, tail);
                }
                Kind::Scalar(_) => break,
            }
        }
        line
    }

    /// Keys that occur again in their mapping: their paths, and the lines of the later ones.
    pub(super) fn duplicates(&self) -> Vec<(FieldPath, u32)> {
        let mut found = Vec::new();
        self.collect_duplicates(&FieldPath::default(), &mut found);
        found
    }

    fn collect_duplicates(&self, path: &FieldPath, found: &mut Vec<(FieldPath, u32)>) {
        match &self.kind {
            Kind::Scalar(_) => {}
            Kind::List(items) => {
                for (index, item) in items.iter().enumerate().filter(|(_, item)| !matches!(item.kind, Kind::Scalar(_)))
                {
                    item.collect_duplicates(&path.index(index), found);
                }
            }
            Kind::Map(entries) => {
                let mut seen = HashSet::with_capacity(entries.len());
                for entry in entries {
                    if !seen.insert(entry.key.as_str()) {
                        found.push((path.field(&entry.key), entry.line));
                    }
                    if !matches!(entry.node.kind, Kind::Scalar(_)) {
                        entry.node.collect_duplicates(&path.field(&entry.key), found);
                    }
                }
            }
        }
    }

    fn count(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::count).sum(),
            Kind::Map(entries) => entries.iter().map(|entry| entry.node.count()).sum(),
        }
    }

    fn depth(&self) -> usize {
        1 + match &self.kind {
            Kind::Scalar(_) => 0,
            Kind::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Kind::Map(entries) => entries.iter().map(|entry| entry.node.depth()).max().unwrap_or(0),
        }
    }
}

/// Whether the parser may have to look over more comments than it does.
fn has_long_comment(text: &str) -> bool {
    let mut run = 0;
    text.lines().any(|line| {
        run = if line.trim_start().starts_with('#') { run + 1 } else { 0 };
        run > MAX_COMMENTS
    })
}

/// Blanks comment lines that follow many others. In a block scalar that is text; no field of a policy holds such text.
fn without_long_comments(text: &str) -> String {
    let mut run = 0;
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        run = if line.trim_start().starts_with('#') { run + 1 } else { 0 };
        if run <= MAX_COMMENTS {
            kept.push_str(line);
        }
        kept.push('\n');
    }
    kept
}

/// A collection that is not closed yet.
enum Open {
    List { line: u32, anchor: usize, items: Vec<Node> },
    Map { line: u32, anchor: usize, entries: Vec<Entry>, merges: Vec<Node>, key: Option<Key> },
}

/// A key whose value is yet to come.
struct Key {
    text: String,
    line: u32,
    /// `<<`, not in quotes.
    is_merge: bool,
}

struct Composer {
    first_line: u32,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    aliased: usize,
    anchored: usize,
    /// Whether the last scalar was in no quotes.
    plain: bool,
}

impl Composer {
    fn new(first_line: u32) -> Self {
        Self { first_line, open: Vec::new(), anchors: HashMap::new(), aliased: 0, anchored: 0, plain: false }
    }

    fn line(&self, of_parser: usize) -> u32 {
        self.first_line.saturating_add(u32::try_from(of_parser).unwrap_or(u32::MAX).saturating_sub(1))
    }

    fn compose(mut self, text: &str) -> Result<Option<Node>, Broken> {
        let mut root = None;
        for event in Parser::new_from_str(text) {
            let (event, span) = event.map_err(|error| self.scan_error(&error))?;
            let line = self.line(span.start.line());
            let node = match event {
                Event::Scalar(text, style, anchor, tag) => {
                    self.plain = style == ScalarStyle::Plain;
                    let tag =
                        tag.as_deref().filter(|tag| tag.handle == "tag:yaml.org,2002:").map(|tag| tag.suffix.as_str());
                    let value = scalar_value(&text, style, tag).map_err(|scalar::NotFinite| Broken {
                        line,
                        problem: format!("`{text}` is no number of JSON"),
                    })?;
                    let node = Node { line, kind: Kind::Scalar(value) };
                    self.remember(anchor, &node)?;
                    node
                }
                Event::Alias(anchor) => {
                    let Some(target) = self.anchors.get(&anchor) else {
                        return Err(Broken {
                            line,
                            problem: "the alias refers to a value that contains it".to_owned(),
                        });
                    };
                    self.aliased = self.aliased.saturating_add(target.count());
                    if self.aliased > MAX_ALIASED {
                        return Err(Broken {
                            line,
                            problem: format!("aliases stand for more than {MAX_ALIASED} values"),
                        });
                    }
                    if self.open.len() + target.depth() > MAX_DEPTH {
                        return Err(too_deep(line));
                    }
                    target.clone()
                }
                Event::SequenceStart(_, anchor, _) => {
                    self.push(line, Open::List { line, anchor, items: Vec::new() })?;
                    continue;
                }
                Event::MappingStart(_, anchor, _) => {
                    self.push(line, Open::Map { line, anchor, entries: Vec::new(), merges: Vec::new(), key: None })?;
                    continue;
                }
                Event::SequenceEnd | Event::MappingEnd => match self.close()? {
                    Some(node) => node,
                    None => continue,
                },
                Event::DocumentEnd => break,
                _ => continue,
            };
            if let Some(done) = self.place(node)? {
                root = Some(done);
            }
        }
        Ok(root.filter(|root| root.kind != Kind::Scalar(Value::Null)))
    }

    fn scan_error(&self, error: &ScanError) -> Broken {
        Broken { line: self.line(error.marker().line()), problem: format!("is not YAML: {}", error.info()) }
    }

    fn push(&mut self, line: u32, open: Open) -> Result<(), Broken> {
        if self.open.len() >= MAX_DEPTH {
            return Err(too_deep(line));
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<Option<Node>, Broken> {
        let Some(open) = self.open.pop() else { return Ok(None) };
        let (node, anchor) = match open {
            Open::List { line, anchor, items } => (Node { line, kind: Kind::List(items) }, anchor),
            Open::Map { line, anchor, entries, merges, .. } => {
                (Node { line, kind: Kind::Map(merged(entries, merges)) }, anchor)
            }
        };
        self.remember(anchor, &node)?;
        Ok(Some(node))
    }

    /// Keeps a value for its aliases. What could never be aliased, being too large, is bounded as aliases are: anchors inside each other multiply too.
    fn remember(&mut self, anchor: usize, node: &Node) -> Result<(), Broken> {
        if anchor != 0 {
            self.anchored = self.anchored.saturating_add(node.count());
            if self.anchored > MAX_ANCHORED {
                let problem = format!("anchors stand for more than {MAX_ANCHORED} values");
                return Err(Broken { line: node.line, problem });
            }
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    /// Puts a complete value where it belongs; gives it back if it is the whole document.
    fn place(&mut self, node: Node) -> Result<Option<Node>, Broken> {
        match self.open.last_mut() {
            None => return Ok(Some(node)),
            Some(Open::List { items, .. }) => items.push(node),
            Some(Open::Map { entries, merges, key, .. }) => match key.take() {
                None => {
                    let (text, line) = key_text(node)?;
                    *key = Some(Key { is_merge: self.plain && text == "<<", text, line });
                }
                Some(Key { is_merge: true, .. }) => merges.push(node),
                Some(Key { text, line, .. }) => entries.push(Entry { key: text, line, node }),
            },
        }
        Ok(None)
    }
}

fn too_deep(line: u32) -> Broken {
    Broken { line, problem: format!("values are nested deeper than {MAX_DEPTH}") }
}

fn scalar_value(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Value, scalar::NotFinite> {
    match (style, tag) {
        (_, Some("str")) => Ok(Value::String(text.to_owned())),
        (ScalarStyle::Plain, _) | (_, Some("int" | "float" | "bool" | "null")) => scalar::resolve(text),
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// JSON has only text as keys; numbers and booleans become theirs, as in the API server.
fn key_text(node: Node) -> Result<(String, u32), Broken> {
    let line = node.line;
    match node.kind {
        Kind::Scalar(Value::String(text)) => Ok((text, line)),
        Kind::Scalar(value @ (Value::Bool(_) | Value::Number(_))) => Ok((value.to_string(), line)),
        _ => Err(Broken { line, problem: "a key must be text".to_owned() }),
    }
}

/// Resolves `<<` (YAML 1.1, "Merge Key"): what the mapping itself says wins, then the first of a list.
fn merged(mut own: Vec<Entry>, merges: Vec<Node>) -> Vec<Entry> {
    if merges.is_empty() {
        return own;
    }
    let mut known: HashSet<String> = own.iter().map(|entry| entry.key.clone()).collect();
    let mut add = |node: Node| {
        if let Kind::Map(others) = node.kind {
            own.extend(others.into_iter().filter(|other| known.insert(other.key.clone())));
        }
    };
    for merge in merges {
        match merge.kind {
            Kind::List(items) => items.into_iter().for_each(&mut add),
            _ => add(merge),
        }
    }
    own
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn value(text: &str) -> Value {
        Node::parse(text, 1).unwrap().unwrap().value()
    }

    fn broken(text: &str) -> String {
        let broken = Node::parse(text, 10).unwrap_err();
        format!("{}: {}", broken.line, broken.problem)
    }

    #[test]
    fn yaml_and_json_become_one_tree() {
        assert_eq!(
            value("a: [1, two, {three: 3}]\nb: |\n  x\n  y\n"),
            json!({"a": [1, "two", {"three": 3}], "b": "x\ny\n"})
        );
        assert_eq!(
            value("{\"a\": [1, \"t\\u00e4\\/\\ud83d\\ude00\"],\n\t\"b\": null}"),
            json!({"a": [1, "tä/😀"], "b": null})
        );
        assert_eq!(value("on: 1\n5: 2\n"), json!({"true": 1, "5": 2}));
        assert_eq!(value("a: !!str 5\nb: '5'\nc: !!int '5'\n"), json!({"a": "5", "b": "5", "c": 5}));
    }

    #[test]
    fn anchors_and_merges_are_resolved() {
        assert_eq!(
            value("a: &x {k: 1, l: 2}\nb: *x\nc: {<<: *x, k: 3}\n"),
            json!({"a": {"k": 1, "l": 2}, "b": {"k": 1, "l": 2}, "c": {"k": 3, "l": 2}})
        );
        // In quotes it is a key as any other.
        assert_eq!(value("a: {\"<<\": {k: 1}, '<<': 2}\n"), json!({"a": {"<<": 2}}));
    }

    #[test]
    fn an_alias_bomb_is_refused() {
        let line =
            |level: usize| format!("a{level}: &a{level} [{}]\n", [format!("*a{}", level - 1).as_str(); 10].join(", "));
        let text: String = std::iter::once("a0: &a0 [x, x, x]\n".to_owned()).chain((1..12).map(line)).collect();
        assert!(broken(&text).contains("aliases stand for more than"), "{}", broken(&text));
    }

    #[test]
    fn depth_is_bounded_with_and_without_aliases() {
        assert!(broken(&format!("{}{}", "[".repeat(70), "]".repeat(70))).contains("deeper"));
        // The parser has a bound of its own.
        assert!(Node::parse(&"[".repeat(100_000), 1).is_err());
        assert!(broken(&"- ".repeat(500)).contains("deeper"));
        let line = |level: usize| format!("a{level}: &a{level} [*a{}]\n", level - 1);
        let text: String = std::iter::once("a0: &a0 [x]\n".to_owned()).chain((1..100).map(line)).collect();
        assert!(broken(&text).contains("deeper"));
    }

    #[test]
    fn what_is_broken_names_its_line() {
        assert!(broken("a: 1\nb: [1\nc: 2\n").starts_with('1'), "{}", broken("a: 1\nb: [1\nc: 2\n"));
        assert_eq!(broken("a: 1\nb: .inf\n"), "11: `.inf` is no number of JSON");
        assert_eq!(broken("a: 1\n[1]: 2\n"), "11: a key must be text");
        assert!(broken("a: &x [*x]").contains("contains it"));
        assert!(broken("a: *nobody").starts_with("10: is not YAML"));
    }

    #[test]
    fn paths_have_lines() {
        let text = "metadata:\n  labels:\n    a.b/c: x\nspec:\n  list:\n  - name: one\n  -\n    name: two\n";
        let node = Node::parse(text, 1).unwrap().unwrap();
        let at = |path: &str| node.line_of(&FieldPath::new(path));
        assert_eq!(
            [
                at(""),
                at("metadata.labels.a.b/c"),
                at("spec.list[0].name"),
                at("spec.list[1].name"),
                at("spec.list[1].missing"),
                at("spec.list[7]"),
                at("spec.none.x")
            ],
            [1, 3, 6, 8, 8, 5, 4]
        );
    }

    #[test]
    fn duplicates_are_found_and_the_last_counts() {
        let node = Node::parse("a: 1\nb:\n- c: 1\n  c: 2\na: 3\n", 1).unwrap().unwrap();
        assert_eq!(node.value(), json!({"a": 3, "b": [{"c": 2}]}));
        let found: Vec<_> = node.duplicates().into_iter().map(|(path, line)| (path.to_string(), line)).collect();
        assert_eq!(found, [("b[0].c".to_owned(), 4), ("a".to_owned(), 5)]);
    }

    #[test]
    fn many_comments_are_read_over() {
        let comments = "# words\n".repeat(200);
        let text = format!("a:\n{comments}  b: 1\n{comments}  c: [1]\n{comments}d:\n{comments}- 1\n{comments}- 2\n");
        let node = Node::parse(&text, 1).unwrap().unwrap();
        assert_eq!(node.value(), json!({"a": {"b": 1, "c": [1]}, "d": [1, 2]}));
        assert_eq!(node.line_of(&FieldPath::new("a.b")), 202);
    }
}
