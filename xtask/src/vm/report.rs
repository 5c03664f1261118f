//! What a guest's console says about its tests.

/// The result of one command in a guest.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// The command's exit status; `None` if it did not end.
    pub(crate) status: Option<i32>,
    /// How many tests passed.
    pub(crate) passed: usize,
    /// The names of those that did not.
    pub(crate) failed: Vec<String>,
    /// What the command wrote.
    pub(crate) text: String,
}

/// The kernel's release, as the guest says it.
pub(crate) fn release(console: &str) -> Option<&str> {
    // The firmware leaves escape sequences before it.
    console.lines().find_map(|line| line.split_once("@@kernel ")).map(|(_, release)| release)
}

/// What the command `name` did, from its begin mark to its end mark.
pub(crate) fn outcome(console: &str, name: &str) -> Outcome {
    let mut outcome = Outcome::default();
    let begin = format!("@@begin {name}");
    let mut lines = console.lines().skip_while(|line| *line != begin).skip(1);
    for line in lines.by_ref() {
        // The kernel can write into the middle of a line, so the mark is looked for anywhere in it.
        if let Some((_, rest)) = line.split_once("@@end ") {
            outcome.status = rest.strip_prefix(name).and_then(|status| status.trim().parse().ok());
            break;
        }
        outcome.text.push_str(line);
        outcome.text.push('\n');
        let Some((test, verdict)) = line.strip_prefix("test ").and_then(|line| line.split_once(" ... ")) else {
            continue;
        };
        // Nor is another verdict one of the test: a line of the kernel may stand where it was to be. The status tells whether all passed.
        match verdict.trim() {
            "ok" => outcome.passed += 1,
            verdict if verdict.ends_with("FAILED") => outcome.failed.push(test.to_owned()),
            _ => {}
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::{outcome, release};

    const CONSOLE: &str = "SeaBIOS\n@@kernel 6.1.0\n@@begin socket\ntest a ... ok\ntest b ... FAILED\ntest c ... ignored, why\n\
                           test d ... [    3.1] a line of the kernel\nok\n@@end socket 101\n@@begin syscall\ntest a ... ok\n[ 3.2] Kernel panic";

    #[test]
    fn tests_are_counted_by_command() {
        let socket = outcome(CONSOLE, "socket");
        assert_eq!((socket.status, socket.passed, socket.failed), (Some(101), 1, vec!["b".to_owned()]));
        assert_eq!(release(CONSOLE), Some("6.1.0"));
    }

    #[test]
    fn a_machine_that_died_has_no_status() {
        assert_eq!(outcome(CONSOLE, "syscall").status, None);
        assert_eq!(outcome(CONSOLE, "kprobe").status, None);
    }
}
