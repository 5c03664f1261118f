//! JSON paths of `content.redact`: the part of RFC 9535 that selects by name, index, wildcard and descent. No filters, slices or functions.

use std::fmt;

/// A path that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPath {
    /// From the root inwards.
    pub steps: Vec<Step>,
}

/// One segment of a path (RFC 9535 section 2.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// `..`: also of everything below.
    pub descends: bool,
    /// What is selected.
    pub selector: Selector,
}

/// What a segment selects (RFC 9535 section 2.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// The member of this name.
    Name(String),
    /// The element of this index; negative ones count from the end.
    Index(i64),
    /// Everything.
    All,
}

/// Where a path is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonPathError {
    /// Characters before it.
    pub at: usize,
    /// What is expected there.
    pub expected: &'static str,
}

impl fmt::Display for JsonPathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "is no JSON path that is supported: character {} should be {}", self.at + 1, self.expected)
    }
}

/// Segments that a path may have.
const MAX_STEPS: usize = 32;

impl JsonPath {
    /// Reads a path.
    ///
    /// # Errors
    /// Where it is no path, or one with a selector that is not supported.
    pub fn parse(text: &str) -> Result<Self, JsonPathError> {
        let mut rest = Rest { text, whole: text };
        rest.expect('$', "`$`")?;
        let mut steps = Vec::new();
        while !rest.text.is_empty() {
            if steps.len() == MAX_STEPS {
                return Err(rest.error("the end: a path has at most 32 segments"));
            }
            steps.push(rest.step()?);
        }
        Ok(Self { steps })
    }
}

struct Rest<'a> {
    text: &'a str,
    whole: &'a str,
}

impl<'a> Rest<'a> {
    fn error(&self, expected: &'static str) -> JsonPathError {
        let read = self.whole.len() - self.text.len();
        JsonPathError { at: self.whole[..read].chars().count(), expected }
    }

    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.text.strip_prefix(prefix);
        self.text = rest.unwrap_or(self.text);
        rest.is_some()
    }

    fn expect(&mut self, character: char, expected: &'static str) -> Result<(), JsonPathError> {
        match self.text.strip_prefix(character) {
            Some(rest) => {
                self.text = rest;
                Ok(())
            }
            None => Err(self.error(expected)),
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.text.find(|character| !fits(character)).unwrap_or(self.text.len());
        let (taken, rest) = self.text.split_at(end);
        self.text = rest;
        taken
    }

    fn step(&mut self) -> Result<Step, JsonPathError> {
        let descends = self.take("..");
        if self.take("[") {
            let selector = self.bracketed()?;
            self.expect(']', "`]`")?;
            return Ok(Step { descends, selector });
        }
        if !descends {
            self.expect('.', "`.` or `[`")?;
        }
        if self.take("*") {
            return Ok(Step { descends, selector: Selector::All });
        }
        // RFC 9535 section 2.5.1.1, member-name-shorthand.
        let is_first = |character: char| character.is_ascii_alphabetic() || character == '_' || !character.is_ascii();
        if !self.text.starts_with(is_first) {
            return Err(self.error("a name; others are written ['name']"));
        }
        let name = self.take_while(|character| is_first(character) || character.is_ascii_digit());
        Ok(Step { descends, selector: Selector::Name(name.to_owned()) })
    }

    fn bracketed(&mut self) -> Result<Selector, JsonPathError> {
        const EXPECTED: &str = "a quoted name, an index or `*`";
        for quote in ['\'', '"'] {
            if self.text.starts_with(quote) {
                return self.quoted(quote).map(Selector::Name);
            }
        }
        if self.take("*") {
            return Ok(Selector::All);
        }
        let error = self.error(EXPECTED);
        let digits = self.take_while(|character| character == '-' || character.is_ascii_digit());
        digits.parse().map(Selector::Index).map_err(|_| error)
    }

    /// A name in quotes; `\` takes the character behind it as it is.
    fn quoted(&mut self, quote: char) -> Result<String, JsonPathError> {
        let mut name = String::new();
        let mut characters = self.text.char_indices().skip(1);
        while let Some((at, character)) = characters.next() {
            if character == quote {
                self.text = &self.text[at + quote.len_utf8()..];
                return Ok(name);
            }
            let taken = if character == '\\' { characters.next().map(|(_, next)| next) } else { Some(character) };
            name.extend(taken);
        }
        Err(self.error("a name that ends with its quote"))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn steps(text: &str) -> Vec<(bool, Selector)> {
        JsonPath::parse(text).unwrap().steps.into_iter().map(|step| (step.descends, step.selector)).collect()
    }

    #[test]
    fn names_indices_wildcards_and_descent_are_read() {
        let name = |text: &str| Selector::Name(text.to_owned());
        assert_eq!(steps("$"), []);
        assert_eq!(
            steps(r#"$.messages[*]['co\'ntent']["x y"][-1]..password.*"#),
            [
                (false, name("messages")),
                (false, Selector::All),
                (false, name("co'ntent")),
                (false, name("x y")),
                (false, Selector::Index(-1)),
                (true, name("password")),
                (false, Selector::All),
            ]
        );
        assert_eq!(steps("$..[0]"), [(true, Selector::Index(0))]);
    }

    #[test]
    fn what_is_no_path_says_where() {
        let at = |text: &str| JsonPath::parse(text).unwrap_err().at;
        assert_eq!(
            ["", "a", "$a", "$.", "$.ä.1", "$[", "$['a", "$[a]", "$[1", "$[--1]", "$[?(@.a)]", "$[1:2]"].map(at),
            [0, 0, 1, 2, 4, 2, 2, 2, 3, 2, 2, 3]
        );
        assert!(JsonPath::parse(&"$".chars().chain(".a".repeat(33).chars()).collect::<String>()).is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "\\PC*|\\$[.\\[\\]'\"a*0-9\\\\-]*") {
            let _ = JsonPath::parse(&text);
        }
    }
}
