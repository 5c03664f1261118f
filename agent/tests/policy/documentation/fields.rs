//! The table of fields of `docs/policy.md`, made from the schemas of both dialects.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
};

use serde_json::Value;
use telltale::policy::{Limits, api::schema, model::Dialect};

use super::{PAGE, page, root};

/// What the schema of a dialect says of one field.
pub(super) struct Field {
    mark: &'static str,
    value: String,
    /// Whether it has no members.
    pub(super) is_leaf: bool,
}

/// In the order of the page.
const SECTIONS: &[&str] =
    &["targetRef", "targetRefs", "tracing", "attributes", "metrics", "accessLogs", "content", "direction", "tls"];
const BEGIN: &str = "<!-- fields: UPDATE=1 cargo test --test policy writes this table -->\n";
const END: &str = "<!-- end of fields -->";

/// Where a member of an attribute is explained, wherever it stands; any other path as it is.
pub(super) fn shared(dialect: Dialect, path: &str) -> String {
    if let Some((_, member)) = path.split_once("ttributes[].").filter(|_| !path.contains("customAttributes")) {
        return format!("attributes[].{member}");
    }
    match path.strip_prefix("accessLogs.fields[].") {
        Some(member) if dialect == Dialect::Gep && !member.starts_with("path") => format!("attributes[].{member}"),
        _ => path.to_owned(),
    }
}

/// The fields of a dialect's `spec` by their paths.
pub(super) fn of(dialect: Dialect) -> BTreeMap<String, Field> {
    let mut fields = BTreeMap::new();
    let spec = &schema(dialect)["properties"]["spec"];
    let Value::Object(sections) = &spec["properties"] else { panic!("{spec}") };
    // What is shared is described where it is portable: tracing is before the others.
    let first = ["tracing"].into_iter().chain(sections.keys().map(String::as_str).filter(|name| *name != "tracing"));
    for name in first {
        let is_required = is_required(spec, name);
        walk(dialect, name, &sections[name], is_required, false, &mut fields);
    }
    fields
}

fn is_required(object: &Value, name: &str) -> bool {
    object["required"].as_array().is_some_and(|names| names.iter().any(|required| required == name))
}

fn walk(
    dialect: Dialect,
    path: &str,
    schema: &Value,
    is_required: bool,
    is_extension: bool,
    fields: &mut BTreeMap<String, Field>,
) {
    let is_extension = is_extension || schema["description"].as_str().is_some_and(|text| text.starts_with("Extension"));
    let is_draft = dialect == Dialect::Gep && (path.starts_with("metrics") || path.starts_with("accessLogs"));
    let description = schema["description"].as_str().unwrap_or_default();
    let mark = match (is_extension, is_draft) {
        _ if description.contains("refuses") => "refused",
        (true, _) => "ext",
        (false, true) => "draft",
        (false, false) => "yes",
    };
    let is_list = schema["type"] == "array";
    let (path, inner) = if is_list { (format!("{path}[]"), &schema["items"]) } else { (path.to_owned(), schema) };
    let members = inner["properties"].as_object();
    let field = Field { mark, value: value(schema, is_required), is_leaf: members.is_none() };
    fields.entry(shared(dialect, &path)).or_insert(field);
    for (name, member) in members.into_iter().flatten() {
        let is_required = self::is_required(inner, name);
        walk(dialect, &format!("{path}.{name}"), member, is_required, is_extension, fields);
    }
}

/// What can stand there, in a few words.
fn value(schema: &Value, is_required: bool) -> String {
    let range = |least: &str, most: &str| match (
        schema[least].as_i64().filter(|&least| least > 0 || schema["type"] == "integer"),
        schema[most].as_i64(),
    ) {
        (Some(least), Some(most)) if schema["type"] != "string" => format!("{least} to {most}"),
        (_, Some(most)) => format!("at most {most}"),
        (Some(least), None) if schema["type"] != "string" => format!("at least {least}"),
        _ => String::new(),
    };
    let mut words = vec![match (schema["type"].as_str(), schema["enum"].as_array()) {
        (_, Some(values)) => {
            values.iter().filter_map(Value::as_str).map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
        }
        (Some("string"), _) => format!("{} characters", range("minLength", "maxLength")),
        (Some("integer"), _) => range("minimum", "maximum"),
        (Some("boolean"), _) => "`true`, `false`".to_owned(),
        (Some("array"), _) => {
            let of = match schema["items"]["type"].as_str() {
                Some("string") => "texts",
                Some("number") => "numbers",
                _ => "entries",
            };
            format!("{} {of}", range("minItems", "maxItems"))
        }
        _ => String::new(),
    }];
    if let Some(default) = schema.get("default") {
        let text = default.as_str().filter(|text| !text.is_empty());
        words.push(format!("default `{}`", text.map_or_else(|| default.to_string(), str::to_owned)));
    }
    if is_required {
        words.push("required".to_owned());
    }
    words.retain(|word| !word.is_empty());
    words.join("; ")
}

/// The names of all members, however deep.
pub(super) fn names(schema: &Value, found: &mut BTreeSet<String>) {
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        found.insert(name.clone());
        names(if member["type"] == "array" { &member["items"] } else { member }, found);
    }
}

fn table() -> String {
    let [proposal, gep] = [of(Dialect::Proposal), of(Dialect::Gep)];
    let section = |path: &str| {
        let first = path.split(['.', '[']).next().unwrap();
        SECTIONS.iter().position(|section| *section == first).unwrap_or_else(|| panic!("{path} has no section"))
    };
    let mut paths: Vec<&String> = proposal.keys().chain(gep.keys()).collect();
    paths.sort_by(|one, other| section(one).cmp(&section(other)).then_with(|| one.cmp(other)));
    paths.dedup();
    let mut table = "| field, below `spec` | proposal | GEP-4768 | value |\n|---|---|---|---|\n".to_owned();
    for path in paths {
        let (one, other) = (proposal.get(path), gep.get(path));
        let mark = |field: Option<&Field>| field.map_or("", |field| field.mark);
        let value = match (one, other) {
            (Some(one), Some(other)) if one.value != other.value => {
                let words = |field: &Field| if field.value.is_empty() { "any".to_owned() } else { field.value.clone() };
                format!("proposal: {}. GEP: {}", words(one), words(other))
            }
            (Some(field), _) | (None, Some(field)) => field.value.clone(),
            (None, None) => String::new(),
        };
        let _ = writeln!(table, "| `{path}` | {} | {} | {value} |", mark(one), mark(other));
    }
    table
}

#[test]
fn the_table_is_what_the_schemas_say() {
    let page = page(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("a table begins");
    let (_, after) = rest.split_once(END).expect("a table ends");
    let expected = format!("{before}{BEGIN}{}{END}{after}", table());
    if std::env::var_os("UPDATE").is_some() && page != expected {
        fs::write(root().join(PAGE), &expected).unwrap();
        return;
    }
    assert!(page == expected, "the table of {PAGE} is not what the schemas say; UPDATE=1 writes it");
}

/// What of the page is neither a block nor this table.
fn prose(page: &str) -> String {
    let (before, rest) = page.split_once(BEGIN).expect("a table begins");
    let (_, after) = rest.split_once(END).expect("a table ends");
    let mut is_block = false;
    let lines = before.lines().chain(after.lines()).filter(|line| {
        let is_fence = line.starts_with("```");
        is_block ^= is_fence;
        !is_block && !is_fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn every_field_has_a_word_beside_its_example() {
    let prose = prose(&page(PAGE));
    // Between backticks, alone or in a path.
    let named: BTreeSet<&str> = (prose.split('`').skip(1).step_by(2))
        .flat_map(|code| code.split(|c: char| !c.is_ascii_alphanumeric()))
        .collect();
    for dialect in Dialect::ALL {
        let fields = of(dialect);
        let name = |path: &String| path.rsplit('.').next().unwrap().trim_end_matches("[]").to_owned();
        let unsaid: Vec<_> = fields.keys().filter(|path| !named.contains(&*name(path))).collect();
        assert!(unsaid.is_empty(), "{PAGE} says nothing of {unsaid:?}");
    }
}

#[test]
fn the_maxima_are_the_agents() {
    let page = page(PAGE);
    let limits = Limits::default();
    for row in [
        format!("| `cardinalityLimit` | {} |", limits.series),
        format!("| `content.maxBytes` | {} |", limits.content),
        format!("| attributes of one list; fields of a line | {} |", limits.attributes),
        format!("| bytes of a literal, a default, or an environment variable | {} |", limits.text),
        format!("| bytes of the value of a CEL expression, the texts of a list together | {} (", limits.result),
        format!("| steps of a CEL expression, at worst | {} (beyond: `Invalid`) |", limits.expression_cost),
        format!("| memory of a compiled pattern | {} KiB (beyond: `Invalid`) |", limits.pattern >> 10),
    ] {
        assert!(page.contains(&row), "{PAGE} should say {row}");
    }
}
