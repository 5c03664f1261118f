//! CEL validation rules that several types share.

use serde_json::{Value, json};

/// The members of the union of sources, and the types that each goes with.
const MEMBERS: [(&str, &[&str]); 7] = [
    ("headerName", &["Header"]),
    ("literalValue", &["Literal"]),
    ("attributeKey", &["Attribute"]),
    ("expression", &["CEL"]),
    ("labelKey", &["PodLabel", "NamespaceLabel"]),
    ("annotationKey", &["PodAnnotation"]),
    ("variable", &["Environment"]),
];

/// Exactly the member of the chosen type is set (GEP-4768, "Attribute").
pub(super) fn source_rules() -> Value {
    let rule = |(member, types): (&str, &[&str])| {
        let is_type = types.iter().map(|name| format!("self.type == '{name}'")).collect::<Vec<_>>().join(" || ");
        json!({
            "rule": format!("{is_type} ? has(self.{member}) : !has(self.{member})"),
            "message": format!("{member} is required when type is {}, and must be empty otherwise", types.join(" or ")),
        })
    };
    MEMBERS.into_iter().map(rule).collect()
}
