//! An explanation for people.

use std::fmt::Write as _;

use super::{Explanation, Signal};

/// How a piece of text is to stand out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A heading.
    Heading,
    /// On, applies.
    Good,
    /// Off, does not apply.
    Quiet,
}

/// How the one policy is called that is in no namespace.
const DEFAULT_POLICY: &str = "the default policy of the configuration";

/// Policies for other targets that are named; the rest is counted.
const MAX_ELSEWHERE: usize = 10;

/// In sentences. `paint` makes pieces stand out; the identity where nothing can.
pub fn to_text(explanation: &Explanation, paint: &dyn Fn(Tone, &str) -> String) -> String {
    let mut out = String::new();
    let target = match &explanation.target.namespace {
        Some(namespace) => format!("Pod {namespace}/{}", explanation.target.name),
        None => format!("Ordinary pods of Namespace {}", explanation.target.name),
    };
    let verb = if explanation.target.namespace.is_some() { "follows" } else { "follow" };
    let _ = match explanation.policies.first().filter(|policy| policy.applies) {
        Some(policy) if policy.namespace.is_empty() => {
            writeln!(out, "{target} {verb} {}.", paint(Tone::Good, DEFAULT_POLICY))
        }
        Some(policy) => writeln!(
            out,
            "{target} {verb} the policy {} ({}).",
            paint(Tone::Good, &format!("{}/{}", policy.namespace, policy.name)),
            policy.api_version
        ),
        None => writeln!(out, "{target} {verb} {}: nothing is captured.", paint(Tone::Quiet, "no policy")),
    };

    let _ = writeln!(out, "\n{}", paint(Tone::Heading, "POLICIES"));
    if explanation.policies.is_empty() {
        out.push_str("  there is none\n");
    }
    let same_name = |index: usize| {
        let of = |index: usize| explanation.policies.get(index).map(|policy| (&policy.namespace, &policy.name));
        (0..explanation.policies.len()).any(|other| other != index && of(other) == of(index))
    };
    let shown = explanation.policies.iter().filter(|policy| !policy.elsewhere).count() + MAX_ELSEWHERE;
    for (index, policy) in explanation.policies.iter().enumerate().take(shown) {
        let dialect = if same_name(index) { format!(" of {}", policy.api_version) } else { String::new() };
        let name = match policy.namespace.as_str() {
            "" => DEFAULT_POLICY.to_owned(),
            namespace => format!("{namespace}/{}{dialect}", policy.name),
        };
        let _ = if policy.applies {
            writeln!(out, "  {name} {}: {}", paint(Tone::Good, "applies"), policy.why)
        } else {
            writeln!(out, "  {name} {}: {}", paint(Tone::Quiet, "does not apply"), policy.why)
        };
    }
    if let Some(more) = explanation.policies.len().checked_sub(shown).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more for other targets");
    }

    let plan = &explanation.plan;
    let _ = writeln!(out, "\n{}", paint(Tone::Heading, "WHAT COMES OUT"));
    let _ = writeln!(
        out,
        "  capture: {}",
        match plan.capture {
            "none" => "none, nothing is read",
            "heads" => "heads of messages, and sizes",
            _ => "heads and content of messages",
        }
    );
    if plan.calls {
        let _ = writeln!(out, "  calls: those of language models and of MCP are read out of content");
    }
    if let Some(direction) = plan.direction {
        let _ = writeln!(
            out,
            "  direction: {}",
            match direction {
                "Client" => "only where the pod is the client",
                "Server" => "only where the pod is the server",
                _ => "both, as client and as server",
            }
        );
    }
    for remark in &plan.remarks {
        let _ = writeln!(out, "  {remark}");
    }
    for (name, signal) in [("metrics", &plan.metrics), ("tracing", &plan.tracing), ("access logs", &plan.access_logs)] {
        add_signal(&mut out, name, signal.as_ref(), paint);
    }
    out
}

fn add_signal(out: &mut String, name: &str, signal: Option<&Signal>, paint: &dyn Fn(Tone, &str) -> String) {
    let Some(signal) = signal else {
        let _ = writeln!(out, "  {name}: {}", paint(Tone::Quiet, "off"));
        return;
    };
    let on = paint(Tone::Good, "on");
    let _ = match signal.when {
        Some(when) => writeln!(out, "  {name}: {on}, if {when}"),
        None => writeln!(out, "  {name}: {on}"),
    };
    for sentence in &signal.summary {
        let _ = writeln!(out, "    {sentence}");
    }
}
