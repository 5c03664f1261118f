//! What the agent itself costs.

use super::{Health, Sample, table};

/// Adds CPU time and resident memory of this process, read when somebody reads.
pub fn register_process_metrics(health: &Health) {
    #[cfg(unix)]
    health.source(|add| {
        use nix::sys::resource::{UsageWho, getrusage};
        if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
            for (mode, time) in [("system", usage.system_time()), ("user", usage.user_time())] {
                let seconds = time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
                add(Sample { metric: &table::CPU, labels: vec![mode.to_owned()], value: seconds });
            }
        }
    });
    #[cfg(target_os = "linux")]
    health.source(|add| {
        // Second number of statm: resident pages (proc_pid_statm(5)).
        let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok());
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten();
        if let (Some(pages), Some(page)) = (pages, page) {
            add(Sample { metric: &table::MEMORY, labels: Vec::new(), value: pages as f64 * page as f64 });
        }
    });
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_memory_and_time() {
        let health = Health::new();
        register_process_metrics(&health);
        assert!(health.value(&table::MEMORY, &[]) > 100_000);
        assert!(health.samples().iter().any(|sample| sample.metric == &table::CPU && sample.value > 0.0));
    }
}
