//! Every YAML block of `docs/policy.md` is what its mark says: `proposal`, `gep` or `both`, and `warns` or `invalid`, in which case the block of text after
//! it is what `validate` says. `cluster` are other objects.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use telltale::policy::{
    Compiled, Defaults, Effect, Setting, Trust,
    api::schema,
    attachment::PolicyIndex,
    document::{Documents, Source},
    model::Dialect,
    validation,
};

use super::{Block, PAGE, blocks, fields, page};

fn dialects(block: &Block) -> Vec<Dialect> {
    let of = |word: &str, dialect| block.has(word).then_some(dialect);
    if block.has("both") {
        return Dialect::ALL.to_vec();
    }
    [of("proposal", Dialect::Proposal), of("gep", Dialect::Gep)].into_iter().flatten().collect()
}

/// The policy of which a block is a part: what every policy of the dialect needs is added.
fn policy(block: &Block, dialect: Dialect) -> Value {
    let mut spec: Value = serde_saphyr::from_str(&block.text).unwrap_or_else(|error| panic!("{}: {error}", block.line));
    let target = json!({"group": "", "kind": "Namespace", "name": "shop"});
    let fields = spec.as_object_mut().unwrap();
    match dialect {
        Dialect::Proposal => {
            fields.entry("targetRef").or_insert(target);
            if let Some(metrics) = fields.get_mut("metrics").and_then(Value::as_object_mut) {
                metrics.entry("enabled").or_insert(json!(true));
            }
            if let Some(logs) = fields.get_mut("accessLogs").and_then(Value::as_object_mut)
                && !logs.contains_key("enable")
            {
                logs.entry("enabled").or_insert(json!(true));
            }
        }
        Dialect::Gep => {
            fields.entry("targetRefs").or_insert(json!([target]));
        }
    }
    json!({
        "apiVersion": dialect.api_version(),
        "kind": "TelemetryPolicy",
        "metadata": {"name": "page", "namespace": "shop"},
        "spec": spec,
    })
}

/// What `validate` says, without file and line.
fn said(document: &Value) -> BTreeSet<String> {
    let documents = Documents::read(&[Source::new("page.json", document.to_string())]);
    assert!(documents.problems.is_empty(), "{:?}", documents.problems);
    let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::own() };
    let candidates = validation::candidates(&documents);
    let compiled = Compiled::new(candidates, documents.objects, &setting, None);
    assert_eq!(compiled.candidates.len(), 1);
    let candidate = &compiled.candidates[0];
    let targets = validation::target_findings(candidate, &compiled.resolution, PolicyIndex(0));
    let findings = candidate.findings.iter().chain(&targets);
    findings
        .map(|finding| format!("{}: {finding}", if finding.effect == Effect::Invalid { "error" } else { "warning" }))
        .collect()
}

#[test]
fn every_policy_of_the_page_is_as_it_is_marked() {
    let blocks = blocks(&page(PAGE));
    let mut policies = 0;
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.has("yaml")) {
        let place = format!("{PAGE}:{}", block.line);
        if block.has("cluster") {
            let documents = Documents::read(&[Source::new(place.clone(), block.text.clone())]);
            assert!(documents.problems.is_empty() && documents.policies.is_empty(), "{place}");
            continue;
        }
        let dialects = dialects(block);
        // The mark after the fence is not shown.
        let shown = match dialects[..] {
            [Dialect::Proposal] => "# proposal\n",
            [Dialect::Gep] => "# GEP-4768\n",
            [_, _] => "# both dialects\n",
            _ => panic!("{place}: of which dialect?"),
        };
        assert!(block.text.starts_with(shown), "{place}: {shown}");
        let expected: BTreeSet<String> = if block.has("warns") || block.has("invalid") {
            let next = blocks.get(index + 1).filter(|next| next.has("text"));
            next.unwrap_or_else(|| panic!("{place}: what does it say?")).text.lines().map(str::to_owned).collect()
        } else {
            BTreeSet::new()
        };
        let is_error = |line: &String| line.starts_with("error: ");
        assert_eq!(expected.iter().any(is_error), block.has("invalid"), "{place}");
        for dialect in dialects {
            assert_eq!(said(&policy(block, dialect)), expected, "{place} as {}", dialect.api_version());
            policies += 1;
        }
    }
    assert!(policies > 30, "{policies}");
}

/// The paths of everything that a value says.
fn paths(at: &str, value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                paths(&path, member, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| paths(&format!("{at}[]"), item, found)),
        _ => {
            found.insert(at.to_owned());
        }
    }
}

#[test]
fn every_field_has_an_example() {
    let page = page(PAGE);
    let mut used: BTreeMap<Dialect, BTreeSet<String>> = BTreeMap::new();
    for block in blocks(&page).iter().filter(|block| block.has("yaml") && !block.has("cluster")) {
        for dialect in dialects(block) {
            let mut found = BTreeSet::new();
            paths("", &policy(block, dialect)["spec"], &mut found);
            let shared = found.iter().map(|path| fields::shared(dialect, path));
            used.entry(dialect).or_default().extend(shared);
        }
    }
    for dialect in Dialect::ALL {
        let missing: Vec<_> = fields::of(dialect)
            .into_iter()
            .filter(|(path, field)| field.is_leaf && !used[&dialect].contains(path))
            .map(|(path, _)| path)
            .collect();
        assert!(missing.is_empty(), "{PAGE} shows no example of {missing:?} in {}", dialect.api_version());
    }
}

#[test]
fn every_part_of_a_status_is_named() {
    let page = page(PAGE);
    let mut names = BTreeSet::new();
    fields::names(&schema(Dialect::Gep)["properties"]["status"], &mut names);
    assert!(names.contains("observedGeneration"), "{names:?}");
    for name in names {
        assert!(
            page.contains(&format!("`{name}`"))
                || page.contains(&format!("{name}:"))
                || page.contains(&format!(".{name}`")),
            "{name}"
        );
    }
}
