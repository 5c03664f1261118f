//! Inputs of the corpus, damaged: whatever is wrong is said with a line that the file has, and every policy that is found gets one status.

use proptest::prelude::*;
use telltale::{
    config::{Author, Config},
    policy::{
        Compiled, Defaults, Setting, Trust,
        attachment::Subject,
        document::{Documents, Problem, Source, to_yaml},
        explain::{explain, to_text},
        status::{MAX_ANCESTORS, NOT_OBSERVED, merge, statuses},
        validation,
    },
};

/// As the fuzz target `policy`.
fn check(bytes: &[u8]) -> Result<(), TestCaseError> {
    let documents = Documents::read(&[Source::new("damaged.yaml", bytes)]);
    // YAML also ends a line at a carriage return.
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u32;
    for problem in &documents.problems {
        prop_assert!(
            (1..=lines).contains(&problem.line),
            "{} of {}: {:?}",
            problem,
            lines,
            String::from_utf8_lossy(bytes)
        );
    }
    let candidates = validation::candidates(&documents);
    let setting = Setting { defaults: Defaults::EVERYTHING, trust: Trust::tenant() };
    let compiled = Compiled::new(candidates, documents.objects, &setting, None);
    let Compiled { candidates, resolution, objects, .. } = &compiled;
    for (document, candidate) in documents.policies.iter().zip(candidates) {
        for finding in &candidate.findings {
            prop_assert!((1..=lines).contains(&document.line_of(&finding.field)), "{}", finding);
        }
        prop_assert!(document.policy.is_some() || !candidate.is_valid(), "{} is refused without a word", document);
        let namespace = Subject::Namespace(document.key.namespace.clone());
        let explanation = explain(&compiled, &namespace);
        prop_assert!(explanation.policies.iter().filter(|policy| policy.applies).count() <= 1);
        prop_assert!(!to_text(&explanation, &|_, text| text.to_owned()).is_empty());
    }
    let statuses = statuses(candidates, objects, resolution, None, NOT_OBSERVED);
    for (document, status) in documents.policies.iter().zip(&statuses) {
        prop_assert!((1..=MAX_ANCESTORS).contains(&status.ancestors.len()));
        let existing = document.value.get("status");
        if let Some(written) = merge(&document.key, existing, status).status {
            prop_assert_eq!(merge(&document.key, Some(&written), status).status, None);
            prop_assert!(!to_yaml(&written).is_empty());
        }
    }
    Ok(())
}

/// As the fuzz target `config`.
fn check_config(bytes: &[u8]) -> Result<(), TestCaseError> {
    // YAML also ends a line at a carriage return.
    let lines = bytes.split(|byte| matches!(byte, b'\n' | b'\r')).count() as u32;
    let has_lines = |problems: &[Problem]| {
        problems.iter().all(|problem| (1..=lines).contains(&problem.line) && !problem.problem.is_empty())
    };
    let config = match Config::read(&Source::new("damaged.yaml", bytes)) {
        Ok(config) => config,
        Err(error) => {
            prop_assert!(!error.0.is_empty() && has_lines(&error.0), "{:?}", error.0);
            return Ok(());
        }
    };
    for author in [Author::Operator, Author::Tenant] {
        let defaults = Defaults::EVERYTHING;
        let said = config.fallback(&Setting { defaults, trust: config.trust(author, false) });
        let problems = said.map_or_else(|errors| errors, |(_, warnings)| warnings);
        prop_assert!(has_lines(&problems), "{:?}", problems);
    }
    Ok(())
}

/// A configuration with every key: the example of the page.
fn whole_config() -> String {
    let page = include_str!("../../../docs/config.md");
    let (_, example) = page.split_once("## Example\n\n```yaml\n").unwrap();
    example.split_once("```").unwrap().0.to_owned()
}

/// How one line is damaged.
#[derive(Clone, Debug)]
enum Damage {
    Removed,
    Doubled,
    SwappedWithNext,
    Indented,
    Replaced(Vec<u8>),
}

fn damage() -> impl Strategy<Value = Damage> {
    let words = vec![
        "- ",
        "{",
        "[]",
        "null",
        "\t",
        "key: &a *a",
        "? ",
        "!!binary x",
        "---",
        "spec: 5",
        "\u{feff}",
        "a: 1\na: 2",
        "|",
        "\"\\",
    ];
    prop_oneof![
        Just(Damage::Removed),
        Just(Damage::Doubled),
        Just(Damage::SwappedWithNext),
        Just(Damage::Indented),
        prop::sample::select(words).prop_map(|word| Damage::Replaced(word.as_bytes().to_vec())),
        prop::collection::vec(any::<u8>(), 0..12).prop_map(Damage::Replaced),
    ]
}

fn damaged(input: &[u8], damages: &[(prop::sample::Index, Damage)]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    for (index, damage) in damages {
        if lines.is_empty() {
            break;
        }
        let at = index.index(lines.len());
        match damage {
            Damage::Removed => {
                lines.remove(at);
            }
            Damage::Doubled => lines.insert(at, lines[at].clone()),
            Damage::SwappedWithNext => {
                let next = (at + 1) % lines.len();
                lines.swap(at, next);
            }
            Damage::Indented => lines[at].insert(0, b' '),
            Damage::Replaced(bytes) => lines[at].clone_from(bytes),
        }
    }
    lines.join(&b'\n')
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn damaged_inputs_are_read_as_far_as_they_go(
        case in any::<prop::sample::Index>(),
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..4),
    ) {
        let cases = super::cases();
        let input = std::fs::read(cases[case.index(cases.len())].join("input.yaml")).unwrap();
        check(&damaged(&input, &damages))?;
    }

    #[test]
    fn a_damaged_configuration_is_refused_or_read(
        damages in prop::collection::vec((any::<prop::sample::Index>(), damage()), 0..4),
    ) {
        check_config(&damaged(whole_config().as_bytes(), &damages))?;
    }
}
