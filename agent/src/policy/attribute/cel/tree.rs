//! A checked expression.

use std::borrow::Cow;

use super::function::Function;
use crate::policy::{
    attribute::{Key, Value},
    pattern::Pattern,
};

/// The value of an expression or of a part of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Val<'a> {
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(Cow<'a, str>),
    /// Nanoseconds.
    Duration(i64),
    /// Nanoseconds since the epoch: 1677 to 2262.
    Time(i64),
    List(Vec<Val<'a>>),
}

impl Val<'_> {
    /// The same, texts borrowed.
    pub(super) fn borrowed(&self) -> Val<'_> {
        match self {
            Self::Bool(flag) => Val::Bool(*flag),
            Self::Int(number) => Val::Int(*number),
            Self::Double(number) => Val::Double(*number),
            Self::Text(text) => Val::Text(Cow::Borrowed(text)),
            Self::Duration(nanos) => Val::Duration(*nanos),
            Self::Time(nanos) => Val::Time(*nanos),
            Self::List(values) => Val::List(values.iter().map(Val::borrowed).collect()),
        }
    }

    /// Elements of a list, those of its elements included.
    pub(super) fn elements(&self) -> u64 {
        match self {
            Self::List(values) => values.iter().map(|value| 1 + value.elements()).sum(),
            _ => 0,
        }
    }

    /// Bytes of all its texts.
    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Text(text) => text.len() as u64,
            Self::List(values) => values.iter().map(Val::bytes).sum(),
            _ => 0,
        }
    }
}

impl<'a> Val<'a> {
    /// As the value of an attribute. Elements of a list are texts (the check sees to it).
    pub(super) fn into_value(self) -> Value<'a> {
        match self {
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Double(number) => Value::Double(number),
            Self::Text(text) => Value::Text(text),
            Self::Duration(nanos) => Value::Duration(nanos),
            Self::Time(nanos) => Value::Time(nanos.max(0) as u64),
            Self::List(values) => Value::List(values.into_iter().map(|value| value.into_value().into_text()).collect()),
        }
    }
}

impl<'a> From<Value<'a>> for Val<'a> {
    fn from(value: Value<'a>) -> Self {
        match value {
            Value::Text(text) => Self::Text(text),
            Value::Int(number) => Self::Int(number),
            Value::Double(number) => Self::Double(number),
            Value::Bool(flag) => Self::Bool(flag),
            Value::Duration(nanos) => Self::Duration(nanos),
            Value::Time(nanos) => Self::Time(i64::try_from(nanos).unwrap_or(i64::MAX)),
            Value::List(texts) => Self::List(texts.into_iter().map(Self::Text).collect()),
        }
    }
}

/// How two values compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What two numbers, texts, lists or times give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// What a macro does with the elements of a list or the names of a map (CEL specification, "Macros").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loop {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// What a loop goes over.
#[derive(Debug)]
pub(super) enum Range {
    List(Node),
    Names(Key),
}

/// A checked expression: types fit, names are resolved, patterns are compiled.
#[derive(Debug)]
pub(super) enum Node {
    Const(Val<'static>),
    /// What never has a value, such as a credential.
    Absent,
    Key(Key),
    HasKey(Key),
    /// The entry of a map with this name.
    Entry(Key, Box<str>),
    HasEntry(Key, Box<str>),
    EntryAt(Key, Box<Node>),
    HasEntryAt(Key, Box<Node>),
    /// How many entries a map has.
    Entries(Key),
    /// The variable of the loop that is so many levels from the outermost.
    Local(usize),
    Not(Box<Node>),
    Negate(Box<Node>),
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    If(Box<[Node; 3]>),
    Compare(Comparison, Box<Node>, Box<Node>),
    Arithmetic(Arithmetic, Box<Node>, Box<Node>),
    /// Whether a list that is written out has it.
    OneOf(Box<Node>, Vec<Val<'static>>),
    In(Box<Node>, Box<Node>),
    At(Box<Node>, Box<Node>),
    List(Vec<Node>),
    Call(Function, Vec<Node>),
    Matches(Box<Node>, Box<Pattern>),
    Loop {
        what: Loop,
        range: Box<Range>,
        condition: Option<Box<Node>>,
        body: Box<Node>,
    },
}
