//! What the pages link to and what they name is there.

use super::{page, root};

const PAGES: &[&str] = &[
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "deploy/examples/README.md",
    "docs/attributes.md",
    "docs/config.md",
    "docs/performance.md",
    "docs/policy.md",
    "docs/recording.md",
];
/// Folders of the root: what begins so is a path.
const FOLDERS: &[&str] = &["agent/", "agent-common/", "agent-ebpf/", "deploy/", "docs/", "xtask/"];

/// What GitHub calls a heading.
fn slug(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn targets(page: &str) -> impl Iterator<Item = &str> {
    page.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target)
}

#[test]
fn links_lead_somewhere() {
    for name in PAGES {
        let text = page(name);
        let folder = root().join(name).parent().unwrap().to_owned();
        for target in targets(&text).filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let linked = if file.is_empty() { root().join(name) } else { folder.join(file) };
            assert!(linked.exists(), "{name} links to {target}");
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&linked).unwrap();
                let mut headings = there.lines().filter_map(|line| line.strip_prefix('#'));
                assert!(
                    headings.any(|heading| slug(heading.trim_start_matches('#')) == anchor),
                    "{name} links to {target}"
                );
            }
        }
    }
}

#[test]
fn paths_that_are_named_are_there() {
    let mut named = 0;
    for name in PAGES {
        let text = page(name);
        // Every second part is between backticks; a block of code is none.
        for token in text.split('`').skip(1).step_by(2) {
            let is_path = FOLDERS.iter().any(|folder| token.starts_with(folder));
            // `a/*.rs` and `a/{b,c}` are more than one.
            if is_path && !token.contains(|c: char| c.is_whitespace() || "*{<".contains(c)) {
                assert!(root().join(token).exists(), "{name} names {token}");
                named += 1;
            }
        }
    }
    assert!(named > 10, "{named}");
}
