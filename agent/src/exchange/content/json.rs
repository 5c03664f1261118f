//! Which stretches of a JSON text the paths of `content.redact` select.

use std::ops::Range;

use crate::policy::plan::{JsonPath, Selector};

/// Arrays and objects inside each other, at most.
const MAX_DEPTH: usize = 128;

/// The values that the paths select in a text that is one JSON value (RFC 8259), the outer ones only: what is inside is overwritten with
/// them. `None` if the text is not JSON to its last byte, or nests too deep.
///
/// A name that is given twice is selected twice, and names are compared as they read without their escapes.
pub(super) fn select(text: &str, paths: &[JsonPath]) -> Option<Vec<Range<usize>>> {
    // What counts from the end of an array needs its length, which is known behind it: the first walk notes lengths.
    let mut first =
        Walk { text, at: 0, paths, lengths: Vec::new(), arrays: 0, alive: Vec::new(), selected: Vec::new() };
    first.whole(None)?;
    let alive = vec![1; paths.len()];
    let mut second = Walk { at: 0, arrays: 0, alive, ..first };
    second.whole(Some(0))?;
    Some(second.selected)
}

/// What of an array or object is entered.
enum Child<'a> {
    Member(&'a str),
    Element { index: usize, length: usize },
}

impl Child<'_> {
    fn is(&self, selector: &Selector) -> bool {
        match (selector, self) {
            (Selector::All, _) => true,
            (Selector::Name(wanted), Self::Member(name)) => wanted == name,
            (Selector::Index(wanted), Self::Element { index, length }) => {
                let wanted = if *wanted < 0 { wanted.saturating_add(*length as i64) } else { *wanted };
                usize::try_from(wanted) == Ok(*index)
            }
            (Selector::Name(_), Self::Element { .. }) | (Selector::Index(_), Self::Member(_)) => false,
        }
    }
}

/// One walk over a text.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    paths: &'a [JsonPath],
    /// Elements of each array, in the order in which they begin.
    lengths: Vec<usize>,
    /// Arrays that have begun.
    arrays: usize,
    /// For each value that is entered and each path, the steps of it that may come next, as bits; the bit behind the last step: the value is
    /// selected.
    alive: Vec<u64>,
    selected: Vec<Range<usize>>,
}

impl Walk<'_> {
    /// One value and nothing behind it. `frame` is where its steps are, if any path is followed.
    fn whole(&mut self, frame: Option<usize>) -> Option<()> {
        self.value(0, frame)?;
        self.space();
        (self.at == self.text.len()).then_some(())
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek() == Some(byte)).then(|| self.at += 1)
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize, frame: Option<usize>) -> Option<()> {
        self.space();
        let start = self.at;
        let selects = |walk: &Self, frame: usize| {
            walk.paths.iter().zip(&walk.alive[frame..]).any(|(path, alive)| alive >> path.steps.len() & 1 == 1)
        };
        let selected = frame.is_some_and(|frame| selects(self, frame));
        let frame = frame.filter(|_| !selected);
        match self.peek()? {
            b'{' if depth < MAX_DEPTH => self.object(depth + 1, frame)?,
            b'[' if depth < MAX_DEPTH => self.array(depth + 1, frame)?,
            b'"' => self.string()?,
            b't' => self.word("true")?,
            b'f' => self.word("false")?,
            b'n' => self.word("null")?,
            _ => self.number()?,
        }
        if selected {
            self.selected.push(start..self.at);
        }
        Some(())
    }

    fn object(&mut self, depth: usize, frame: Option<usize>) -> Option<()> {
        self.at += 1;
        self.space();
        if self.take(b'}').is_some() {
            return Some(());
        }
        loop {
            self.space();
            let start = self.at;
            self.string()?;
            let name = &self.text[start..self.at];
            self.space();
            self.take(b':')?;
            let child = match frame {
                Some(frame) if name.contains('\\') => {
                    let name: String = serde_json::from_str(name).ok()?;
                    self.enter(frame, &Child::Member(&name))
                }
                Some(frame) => self.enter(frame, &Child::Member(&name[1..name.len() - 1])),
                None => None,
            };
            self.value(depth, child)?;
            self.leave(child);
            self.space();
            if self.take(b',').is_none() {
                return self.take(b'}');
            }
        }
    }

    fn array(&mut self, depth: usize, frame: Option<usize>) -> Option<()> {
        self.at += 1;
        let array = self.arrays;
        self.arrays += 1;
        if array == self.lengths.len() {
            self.lengths.push(0);
        }
        let length = self.lengths[array];
        self.space();
        if self.take(b']').is_some() {
            return Some(());
        }
        let mut index = 0;
        loop {
            let child = frame.and_then(|frame| self.enter(frame, &Child::Element { index, length }));
            self.value(depth, child)?;
            self.leave(child);
            index += 1;
            self.space();
            if self.take(b',').is_none() {
                self.lengths[array] = index;
                return self.take(b']');
            }
        }
    }

    /// Follows the paths into a value: where its steps are, if any path goes there.
    fn enter(&mut self, frame: usize, child: &Child<'_>) -> Option<usize> {
        let next = self.alive.len();
        let mut any = false;
        for (index, path) in self.paths.iter().enumerate() {
            let (mut from, mut to) = (self.alive[frame + index], 0_u64);
            while from != 0 {
                let at = from.trailing_zeros() as usize;
                from &= from - 1;
                let Some(step) = path.steps.get(at) else { continue };
                if step.descends {
                    to |= 1 << at;
                }
                if child.is(&step.selector) {
                    to |= 2 << at;
                }
            }
            any |= to != 0;
            self.alive.push(to);
        }
        if !any {
            self.alive.truncate(next);
        }
        any.then_some(next)
    }

    fn leave(&mut self, frame: Option<usize>) {
        if let Some(frame) = frame {
            self.alive.truncate(frame);
        }
    }

    /// RFC 8259 section 7.
    fn string(&mut self) -> Option<()> {
        self.take(b'"')?;
        loop {
            let byte = self.peek()?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => {
                    let escape = self.peek()?;
                    self.at += 1;
                    match escape {
                        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => {}
                        b'u' => {
                            let digits = self.text.as_bytes().get(self.at..self.at + 4)?;
                            if !digits.iter().all(u8::is_ascii_hexdigit) {
                                return None;
                            }
                            self.at += 4;
                        }
                        _ => return None,
                    }
                }
                0..0x20 => return None,
                _ => {}
            }
        }
    }

    fn word(&mut self, word: &str) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    /// RFC 8259 section 6.
    fn number(&mut self) -> Option<()> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if self.take(b'e').or_else(|| self.take(b'E')).is_some() {
            let _ = self.take(b'+').or_else(|| self.take(b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn paths(paths: &[&str]) -> Vec<JsonPath> {
        paths.iter().map(|path| JsonPath::parse(path).unwrap()).collect()
    }

    fn selected<'a>(text: &'a str, of: &[&str]) -> Vec<&'a str> {
        select(text, &paths(of)).expect("it is JSON").into_iter().map(|range| &text[range]).collect()
    }

    const TEXT: &str = r#" { "a" : [ {"b": 1, "c": "x"}, {"b": [2, {"b": null}]}, 3 ], "b": {"c": {}}, "p\u0061ss": "s", "b": -1.5e3 } "#;

    #[test]
    fn paths_select_values() {
        for (path, expected) in [
            ("$", &[TEXT.trim()][..]),
            ("$.b", &[r#"{"c": {}}"#, "-1.5e3"]),
            ("$.b.c", &["{}"]),
            ("$.a[*].b", &["1", r#"[2, {"b": null}]"#]),
            ("$.a[1].b[0]", &["2"]),
            ("$.a[-1]", &["3"]),
            ("$.a[-3].c", &[r#""x""#]),
            ("$.a[3]", &[]),
            ("$.a[-4]", &[]),
            ("$..b", &["1", r#"[2, {"b": null}]"#, r#"{"c": {}}"#, "-1.5e3"]),
            ("$..b..b", &["null"]),
            ("$..[0]", &[r#"{"b": 1, "c": "x"}"#, "2"]),
            ("$.*.c", &["{}"]),
            ("$.pass", &[r#""s""#]),
            ("$.a.b", &[]),
            ("$.b[0]", &[]),
        ] {
            assert_eq!(selected(TEXT, &[path]), expected, "{path}");
        }
        assert_eq!(selected(TEXT, &["$.pass", "$.a[-1]", "$.pass"]), ["3", r#""s""#]);
        assert_eq!(selected(r#"{"a":1,"a":2}"#, &["$.a"]), ["1", "2"]);
        assert_eq!(selected("7", &["$.a", "$..a"]), [""; 0]);
    }

    #[test]
    fn what_is_not_json_is_not_searched() {
        for text in [
            "",
            " ",
            "{",
            r#"{"a"}"#,
            r#"{"a":1,}"#,
            "[1,]",
            "[1 2]",
            "01",
            "1.",
            "-",
            "1e",
            "+1",
            "nul",
            "truex",
            "\"",
            "\"\\x\"",
            "\"\\u12g4\"",
            "\"\n\"",
            "{} {}",
            "{}x",
            "'a'",
            "{a:1}",
            "\u{feff}{}",
            r#"{"a":1"#,
            r#"{"\ud800":1}"#,
            "NaN",
        ] {
            assert_eq!(select(text, &paths(&["$.password"])), None, "{text}");
        }
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(select(&nested(MAX_DEPTH), &paths(&["$..a"])).is_some());
        assert_eq!(select(&nested(MAX_DEPTH + 1), &paths(&["$..a"])), None);
        assert_eq!(select(&nested(1_000_000), &paths(&["$..a"])), None);
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        use serde_json::Value;
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<i16>().prop_map(|quarters| Value::from(f64::from(quarters) / 4.0)),
            "\\PC{0,6}|[\"\\\\\n\u{1}]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]|\\PC{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    /// What a path selects, the plain way.
    fn expected(
        value: &serde_json::Value,
        steps: &[crate::policy::plan::Step],
        found: &mut Vec<*const serde_json::Value>,
    ) {
        let Some((step, rest)) = steps.split_first() else {
            found.push(std::ptr::from_ref(value));
            return;
        };
        let children: Vec<(Child<'_>, &serde_json::Value)> = match value {
            serde_json::Value::Array(values) => {
                let length = values.len();
                values.iter().enumerate().map(|(index, value)| (Child::Element { index, length }, value)).collect()
            }
            serde_json::Value::Object(members) => {
                members.iter().map(|(name, value)| (Child::Member(name), value)).collect()
            }
            _ => Vec::new(),
        };
        for (child, value) in children {
            if child.is(&step.selector) {
                expected(value, rest, found);
            }
            if step.descends {
                expected(value, steps, found);
            }
        }
    }

    /// Which values are selected, the outer ones only, in the order of the text.
    fn outer(value: &serde_json::Value, found: &[*const serde_json::Value], shown: &mut Vec<serde_json::Value>) {
        if found.contains(&std::ptr::from_ref(value)) {
            return shown.push(value.clone());
        }
        match value {
            serde_json::Value::Array(values) => values.iter().for_each(|value| outer(value, found, shown)),
            serde_json::Value::Object(members) => members.values().for_each(|value| outer(value, found, shown)),
            _ => {}
        }
    }

    proptest! {
        #[test]
        fn paths_select_what_the_plain_way_selects(
            value in value(),
            pretty in any::<bool>(),
            path in "\\$(\\.[abc]|\\.\\.[abc]|\\.\\*|\\.\\.\\*|\\[-?[0-2]\\]|\\[\\*\\]){0,4}",
        ) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            let path = JsonPath::parse(&path).unwrap();
            let ranges = select(&text, std::slice::from_ref(&path)).expect("serde_json writes JSON");
            let shown: Vec<serde_json::Value> =
                ranges.into_iter().map(|range| serde_json::from_str(&text[range]).expect("a value is JSON")).collect();
            let (mut found, mut wanted) = (Vec::new(), Vec::new());
            expected(&value, &path.steps, &mut found);
            outer(&value, &found, &mut wanted);
            prop_assert_eq!(shown, wanted);
        }

        /// Whatever serde_json does not read is not read here either, and the other way round within its depth.
        #[test]
        fn what_is_json_is_what_serde_reads(text in "[\\[\\]{}\",:a01.eE+\\-\\\\u tfn]{0,12}|\\PC{0,10}") {
            let ours = select(&text, &[]).is_some();
            let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(ours, theirs, "{}", text);
        }
    }
}
