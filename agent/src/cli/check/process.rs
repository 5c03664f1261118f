//! What can be read inside TLS of one process.

use std::{fmt::Write as _, io};

use comfy_table::{Cell, Color, ContentArrangement, Table, presets};

use serde::Serialize;

use crate::capture::{
    kernel::capability::{Capability, Status},
    tls::{
        capability::capability,
        explain::{Explanation, explain},
        targets::Targets,
    },
};

/// What can be read inside TLS of a process, as far as it and this machine decide that. Policies and options decide, too.
#[derive(Debug, Serialize)]
pub(super) struct ProcessReport {
    /// What is in the process.
    #[serde(flatten)]
    explanation: Explanation,
    /// Whether this machine lets a probe be attached; tried where there is something to attach to.
    #[serde(skip_serializing_if = "Option::is_none")]
    inside_tls: Option<Capability>,
}

impl ProcessReport {
    fn is_recognised(&self) -> bool {
        self.explanation.libraries.iter().any(|library| library.is_recognised)
    }

    /// Why nothing is read although there is a library that could be.
    fn refusal(&self) -> Option<&Capability> {
        self.inside_tls.as_ref().filter(|capability| capability.status != Status::Ok)
    }

    /// Whether anything inside TLS can be read.
    pub(super) fn can_be_read(&self) -> bool {
        self.is_recognised() && self.refusal().is_none()
    }
}

/// Looks at a process, and tries a probe if there is something to read.
///
/// # Errors
/// There is no such process, or this one may not look at it, in words.
pub(super) fn report(pid: u32, targets: &Targets) -> io::Result<ProcessReport> {
    let explanation = look(pid, targets)?;
    let mut report = ProcessReport { explanation, inside_tls: None };
    report.inside_tls = report.is_recognised().then(capability);
    Ok(report)
}

fn look(pid: u32, targets: &Targets) -> io::Result<Explanation> {
    explain(pid, targets).map_err(|error| {
        let problem = match error.kind() {
            io::ErrorKind::NotFound => format!("there is no process {pid}"),
            io::ErrorKind::PermissionDenied => format!("may not look at process {pid}; run it with sudo"),
            _ => format!("cannot look at process {pid}: {error}"),
        };
        io::Error::new(error.kind(), problem)
    })
}

pub(super) fn text(report: &ProcessReport, colour: bool) -> String {
    let Explanation { pid, files, libraries, problems, tells_of_libraries } = &report.explanation;
    let mut text = format!("process {pid}, code of {files} files\n");
    if !libraries.is_empty() {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["LIBRARY", "INSIDE TLS", "FILE", "WHY", "FUNCTIONS", "BUILD"]);
        for library in libraries {
            let (word, tint) = match (library.is_recognised, report.refusal()) {
                (true, None) => ("can be read", Color::Green),
                (true, Some(_)) => ("recognised", Color::Yellow),
                (false, _) => ("not read", Color::Yellow),
            };
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
    if report.is_recognised()
        && let Some(refusal) = report.refusal()
    {
        let _ = writeln!(text, "\nNothing inside TLS can be read on this machine: {}", refusal.found);
        if let Some(mend) = &refusal.mend {
            let _ = writeln!(text, "  {mend}");
        }
        return text;
    }
    let verdict = match (report.is_recognised(), libraries.is_empty(), tells_of_libraries) {
        (true, ..) => {
            "What this process sends and receives by these libraries can be read inside TLS, where it is in scope and neither --no-tls nor a policy \
             says otherwise."
        }
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
    fn the_report_says_what_can_be_read_and_why_not() {
        let library = |library: &str, is_recognised: bool| Explained {
            path: "/usr/lib/libssl.so.3".into(),
            library: library.to_owned(),
            is_recognised,
            why: "found by exported symbols".to_owned(),
            functions: vec![("SSL_read", 0x1234)],
            build_id: None,
        };
        let explanation = Explanation { pid: 7, files: 3, tells_of_libraries: true, ..Explanation::default() };
        let mut report = ProcessReport { explanation, inside_tls: None };
        assert!(text(&report, false).contains("found then") && !report.can_be_read());
        report.explanation.libraries.push(library("rustls", false));
        assert!(text(&report, false).contains("is not read") && !report.can_be_read());
        report.explanation.libraries.push(library("openssl", true));
        report.inside_tls = Some(Capability::new("inside TLS", Status::Ok, "a probe", "works"));
        let works = text(&report, false);
        assert!(works.contains("SSL_read+0x1234") && works.contains("can be read inside TLS"), "{works}");
        assert!(report.can_be_read());
        // What is recognised is of no use where the machine refuses probes.
        report.inside_tls =
            Some(Capability::new("inside TLS", Status::Missing, "a probe", "EACCES").mend("give it SYS_ADMIN"));
        let refused = text(&report, false);
        assert!(refused.contains("EACCES") && refused.contains("give it SYS_ADMIN"), "{refused}");
        assert!(!refused.contains("can be read inside TLS") && !report.can_be_read());
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["pid"], &json["inside_tls"]["status"]), (&7.into(), &"missing".into()));
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = report(u32::MAX, &Targets::default()).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no process {}", u32::MAX));
    }
}
