//! The check of an expression against the dictionary: names, types, nesting. What passes is ready to be evaluated.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, Expr, LiteralValue, SelectExpr, operators},
};

use super::{
    dictionary::{self, Meaning},
    function::{self, Function},
    kind::Kind,
    macros,
    tree::{Arithmetic, Comparison, Loop, Node, Range, Val},
};
use crate::{
    policy::{attribute::Key, pattern::Pattern},
    protocol::secret::is_secret_header,
};

/// Levels of a tree: enough for an expression of 2048 characters that a person wrote, too few to use up a stack.
const MAX_DEPTH: usize = 128;
/// Loops inside each other: one may be in another (POLICY.md section 3).
const MAX_LOOPS: usize = 2;

/// What is wrong with an expression.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) remedy: Option<String>,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: None }
    }

    fn instead(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()) }
    }
}

type Result<T> = std::result::Result<T, Wrong>;

/// A part with its type.
type Typed = (Node, Kind);

/// Checks one expression.
pub(super) struct Check {
    /// Bytes of memory for each compiled pattern.
    pub(super) pattern: usize,
    /// The variables that are asked for, each once.
    pub(super) keys: Vec<Key>,
    /// Credentials that are asked for, each once, lower case.
    pub(super) secrets: Vec<String>,
    /// The variables of the loops around, outermost first.
    locals: Vec<(String, Kind)>,
    depth: usize,
}

impl Check {
    pub(super) fn new(pattern: usize) -> Self {
        Self { pattern, keys: Vec::new(), secrets: Vec::new(), locals: Vec::new(), depth: 0 }
    }

    pub(super) fn expression(&mut self, expression: &IdedExpr) -> Result<Typed> {
        if self.depth == MAX_DEPTH {
            return Err(Wrong::new(format!("the expression nests deeper than {MAX_DEPTH} levels")));
        }
        self.depth += 1;
        let typed = self.node(&expression.expr);
        self.depth -= 1;
        typed
    }

    fn node(&mut self, expression: &Expr) -> Result<Typed> {
        match expression {
            Expr::Literal(literal) => constant(literal),
            Expr::Ident(name) => match self.local(name) {
                Some(typed) => Ok(typed),
                None => self.named(&[name], false),
            },
            Expr::Select(select) => self.select(select),
            Expr::Call(call) => self.call(call),
            Expr::List(list) if list.optional_indices.is_empty() => self.list(&list.elements),
            Expr::Comprehension(comprehension) => match macros::recognise(comprehension) {
                Some(found) => self.looped(&found),
                None => Err(Wrong::new("a macro that is not known")),
            },
            Expr::Map(_) | Expr::Struct(_) => {
                Err(Wrong::instead("maps and messages cannot be written out", "compare single values"))
            }
            Expr::List(_) | Expr::Unspecified => Err(Wrong::new("the expression is not complete")),
        }
    }

    fn local(&self, name: &str) -> Option<Typed> {
        let level = self.locals.iter().rposition(|(local, _)| local == name)?;
        Some((Node::Local(level), self.locals[level].1.clone()))
    }

    fn select(&mut self, select: &SelectExpr) -> Result<Typed> {
        if let Some(segments) = segments(select) {
            // A variable of a loop hides the dictionary's of the same name, and has no fields.
            return match self.local(segments[0]) {
                Some((_, kind)) => {
                    Err(Wrong::new(format!("`{}` is a {kind}, it has no `{}`", segments[0], segments[1])))
                }
                None => self.named(&segments, select.test),
            };
        }
        let (_, kind) = self.expression(&select.operand)?;
        Err(Wrong::new(format!("a {kind} has no `{}`", select.field)))
    }

    /// A name of the dictionary, or whether it has a value.
    fn named(&mut self, segments: &[&str], test: bool) -> Result<Typed> {
        match dictionary::resolve(segments).map_err(|(problem, remedy)| Wrong { problem, remedy })? {
            Meaning::Key(key) => {
                self.asked(key);
                Ok(if test { (Node::HasKey(key), Kind::Bool) } else { (Node::Key(key), Kind::of(key)) })
            }
            Meaning::Entry(map, name) => Ok(self.entry(map, name, test)),
        }
    }

    /// The entry of a map, or whether it is there.
    fn entry(&mut self, map: Key, name: &str, test: bool) -> Typed {
        self.asked(map);
        let headers = matches!(map, Key::RequestHeaders | Key::ResponseHeaders | Key::ResponseTrailers);
        let name: Box<str> = if headers { name.to_ascii_lowercase().into() } else { name.into() };
        if headers && is_secret_header(name.as_bytes()) {
            if !self.secrets.contains(&name.to_string()) {
                self.secrets.push(name.into());
            }
            return if test { (Node::Const(Val::Bool(false)), Kind::Bool) } else { (Node::Absent, Kind::Text) };
        }
        if test { (Node::HasEntry(map, name), Kind::Bool) } else { (Node::Entry(map, name), Kind::Text) }
    }

    fn asked(&mut self, key: Key) {
        if !self.keys.contains(&key) {
            self.keys.push(key);
        }
    }

    fn list(&mut self, elements: &[IdedExpr]) -> Result<Typed> {
        let mut nodes = Vec::with_capacity(elements.len());
        let mut common = Kind::Any;
        for element in elements {
            let (node, kind) = self.expression(element)?;
            if matches!(kind, Kind::Map(_)) {
                return Err(Wrong::new("a map cannot be in a list"));
            }
            common = common.common(kind).map_err(|(left, right)| {
                Wrong::new(format!("the elements of a list are of one type, not {left} and {right}"))
            })?;
            nodes.push(node);
        }
        let constants: Option<Vec<_>> = nodes
            .iter()
            .map(|node| match node {
                Node::Const(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        let node = constants.map_or(Node::List(nodes), |values| Node::Const(Val::List(values)));
        Ok((node, Kind::List(Box::new(common))))
    }

    fn call(&mut self, call: &CallExpr) -> Result<Typed> {
        match (call.func_name.as_str(), call.target.as_deref(), &call.args[..]) {
            (operators::LOGICAL_AND, None, [left, right]) => {
                let (left, right) = (self.boolean(left, "&&")?, self.boolean(right, "&&")?);
                Ok((Node::And(left, right), Kind::Bool))
            }
            (operators::LOGICAL_OR, None, [left, right]) => {
                let (left, right) = (self.boolean(left, "||")?, self.boolean(right, "||")?);
                Ok((Node::Or(left, right), Kind::Bool))
            }
            (operators::LOGICAL_NOT, None, [operand]) => Ok((Node::Not(self.boolean(operand, "!")?), Kind::Bool)),
            (operators::NEGATE, None, [operand]) => self.negate(operand),
            (operators::CONDITIONAL, None, [condition, then, otherwise]) => {
                let condition = self.boolean(condition, "? :")?;
                let ((then, left), (otherwise, right)) = (self.expression(then)?, self.expression(otherwise)?);
                let kind = left.common(right).map_err(|(left, right)| {
                    Wrong::new(format!("both sides of `? :` are of one type, not {left} and {right}"))
                })?;
                Ok((Node::If(Box::new([*condition, then, otherwise])), kind))
            }
            (operators::INDEX, None, [collection, index]) => self.index(collection, index),
            (operators::IN, None, [element, collection]) => self.within(element, collection),
            ("matches", Some(text), [pattern]) | ("matches", None, [text, pattern]) => self.matches(text, pattern),
            ("size", Some(map), []) | ("size", None, [map]) => self.size(map, call.target.is_some()),
            (operator, None, [left, right]) if operator.starts_with('_') => self.operator(operator, left, right),
            (name, target, arguments) => self.function(name, target, arguments),
        }
    }

    fn boolean(&mut self, operand: &IdedExpr, operator: &str) -> Result<Box<Node>> {
        match self.expression(operand)? {
            (node, Kind::Bool | Kind::Any) => Ok(Box::new(node)),
            (_, kind) => Err(Wrong::new(format!("`{operator}` takes bool, not {kind}"))),
        }
    }

    fn negate(&mut self, operand: &IdedExpr) -> Result<Typed> {
        match self.expression(operand)? {
            (Node::Const(Val::Int(number)), kind) if number != i64::MIN => Ok((Node::Const(Val::Int(-number)), kind)),
            (Node::Const(Val::Double(number)), kind) => Ok((Node::Const(Val::Double(-number)), kind)),
            (node, kind @ (Kind::Int | Kind::Double | Kind::Duration)) => Ok((Node::Negate(Box::new(node)), kind)),
            (_, kind) => Err(Wrong::new(format!("`-` takes a number or a duration, not {kind}"))),
        }
    }

    /// `map["name"]`, `list[0]`
    fn index(&mut self, collection: &IdedExpr, index: &IdedExpr) -> Result<Typed> {
        let (node, kind) = self.expression(collection)?;
        let (at, at_kind) = self.expression(index)?;
        match (kind, at_kind) {
            (Kind::Map(map), Kind::Text) => Ok(match at {
                Node::Const(Val::Text(name)) => self.entry(map, &name, false),
                at => (Node::EntryAt(map, Box::new(at)), Kind::Text),
            }),
            (Kind::List(element), Kind::Int) => Ok((Node::At(Box::new(node), Box::new(at)), *element)),
            (Kind::Map(_), kind) => Err(Wrong::new(format!("a map is asked by string, not {kind}"))),
            (Kind::List(_), kind) => Err(Wrong::new(format!("a list is asked by int, not {kind}"))),
            (kind, _) => Err(Wrong::new(format!("a {kind} has no elements"))),
        }
    }

    /// `"name" in map`, `1 in [1, 2]`
    fn within(&mut self, element: &IdedExpr, collection: &IdedExpr) -> Result<Typed> {
        let (element, element_kind) = self.expression(element)?;
        let (collection, kind) = self.expression(collection)?;
        let node = match kind {
            Kind::Map(map) if element_kind == Kind::Text => match element {
                Node::Const(Val::Text(name)) => self.entry(map, &name, true).0,
                element => Node::HasEntryAt(map, Box::new(element)),
            },
            Kind::List(kind) if kind.is_comparable_with(&element_kind) => match collection {
                Node::Const(Val::List(values)) => Node::OneOf(Box::new(element), values),
                collection => Node::In(Box::new(element), Box::new(collection)),
            },
            kind => return Err(Wrong::new(format!("a {element_kind} cannot be in a {kind}"))),
        };
        Ok((node, Kind::Bool))
    }

    fn matches(&mut self, text: &IdedExpr, pattern: &IdedExpr) -> Result<Typed> {
        let (text, kind) = self.expression(text)?;
        if kind != Kind::Text {
            return Err(Wrong::new(format!("`matches` takes (string, string), not a {kind}")));
        }
        let (Node::Const(Val::Text(pattern)), _) = self.expression(pattern)? else {
            return Err(Wrong::instead("the pattern of `matches` is not a constant", "write it out as a string"));
        };
        let pattern = Pattern::new(&pattern, self.pattern).map_err(|error| Wrong::new(describe(&error)))?;
        Ok((Node::Matches(Box::new(text), Box::new(pattern)), Kind::Bool))
    }

    fn size(&mut self, of: &IdedExpr, receiver: bool) -> Result<Typed> {
        match self.expression(of)? {
            (_, Kind::Map(map)) => Ok((Node::Entries(map), Kind::Int)),
            (node, kind) => called("size", receiver, vec![(node, kind)]),
        }
    }

    fn function(&mut self, name: &str, target: Option<&IdedExpr>, arguments: &[IdedExpr]) -> Result<Typed> {
        if !function::names().any(|known| known == name) {
            let nearest = dictionary::nearest_function(name);
            return Err(Wrong {
                problem: format!("unknown function `{name}`"),
                remedy: nearest.map(|nearest| format!("the nearest is `{nearest}`")),
            });
        }
        let typed = target.into_iter().chain(arguments).map(|argument| self.expression(argument));
        let typed = typed.collect::<Result<Vec<_>>>()?;
        called(name, target.is_some(), typed)
    }

    fn operator(&mut self, operator: &str, left: &IdedExpr, right: &IdedExpr) -> Result<Typed> {
        let ((left, left_kind), (right, right_kind)) = (self.expression(left)?, self.expression(right)?);
        let sign = operator.trim_matches('_');
        let comparison = match operator {
            operators::EQUALS => Some(Comparison::Equal),
            operators::NOT_EQUALS => Some(Comparison::NotEqual),
            operators::LESS => Some(Comparison::Less),
            operators::LESS_EQUALS => Some(Comparison::LessOrEqual),
            operators::GREATER => Some(Comparison::Greater),
            operators::GREATER_EQUALS => Some(Comparison::GreaterOrEqual),
            _ => None,
        };
        if let Some(comparison) = comparison {
            let fits = match comparison {
                Comparison::Equal | Comparison::NotEqual => left_kind.is_comparable_with(&right_kind),
                _ => left_kind.is_ordered_with(&right_kind),
            };
            if !fits {
                return Err(Wrong {
                    problem: format!("`{sign}` cannot compare {left_kind} with {right_kind}"),
                    remedy: remedy(&left_kind, &right_kind),
                });
            }
            return Ok((Node::Compare(comparison, Box::new(left), Box::new(right)), Kind::Bool));
        }
        let arithmetic = match operator {
            operators::ADD => Arithmetic::Add,
            operators::SUBSTRACT => Arithmetic::Subtract,
            operators::MULTIPLY => Arithmetic::Multiply,
            operators::DIVIDE => Arithmetic::Divide,
            operators::MODULO => Arithmetic::Remainder,
            _ => return Err(Wrong::new(format!("unknown operator `{sign}`"))),
        };
        let kind = result(arithmetic, &left_kind, &right_kind).ok_or_else(|| Wrong {
            problem: format!("`{sign}` cannot take {left_kind} and {right_kind}"),
            remedy: remedy(&left_kind, &right_kind),
        })?;
        Ok((Node::Arithmetic(arithmetic, Box::new(left), Box::new(right)), kind))
    }

    fn looped(&mut self, found: &macros::Found<'_>) -> Result<Typed> {
        if self.locals.len() == MAX_LOOPS {
            return Err(Wrong::new("macros nest more than once"));
        }
        let (range, element) = match self.expression(found.range)? {
            (_, Kind::Map(map)) => (Range::Names(map), Kind::Text),
            (node, Kind::List(element)) => (Range::List(node), *element),
            (_, kind) => return Err(Wrong::new(format!("a macro goes over a list or a map, not {kind}"))),
        };
        self.locals.push((found.variable.to_owned(), element.clone()));
        let condition = found.condition.map(|condition| self.boolean(condition, "map"));
        let body = if found.what == Loop::Map {
            self.expression(found.body)
        } else {
            self.boolean(found.body, "the condition of a macro").map(|node| (*node, Kind::Bool))
        };
        self.locals.pop();
        let (condition, (body, body_kind)) = (condition.transpose()?, body?);
        let kind = match found.what {
            Loop::Map if matches!(body_kind, Kind::Map(_)) => return Err(Wrong::new("a map cannot be in a list")),
            Loop::Map => Kind::List(Box::new(body_kind)),
            Loop::Filter => Kind::List(Box::new(element)),
            Loop::All | Loop::Exists | Loop::ExistsOne => Kind::Bool,
        };
        Ok((Node::Loop { what: found.what, range: Box::new(range), condition, body: Box::new(body) }, kind))
    }
}

/// A call of a function of the table. What is constant and could fail is called now.
fn called(name: &str, receiver: bool, typed: Vec<Typed>) -> Result<Typed> {
    let (nodes, kinds): (Vec<_>, Vec<_>) = typed.into_iter().unzip();
    let (function, kind) = Function::find(name, receiver, &kinds).map_err(Wrong::new)?;
    if let [Node::Const(value)] = &nodes[..]
        && let Some(folded) = function::fold(function, std::slice::from_ref(value))
    {
        let text = value.clone().into_value();
        let value = folded.map_err(|_| Wrong {
            problem: format!("\"{text}\" is not a {kind}"),
            remedy: (kind == Kind::Duration).then(|| "write it like \"1h30m\", \"1.5s\" or \"10ms\"".to_owned()),
        })?;
        return Ok((Node::Const(value), kind));
    }
    Ok((Node::Call(function, nodes), kind))
}

fn constant(literal: &LiteralValue) -> Result<Typed> {
    Ok(match literal {
        LiteralValue::Boolean(flag) => (Node::Const(Val::Bool(*flag.inner())), Kind::Bool),
        LiteralValue::Int(number) => (Node::Const(Val::Int(*number.inner())), Kind::Int),
        LiteralValue::Double(number) => (Node::Const(Val::Double(*number.inner())), Kind::Double),
        LiteralValue::String(text) => (Node::Const(Val::Text(text.inner().to_owned().into())), Kind::Text),
        LiteralValue::UInt(_) => return Err(Wrong::instead("there are no unsigned numbers", "leave out the `u`")),
        LiteralValue::Null => return Err(Wrong::instead("nothing is ever null", "ask has(x)")),
        LiteralValue::Bytes(_) => return Err(Wrong::instead("there are no bytes", "leave out the `b`")),
    })
}

/// The type of what arithmetic gives (CEL specification, "Standard Definitions").
fn result(what: Arithmetic, left: &Kind, right: &Kind) -> Option<Kind> {
    match (what, left, right) {
        (_, Kind::Int, Kind::Int) => Some(Kind::Int),
        (Arithmetic::Remainder, ..) => None,
        (_, Kind::Double, Kind::Double) => Some(Kind::Double),
        (Arithmetic::Add, Kind::Text, Kind::Text) => Some(Kind::Text),
        (Arithmetic::Add, Kind::List(_), Kind::List(_)) => left.clone().common(right.clone()).ok(),
        (Arithmetic::Add | Arithmetic::Subtract, Kind::Time, Kind::Duration)
        | (Arithmetic::Add, Kind::Duration, Kind::Time) => Some(Kind::Time),
        (Arithmetic::Add | Arithmetic::Subtract, Kind::Duration, Kind::Duration)
        | (Arithmetic::Subtract, Kind::Time, Kind::Time) => Some(Kind::Duration),
        _ => None,
    }
}

/// What would be right where two types do not fit.
fn remedy(left: &Kind, right: &Kind) -> Option<String> {
    let either = |kind: &Kind| left == kind || right == kind;
    if either(&Kind::Duration) {
        Some("write a duration as duration(\"1.5s\")".to_owned())
    } else if either(&Kind::Time) {
        Some("write a time as timestamp(\"2026-01-01T00:00:00Z\")".to_owned())
    } else if left.is_number() || right.is_number() {
        let other = if left.is_number() { left } else { right };
        Some(format!("convert one with {other}(x) or string(x)"))
    } else {
        None
    }
}

/// A pattern's fault in one line.
fn describe(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(limit) => format!("the pattern needs more than {limit} bytes when compiled"),
        error => {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            format!("the pattern cannot be read: {}", last.trim_start_matches("error: "))
        }
    }
}

/// The dotted name that a selection spells, outermost first; `None` if it is of something else.
fn segments(select: &SelectExpr) -> Option<Vec<&str>> {
    let mut segments = vec![select.field.as_str()];
    let mut operand = &select.operand.expr;
    loop {
        match operand {
            Expr::Ident(name) => {
                segments.push(name);
                segments.reverse();
                return Some(segments);
            }
            Expr::Select(select) if !select.test => {
                segments.push(&select.field);
                operand = &select.operand.expr;
            }
            _ => return None,
        }
    }
}
