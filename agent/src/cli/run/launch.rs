//! COMMAND: started in scope, as the user who called sudo, with its own exit code.
//!
//! The agent starts itself again as a launcher (the hidden verb `launch`), which enters the cgroup, becomes the user and then
//! becomes COMMAND. So all of that happens in a process that is in scope from its first instruction, with no code between fork
//! and exec.

use std::{
    ffi::OsString,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::{Context as _, anyhow};
use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::{Gid, Uid, User, initgroups, setgid, setuid},
};

use crate::cli::{Failure, args::LaunchArgs};

/// COMMAND cannot be executed.
const CANNOT_EXECUTE: u8 = 126;
/// COMMAND was not found.
const NOT_FOUND: u8 = 127;

/// Who COMMAND runs as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    uid: u32,
    gid: u32,
}

impl Identity {
    /// The user who called sudo; `None` if this is not under sudo, or that user is root.
    pub(super) fn of_sudo() -> Option<Self> {
        let number = |name: &str| std::env::var(name).ok()?.parse::<u32>().ok();
        let identity = Self { uid: number("SUDO_UID")?, gid: number("SUDO_GID")? };
        (identity.uid != 0 && Uid::effective().is_root()).then_some(identity)
    }
}

/// How many files a program that this one starts may have open, before this one takes more for itself; `None` if the system does not say.
pub(super) fn open_files() -> Option<u64> {
    getrlimit(Resource::RLIMIT_NOFILE).ok().map(|(soft, _)| soft)
}

/// Starts COMMAND by way of the launcher.
pub(super) fn start(
    command: &[OsString],
    cgroup: Option<&Path>,
    identity: Option<&Identity>,
    open_files: Option<u64>,
) -> io::Result<Child> {
    let mut launcher = Command::new(std::env::current_exe()?);
    launcher.arg("launch");
    if let Some(cgroup) = cgroup {
        launcher.arg("--cgroup-file").arg(cgroup);
    }
    if let Some(identity) = identity {
        launcher.arg("--uid").arg(identity.uid.to_string()).arg("--gid").arg(identity.gid.to_string());
    }
    if let Some(open_files) = open_files {
        launcher.arg("--open-files").arg(open_files.to_string());
    }
    launcher.arg("--").args(command);
    launcher.stdin(Stdio::inherit()).stdout(Stdio::inherit()).stderr(Stdio::inherit()).spawn()
}

/// The exit code that a shell would give: the program's own, or 128 and the number of the signal that ended it.
pub(super) fn code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128_u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}

/// The verb `launch`: becomes COMMAND. Returns only if it cannot.
pub(in crate::cli) fn launch(args: &LaunchArgs) -> Failure {
    match prepare(args) {
        Ok(()) => {}
        Err(error) => return Failure::Command { code: 125, error },
    }
    let Some((program, arguments)) = args.command.split_first() else {
        return Failure::Usage("launch needs a COMMAND".into());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    if let Some(user) = args.uid.and_then(|uid| User::from_uid(Uid::from_raw(uid)).ok().flatten()) {
        command.env("HOME", &user.dir).env("USER", &user.name).env("LOGNAME", &user.name).env("SHELL", &user.shell);
    }
    let error = command.exec();
    let code = if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { CANNOT_EXECUTE };
    let name = PathBuf::from(program);
    Failure::Command { code, error: anyhow!("cannot execute {}: {error}", name.display()) }
}

fn prepare(args: &LaunchArgs) -> anyhow::Result<()> {
    if let Some(file) = &args.cgroup_file {
        std::fs::write(file, "0").with_context(|| format!("cannot enter the cgroup of {}", file.display()))?;
    }
    if let Some(soft) = args.open_files {
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(hard), hard).context("cannot put back the limit of open files")?;
    }
    let (Some(uid), Some(gid)) = (args.uid, args.gid) else { return Ok(()) };
    let (uid, gid) = (Uid::from_raw(uid), Gid::from_raw(gid));
    // Groups first: after the user is changed it is not allowed any more.
    if let Some(user) = User::from_uid(uid)? {
        let name = std::ffi::CString::new(user.name)?;
        initgroups(&name, gid).context("cannot take on the user's groups")?;
    }
    setgid(gid).context("cannot take on the user's group")?;
    setuid(uid).context("cannot become the user who called sudo")?;
    Ok(())
}
