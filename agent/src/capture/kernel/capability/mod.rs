//! What this machine allows, found by trying: the rows of `telltale check`.

mod ability;
mod confinement;
mod privilege;

use std::path::Path;

use serde::Serialize;

pub use ability::{notes, refusal, tls_refusal};
pub use privilege::{PRIVILEGES, Privilege, Without, effective};

use super::{Backend, Capture, CaptureError, Settings, btf::Btf, layout, loader::Refusal};

/// How a capability was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It works.
    Ok,
    /// It does not, and something else does its work or it is only needed for one feature.
    Missing,
    /// It does not, and nothing can be captured without it.
    Fatal,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Capability {
    /// What it is.
    pub name: String,
    /// How it went.
    pub status: Status,
    /// What was tried.
    pub tried: String,
    /// What was found.
    pub found: String,
    /// The name of the error number, where there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

/// Everything that was tried, and what it comes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Kernel release.
    pub kernel: String,
    /// The backend that `run` would take; `None` if nothing can be captured.
    pub backend: Option<&'static str>,
    /// Each thing that was tried.
    pub capabilities: Vec<Capability>,
}

/// Tries everything. Programs are attached for a moment, with nothing in scope, and detached again. The cgroups of pods are looked for below
/// `cgroup_root`.
pub fn report(cgroup_root: &Path) -> Report {
    let kernel = nix::sys::utsname::uname()
        .map_or_else(|errno| format!("unknown ({errno})"), |name| name.release().to_string_lossy().into_owned());
    let mut capabilities: Vec<Capability> = privilege::rows().collect();
    capabilities.extend([confinement::pid_namespace(), confinement::lockdown()]);
    capabilities.extend(confinement::confinement());
    capabilities.extend(confinement::settings());
    match Btf::of_kernel() {
        Ok(btf) => {
            capabilities.push(row("kernel types", Status::Ok, "read /sys/kernel/btf/vmlinux", &"present"));
            capabilities.push(match layout::resolve(&btf) {
                Ok(_) => row("structure layout", Status::Ok, "look up every structure member", &"all there"),
                Err(error) => row("structure layout", Status::Fatal, "look up every structure member", &error)
                    .mend("this kernel is not supported; please report it with this line"),
            });
        }
        Err(error) => capabilities.push(
            row("kernel types", Status::Fatal, "read /sys/kernel/btf/vmlinux", &error)
                .mend("use a kernel built with CONFIG_DEBUG_INFO_BTF=y (every large distribution has one)"),
        ),
    }
    let mut chosen = None;
    for backend in Backend::ALL {
        let capability = try_backend(backend);
        if capability.status == Status::Ok && chosen.is_none() {
            chosen = Some(backend.name());
        }
        capabilities.push(capability);
    }
    if chosen.is_none() {
        for capability in &mut capabilities {
            if capability.name.starts_with("backend ") {
                capability.status = Status::Fatal;
            }
        }
    }
    capabilities.extend([confinement::cgroup_root(cgroup_root), command_cgroup()]);
    Report { kernel, backend: chosen, capabilities }
}

fn row(name: &str, status: Status, tried: &str, found: &dyn std::fmt::Display) -> Capability {
    Capability { name: name.into(), status, tried: tried.into(), found: found.to_string(), errno: None, mend: None }
}

impl Capability {
    /// Something that was tried.
    pub fn new(name: &str, status: Status, tried: &str, found: impl std::fmt::Display) -> Self {
        row(name, status, tried, &found)
    }

    /// With what to do about it.
    #[must_use]
    pub fn mend(mut self, mend: &str) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

fn try_backend(backend: Backend) -> Capability {
    let name = format!("backend {}", backend.name());
    let tried = "load, attach, detach";
    let settings = Settings { backend: Some(backend), ring_bytes: 4096, ..Settings::default() };
    match Capture::start(&settings) {
        Ok(_) => row(&name, Status::Ok, tried, &"works"),
        Err(CaptureError::NoBackend(mut refusals)) => match refusals.pop() {
            Some(refusal) => refused(&name, backend, &refusal),
            None => row(&name, Status::Missing, tried, &"nothing was tried"),
        },
        Err(error) => row(&name, Status::Missing, tried, &error),
    }
}

fn refused(name: &str, backend: Backend, refusal: &Refusal) -> Capability {
    Capability {
        name: name.into(),
        status: Status::Missing,
        tried: refusal.step.clone(),
        found: refusal.reason.clone(),
        errno: refusal.errno.map(|errno| format!("{errno:?}")),
        mend: Some(format!("needs {}", backend.needs())),
    }
}

fn command_cgroup() -> Capability {
    let tried = "make a cgroup below the own one";
    match crate::capture::command_cgroup::CommandCgroup::create() {
        Ok(cgroup) => row("cgroup for a COMMAND", Status::Ok, tried, &cgroup.path().display()),
        Err(error) => row("cgroup for a COMMAND", Status::Missing, tried, &error)
            .mend("not needed: `run -- COMMAND` follows the processes that COMMAND starts instead"),
    }
}
