//! Any text as an expression: it is compiled or said to be wrong, and an evaluation ends.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use telltale::policy::{
    Effect, Trust,
    attribute::{Key, Program, Side, Subject, Type, Value},
    model::FieldPath,
};

/// Says as much as an exchange can, or nothing.
struct Says(bool);

impl Subject for Says {
    fn header(&self, side: Side, name: &str) -> Option<Cow<'_, str>> {
        self.entry(side.headers(), name)
    }

    fn pod_label(&self, _: &str) -> Option<&str> {
        None
    }

    fn pod_annotation(&self, _: &str) -> Option<&str> {
        None
    }

    fn namespace_label(&self, _: &str) -> Option<&str> {
        None
    }

    fn key(&self, key: Key) -> Option<Value<'_>> {
        self.0.then_some(match key.row().kind {
            Type::Text => "/a/b?c=d".into(),
            Type::Int => Value::Int(i64::MAX),
            Type::Double => Value::Double(f64::NAN),
            Type::Bool => Value::Bool(true),
            Type::Duration => Value::Duration(i64::MIN),
            Type::Time => Value::Time(u64::MAX),
            Type::List => Value::List(vec!["a".into(), "".into()]),
            Type::Map => return None,
        })
    }

    fn entry(&self, _: Key, name: &str) -> Option<Cow<'_, str>> {
        (self.0 && name.len() < 4).then_some(Cow::Borrowed("ä"))
    }

    fn entries(&self, _: Key) -> Option<Vec<(Cow<'_, str>, Cow<'_, str>)>> {
        self.0.then(|| (0..100).map(|index| (format!("x{index}").into(), "ä".into())).collect())
    }

    fn fields(&self, _: Key) -> Option<usize> {
        self.0.then_some(100)
    }
}

fuzz_target!(|expression: &str| {
    let trust = Trust::tenant();
    let mut findings = Vec::new();
    let program = Program::compile(expression, &FieldPath::default(), &trust, &mut findings);
    let invalid = findings.iter().any(|finding| finding.effect == Effect::Invalid);
    assert_eq!(program.is_none(), invalid, "{findings:?}");
    if let Some(program) = program {
        for says in [Says(false), Says(true)] {
            let _ = program.value(&says);
            let _ = program.holds(&says);
        }
    }
});
