//! Any bytes as JSON: any segmentation tells the same values, and what another parser takes is whole, with the values that it sees.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use telltale::protocol::body::json::{MAX_NUMBER, Outcome, Paths, Scanner, Value};

static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    Paths::new(&[("a", 1), ("a.b", 2), ("a[]", 3), ("*.b", 4), ("[].a", 5), ("", 6), ("a[].b[]", 7), ("\"x.y\"", 8)])
});

/// What is told of a document in pieces of so many bytes.
fn told(document: &[u8], size: usize, max_text: usize) -> (Vec<(u16, Vec<u32>, String)>, Outcome) {
    let mut scanner = Scanner::new(&PATHS, max_text);
    let mut told = Vec::new();
    for piece in document.chunks(size.max(1)) {
        scanner.push(piece, &mut |path: u16, at: &[u32], value: Value<'_>| {
            if let Value::Text { text, .. } = value {
                assert!(text.len() <= max_text);
            }
            told.push((path, at.to_vec(), format!("{value:?}")));
        });
        assert!(scanner.held() < 16 * 1024 + 4 * max_text);
    }
    (told, scanner.end())
}

// Input: one byte of the size of pieces, one of the longest text, and the document.
fuzz_target!(|input: &[u8]| {
    let [size, max_text, document @ ..] = input else { return };
    let max_text = usize::from(*max_text);
    let whole = told(document, usize::MAX, max_text);
    assert_eq!(told(document, usize::from(*size), max_text), whole);
    assert_eq!(told(document, 1, max_text), whole);
    if document.len() <= MAX_NUMBER
        && let Ok(tree) = serde_json::from_slice::<serde_json::Value>(document)
    {
        assert_eq!(whole.1, Outcome::Whole);
        let a = tree.get("a");
        let seen = whole.0.iter().rfind(|(path, ..)| *path == 1);
        // The last of a name counts there, as it does here if it is looked for from behind.
        assert_eq!(
            a.is_some() && a.is_some_and(|a| !a.is_number()),
            seen.is_some_and(|(_, _, value)| !value.starts_with("Number"))
        );
    }
});
