//! `accessLogs.sinks`

use std::{
    path::{Component, Path, PathBuf},
    sync::Arc,
};

use super::Compiler;
use crate::policy::{
    Defaults, Effect, Finding, LogFiles,
    model::{self, SinkKind},
    plan::Receiver,
};

/// The path of OTLP/HTTP for logs.
const OTLP_PATH: &str = "/v1/logs";

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// The agent's standard output, or what `--logs` says.
    Stdout,
    /// A file; below the agent's `--log-dir` if policies are written by tenants.
    File(PathBuf),
    /// OTLP logs to this receiver; without one to the agent's exporter.
    Otlp(Option<Arc<Receiver>>),
}

/// The places that a list names, each once; none is standard output.
pub(super) fn compile(sinks: &[model::Sink], defaults: Defaults, compiler: &mut Compiler<'_>) -> Vec<Sink> {
    if sinks.is_empty() {
        return vec![Sink::Stdout];
    }
    let mut places: Vec<Sink> = Vec::new();
    for sink in sinks {
        let place = match &sink.kind {
            SinkKind::Stdout => Sink::Stdout,
            SinkKind::Otlp(None) => {
                if !defaults.exports.logs {
                    let problem = "nobody takes these lines: neither the sink nor the agent names a receiver";
                    compiler.push(Finding::new(&sink.at, Effect::Message, problem).instead("set endpoint"));
                }
                Sink::Otlp(None)
            }
            SinkKind::Otlp(Some(endpoint)) => {
                match Receiver::of_endpoint(endpoint, OTLP_PATH, compiler.trust, compiler.findings) {
                    Some(receiver) => Sink::Otlp(Some(Arc::new(receiver))),
                    None => continue,
                }
            }
            SinkKind::Audit => {
                // Not a file of another form, which would have to be told from an audit log later.
                let problem =
                    "this version writes no audit log: the lines go to standard output, within its rate limit";
                compiler.push(Finding::new(&sink.at, Effect::Partial, problem));
                if places.contains(&Sink::Stdout) {
                    continue;
                }
                Sink::Stdout
            }
            SinkKind::File(path) => match file(Path::new(path), compiler.trust.log_files) {
                Ok(path) => Sink::File(path),
                Err((problem, remedy)) => {
                    compiler.push(Finding::invalid(&sink.at.field("path"), problem).instead(remedy));
                    continue;
                }
            },
        };
        if places.contains(&place) {
            let finding = Finding::new(&sink.at, Effect::Warning, "this sink is listed already");
            compiler.push(finding.instead("list it once: each line is written there once"));
        } else {
            places.push(place);
        }
    }
    places
}

/// The path of a file as the agent allows it (POLICY.md section 6). A tenant's stays relative: whoever opens it resolves it below the directory, without
/// following a link.
fn file(path: &Path, files: LogFiles) -> Result<PathBuf, (String, String)> {
    let shown = path.display();
    if path.file_name().is_none() {
        return Err((format!("{shown:?} is no path of a file"), "write the path of a file".into()));
    }
    match files {
        LogFiles::Anywhere => Ok(path.to_owned()),
        LogFiles::Nowhere => Err((
            "this agent writes no files for policies".into(),
            "start it with --log-dir, or use another sink".into(),
        )),
        LogFiles::Below => {
            let plain = |component: Component<'_>| matches!(component, Component::Normal(_) | Component::CurDir);
            if path.components().all(plain) {
                Ok(path.components().filter(|component| *component != Component::CurDir).collect())
            } else {
                Err((
                    format!("{shown:?} leads out of the agent's --log-dir"),
                    "write a relative path without `..`".into(),
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Trust, model::FieldPath};

    #[test]
    fn a_tenants_file_stays_below_the_directory() {
        let below = |path: &str| file(Path::new(path), LogFiles::Below).ok();
        assert_eq!(below("a/./b.log"), Some(PathBuf::from("a/b.log")));
        for path in ["/etc/passwd", "../x", "a/../../x", "a/..", "..", ".", "", "/"] {
            assert_eq!(below(path), None, "{path}");
        }
        assert!(file(Path::new("a"), LogFiles::Nowhere).is_err());
        assert_eq!(file(Path::new("/var/log/x"), LogFiles::Anywhere), Ok(PathBuf::from("/var/log/x")));
    }
    #[test]
    fn a_sink_without_a_receiver_is_named() {
        let at = FieldPath::new("spec.accessLogs.sinks").index(0);
        let said = |defaults| {
            let mut findings = Vec::new();
            let trust = Trust::own();
            let mut compiler = Compiler::new(&trust, &mut findings);
            let sinks = compile(&[model::Sink { at: at.clone(), kind: SinkKind::Otlp(None) }], defaults, &mut compiler);
            assert_eq!(sinks, [Sink::Otlp(None)]);
            findings.iter().map(|finding| format!("{:?} {}", finding.effect, finding.field)).collect::<Vec<_>>()
        };
        assert_eq!(said(Defaults::EVERYTHING), Vec::<String>::new());
        assert_eq!(said(Defaults::default()), ["Message spec.accessLogs.sinks[0]"]);
    }
}
