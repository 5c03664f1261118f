//! Names of expressions: the variables of the table of keys.

use super::function;
use crate::policy::{
    attribute::{Key, Type},
    nearest::nearest,
};

/// What a dotted name is.
pub(super) enum Meaning<'a> {
    /// A variable.
    Key(Key),
    /// An entry of a map.
    Entry(Key, &'a str),
}

/// What this dotted name means. The error says what is wrong with it, and what would be right.
pub(super) fn resolve<'a>(segments: &[&'a str]) -> Result<Meaning<'a>, (String, Option<String>)> {
    let name = segments.join(".");
    for count in (1..=segments.len()).rev() {
        let Some(key) = Key::of_cel(&segments[..count].join(".")) else { continue };
        return match (&segments[count..], key.row().kind) {
            ([], _) => Ok(Meaning::Key(key)),
            ([field], Type::Map) => Ok(Meaning::Entry(key, field)),
            ([field, ..], kind) => {
                Err((format!("`{}` is a {kind}, it has no `{field}`", segments[..count].join(".")), None))
            }
        };
    }
    let group = format!("{name}.");
    let members: Vec<_> = names().filter(|known| known.starts_with(&group)).collect();
    if let [first, ..] = &members[..] {
        return Err((
            format!("`{name}` is not a variable but a group of {}", members.len()),
            Some(format!("name one, such as `{first}`")),
        ));
    }
    let nearest = nearest(&name, names());
    Err((format!("unknown variable `{name}`"), nearest.map(|nearest| format!("the nearest is `{nearest}`"))))
}

fn names() -> impl Iterator<Item = &'static str> {
    Key::ALL.iter().flat_map(|key| key.row().cel_names())
}

/// The function whose name is nearest.
pub(super) fn nearest_function(name: &str) -> Option<&'static str> {
    nearest(name, function::names())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_one_that_was_meant() {
        assert_eq!(nearest("response.kode", names()), Some("response.code"));
        assert_eq!(nearest("request.useragents", names()), Some("request.useragent"));
        assert_eq!(nearest("Request.Path", names()), Some("request.path"));
        assert_eq!(nearest("xyz", names()), None);
        assert_eq!(nearest(&"x".repeat(200), names()), None);
    }
}
