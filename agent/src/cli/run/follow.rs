//! Follows changes of `--policy`: new plans for the workers, a new scope for the kernel.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use crate::{
    admin::live::LiveState,
    capture::{
        kernel::ScopeControl,
        tls::{follower::FollowerHandle, processes::Members},
    },
    cli::policies::Policies,
    policy::{Capture, PlanStore, Plans, model::Tls},
    telemetry::metrics::Metrics,
    workload::{Directory, DirectoryStore, annotated_cgroups},
};

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// What follows a change.
pub(super) struct Follower {
    pub(super) policies: Policies,
    pub(super) plans: Arc<PlanStore>,
    pub(super) series: Arc<Metrics>,
    pub(super) directory: Arc<DirectoryStore>,
    pub(super) scope: ScopeControl,
    /// Where it is known whose TLS is read, if that depends on cgroups.
    pub(super) tls: Option<FollowerHandle>,
    /// The cgroups that the flags put into scope.
    pub(super) own_cgroups: Vec<PathBuf>,
    /// Probes can come to be where what is inside TLS is to be read, or never are to.
    pub(super) looks_inside_tls: bool,
    /// What those see who look.
    pub(super) live: LiveState,
}

impl Follower {
    /// Starts the thread, which ends soon after `stop`.
    pub(super) fn start(mut self, stop: Arc<AtomicBool>) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("telltale-policy".to_owned()).spawn(move || {
            while !stop.load(Ordering::Acquire) {
                std::thread::sleep(INTERVAL);
                if let Some(plans) = self.policies.changed() {
                    self.take_over(plans);
                }
            }
        })
    }

    fn take_over(&mut self, plans: Plans) {
        let mut cgroups = self.own_cgroups.clone();
        // One that is gone must not keep the others as they were: a pod of which nothing is asked any more has to leave the scope.
        cgroups.extend(pod_cgroups(&plans).into_iter().filter(|path| {
            let there = path.is_dir();
            if !there {
                tracing::warn!("{} is no cgroup: nothing is captured there", path.display());
            }
            there
        }));
        // Plans first: what comes into scope has one from its first byte on. What leaves it is passed over until the scope is written.
        self.series.retain(&plans);
        self.directory.replace(Directory::of(&plans.objects));
        self.plans.replace(plans);
        self.live.set_policies(self.policies.compiled());
        let plans = self.plans.current().1;
        let plain = plain_cgroups(&plans, &self.own_cgroups);
        if !self.looks_inside_tls && is_inside_tls_wanted(&plans) {
            tracing::warn!("tls.mode was Disabled at the start: what is inside TLS is read after the next start");
        }
        if let Err(error) = self.scope.set_cgroups(&cgroups, &plain) {
            tracing::error!("{error}; the scope from before holds on");
        } else if let Some(tls) = &self.tls {
            tls.set_members(Members::Cgroups { included: cgroups, excluded: plain });
        }
        self.policies.tell_that_they_hold();
    }
}

/// Those of whom the policy says `tls.mode: Disabled`: pods, and, of local processes, the cgroups of the flags.
pub(super) fn plain_cgroups(plans: &Plans, own: &[PathBuf]) -> Vec<PathBuf> {
    let pods = annotated_cgroups(&plans.objects).filter(|(pod, _)| plans.of(Some(pod)).tls == Tls::Disabled);
    let own = own.iter().filter(|_| plans.local.tls == Tls::Disabled);
    pods.map(|(_, path)| path.to_owned()).chain(own.cloned()).collect()
}

/// Whether the policy of anybody lets what is inside TLS be read.
pub(super) fn is_inside_tls_wanted(plans: &Plans) -> bool {
    let mut pods = annotated_cgroups(&plans.objects);
    plans.local.tls == Tls::Enabled || pods.any(|(pod, _)| plans.of(Some(pod)).wants(true))
}

/// The cgroups of the pods of which a plan asks for something (`telltale.dev/cgroup`).
pub(super) fn pod_cgroups(plans: &Plans) -> Vec<PathBuf> {
    annotated_cgroups(&plans.objects)
        .filter(|(pod, _)| plans.of(Some(pod)).capture > Capture::Nothing)
        .map(|(_, path)| path.to_owned())
        .collect()
}
