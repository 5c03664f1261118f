//! What can be read inside TLS of one process.

use std::{fmt::Write as _, io};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use crate::capture::tls::{
    explain::{Explanation, explain},
    targets::Targets,
};

/// Looks at a process.
///
/// # Errors
/// As [`explain`], in words.
pub(super) fn report(pid: u32, targets: &Targets) -> io::Result<Explanation> {
    explain(pid, targets).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no process {pid}"),
            io::ErrorKind::PermissionDenied => format!("may not look at process {pid}; run it with sudo"),
            _ => format!("cannot look at process {pid}: {error}"),
        };
        io::Error::new(error.kind(), problem)
    })
}

pub(super) fn text(explanation: &Explanation, colour: bool) -> String {
    let Explanation { pid, files, libraries, problems, tells_of_libraries } = explanation;
    let mut text = format!("process {pid}, code of {files} files\n");
    if !libraries.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["LIBRARY", "INSIDE TLS", "FILE", "WHY", "FUNCTIONS", "BUILD"]);
        for library in libraries {
            let (word, tint) = if library.is_read { ("read", Color::Green) } else { ("not read", Color::Yellow) };
            let functions: Vec<_> =
                library.functions.iter().map(|(symbol, offset)| format!("{symbol}+{offset:#x}")).collect();
            table.add_row([
                Cell::new(&library.library),
                if colour { Cell::new(word).fg(tint) } else { Cell::new(word) },
                Cell::new(library.path.display()),
                Cell::new(&library.why),
                Cell::new(functions.join(" ")),
                Cell::new(library.build_id.as_deref().unwrap_or("none")),
            ]);
        }
        let _ = write!(text, "\n{}\n", table.trim_fmt());
    }
    for problem in problems {
        let _ = writeln!(text, "\ncannot look into {problem}");
    }
    let verdict = match (libraries.iter().any(|library| library.is_read), libraries.is_empty(), tells_of_libraries) {
        (true, ..) => "What this process sends and receives by these libraries is read inside TLS.",
        (false, true, true) => "No TLS library yet. One that it loads later is found then.",
        (false, true, false) => "No TLS library. It has no dynamic linker that would tell of others.",
        (false, false, _) => {
            "What this process sends and receives inside TLS is not read: names of servers, volumes and durations are told."
        }
    };
    text + "\n" + verdict + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tls::explain::Explained;

    #[test]
    fn the_report_says_what_is_read_and_why_not() {
        let library = |library: &str, is_read: bool| Explained {
            path: "/usr/lib/libssl.so.3".into(),
            library: library.to_owned(),
            is_read,
            why: "found by exported symbols".to_owned(),
            functions: vec![("SSL_read", 0x1234)],
            build_id: None,
        };
        let mut explanation = Explanation { pid: 7, files: 3, tells_of_libraries: true, ..Explanation::default() };
        assert!(text(&explanation, false).contains("found then"));
        explanation.libraries.push(library("rustls", false));
        assert!(text(&explanation, false).contains("is not read"));
        explanation.libraries.push(library("openssl", true));
        let text = text(&explanation, false);
        assert!(text.contains("SSL_read+0x1234") && text.contains("is read inside TLS"), "{text}");
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = report(u32::MAX, &Targets::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no process {}", u32::MAX));
    }
}
