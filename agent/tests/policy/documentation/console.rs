//! Every block `console` is what comes out: a line `$ COMMAND`, then its standard output. A line `...` stands for any lines.

use std::{env, path::Path, process::Command};

use super::{blocks, page, root};

const PAGES: &[&str] = &["README.md", "deploy/examples/README.md", "docs/policy.md"];

/// What a command prints, run where the repository is.
fn output(command: &str) -> String {
    let folder = Path::new(env!("CARGO_BIN_EXE_telltale")).parent().unwrap();
    let own = env::var_os("PATH").unwrap_or_default();
    let path = env::join_paths([folder.to_owned()].into_iter().chain(env::split_paths(&own))).unwrap();
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(root())
        .env("PATH", path)
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether lines are those of a page.
fn is(lines: &[&str], expected: &[&str]) -> bool {
    match expected {
        [] => lines.is_empty(),
        ["...", rest @ ..] => (0..=lines.len()).any(|skipped| is(&lines[skipped..], rest)),
        [first, rest @ ..] => lines.first() == Some(first) && is(&lines[1..], rest),
    }
}

#[test]
fn commands_print_what_the_pages_show() {
    for name in PAGES {
        let mut commands = 0;
        for block in blocks(&page(name)).iter().filter(|block| block.has("console")) {
            for part in format!("\n{}", block.text).split("\n$ ").skip(1) {
                let (command, expected) = part.split_once('\n').unwrap_or((part, ""));
                let printed = output(command);
                let lines: Vec<&str> = printed.lines().collect();
                let expected: Vec<&str> = expected.lines().collect();
                assert!(is(&lines, &expected), "{name}: $ {command}\n{printed}");
                // A command that fails prints nothing, which `...` would be content with.
                assert!(!lines.is_empty(), "{name}: $ {command}");
                commands += 1;
            }
        }
        assert!(commands > 0, "{name}");
    }
}
