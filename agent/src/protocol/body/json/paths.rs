//! Which values of a document are wanted, as a table that is walked along with it.

/// Where a value stands in the tables of [`Paths`].
pub(super) type Target = u32;

/// Nothing of the value is wanted.
pub(super) const NOTHING: Target = 0;
/// The document.
pub(super) const ROOT: Target = 1;

/// What is given of a value at a wanted path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Take {
    /// Of a text its first [`MAX_BRIEF`](super::MAX_BRIEF) bytes.
    Brief,
    /// Of a text as much as the scanner gives.
    #[default]
    Value,
    /// Of an object or array its JSON as it is written ([`Found::json`](super::Found::json)), with no path leading into it; of other values as
    /// [`Self::Value`].
    Json,
}

/// A set of paths. Made once: making it costs allocations, walking it none.
///
/// A path is member names with `.` between them. `[]` behind a name is any element of the array there, so that `choices[].finish_reason` is the
/// finish reason of each choice and `[].id` the id of each element of a document that is an array. `*` is any member. A name that has a `.` or `[` of
/// its own stands in quotes: `_meta."io.modelcontextprotocol/clientInfo".name`. The empty path is the document.
#[derive(Debug)]
pub struct Paths {
    nodes: Vec<Node>,
    longest: usize,
}

/// What is wanted of one value.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The paths that end here.
    pub(super) ids: Vec<u16>,
    /// What they want: the most of it.
    pub(super) take: Take,
    members: Vec<(Box<str>, Target)>,
    /// Lengths of the members' names, modulo 64, as bits: most names that are not wanted differ in it.
    lengths: u64,
    other: Target,
    /// What is wanted of its elements.
    pub(super) element: Target,
}

impl Node {
    /// Whether anything of its members is wanted.
    pub(super) fn has_members(&self) -> bool {
        self.other != NOTHING || !self.members.is_empty()
    }

    /// What is wanted of the member of this name.
    pub(super) fn member(&self, name: &[u8]) -> Target {
        if self.lengths >> (name.len() % 64) & 1 == 1
            && let Some((_, target)) = self.members.iter().find(|(wanted, _)| wanted.as_bytes() == name)
        {
            return *target;
        }
        self.other
    }
}

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Name(Box<str>),
    AnyMember,
    Element,
}

/// A path as it is followed.
#[derive(Debug)]
struct Path {
    steps: Vec<Step>,
    id: u16,
    take: Take,
}

/// The paths that go on from a value, and how many of their steps led there.
type Ways = Vec<(usize, usize)>;

impl Paths {
    /// The set of these paths, each with the number by which it is told. Several paths may have one number, and one path several numbers.
    pub fn new(paths: &[(&str, u16)]) -> Self {
        Self::taking(paths.iter().map(|&(path, id)| (path, id, Take::Value)))
    }

    /// The same, each with what is given of its value.
    pub fn taking<'p>(paths: impl IntoIterator<Item = (&'p str, u16, Take)>) -> Self {
        let paths: Vec<_> = paths.into_iter().map(|(path, id, take)| Path { steps: steps(path), id, take }).collect();
        let longest = paths.iter().flat_map(|path| &path.steps).map(|step| match step {
            Step::Name(name) => name.len(),
            Step::AnyMember | Step::Element => 0,
        });
        let mut made = Self { longest: longest.max().unwrap_or(0), nodes: vec![Node::default()] };
        let all: Ways = (0..paths.len()).map(|path| (path, 0)).collect();
        if all.is_empty() {
            made.nodes.push(Node::default());
        }
        made.add(&paths, &all);
        made
    }

    /// Each value has one node, whatever mix of names and `*` leads to it: a subset construction, which ends since each step uses one up.
    fn add(&mut self, paths: &[Path], ways: &Ways) -> Target {
        if ways.is_empty() {
            return NOTHING;
        }
        let target = self.nodes.len() as Target;
        self.nodes.push(Node::default());
        let next = |takes: &dyn Fn(&Step) -> bool| -> Ways {
            let taken = ways.iter().filter(|(path, at)| paths[*path].steps.get(*at).is_some_and(takes));
            taken.map(|(path, at)| (*path, at + 1)).collect()
        };
        let mut names: Vec<&Box<str>> = Vec::new();
        for (path, at) in ways {
            if let Some(Step::Name(name)) = paths[*path].steps.get(*at)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        let ended: Vec<&Path> = ways
            .iter()
            .map(|(path, at)| (&paths[*path], *at))
            .filter(|(path, at)| path.steps.len() == *at)
            .map(|(path, _)| path)
            .collect();
        let mut node = Node {
            ids: ended.iter().map(|path| path.id).collect(),
            take: ended.iter().map(|path| path.take).max().unwrap_or_default(),
            ..Node::default()
        };
        for name in names {
            let ways = next(&|step| *step == Step::AnyMember || matches!(step, Step::Name(other) if other == name));
            node.lengths |= 1 << (name.len() % 64);
            node.members.push((name.clone(), self.add(paths, &ways)));
        }
        node.other = self.add(paths, &next(&|step| *step == Step::AnyMember));
        node.element = self.add(paths, &next(&|step| *step == Step::Element));
        self.nodes[target as usize] = node;
        target
    }

    pub(super) fn node(&self, target: Target) -> &Node {
        &self.nodes[target as usize]
    }

    /// Bytes of the longest name.
    pub(super) const fn longest(&self) -> usize {
        self.longest
    }
}

/// A path that is not well-formed is read as far as it goes.
fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix("[]") {
            steps.push(Step::Element);
            rest = after;
        } else if let Some(after) = rest.strip_prefix('.') {
            rest = after;
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let (name, after) = quoted.split_once('"').unwrap_or((quoted, ""));
            steps.push(Step::Name(name.into()));
            rest = after;
        } else {
            let mut ends = rest.char_indices().skip(1).filter(|(_, character)| matches!(character, '.' | '['));
            let end = ends.next().map_or(rest.len(), |(end, _)| end);
            let (name, after) = rest.split_at(end);
            steps.push(if name == "*" { Step::AnyMember } else { Step::Name(name.into()) });
            rest = after;
        }
    }
    steps
}
