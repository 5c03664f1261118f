//! Names of expressions: the variables of the table of keys.

use super::function;
use crate::policy::attribute::{Key, Type};

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

/// The name with the fewest edits, if they are few for its length. Of several the first.
pub(in crate::policy) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody's name is longer, and the distance costs the product of both lengths.
    if name.len() > 128 {
        return None;
    }
    known
        .map(|known| (distance(&name.to_ascii_lowercase(), &known.to_ascii_lowercase()), known))
        .filter(|(distance, known)| *distance <= known.len().max(name.len()) / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Levenshtein's distance, by bytes.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.bytes().enumerate() {
            let replaced = diagonal + usize::from(from != to);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
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
        assert_eq!((distance("kitten", "sitting"), distance("", "ab")), (3, 2));
    }
}
