//! `telltale replay`: recordings -> outputs, without kernel and root.

use std::{
    fs,
    io::{BufWriter, IsTerminal as _, Write},
    path::Path,
    sync::Arc,
};

use anyhow::{Context as _, anyhow};

use super::{
    args::{Out, ReplayArgs},
    config,
    exit::{Exit, Failure},
    outputs::Outputs,
    report,
};
use crate::{
    capture::{
        EventKind,
        recording::{ReadError, Reader, create, scrub},
    },
    pipeline::{self, Pipeline},
    telemetry::summary::Summary,
    workload::Source,
};

/// Runs the verb.
///
/// # Errors
/// A recording or an output that cannot be opened, a broken line without `--keep-going`, flags that do not go together.
pub(super) fn replay(args: &ReplayArgs, show_summary: bool) -> Result<Exit, Failure> {
    // What is secret is known before anything is read.
    let config = config::load(args.config.as_deref())?;
    let mut output = args.output.clone();
    if let Some(out) = &args.scrub {
        scrub_recording(args, out)?;
        if output.given().next().is_none() {
            return Ok(Exit::Done);
        }
    } else if output.given().next().is_none() {
        output.logs = Some(Out::Stdout);
    }
    // Before any output is created: a mistyped name must not empty the files of an earlier replay.
    let mut readers = Vec::new();
    for path in &args.recordings {
        readers.push(Reader::open(path).map_err(anyhow::Error::from)?);
        for (flag, out) in output.given() {
            refuse_overwriting(path, flag, out)?;
        }
    }
    let outputs = Outputs::for_replay(&output, args, &config)?;
    let settings = pipeline::Settings {
        providers: Arc::clone(&outputs.providers),
        tree: args.tree,
        ..pipeline::Settings::new(&outputs.plans, Source::Events)
    };
    let health = outputs.health.clone();
    let mut pipeline = Pipeline::new(settings, outputs.recorder(), &health);
    let mut summary = Summary::default();
    let mut skipped = 0_u64;
    let mut failure = None;
    for mut reader in readers {
        failure = feed(&mut reader, &mut pipeline, (args.keep_going, args.as_pod.as_deref()), &mut skipped).err();
        // Connection numbers are those of one recording.
        summary.merge(&pipeline.finish());
        if failure.is_some() {
            break;
        }
    }
    drop(pipeline);
    // What was read before a broken line is written all the same.
    let exit = outputs.finish()?;
    if let Some(error) = failure {
        return Err(Failure::Failed(error.into()));
    }
    if skipped > 0 {
        tracing::warn!("{} left out", count(skipped, "broken line"));
    }
    let losses = show_summary.then(|| report::losses(&health));
    eprint!("{}", summary.render_all(std::io::stderr().is_terminal(), losses.as_deref()));
    Ok(exit)
}

/// Gives every event of a recording to the pipeline.
fn feed<R: std::io::BufRead>(
    reader: &mut Reader<R>,
    pipeline: &mut Pipeline,
    (keep_going, as_pod): (bool, Option<&str>),
    skipped: &mut u64,
) -> Result<(), ReadError> {
    while let Some(event) = reader.next_event() {
        match event {
            Ok(mut event) => {
                if let EventKind::Open(open) = &mut event.kind
                    && open.pod.is_none()
                {
                    open.pod = as_pod.map(str::to_owned);
                }
                pipeline.event(&event);
                // A replay copies what the recording has.
                pipeline.take_skips().for_each(drop);
            }
            Err(error @ ReadError::Line { .. }) if keep_going => {
                *skipped += 1;
                tracing::warn!("left out: {error}");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn scrub_recording(args: &ReplayArgs, out: &Out) -> Result<(), Failure> {
    let [recording] = args.recordings.as_slice() else {
        return Err(Failure::Usage("--scrub takes one RECORDING".to_owned()));
    };
    if let Some((flag, other)) = args.output.given().find(|(_, other)| *other == out) {
        return Err(Failure::Usage(format!("--scrub and {flag} both write to {other}")));
    }
    // First, so that a recording that is not there leaves no empty file behind.
    drop(Reader::open(recording).map_err(anyhow::Error::from)?);
    refuse_overwriting(recording, "--scrub", out)?;
    let writer: Box<dyn Write> = match out {
        Out::Stdout => Box::new(std::io::stdout()),
        Out::File(path) => Box::new(create(path).with_context(|| format!("cannot create {}", path.display()))?),
    };
    let report = scrub::scrub(recording, BufWriter::new(writer), args.keep_going).map_err(anyhow::Error::from)?;
    tracing::info!("{} written to {out}, {} overwritten", count(report.lines, "line"), count(report.bytes, "byte"));
    if report.skipped > 0 {
        tracing::warn!("{} left out", count(report.skipped, "broken line"));
    }
    if report.http2_connections > 0 {
        tracing::warn!("{} overwritten whole", count(report.http2_connections, "HTTP/2 connection"));
    }
    if report.coded_bodies > 0 {
        tracing::warn!("{} not searched for secrets", count(report.coded_bodies, "coded body"));
    }
    Ok(())
}

/// An output that is the recording would empty it.
fn refuse_overwriting(recording: &Path, flag: &str, out: &Out) -> Result<(), Failure> {
    let Out::File(path) = out else { return Ok(()) };
    if let (Ok(from), Ok(to)) = (fs::canonicalize(recording), fs::canonicalize(path))
        && from == to
    {
        return Err(anyhow!("{flag} would overwrite the recording {}", recording.display()).into());
    }
    Ok(())
}

/// A number and its noun.
fn count(number: u64, noun: &str) -> String {
    match (number, noun.strip_suffix('y')) {
        (1, _) => format!("1 {noun}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        _ => format!("{number} {noun}s"),
    }
}
