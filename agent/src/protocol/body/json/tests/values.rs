//! Documents by hand.

use std::fmt::Write as _;

use super::{
    super::{Found, MAX_BRIEF, MAX_NUMBER, Outcome, Paths, Scanner, Take, Value},
    told,
};

/// As a whole, byte by byte, and in two pieces cut anywhere: the same.
#[track_caller]
fn check(paths: &[(&str, u16)], document: impl AsRef<[u8]>, expected: &str, outcome: Outcome) {
    let paths = Paths::new(paths);
    let document = document.as_ref();
    let expected = (expected.to_owned(), outcome);
    assert_eq!(told(&paths, 16, [document]), expected);
    assert_eq!(told(&paths, 16, document.chunks(1)), expected, "byte by byte");
    for cut in 0..document.len() {
        let (before, after) = document.split_at(cut);
        assert_eq!(told(&paths, 16, [before, after]), expected, "cut at {cut}");
    }
}

#[test]
fn values_at_paths_are_told_in_order_with_their_indices() {
    let paths = [
        ("model", 1),
        ("choices[].finish_reason", 2),
        ("choices[].message.tool_calls[].function.name", 3),
        ("usage.prompt_tokens", 4),
        ("usage", 5),
        ("choices", 6),
        ("stream", 7),
    ];
    let document = r#" {"id":"x","choices":[{"message":{"content":"{\"model\":1}","tool_calls":[{"function":{"name":"f"}},
        {"function":{"arguments":"[","name":"g"}}]},"finish_reason":"stop"},{"finish_reason":null}],"other":{"model":[{}]},
        "model":"m/1:2", "stream": false,"usage":{"prompt_tokens":12,"total":{"a":[]}}} "#;
    check(
        &paths,
        document,
        "6 [\n3[0][0] \"f\"\n3[0][1] \"g\"\n2[0] \"stop\"\n2[1] null\n1 \"m/1:2\"\n7 false\n5 {\n4 12\n",
        Outcome::Whole,
    );
}

#[test]
fn a_path_may_name_any_member_any_element_a_quoted_name_or_the_document() {
    let document = r#"{"a":{"x.y":1,"b":2},"c":{"b":[3,[4]]},"*":5}"#;
    check(&[("*.b", 1)], document, "1 2\n1 [\n", Outcome::Whole);
    check(&[("*.b", 1), ("a.b", 2), ("a", 3)], document, "3 {\n1 2\n2 2\n1 [\n", Outcome::Whole);
    check(&[("a.\"x.y\"", 1), ("\"*\"", 2)], document, "1 1\n2 5\n", Outcome::Whole);
    check(&[("c.b[]", 1), ("c.b[][]", 2)], document, "1[0] 3\n1[1] [\n2[1][0] 4\n", Outcome::Whole);
    check(&[("", 1), ("*", 2)], "[]", "1 [\n", Outcome::Whole);
    check(&[("", 1), ("[].a", 2)], r#"[{"a":0},7,{"a":-1}]"#, "1 [\n2[0] 0\n2[2] -1\n", Outcome::Whole);
    check(&[("", 1)], "\"t\"", "1 \"t\"\n", Outcome::Whole);
    check(&[], document, "", Outcome::Whole);
}

#[test]
fn one_path_may_have_several_numbers_and_a_name_may_come_twice() {
    check(&[("a", 1), ("a", 2), ("b", 1)], r#"{"a":1,"b":2,"a":3}"#, "1 1\n2 1\n1 2\n1 3\n2 3\n", Outcome::Whole);
}

#[test]
fn texts_come_without_escapes() {
    for (written, text) in [
        (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
        (r#""\u0041\u00e9\u20AC""#, "Aé€"),
        (r#""\ud83d\ude00!""#, "😀!"),
        (r#""\ud83d""#, "\u{fffd}"),
        (r#""\ud83dx""#, "\u{fffd}x"),
        (r#""\ud83d\n""#, "\u{fffd}\n"),
        (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
        (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
        (r#""\ud83d\u0041""#, "\u{fffd}A"),
        (r#""\\\\\"\\""#, "\\\\\"\\"),
        ("\"a\nb\"", "a\nb"),
        ("\"\"", ""),
    ] {
        check(&[("a", 1)], format!(r#"{{"a":{written}}}"#), &format!("1 {text:?}\n"), Outcome::Whole);
        check(&[("b", 1)], format!(r#"{{"a":{written},"b":2}}"#), "1 2\n", Outcome::Whole);
        check(&[("b", 1)], format!(r#"{{"a":{{{written}:[{written}]}},"b":2}}"#), "1 2\n", Outcome::Whole);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_replaced() {
    check(&[("a", 1)], b"{\"a\":\"x\xff\xe2\x82y\xe2\"}", "1 \"x\u{fffd}\u{fffd}y\u{fffd}\"\n", Outcome::Whole);
    check(&[("a", 1)], b"{\"\xff\":1,\"a\":2}", "1 2\n", Outcome::Whole);
}

#[test]
fn names_are_compared_without_escapes() {
    check(&[("model", 1)], r#"{"m\u006fdel":1,"\\model":2,"model\u0000":3}"#, "1 1\n", Outcome::Whole);
    check(
        &[("a.b", 1), ("*.c", 2)],
        r#"{"a very long name":{"c":1,"b":2},"\u0061":{"c":3,"b":4}}"#,
        "2 1\n2 3\n1 4\n",
        Outcome::Whole,
    );
}

#[test]
fn long_texts_are_cut_between_characters() {
    check(&[("a", 1)], r#"{"a":"0123456789abcdef"}"#, "1 \"0123456789abcdef\"\n", Outcome::Whole);
    check(&[("a", 1)], r#"{"a":"0123456789abcdefg"}"#, "1 \"0123456789abcdef\"..\n", Outcome::Whole);
    check(&[("a", 1)], r#"{"a":"0123456789abcd€"}"#, "1 \"0123456789abcd\"..\n", Outcome::Whole);
    check(&[("a", 1)], r#"{"a":"0123456789abcd\u20ac\"\\"}"#, "1 \"0123456789abcd\"..\n", Outcome::Whole);
    check(&[("a", 1)], b"{\"a\":\"0123456789\xff\xff\xff\"}", "1 \"0123456789\u{fffd}\u{fffd}\"..\n", Outcome::Whole);
}

#[test]
fn numbers_come_as_they_are_written() {
    let document = "{\"a\":[0,-1,1.50,1e3,-2.5E-7,12345678901234567890,007,NaN,-Infinity]}";
    let expected = "1[0] 0\n1[1] -1\n1[2] 1.50\n1[3] 1e3\n1[4] -2.5E-7\n1[5] 12345678901234567890\n1[6] 007\n";
    check(&[("a[]", 1)], document, expected, Outcome::Whole);
    let (longest, longer) = ("1".repeat(MAX_NUMBER), "1".repeat(MAX_NUMBER + 1));
    check(&[("a", 1)], format!("{{\"a\":{longest},\"a\":{longer}}}"), &format!("1 {longest}\n"), Outcome::Whole);
    check(&[("", 1)], "12", "", Outcome::Whole);
}

#[test]
fn numbers_are_converted_only_where_nothing_is_lost() {
    let number = |text| Value::Number(text);
    assert_eq!(number("5.0").as_u64(), Some(5));
    assert_eq!(number("1e3").as_i64(), Some(1000));
    assert_eq!(number("-3").as_i64(), Some(-3));
    assert_eq!(number("-3").as_u64(), None);
    assert_eq!(number("-0.0").as_u64(), Some(0));
    assert_eq!(number("1.5").as_i64(), None);
    assert_eq!(number("18446744073709551615").as_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!(number("1e300").as_i64(), None);
    assert_eq!(number("0.25").as_f64(), Some(0.25));
    assert_eq!(number("1e999").as_f64(), None);
    assert_eq!(Value::Null.as_f64(), None);
    assert_eq!(Value::Text { text: "5", cut: false }.as_i64(), None);
}

#[test]
fn what_is_cut_tells_what_was_complete() {
    let paths = [("a", 1), ("b.c", 2), ("b.d", 3)];
    for (document, expected) in [
        ("", ""),
        ("  ", ""),
        ("{", ""),
        ("{\"a\":\"x", ""),
        ("{\"a\":1", ""),
        ("{\"a\":\"x\\", ""),
        ("{\"a\":1,\"b\":{\"c\":true,\"d\":fals", "1 1\n2 true\n"),
        ("{\"x\":{\"y\":[\"z", ""),
    ] {
        check(&paths, document, expected, Outcome::Cut);
    }
}

#[test]
fn what_is_no_json_is_bad_from_there_on() {
    let paths = [("a", 1), ("b.c[]", 2)];
    for (document, expected) in [
        ("hello", ""),
        ("<html>", ""),
        ("{a:1}", ""),
        ("{\"a\":1,}", "1 1\n"),
        ("{\"a\" 1}", ""),
        ("{\"a\":}", ""),
        ("{\"a\":1 \"b\":2}", "1 1\n"),
        ("{\"a\":1}}", "1 1\n"),
        ("{\"a\":1]", "1 1\n"),
        ("{\"a\":\"\\x\"}", ""),
        ("{\"a\":\"\\u00g0\"}", ""),
        ("{\"a\":1-2}", ""),
        ("{\"a\":.5}", ""),
        ("{\"a\":tru}", ""),
        ("{\"b\":{\"c\":[1,]}}", "2[0] 1\n"),
        ("{\"b\":{\"c\":[1}}", "2[0] 1\n"),
        ("{\"x\":[{]}", ""),
        ("{} {}", ""),
        ("[DONE] ", ""),
        ("\u{feff}\u{feff}{}", ""),
    ] {
        if document == "[DONE] " {
            // Nothing of its elements is wanted, so that they are not looked at.
            check(&paths, document, expected, Outcome::Whole);
            check(&[("[]", 1)], document, expected, Outcome::Bad);
        } else {
            check(&paths, document, expected, Outcome::Bad);
        }
    }
}

#[test]
fn a_byte_order_mark_is_let_through() {
    check(&[("a", 1)], "\u{feff}{\"a\":1}", "1 1\n", Outcome::Whole);
    check(&[("a", 1)], "\u{feff}", "", Outcome::Cut);
    check(&[("a", 1)], b"\xef{\"a\":1}", "", Outcome::Bad);
}

#[test]
fn nesting_costs_nothing_and_ends_where_it_ends() {
    let paths = Paths::new(&[("a.a.a", 1), ("z", 2)]);
    for depth in [3, 63, 64, 65, 200_000] {
        let deep = format!("{{\"a\":{}{}{},\"z\":1}}", "{\"a\":".repeat(depth), "[[]]", "}".repeat(depth));
        let (lines, outcome) = told(&paths, 16, deep.as_bytes().chunks(1000));
        assert_eq!((lines.as_str(), outcome), ("1 {\n2 1\n", Outcome::Whole));
    }
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let paths = Paths::new(&[("a", 1), ("b[][].c", 2)]);
    for piece in ["[", "{\"a\":", "{\"b\":[[", "1", "\"", "\\u00", "{\"a\":\"xxxxxxxxxxxx"] {
        let mut scanner = Scanner::new(&paths, 1000);
        for start in ["", "{\"a\":\"", "{\"a\":", "{\"", "{\"b\":["] {
            scanner.push(start.as_bytes(), &mut |_: u16, _: &[u32], _: Value<'_>| ());
            for _ in 0..20_000 {
                scanner.push(piece.as_bytes(), &mut |_: u16, _: &[u32], _: Value<'_>| ());
                assert!(scanner.held() < 8192);
            }
            scanner.end();
        }
    }
}

/// As [`told`], with what is wanted as it is written.
fn taken<'b>(paths: &Paths, most: usize, pieces: impl IntoIterator<Item = &'b [u8]>) -> (String, Outcome) {
    struct Taken(String);
    impl Found for Taken {
        fn found(&mut self, path: u16, _: &[u32], value: Value<'_>) {
            if let Value::Text { text, cut } = value {
                let _ = writeln!(self.0, "{path} {text}{}", if cut { ".." } else { "" });
            }
        }

        fn json(&mut self, path: u16, at: &[u32], json: &str, cut: bool) {
            let _ = writeln!(self.0, "{path} {at:?} {json}{}", if cut { ".." } else { "" });
        }
    }
    let (mut scanner, mut taken) = (Scanner::new(paths, most), Taken(String::new()));
    pieces.into_iter().for_each(|piece| scanner.push(piece, &mut taken));
    let outcome = scanner.end();
    (taken.0, outcome)
}

#[test]
fn objects_and_arrays_are_given_as_they_are_written() {
    let paths = Paths::taking([
        ("a", 1, Take::Json),
        ("a.b", 2, Take::Value),
        ("c[].d", 3, Take::Json),
        ("e", 4, Take::Value),
        ("a", 5, Take::Value),
    ]);
    let document = r#"{"a": {"b":"x", "\"}": [1,{}]} ,"c":[{"d":[ {"y":"]é"} ]},{"d":"text"},{"d":7}],"e":"z","a":{}}"#;
    let expected = "1 [] {\"b\":\"x\", \"\\\"}\": [1,{}]}\n5 [] {\"b\":\"x\", \"\\\"}\": [1,{}]}\n3 [0] [ {\"y\":\"]é\"} ]\n3 text\n4 z\n1 [] {}\n5 [] {}\n";
    let expected = (expected.to_owned(), Outcome::Whole);
    let document = document.as_bytes();
    assert_eq!(taken(&paths, 64, [document]), expected);
    assert_eq!(taken(&paths, 64, document.chunks(1)), expected, "byte by byte");
    for cut in 0..document.len() {
        let (before, after) = document.split_at(cut);
        assert_eq!(taken(&paths, 64, [before, after]), expected, "cut at {cut}");
    }
    let short = taken(&paths, 5, [document]);
    assert!(short.0.starts_with("1 [] {\"b\":..\n"), "{}", short.0);
    assert_eq!(taken(&paths, 5, document.chunks(1)), short);
    assert_eq!(taken(&paths, 64, [&document[..20]]), (String::new(), Outcome::Cut));
    assert_eq!(taken(&paths, 64, [&b"{\"a\":{]}"[..]]), (String::new(), Outcome::Bad));
}

#[test]
fn of_what_is_wanted_in_brief_the_beginning_is_given() {
    let paths = Paths::taking([("a", 1, Take::Brief), ("b", 2, Take::Value)]);
    let long = "x".repeat(MAX_BRIEF + 1);
    let document = format!(r#"{{"a":"{long}","b":"{long}"}}"#);
    let expected = format!("1 {}..\n2 {long}\n", &long[1..]);
    assert_eq!(taken(&paths, 1 << 20, [document.as_bytes()]), (expected.clone(), Outcome::Whole));
    assert_eq!(taken(&paths, 1 << 20, document.as_bytes().chunks(7)), (expected, Outcome::Whole));
}
