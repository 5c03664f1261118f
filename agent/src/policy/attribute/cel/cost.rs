//! What an expression costs at worst, before it is ever evaluated.

use super::{
    eval::MATCH_FACTOR,
    function::Function,
    tree::{Arithmetic, Loop, Node, Range, Val},
};

/// Bytes that a text of an exchange is assumed to have at worst.
const TEXT: u64 = 4096;
/// Entries that a map of an exchange is assumed to have at worst, and elements that a list has.
const ENTRIES: u64 = 64;
/// Bytes that are compared in one step.
const STEP_BYTES: u64 = 64;

/// What a part costs, and how big its value can be.
#[derive(Clone, Copy, Default)]
struct Estimate {
    /// Steps.
    cost: u64,
    /// Bytes of a text, or of each text of a list.
    bytes: u64,
    /// Elements of a list.
    elements: u64,
}

/// Steps that the expression takes at worst, of the sizes that exchanges have. Larger ones meet the limit when they are evaluated.
pub(super) fn worst_case(node: &Node) -> u64 {
    estimate(node, &mut Vec::new()).cost
}

fn estimate(node: &Node, locals: &mut Vec<u64>) -> Estimate {
    let text = Estimate { cost: 1, bytes: TEXT, elements: 0 };
    match node {
        Node::Const(value) => of_value(value),
        Node::Absent | Node::HasKey(_) => Estimate { cost: 1, ..Estimate::default() },
        Node::Key(_) => Estimate { elements: ENTRIES, ..text },
        Node::Entry(..) | Node::HasEntry(..) => text,
        Node::Entries(_) => Estimate { cost: ENTRIES, ..Estimate::default() },
        Node::Local(level) => {
            Estimate { cost: 1, bytes: locals.get(*level).copied().unwrap_or(TEXT), elements: ENTRIES }
        }
        Node::EntryAt(_, name) | Node::HasEntryAt(_, name) => {
            let name = estimate(name, locals);
            // Each entry's name is compared.
            Estimate { cost: add(name.cost, ENTRIES), ..text }
        }
        Node::Not(node) | Node::Negate(node) => after(&[estimate(node, locals)], 1),
        Node::And(left, right) | Node::Or(left, right) => after(&[estimate(left, locals), estimate(right, locals)], 1),
        Node::If(parts) => {
            let [condition, then, otherwise] = [0, 1, 2].map(|index| estimate(&parts[index], locals));
            Estimate {
                cost: add(condition.cost, then.cost.max(otherwise.cost)),
                bytes: then.bytes.max(otherwise.bytes),
                elements: then.elements.max(otherwise.elements),
            }
        }
        Node::Compare(_, left, right) => {
            let (left, right) = (estimate(left, locals), estimate(right, locals));
            let elements = left.elements.min(right.elements).max(1);
            let work = elements.saturating_mul(1 + left.bytes.min(right.bytes) / STEP_BYTES);
            after(&[left, right], work)
        }
        Node::Arithmetic(what, left, right) => {
            let (left, right) = (estimate(left, locals), estimate(right, locals));
            let bytes = add(left.bytes, right.bytes);
            let elements = add(left.elements, right.elements);
            let work = if *what == Arithmetic::Add { 1 + bytes / STEP_BYTES + elements } else { 1 };
            Estimate { cost: after(&[left, right], work).cost, bytes, elements }
        }
        Node::OneOf(node, values) => {
            let node = estimate(node, locals);
            after(&[node], values.len() as u64)
        }
        Node::In(node, list) => {
            let (node, list) = (estimate(node, locals), estimate(list, locals));
            let work = list.elements.saturating_mul(1 + node.bytes.min(list.bytes) / STEP_BYTES);
            after(&[node, list], work)
        }
        Node::At(list, index) => {
            let (list, index) = (estimate(list, locals), estimate(index, locals));
            Estimate { cost: after(&[list, index], 1).cost, ..list }
        }
        Node::List(nodes) => {
            let parts: Vec<_> = nodes.iter().map(|node| estimate(node, locals)).collect();
            let bytes = parts.iter().map(|part| part.bytes).max().unwrap_or(0);
            Estimate { cost: after(&parts, nodes.len() as u64).cost, bytes, elements: nodes.len() as u64 }
        }
        Node::Call(function, nodes) => {
            let parts: Vec<_> = nodes.iter().map(|node| estimate(node, locals)).collect();
            called(*function, &parts)
        }
        Node::Matches(node, _) => {
            let node = estimate(node, locals);
            after(&[node], 1 + node.bytes * MATCH_FACTOR as u64 / STEP_BYTES)
        }
        Node::Loop { what, range, condition, body } => {
            let range = match &**range {
                Range::List(node) => estimate(node, locals),
                Range::Names(_) => Estimate { cost: ENTRIES, bytes: TEXT / 16, elements: ENTRIES },
            };
            locals.push(range.bytes);
            let condition = condition.as_ref().map(|condition| estimate(condition, locals));
            let body = estimate(body, locals);
            locals.pop();
            let each = add(body.cost, condition.map_or(0, |condition| condition.cost)) + 1;
            Estimate {
                cost: add(range.cost, each.saturating_mul(range.elements.max(1))),
                bytes: if *what == Loop::Map { body.bytes } else { range.bytes },
                elements: range.elements,
            }
        }
    }
}

fn called(function: Function, parts: &[Estimate]) -> Estimate {
    let bytes = parts.iter().map(|part| part.bytes).fold(0, add);
    let elements = parts.iter().map(|part| part.elements).max().unwrap_or(0);
    let cost = after(parts, 1 + bytes / STEP_BYTES).cost;
    match function {
        // Every byte may be a part.
        Function::Split => Estimate { cost: add(cost, bytes), bytes, elements: bytes },
        Function::Join => {
            let joined = bytes.saturating_mul(elements.max(1));
            Estimate { cost: add(cost, joined / STEP_BYTES), bytes: joined, elements: 0 }
        }
        _ => Estimate { cost, bytes, elements: 0 },
    }
}

fn of_value(value: &Val<'_>) -> Estimate {
    match value {
        Val::Text(text) => Estimate { cost: 1, bytes: text.len() as u64, elements: 0 },
        Val::List(values) => Estimate {
            cost: values.len() as u64,
            bytes: values.iter().map(|value| of_value(value).bytes).max().unwrap_or(0),
            elements: values.len() as u64,
        },
        _ => Estimate { cost: 1, ..Estimate::default() },
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
