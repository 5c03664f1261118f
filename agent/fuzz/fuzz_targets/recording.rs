//! Any bytes as a recording: nothing panics, what is read is written and read again as it was, and scrubbing keeps every length.
#![no_main]

use libfuzzer_sys::fuzz_target;
use telltale::{
    admin::Health,
    capture::recording::{ReadError, Reader, Writer, scrub::scrub_twice},
    pipeline::{Pipeline, Settings},
    policy::{Plan, PlanStore, Plans},
    telemetry::{self, Outlets, Recorder, metrics::Metrics},
    workload::Source,
};

fn pipeline() -> Pipeline {
    let settings = telemetry::Settings::default();
    let health = Health::new();
    let metrics = Metrics::with_limit(settings.methods.clone(), 100);
    let plan = Plan::of_signals(true, false, false);
    let outlets = Outlets { metrics: metrics.shard(&plan), ..Outlets::default() };
    let recorder = Recorder::new(settings, Box::new(outlets), &health);
    let plans = PlanStore::new(Plans::everywhere(plan));
    Pipeline::new(Settings { connections: 16, ..Settings::new(&plans, Source::Events) }, recorder, &health)
}

/// Writes every event that can be read, and gives it to a pipeline.
fn rewritten(input: &[u8]) -> Vec<u8> {
    let mut pipeline = pipeline();
    let mut reader = Reader::new("fuzz".to_owned(), input);
    let mut writer = Writer::new(Vec::new());
    while let Some(event) = reader.next_event() {
        match event {
            Ok(event) => {
                writer.write(&event).expect("a vector takes everything");
                pipeline.event(&event);
            }
            Err(ReadError::Line { .. }) => {}
            Err(ReadError::Io { source, .. }) => panic!("a slice was not readable: {source}"),
        }
    }
    pipeline.finish();
    writer.finish().expect("a vector takes everything")
}

fuzz_target!(|input: &[u8]| {
    let once = rewritten(input);
    assert_eq!(rewritten(&once), once);
    let mut scrubbed = Vec::new();
    let open = || Ok(Reader::new("fuzz".to_owned(), input));
    scrub_twice(open, "fuzz", &mut scrubbed, true).expect("broken lines are left out");
    assert_eq!(scrubbed.len(), once.len());
});
