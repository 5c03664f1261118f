//! What this machine allows, found by trying: the rows of `telltale check`.

use serde::Serialize;

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

/// Tries everything. Programs are attached for a moment, with nothing in scope, and detached again.
pub fn report() -> Report {
    let kernel = nix::sys::utsname::uname()
        .map_or_else(|errno| format!("unknown ({errno})"), |name| name.release().to_string_lossy().into_owned());
    let mut capabilities = vec![privileges(), pid_namespace(), lockdown()];
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
    capabilities.push(command_cgroup());
    Report { kernel, backend: chosen, capabilities }
}

fn row(name: &str, status: Status, tried: &str, found: &dyn std::fmt::Display) -> Capability {
    Capability { name: name.into(), status, tried: tried.into(), found: found.to_string(), errno: None, mend: None }
}

impl Capability {
    fn mend(mut self, mend: &str) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// The capabilities that loading and attaching needs (`include/uapi/linux/capability.h`).
const NEEDED: [(u32, &str); 2] = [(39, "BPF"), (38, "PERFMON")];
/// Grants all of them.
const SYS_ADMIN: u32 = 21;

fn privileges() -> Capability {
    let tried = "read the effective capabilities";
    let Some(effective) = std::fs::read_to_string("/proc/self/status").ok().and_then(|status| {
        let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
        u64::from_str_radix(line.trim(), 16).ok()
    }) else {
        return row("privileges", Status::Fatal, tried, &"cannot read /proc/self/status");
    };
    let has = |number: u32| effective >> number & 1 == 1;
    let missing: Vec<&str> =
        NEEDED.iter().filter(|(number, _)| !has(*number) && !has(SYS_ADMIN)).map(|(_, name)| *name).collect();
    if missing.is_empty() {
        return row("privileges", Status::Ok, tried, &"BPF and PERFMON");
    }
    row("privileges", Status::Fatal, tried, &format!("without {}", missing.join(" and ")))
        .mend("run it with sudo, or grant the capabilities BPF and PERFMON")
}

fn pid_namespace() -> Capability {
    let tried = "compare the PID namespace with the kernel's first";
    if super::loader::pid_namespace_is_initial() {
        return row("PID namespace", Status::Ok, tried, &"the host's");
    }
    row("PID namespace", Status::Fatal, tried, &"one of its own").mend("run in the host's (a pod: hostPID: true)")
}

fn lockdown() -> Capability {
    let tried = "read /sys/kernel/security/lockdown";
    let Ok(text) = std::fs::read_to_string("/sys/kernel/security/lockdown") else {
        return row("lockdown", Status::Ok, tried, &"not known: securityfs is not mounted");
    };
    let active = text.split(['[', ']']).nth(1).unwrap_or("none");
    match active {
        "none" | "integrity" => row("lockdown", Status::Ok, tried, &active),
        _ => row("lockdown", Status::Fatal, tried, &active)
            .mend("confidentiality mode forbids reading memory by BPF; boot with lockdown=integrity or none"),
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
    match super::super::command_cgroup::CommandCgroup::create() {
        Ok(cgroup) => row("cgroup for a COMMAND", Status::Ok, tried, &cgroup.path().display()),
        Err(error) => row("cgroup for a COMMAND", Status::Missing, tried, &error)
            .mend("not needed: `run -- COMMAND` follows the processes that COMMAND starts instead"),
    }
}
