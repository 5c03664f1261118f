//! How much the kernel's verifier had to look at.

use telltale::capture::kernel::Settings;

use super::session::{Session, each_backend, owned_ids, processes};

/// Instructions that the verifier follows at most in one program (`BPF_COMPLEXITY_LIMIT_INSNS`); one that needs more is refused.
const LIMIT: u32 = 1_000_000;

/// Older kernels follow more paths than newer ones, so what loads on this machine's may be refused elsewhere. A compiler of another day may make one
/// path more of the same source: a program that comes near the limit is to be cut smaller before it is refused. On 6.1 `tls_end` takes 806 thousand.
#[test]
fn the_verifier_has_room_for_each_program() {
    each_backend(|backend| {
        let session = Session::start(&Settings { tls: true, ..processes(backend, &[std::process::id()]) });
        let probes = session.tls_probes();
        let own = owned_ids("prog_id:");
        let loaded =
            aya::programs::loaded_programs().filter_map(Result::ok).filter(|program| own.contains(&program.id()));
        let mut counts: Vec<_> = loaded
            .filter_map(|program| Some((program.verified_instruction_count()?, program.name_as_str()?.to_owned())))
            .collect();
        counts.sort_unstable();
        for (count, name) in counts.iter().rev().take(5) {
            println!("{}: {count} instructions were verified of {name}", backend.name());
        }
        assert!(counts.iter().all(|(count, _)| *count < LIMIT / 20 * 19), "{counts:?}");
        drop(probes);
        session.finish();
    });
}
