//! The macros of CEL, recognised in what the parser expands them to.

use cel::{
    IdedExpr,
    common::ast::{CallExpr, ComprehensionExpr, Expr, LiteralValue, operators},
};

use super::tree::Loop;

/// A macro: `range.what(variable, [condition,] body)`.
pub(super) struct Found<'a> {
    pub(super) what: Loop,
    pub(super) range: &'a IdedExpr,
    pub(super) variable: &'a str,
    /// Of `map` with three arguments.
    pub(super) condition: Option<&'a IdedExpr>,
    pub(super) body: &'a IdedExpr,
}

/// The macro of a comprehension. The parser makes them of macros only: the name of its result cannot be written.
pub(super) fn recognise(comprehension: &ComprehensionExpr) -> Option<Found<'_>> {
    let (what, condition, body) = match (&comprehension.accu_init.expr, call(&comprehension.loop_step)?) {
        (Expr::Literal(LiteralValue::Boolean(_)), (operators::LOGICAL_OR, [_, body])) => (Loop::Exists, None, body),
        (Expr::Literal(LiteralValue::Boolean(_)), (operators::LOGICAL_AND, [_, body])) => (Loop::All, None, body),
        (Expr::Literal(LiteralValue::Int(_)), (operators::CONDITIONAL, [body, ..])) => (Loop::ExistsOne, None, body),
        (Expr::List(_), (operators::ADD, [_, element])) => (Loop::Map, None, only(element)?),
        (Expr::List(_), (operators::CONDITIONAL, [condition, step, _])) => {
            let (operators::ADD, [_, element]) = call(step)? else { return None };
            let element = only(element)?;
            // `filter` keeps the element itself. So does `map(x, condition, x)`, which means the same.
            match &element.expr {
                Expr::Ident(name) if *name == comprehension.iter_var => (Loop::Filter, None, condition),
                _ => (Loop::Map, Some(condition), element),
            }
        }
        _ => return None,
    };
    let single = comprehension.iter_var2.is_none();
    single.then_some(Found {
        what,
        range: &comprehension.iter_range,
        variable: &comprehension.iter_var,
        condition,
        body,
    })
}

fn call(expression: &IdedExpr) -> Option<(&str, &[IdedExpr])> {
    match &expression.expr {
        Expr::Call(CallExpr { func_name, target: None, args }) => Some((func_name, args)),
        _ => None,
    }
}

/// The element of a list of one.
fn only(list: &IdedExpr) -> Option<&IdedExpr> {
    match &list.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
