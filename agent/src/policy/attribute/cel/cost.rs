//! What an expression costs at worst, before it is ever evaluated.
//!
//! Counted as [`super::eval`] counts, of the sizes that exchanges have.

use super::{
    eval::{COPY_BYTES, FIELDS, STEP_BYTES},
    function::Function,
    tree::{Arithmetic, Loop, Node, Range, Val},
};
use crate::policy::attribute::{Key, Type};

/// Bytes that a text of an exchange is assumed to have at worst.
const TEXT: u64 = 4096;
/// Entries that a map of an exchange is assumed to have at worst, and elements that a list has.
const ENTRIES: u64 = 64;
/// Maps that the value of a key may be looked up in: the header sections.
const SECTIONS: u64 = 3;

/// What a part costs, and how big its value can be.
#[derive(Clone, Copy, Default)]
struct Estimate {
    /// Steps.
    cost: u64,
    /// Bytes of a text, or of each text of a list.
    bytes: u64,
    /// Elements of a list.
    elements: u64,
    /// Elements that each of these has, however deep.
    inner: u64,
}

impl Estimate {
    /// All elements of a list, however deep.
    fn total(self) -> u64 {
        add(self.elements, self.elements.saturating_mul(self.inner))
    }

    /// Steps of copying the value.
    fn copy(self) -> u64 {
        let text = self.bytes / COPY_BYTES;
        if self.elements == 0 { text } else { self.total().saturating_mul(1 + text) }
    }

    /// An element of a list.
    fn element(self) -> Self {
        Self { cost: 0, bytes: self.bytes, elements: self.inner, inner: 0 }
    }
}

/// Steps that the expression takes at worst, of the sizes that exchanges have. Larger ones meet the limit when they are evaluated.
pub(super) fn worst_case(node: &Node) -> u64 {
    let mut estimator = Estimator { locals: Vec::new(), once: 0 };
    let cost = estimator.of(node).cost;
    add(cost, estimator.once)
}

struct Estimator {
    /// The variables of the loops around, outermost first.
    locals: Vec<Estimate>,
    /// Steps of what is read once for all rounds of a loop.
    once: u64,
}

impl Estimator {
    fn of(&mut self, node: &Node) -> Estimate {
        let estimate = self.without_its_step(node);
        Estimate { cost: add(estimate.cost, 1), ..estimate }
    }

    fn without_its_step(&mut self, node: &Node) -> Estimate {
        let entry = Estimate { cost: ENTRIES / FIELDS + TEXT / COPY_BYTES, bytes: TEXT, ..Estimate::default() };
        match node {
            Node::Const(value) => of_value(value),
            Node::Absent => Estimate::default(),
            Node::HasKey(key) if key.row().kind == Type::Map => Estimate::default(),
            Node::Key(key) | Node::HasKey(key) => self.read(*key),
            Node::Entry(..) | Node::HasEntry(..) => entry,
            Node::Entries(_) => after(&[], names().cost),
            Node::Local(level) => {
                let local = self.local(*level);
                Estimate { cost: local.copy(), ..local }
            }
            Node::EntryAt(_, name) | Node::HasEntryAt(_, name) => {
                let name = self.of(name);
                Estimate { cost: add(entry.cost, after(&[name], name.bytes / STEP_BYTES).cost), ..entry }
            }
            Node::Not(node) | Node::Negate(node) => after(&[self.of(node)], 0),
            Node::And(left, right) | Node::Or(left, right) => after(&[self.of(left), self.of(right)], 0),
            Node::If(parts) => {
                let [condition, then, otherwise] = [0, 1, 2].map(|index| self.of(&parts[index]));
                Estimate {
                    cost: add(condition.cost, then.cost.max(otherwise.cost)),
                    bytes: then.bytes.max(otherwise.bytes),
                    elements: then.elements.max(otherwise.elements),
                    inner: then.inner.max(otherwise.inner),
                }
            }
            Node::Compare(_, left, right) => {
                let (left, right) = (self.of(left), self.of(right));
                after(&[left, right], compared(left, right))
            }
            Node::Arithmetic(what, left, right) => {
                let (left, right) = (self.of(left), self.of(right));
                let bytes = add(left.bytes, right.bytes);
                let elements = add(left.elements, right.elements);
                let work = if *what == Arithmetic::Add { bytes / STEP_BYTES + elements } else { 0 };
                let inner = left.inner.max(right.inner);
                Estimate { cost: after(&[left, right], work).cost, bytes, elements, inner }
            }
            Node::OneOf(node, values) => {
                let node = self.of(node);
                after(&[node], values.iter().map(|value| 1 + compared(node, of_value(value))).sum())
            }
            Node::In(node, list) => {
                let (node, list) = (self.of(node), self.of(list));
                let each = 1 + compared(node, list.element());
                after(&[node, list], list.elements.saturating_mul(each))
            }
            // Of a variable of a loop only the element is copied.
            Node::At(list, index) => {
                let index = self.of(index);
                // Of a variable of a loop only the element is copied.
                if let Node::Local(level) = **list {
                    let element = self.local(level).element();
                    return Estimate { cost: add(index.cost, element.copy()), ..element };
                }
                let list = self.of(list);
                Estimate { cost: after(&[list, index], 0).cost, ..list.element() }
            }
            Node::List(nodes) => {
                let parts: Vec<_> = nodes.iter().map(|node| self.of(node)).collect();
                let most = |of: fn(&Estimate) -> u64| parts.iter().map(of).max().unwrap_or(0);
                Estimate {
                    cost: after(&parts, nodes.len() as u64).cost,
                    bytes: most(|part| part.bytes),
                    elements: nodes.len() as u64,
                    inner: most(|part| part.total()),
                }
            }
            Node::Call(function, nodes) => {
                if let (Function::Size, [Node::Local(level)]) = (function, &nodes[..]) {
                    let local = self.local(*level);
                    return after(&[], if local.elements == 0 { local.bytes / STEP_BYTES } else { 0 });
                }
                let parts: Vec<_> = nodes.iter().map(|node| self.of(node)).collect();
                called(*function, &parts)
            }
            Node::Matches(node, pattern) => {
                let node = self.of(node);
                after(&[node], pattern.work(node.bytes) / STEP_BYTES)
            }
            Node::Loop { what, range, condition, body } => {
                let range = match &**range {
                    Range::List(node) => self.of(node),
                    Range::Names(_) => names(),
                };
                self.locals.push(range.element());
                let condition = condition.as_ref().map(|condition| self.of(condition));
                let body = self.of(body);
                self.locals.pop();
                // One for the element, and one for each time that something is evaluated with it.
                let each = add(body.cost, condition.map_or(0, |condition| condition.cost + 1)) + 2;
                Estimate {
                    cost: add(range.cost, each.saturating_mul(range.elements.max(1))),
                    bytes: if *what == Loop::Map { body.bytes } else { range.bytes },
                    elements: range.elements,
                    inner: if *what == Loop::Map { body.total() } else { range.inner },
                }
            }
        }
    }

    fn local(&self, level: usize) -> Estimate {
        self.locals.get(level).copied().unwrap_or_default()
    }

    /// What a key gives. In a loop it is read once, and then copied.
    fn read(&mut self, key: Key) -> Estimate {
        let kind = key.row().kind;
        let bytes = if matches!(kind, Type::Text | Type::List) { TEXT } else { 0 };
        let value = Estimate { bytes, elements: if kind == Type::List { ENTRIES } else { 0 }, ..Estimate::default() };
        let read = SECTIONS * ENTRIES / FIELDS;
        if self.locals.is_empty() {
            return Estimate { cost: add(read, value.copy()), ..value };
        }
        self.once = add(self.once, read + value.copy());
        Estimate { cost: value.copy(), ..value }
    }
}

/// The names of a map.
fn names() -> Estimate {
    Estimate { cost: ENTRIES + ENTRIES * TEXT / COPY_BYTES, bytes: TEXT / 16, elements: ENTRIES, inner: 0 }
}

/// Steps of comparing two values.
fn compared(left: Estimate, right: Estimate) -> u64 {
    left.total().min(right.total()).max(1).saturating_mul(left.bytes.min(right.bytes) / STEP_BYTES)
        + left.total().min(right.total())
}

fn called(function: Function, parts: &[Estimate]) -> Estimate {
    let bytes = parts.iter().map(|part| part.bytes).fold(0, add);
    let elements = parts.iter().map(|part| part.elements).max().unwrap_or(0);
    let cost = after(parts, bytes / STEP_BYTES).cost;
    match function {
        // Every byte may be a part.
        Function::Split => Estimate { cost: add(cost, bytes), bytes, elements: bytes, inner: 0 },
        Function::Join => {
            let joined = bytes.saturating_mul(elements.max(1));
            Estimate { cost: add(cost, joined / STEP_BYTES), bytes: joined, ..Estimate::default() }
        }
        _ => Estimate { cost, bytes, ..Estimate::default() },
    }
}

fn of_value(value: &Val<'_>) -> Estimate {
    match value {
        Val::Text(text) => Estimate { bytes: text.len() as u64, ..Estimate::default() },
        Val::List(values) => {
            let parts: Vec<_> = values.iter().map(of_value).collect();
            let most = |of: fn(&Estimate) -> u64| parts.iter().map(of).max().unwrap_or(0);
            Estimate {
                cost: value.elements(),
                bytes: most(|part| part.bytes),
                elements: values.len() as u64,
                inner: most(|part| part.total()),
            }
        }
        _ => Estimate::default(),
    }
}

/// The cost of parts and of what is done with them; the value is of fixed size.
fn after(parts: &[Estimate], work: u64) -> Estimate {
    let cost = parts.iter().map(|part| part.cost).fold(work, add);
    Estimate { cost, ..Estimate::default() }
}

fn add(left: u64, right: u64) -> u64 {
    left.saturating_add(right)
}
