//! Any document that is JSON gives what a tree of it would, in whatever pieces it comes.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::Index};
use serde_json::Value as Tree;

use super::{
    super::{Outcome, Paths},
    told,
};

const PATHS: [(&str, u16); 9] = [
    ("a", 1),
    ("a.b", 2),
    ("a.b[]", 3),
    ("*.b.a", 4),
    ("[]", 5),
    ("[].a[].b", 6),
    ("", 7),
    ("b[][]", 8),
    ("é.\"x.y\"", 9),
];

fn name() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[ab]", 1 => Just("é".to_owned()), 1 => Just("x.y".to_owned()), 1 => ".{0,6}"]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::Bool),
        any::<i64>().prop_map(Tree::from),
        (-1e6..1e6_f64).prop_map(Tree::from),
        ".{0,40}".prop_map(Tree::String),
    ];
    leaf.prop_recursive(6, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::Array),
            prop::collection::vec((name(), inner), 0..5)
                .prop_map(|members| Tree::Object(members.into_iter().collect())),
        ]
    })
}

/// A step as the test has it: a member, or any element.
#[derive(Clone, Debug, PartialEq)]
enum At {
    Member(String),
    Element(u32),
}

fn matches(path: &[&str], at: &[At]) -> bool {
    path.len() == at.len()
        && path.iter().zip(at).all(|(step, at)| match at {
            At::Member(name) => *step == "*" || *step == format!("={name}"),
            At::Element(_) => *step == "[]",
        })
}

/// The same by a walk over the tree.
fn expected(tree: &Tree, at: &mut Vec<At>, max_text: usize, lines: &mut String) {
    let steps: [&[&str]; 9] = [
        &["=a"],
        &["=a", "=b"],
        &["=a", "=b", "[]"],
        &["*", "=b", "=a"],
        &["[]"],
        &["[]", "=a", "[]", "=b"],
        &[],
        &["=b", "[]", "[]"],
        &["=é", "=x.y"],
    ];
    for (steps, (_, id)) in steps.iter().zip(PATHS) {
        if matches(steps, at) && !(at.is_empty() && tree.is_number()) {
            write!(lines, "{id}").unwrap();
            for step in at.iter() {
                if let At::Element(index) = step {
                    write!(lines, "[{index}]").unwrap();
                }
            }
            match tree {
                Tree::Null => writeln!(lines, " null"),
                Tree::Bool(value) => writeln!(lines, " {value}"),
                Tree::Number(number) => writeln!(lines, " {number}"),
                Tree::String(text) if text.len() <= max_text => writeln!(lines, " {text:?}"),
                Tree::String(text) => writeln!(lines, " {:?}..", &text[..text.floor_char_boundary(max_text)]),
                Tree::Array(_) => writeln!(lines, " ["),
                Tree::Object(_) => writeln!(lines, " {{"),
            }
            .unwrap();
        }
    }
    let mut enter = |step, tree| {
        at.push(step);
        expected(tree, at, max_text, lines);
        at.pop();
    };
    match tree {
        Tree::Array(elements) => {
            elements.iter().enumerate().for_each(|(index, tree)| enter(At::Element(index as u32), tree));
        }
        Tree::Object(members) => members.iter().for_each(|(name, tree)| enter(At::Member(name.clone()), tree)),
        _ => {}
    }
}

/// JSON with every character of strings escaped, where that is asked for.
fn written(tree: &Tree, pretty: bool, escaped: bool) -> String {
    let text = if pretty { serde_json::to_string_pretty(tree) } else { serde_json::to_string(tree) }.unwrap();
    if !escaped {
        return text;
    }
    let mut units = String::new();
    for character in text.chars() {
        if character.is_ascii() {
            units.push(character);
        } else {
            character.encode_utf16(&mut [0; 2]).iter().for_each(|unit| write!(units, "\\u{unit:04x}").unwrap());
        }
    }
    units
}

fn pieces<'a>(bytes: &'a [u8], cuts: &[Index]) -> Vec<&'a [u8]> {
    let mut places: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_gives_what_its_tree_would(
        tree in tree(),
        pretty in any::<bool>(),
        escaped in any::<bool>(),
        max_text in 0_usize..30,
        cuts in prop::collection::vec(any::<Index>(), 0..8),
    ) {
        prop_assume!(tree.is_array() || tree.is_object() || tree.is_string());
        let document = written(&tree, pretty, escaped);
        let mut lines = String::new();
        expected(&tree, &mut Vec::new(), max_text, &mut lines);
        let paths = Paths::new(&PATHS);
        prop_assert_eq!(told(&paths, max_text, pieces(document.as_bytes(), &cuts)), (lines, Outcome::Whole));
    }

    #[test]
    fn any_segmentation_of_anything_gives_the_same(
        text in "[\\[\\]{}\",:\\\\ ab0-9eu.é-]{0,60}",
        bytes in prop::collection::vec(any::<u8>(), 0..8),
        cuts in prop::collection::vec(any::<Index>(), 0..8),
        max_text in 0_usize..10,
    ) {
        let document = [text.as_bytes(), &bytes].concat();
        let paths = Paths::new(&PATHS);
        let whole = told(&paths, max_text, [&document[..]]);
        prop_assert_eq!(&told(&paths, max_text, pieces(&document, &cuts)), &whole);
        prop_assert_eq!(&told(&paths, max_text, document.chunks(1)), &whole);
    }

    #[test]
    fn a_prefix_tells_a_prefix(tree in tree(), cut in any::<Index>()) {
        prop_assume!(tree.is_array() || tree.is_object());
        let document = written(&tree, false, false);
        let cut = cut.index(document.len());
        let paths = Paths::new(&PATHS);
        let (whole, _) = told(&paths, 100, [document.as_bytes()]);
        let (part, outcome) = told(&paths, 100, [&document.as_bytes()[..cut]]);
        prop_assert_eq!(outcome, Outcome::Cut);
        prop_assert!(whole.starts_with(&part));
    }
}
