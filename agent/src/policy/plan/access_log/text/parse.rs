//! Text -> literals and commands, as Envoy's format strings are written.

/// One part of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// Written as it is.
    Literal(&'a str),
    /// `%NAME(argument):length%`
    Command(Command<'a>),
}

/// `%NAME(argument):length%`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    /// Of its first character, counted in characters from 1.
    pub(super) position: usize,
    pub(super) name: &'a str,
    /// What is in the parentheses.
    pub(super) argument: Option<&'a str>,
    /// Characters at most.
    pub(super) length: Option<usize>,
}

/// A percent sign that begins no command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Counted in characters from 1.
    pub(super) position: usize,
}

/// The parts of a format string, in order. `%%` is a percent sign.
///
/// An argument ends at the first `)` behind which the command ends too: both the percent signs of a time format and the parentheses of a CEL expression
/// belong to it.
pub(super) fn parse(format: &str) -> Result<Vec<Piece<'_>>, Fault> {
    let mut pieces = Vec::new();
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        if percent > 0 {
            pieces.push(Piece::Literal(&rest[..percent]));
        }
        let behind = &rest[percent + 1..];
        if let Some(after) = behind.strip_prefix('%') {
            pieces.push(Piece::Literal("%"));
            rest = after;
            continue;
        }
        let position = format[..format.len() - behind.len()].chars().count();
        let (command, after) = command(behind, position).ok_or(Fault { position })?;
        pieces.push(Piece::Command(command));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

/// The command after its percent sign, and what follows it.
fn command(text: &str, position: usize) -> Option<(Command<'_>, &str)> {
    let name_end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let (name, behind) = text.split_at(name_end);
    if name.is_empty() {
        return None;
    }
    if let Some(inside) = behind.strip_prefix('(') {
        return inside.match_indices(')').find_map(|(end, _)| {
            let (length, after) = end_of_command(&inside[end + 1..])?;
            Some((Command { position, name, argument: Some(&inside[..end]), length }, after))
        });
    }
    let (length, after) = end_of_command(behind)?;
    Some((Command { position, name, argument: None, length }, after))
}

/// `%` or `:length%`.
fn end_of_command(text: &str) -> Option<(Option<usize>, &str)> {
    if let Some(after) = text.strip_prefix('%') {
        return Some((None, after));
    }
    let digits = text.strip_prefix(':')?;
    let end = digits.find(|c: char| !c.is_ascii_digit())?;
    let after = digits[end..].strip_prefix('%')?;
    // More digits than a number has are as good as no limit.
    (end > 0).then(|| (Some(digits[..end].parse().unwrap_or(usize::MAX)), after))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(
        position: usize,
        name: &'static str,
        argument: Option<&'static str>,
        length: Option<usize>,
    ) -> Piece<'static> {
        Piece::Command(Command { position, name, argument, length })
    }

    #[test]
    fn commands_with_and_without_arguments() {
        assert_eq!(
            parse("é[%START_TIME%] %REQ(X?Y):10%%%"),
            Ok(vec![
                Piece::Literal("é["),
                command(3, "START_TIME", None, None),
                Piece::Literal("] "),
                command(17, "REQ", Some("X?Y"), Some(10)),
                Piece::Literal("%"),
            ])
        );
        assert_eq!(parse("%START_TIME(%Y/%m)%"), Ok(vec![command(1, "START_TIME", Some("%Y/%m"), None)]));
        let cel = "request.headers['a'] || request.url_path.contains('b')";
        let format = format!("%CEL({cel})%x");
        assert_eq!(
            parse(&format),
            Ok(vec![
                Piece::Command(Command { position: 1, name: "CEL", argument: Some(cel), length: None }),
                Piece::Literal("x")
            ])
        );
        assert_eq!(parse(""), Ok(vec![]));
    }

    #[test]
    fn faults_have_a_position() {
        for (format, position) in [
            ("100%", 4),
            ("é % é", 3),
            ("%start%", 1),
            ("%%%", 3),
            ("%REQ(X%", 1),
            ("a%REQ(X):%", 2),
            ("%REQ(X):5", 1),
            ("%PATH", 1),
        ] {
            assert_eq!(parse(format), Err(Fault { position }), "{format}");
        }
    }
}
