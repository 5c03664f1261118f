//! Times to the first chunk against the server's own clock. They are printed, not asserted: the machine may be busy.

use std::collections::HashMap;

use crate::{
    peers::{Models, call, python},
    told::attribute,
};

const STREAMS: usize = 100;

/// Every stream that the server timed has a time at both ends, and the ends agree which stream it is.
#[test]
fn clock() {
    let models = Models::start();
    let run = models.capture();
    call(python("client_openai.py"), "timed", &models.url());
    let seen = run.stop_after(2 * STREAMS);
    let clock = models.clock();
    assert_eq!(clock.len(), STREAMS);
    let of_server: HashMap<&str, f64> =
        clock.iter().filter_map(|line| Some((line["id"].as_str()?, line["first_chunk"].as_f64()? / 1e9))).collect();
    for (end, kind) in [("server", 2), ("client", 3)] {
        let mut errors: Vec<f64> = seen
            .spans
            .iter()
            .filter(|span| span["kind"] == kind)
            .map(|span| {
                let id = attribute(span, "gen_ai.response.id").expect("a stream has an id");
                let told = attribute(span, "gen_ai.response.time_to_first_chunk").expect("a stream has a first chunk");
                let told: f64 = told.parse().expect("a time is a number");
                (told - of_server[id.as_str()]) * 1e6
            })
            .collect();
        assert_eq!(errors.len(), STREAMS, "{}", seen.stderr);
        let chunks = |span: &serde_json::Value| attribute(span, "telltale.gen_ai.response.chunks");
        assert!(seen.spans.iter().all(|span| chunks(span).as_deref() == Some("9")), "{}", seen.raw);
        errors.sort_by(f64::total_cmp);
        let mut sizes: Vec<f64> = errors.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        println!(
            "time to first chunk of {STREAMS} streams, {end}'s end against the server's clock, microseconds: error p50 {:.0} p99 {:.0}, from {:.0} to {:.0}",
            sizes[STREAMS / 2],
            sizes[STREAMS * 99 / 100],
            errors[0],
            errors[STREAMS - 1]
        );
    }
}
