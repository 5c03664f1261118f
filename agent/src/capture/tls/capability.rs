//! Whether this machine lets the agent look inside TLS.

use super::trial;
use crate::capture::kernel::{
    Capture, Settings,
    capability::{Capability, Status},
};

const NAME: &str = "inside TLS";
const TRIED: &str = "call a function with probes in a confined process";

/// Attaches to a function of this program for a moment: a row of `telltale check`.
pub fn capability() -> Capability {
    match attach() {
        Ok(means) => Capability::new(NAME, Status::Ok, TRIED, format!("works, by {means}")),
        Err(error) => Capability::new(NAME, Status::Missing, TRIED, error).mend(
            "needs kernel 5.15 or later with uprobes. Before 6.6 a probe is a perf event, which some kernels leave to who has the capability SYS_ADMIN, \
             and all where kernel.perf_event_paranoid is 3 (Debian's default). Without it all but what is inside TLS is read",
        ),
    }
}

fn attach() -> Result<&'static str, String> {
    let settings = Settings { ring_bytes: 4096, tls: true, ..Settings::default() };
    let capture = Capture::start(&settings).map_err(|error| error.to_string())?;
    let mut probes = capture.tls_probes().map_err(|error| error.to_string())?.ok_or("not asked for")?;
    trial::run(&mut probes).map_err(|error| error.to_string())?;
    Ok(probes.means())
}
