//! Colour, where a person looks.

use std::io::IsTerminal;

/// Makes pieces of text stand out, or leaves them as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Paint {
    on: bool,
}

/// How a piece of text stands out: the codes of "Select Graphic Rendition" (ECMA-48).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// Bold.
    Bold,
    /// Faint.
    Faint,
    /// Red.
    Red,
    /// Yellow.
    Yellow,
    /// Green.
    Green,
}

impl Paint {
    /// On a terminal that knows colours, unless `NO_COLOR` is set to anything (no-color.org).
    pub(super) fn on(out: &impl IsTerminal) -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        Self { on: out.is_terminal() && !set("NO_COLOR") && !dumb }
    }

    /// The text, standing out if it can.
    pub(super) fn ink(self, ink: Ink, text: &str) -> String {
        let code = match ink {
            Ink::Bold => 1,
            Ink::Faint => 2,
            Ink::Red => 31,
            Ink::Yellow => 33,
            Ink::Green => 32,
        };
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_terminal_has_colour() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(Paint::on(&file).ink(Ink::Red, "error"), "error");
        assert_eq!(Paint { on: true }.ink(Ink::Red, "error"), "\x1b[31merror\x1b[0m");
    }
}
