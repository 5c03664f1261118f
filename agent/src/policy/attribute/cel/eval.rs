//! Evaluation of a checked expression against an exchange.

use std::{borrow::Cow, cmp::Ordering};

use super::{
    function::Function,
    tree::{Arithmetic, Comparison, Loop, Node, Range, Val},
};
use crate::policy::attribute::{Key, Subject, Type};

/// Why an expression has no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It depends on what the exchange does not say. Not a fault.
    Absent,
    /// Overflow, division by zero, a text that is no number, too much work.
    Fault,
}

/// Of a part of an expression.
pub(super) type Result<T> = std::result::Result<T, Stop>;

/// Bytes that are searched or compared in one step.
pub(super) const STEP_BYTES: u64 = 64;
/// Bytes that are only copied in one step.
pub(super) const COPY_BYTES: u64 = 4096;
/// Fields of a header section whose names are compared in one step.
pub(super) const FIELDS: u64 = 8;

/// One evaluation.
pub(super) struct Evaluation<'a> {
    subject: &'a dyn Subject,
    /// The variables of the loops around, outermost first.
    locals: Vec<Val<'a>>,
    /// What keys gave in a loop, each read once.
    read: Vec<(Key, Option<Val<'a>>)>,
    /// Steps that are left: each node takes one, and what it does with texts, lists and maps takes more.
    pub(super) fuel: u64,
}

impl<'a> Evaluation<'a> {
    /// An evaluation of at most so many steps.
    pub(super) fn new(subject: &'a dyn Subject, fuel: u64) -> Self {
        Self { subject, locals: Vec::new(), read: Vec::new(), fuel }
    }

    fn spend(&mut self, steps: u64) -> Result<()> {
        self.fuel = self.fuel.checked_sub(steps).ok_or(Stop::Fault)?;
        Ok(())
    }

    fn spend_bytes(&mut self, bytes: usize) -> Result<()> {
        self.spend(bytes as u64 / STEP_BYTES)
    }

    /// For a look into a map.
    fn spend_fields(&mut self, map: Key) -> Result<()> {
        self.spend(self.subject.fields(map).unwrap_or(0) as u64 / FIELDS)
    }

    /// The value of an expression.
    pub(super) fn of(&mut self, node: &'a Node) -> Result<Val<'a>> {
        self.spend(1)?;
        self.value(node)
    }

    /// The value of a boolean expression.
    pub(super) fn flag(&mut self, node: &'a Node) -> Result<bool> {
        self.spend(1)?;
        self.truth(node)
    }

    fn value(&mut self, node: &'a Node) -> Result<Val<'a>> {
        Ok(match node {
            Node::Const(value) => {
                self.spend(value.elements())?;
                value.borrowed()
            }
            Node::Absent => return Err(Stop::Absent),
            Node::Key(key) => self.key(*key)?.ok_or(Stop::Absent)?,
            Node::Entry(map, name) => Val::Text(self.entry(*map, name)?.ok_or(Stop::Absent)?),
            Node::EntryAt(map, name) => {
                let name = self.text(name)?;
                Val::Text(self.entry(*map, &name)?.ok_or(Stop::Absent)?)
            }
            Node::Local(level) => {
                let local = self.locals.get(*level).ok_or(Stop::Fault)?;
                let steps = copy(local);
                let local = (steps <= self.fuel).then(|| local.clone()).ok_or(Stop::Fault)?;
                self.spend(steps)?;
                local
            }
            Node::Entries(map) => Val::Int(self.entries(*map)?.len() as i64),
            Node::Negate(node) => match self.of(node)? {
                Val::Int(number) => Val::Int(number.checked_neg().ok_or(Stop::Fault)?),
                Val::Double(number) => Val::Double(-number),
                Val::Duration(nanos) => Val::Duration(nanos.checked_neg().ok_or(Stop::Fault)?),
                _ => return Err(Stop::Fault),
            },
            Node::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                return if self.flag(condition)? { self.of(then) } else { self.of(otherwise) };
            }
            Node::Arithmetic(what, left, right) => {
                let (left, right) = (self.of(left)?, self.of(right)?);
                self.arithmetic(*what, left, right)?
            }
            Node::List(nodes) => {
                self.spend(nodes.len() as u64)?;
                Val::List(nodes.iter().map(|node| self.of(node)).collect::<Result<_>>()?)
            }
            Node::At(list, index) => {
                if let Node::Local(level) = **list {
                    let index = self.index(index)?;
                    // Only the element is copied.
                    let Some(Val::List(values)) = self.locals.get(level) else { return Err(Stop::Fault) };
                    let value = values.get(index).ok_or(Stop::Fault)?;
                    let steps = copy(value);
                    let value = (steps <= self.fuel).then(|| value.clone()).ok_or(Stop::Fault)?;
                    self.spend(steps)?;
                    return Ok(value);
                }
                let Val::List(mut values) = self.of(list)? else { return Err(Stop::Fault) };
                let index = self.index(index)?;
                if index >= values.len() {
                    return Err(Stop::Fault);
                }
                values.swap_remove(index)
            }
            Node::Call(function, arguments) => {
                if let (Function::Size, [Node::Local(level)]) = (function, &arguments[..]) {
                    return self.local_size(*level);
                }
                let arguments = arguments.iter().map(|node| self.of(node)).collect::<Result<Vec<_>>>()?;
                function.call(&arguments, &mut |bytes| self.spend_bytes(bytes))?
            }
            Node::Loop { what: what @ (Loop::Map | Loop::Filter), range, condition, body } => {
                self.collected(*what, range, condition.as_deref(), body)?
            }
            Node::HasKey(_)
            | Node::HasEntry(..)
            | Node::HasEntryAt(..)
            | Node::Not(_)
            | Node::And(..)
            | Node::Or(..)
            | Node::Compare(..)
            | Node::OneOf(..)
            | Node::In(..)
            | Node::Matches(..)
            | Node::Loop { .. } => Val::Bool(self.truth(node)?),
        })
    }

    fn truth(&mut self, node: &'a Node) -> Result<bool> {
        Ok(match node {
            Node::HasKey(key) if key.row().kind == Type::Map => self.subject.fields(*key).is_some(),
            Node::HasKey(key) => self.key(*key)?.is_some(),
            Node::HasEntry(map, name) => self.entry(*map, name)?.is_some(),
            Node::HasEntryAt(map, name) => {
                let name = self.text(name)?;
                self.entry(*map, &name)?.is_some()
            }
            Node::Not(node) => !self.flag(node)?,
            // Commutative: what decides wins, whatever the other side is (CEL specification, "Logical Operators").
            Node::And(left, right) => match self.flag(left) {
                Ok(true) => self.flag(right)?,
                Ok(false) => false,
                Err(stop) => match self.flag(right) {
                    Ok(false) => false,
                    right => return Err(worse(stop, right.err())),
                },
            },
            Node::Or(left, right) => match self.flag(left) {
                Ok(false) => self.flag(right)?,
                Ok(true) => true,
                Err(stop) => match self.flag(right) {
                    Ok(true) => true,
                    right => return Err(worse(stop, right.err())),
                },
            },
            Node::Compare(what, left, right) => {
                let (left, right) = (self.of(left)?, self.of(right)?);
                self.compare(*what, &left, &right)?
            }
            Node::OneOf(node, values) => {
                let value = self.of(node)?;
                self.is_in(&value, values)?
            }
            Node::In(node, list) => {
                let value = self.of(node)?;
                let Val::List(values) = self.of(list)? else { return Err(Stop::Fault) };
                self.is_in(&value, &values)?
            }
            Node::Matches(node, pattern) => {
                let text = self.text(node)?;
                self.spend(pattern.work(text.len() as u64) / STEP_BYTES)?;
                pattern.regex.is_match(&text)
            }
            Node::Loop { what, range, body, .. } if !matches!(what, Loop::Map | Loop::Filter) => {
                self.quantified(*what, range, body)?
            }
            other => match self.value(other)? {
                Val::Bool(flag) => flag,
                _ => return Err(Stop::Fault),
            },
        })
    }

    /// What a key gives. In a loop it is read once: it may have to be put together, or looked up among the fields of a head.
    fn key(&mut self, key: Key) -> Result<Option<Val<'a>>> {
        let known = self.read.iter().position(|(other, _)| *other == key);
        if let Some(place) = known {
            let steps = self.read[place].1.as_ref().map_or(0, copy);
            self.spend(steps)?;
            return Ok(self.read[place].1.clone());
        }
        for map in [Key::RequestHeaders, Key::ResponseHeaders, Key::ResponseTrailers] {
            self.spend_fields(map)?;
        }
        let value = self.subject.key(key).map(Val::from);
        let copies = if self.locals.is_empty() { 1 } else { 2 };
        self.spend(copies * value.as_ref().map_or(0, copy))?;
        if !self.locals.is_empty() {
            self.read.push((key, value.clone()));
        }
        Ok(value)
    }

    fn entry(&mut self, map: Key, name: &str) -> Result<Option<Cow<'a, str>>> {
        self.spend_fields(map)?;
        self.spend_bytes(name.len())?;
        let value = self.subject.entry(map, name);
        self.spend(value.as_ref().map_or(0, |value| value.len() as u64 / COPY_BYTES))?;
        Ok(value)
    }

    fn entries(&mut self, map: Key) -> Result<Vec<(Cow<'a, str>, Cow<'a, str>)>> {
        self.spend(self.subject.fields(map).unwrap_or(0) as u64)?;
        let entries = self.subject.entries(map).ok_or(Stop::Absent)?;
        let bytes: usize = entries.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.spend(bytes as u64 / COPY_BYTES)?;
        Ok(entries)
    }

    fn index(&mut self, node: &'a Node) -> Result<usize> {
        match self.of(node)? {
            Val::Int(index) => usize::try_from(index).map_err(|_| Stop::Fault),
            _ => Err(Stop::Fault),
        }
    }

    /// How large the variable of a loop is, which is not copied for it.
    fn local_size(&mut self, level: usize) -> Result<Val<'a>> {
        let local = self.locals.get(level).ok_or(Stop::Fault)?;
        if let Val::List(values) = local {
            return Ok(Val::Int(values.len() as i64));
        }
        let Val::Text(text) = local else { return Err(Stop::Fault) };
        let (bytes, size) = (text.len(), text.chars().count());
        self.spend_bytes(bytes)?;
        Ok(Val::Int(size as i64))
    }

    fn is_in(&mut self, value: &Val<'_>, values: &[Val<'_>]) -> Result<bool> {
        let (elements, bytes) = (value.elements(), value.bytes());
        for other in values {
            let compared = elements.min(other.elements()) + bytes.min(other.bytes()) / STEP_BYTES;
            self.spend(1 + compared)?;
            if equal(value, other) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn text(&mut self, node: &'a Node) -> Result<Cow<'a, str>> {
        match self.of(node)? {
            Val::Text(text) => Ok(text),
            _ => Err(Stop::Fault),
        }
    }

    fn elements(&mut self, range: &'a Range) -> Result<Vec<Val<'a>>> {
        let elements = match range {
            Range::List(node) => match self.of(node)? {
                Val::List(values) => values,
                _ => return Err(Stop::Fault),
            },
            Range::Names(map) => self.entries(*map)?.into_iter().map(|(name, _)| Val::Text(name)).collect(),
        };
        self.spend(elements.len() as u64)?;
        Ok(elements)
    }

    /// Evaluates something with one more variable, which it gives back.
    fn with<T>(&mut self, element: Val<'a>, evaluate: impl FnOnce(&mut Self) -> Result<T>) -> Result<(T, Val<'a>)> {
        self.spend(1)?;
        self.locals.push(element);
        let result = evaluate(self);
        let element = self.locals.pop().ok_or(Stop::Fault)?;
        Ok((result?, element))
    }

    fn quantified(&mut self, what: Loop, range: &'a Range, body: &'a Node) -> Result<bool> {
        let mut stopped = None;
        let mut found = 0_usize;
        for element in self.elements(range)? {
            match self.with(element, |this| this.flag(body)).map(|(flag, _)| flag) {
                Ok(true) if what == Loop::Exists => return Ok(true),
                Ok(false) if what == Loop::All => return Ok(false),
                Ok(flag) => found += usize::from(flag),
                // A single fault decides for `exists_one`, which has no short cut.
                Err(stop) if what == Loop::ExistsOne => return Err(stop),
                Err(stop) => stopped = Some(worse(stop, stopped)),
            }
        }
        match stopped {
            Some(stop) => Err(stop),
            None => Ok(match what {
                Loop::Exists => false,
                Loop::ExistsOne => found == 1,
                _ => true,
            }),
        }
    }

    fn collected(
        &mut self,
        what: Loop,
        range: &'a Range,
        condition: Option<&'a Node>,
        body: &'a Node,
    ) -> Result<Val<'a>> {
        let mut values = Vec::new();
        for element in self.elements(range)? {
            if what == Loop::Filter {
                let (taken, element) = self.with(element, |this| this.flag(body))?;
                if taken {
                    values.push(element);
                }
                continue;
            }
            let (taken, element) = match condition {
                Some(condition) => self.with(element, |this| this.flag(condition))?,
                None => (true, element),
            };
            if taken {
                values.push(self.with(element, |this| this.of(body))?.0);
            }
        }
        Ok(Val::List(values))
    }

    fn compare(&mut self, what: Comparison, left: &Val<'_>, right: &Val<'_>) -> Result<bool> {
        self.spend(compared(left, right))?;
        let ordered = |wanted: fn(Ordering) -> bool| order(left, right).is_some_and(wanted);
        Ok(match what {
            Comparison::Equal => equal(left, right),
            Comparison::NotEqual => !equal(left, right),
            Comparison::Less => ordered(Ordering::is_lt),
            Comparison::LessOrEqual => ordered(Ordering::is_le),
            Comparison::Greater => ordered(Ordering::is_gt),
            Comparison::GreaterOrEqual => ordered(Ordering::is_ge),
        })
    }

    fn arithmetic(&mut self, what: Arithmetic, left: Val<'a>, right: Val<'a>) -> Result<Val<'a>> {
        let whole = |value: Option<i64>| value.ok_or(Stop::Fault);
        Ok(match (what, left, right) {
            (_, Val::Int(left), Val::Int(right)) => Val::Int(whole(match what {
                Arithmetic::Add => left.checked_add(right),
                Arithmetic::Subtract => left.checked_sub(right),
                Arithmetic::Multiply => left.checked_mul(right),
                Arithmetic::Divide => left.checked_div(right),
                Arithmetic::Remainder => left.checked_rem(right),
            })?),
            (_, Val::Double(left), Val::Double(right)) => Val::Double(match what {
                Arithmetic::Add => left + right,
                Arithmetic::Subtract => left - right,
                Arithmetic::Multiply => left * right,
                Arithmetic::Divide => left / right,
                Arithmetic::Remainder => return Err(Stop::Fault),
            }),
            (Arithmetic::Add, Val::Text(left), Val::Text(right)) => {
                self.spend_bytes(left.len() + right.len())?;
                Val::Text(Cow::Owned(left.into_owned() + &right))
            }
            (Arithmetic::Add, Val::List(mut left), Val::List(right)) => {
                self.spend((left.len() + right.len()) as u64)?;
                left.extend(right);
                Val::List(left)
            }
            (Arithmetic::Add, Val::Duration(left), Val::Duration(right)) => {
                Val::Duration(whole(left.checked_add(right))?)
            }
            (Arithmetic::Subtract, Val::Duration(left), Val::Duration(right)) => {
                Val::Duration(whole(left.checked_sub(right))?)
            }
            (Arithmetic::Add, Val::Time(time), Val::Duration(nanos))
            | (Arithmetic::Add, Val::Duration(nanos), Val::Time(time)) => Val::Time(whole(time.checked_add(nanos))?),
            (Arithmetic::Subtract, Val::Time(time), Val::Duration(nanos)) => Val::Time(whole(time.checked_sub(nanos))?),
            (Arithmetic::Subtract, Val::Time(left), Val::Time(right)) => Val::Duration(whole(left.checked_sub(right))?),
            _ => return Err(Stop::Fault),
        })
    }
}

/// Steps of copying a value.
fn copy(value: &Val<'_>) -> u64 {
    value.elements() + value.bytes() / COPY_BYTES
}

/// Steps of comparing two values.
fn compared(left: &Val<'_>, right: &Val<'_>) -> u64 {
    left.elements().min(right.elements()) + left.bytes().min(right.bytes()) / STEP_BYTES
}

/// A fault weighs more than absence.
fn worse(stop: Stop, other: Option<Stop>) -> Stop {
    if other == Some(Stop::Fault) { Stop::Fault } else { stop }
}

fn equal(left: &Val<'_>, right: &Val<'_>) -> bool {
    match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => left == right,
        (Val::Text(left), Val::Text(right)) => left == right,
        (Val::List(left), Val::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        _ => order(left, right) == Some(Ordering::Equal),
    }
}

fn order(left: &Val<'_>, right: &Val<'_>) -> Option<Ordering> {
    match (left, right) {
        (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
        (Val::Int(left), Val::Int(right))
        | (Val::Duration(left), Val::Duration(right))
        | (Val::Time(left), Val::Time(right)) => Some(left.cmp(right)),
        (Val::Double(left), Val::Double(right)) => left.partial_cmp(right),
        (Val::Int(left), Val::Double(right)) => (*left as f64).partial_cmp(right),
        (Val::Double(left), Val::Int(right)) => left.partial_cmp(&(*right as f64)),
        (Val::Text(left), Val::Text(right)) => Some(left.cmp(right)),
        _ => None,
    }
}
