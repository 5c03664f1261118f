//! Debian's package manager.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use crate::{exec, toolchain};

/// What maintainer scripts ask before they start a service (invoke-rc.d, deb-systemd-invoke).
const SERVICE_POLICY: &str = "/usr/sbin/policy-rc.d";
/// Without it `apt-get update` succeeds where a list could not be had, and what is in the list is then missing.
const STRICT: [&str; 2] = ["-o", "APT::Update::Error-Mode=any"];

/// `apt-get` is here.
pub(crate) fn is_here() -> bool {
    toolchain::on_path("apt-get").is_some()
}

/// This process may install packages.
pub(crate) fn is_root() -> Result<bool> {
    Ok(exec::output(Command::new("id").arg("-u"))?.trim() == "0")
}

/// Installs those of the packages that this distribution has, without starting any service.
pub(crate) fn install(names: &[&str]) -> Result<()> {
    let update = |options: &[&str]| {
        exec::run(Command::new("apt-get").args(["-q", "-o", "DPkg::Lock::Timeout=600"]).args(options).arg("update"))
    };
    // A source of somebody else's that is broken for good is no reason not to go on.
    exec::retried(|| update(&STRICT)).or_else(|_| update(&[]))?;
    let names: Vec<_> = names.iter().filter(|name| has_candidate(name)).collect();
    println!("apt-get installs: {}", names.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    let _quiet = NoServices::set()?;
    exec::retried(|| {
        exec::run(
            Command::new("apt-get")
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["-q", "-y", "-o", "DPkg::Lock::Timeout=600", "install", "--no-install-recommends"])
                .args(&names),
        )
    })
}

fn has_candidate(name: &str) -> bool {
    let policy = exec::output(Command::new("apt-cache").env("LC_ALL", "C").args(["policy", name])).unwrap_or_default();
    policy.lines().any(|line| line.trim_start().starts_with("Candidate:") && !line.contains("(none)"))
}

/// While it lives, newly installed packages start no service (nginx and Prometheus would take their ports).
struct NoServices {
    file: Option<PathBuf>,
}

impl NoServices {
    fn set() -> Result<Self> {
        let file = Path::new(SERVICE_POLICY);
        if file.exists() {
            // The machine has a policy of its own; it stays.
            return Ok(Self { file: None });
        }
        fs::write(file, "#!/bin/sh\nexit 101\n").with_context(|| format!("writing {SERVICE_POLICY}"))?;
        exec::run(Command::new("chmod").arg("755").arg(file))?;
        Ok(Self { file: Some(file.to_owned()) })
    }
}

impl Drop for NoServices {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && let Err(error) = fs::remove_file(file)
        {
            eprintln!("remove {} by hand: {error}", file.display());
        }
    }
}

/// The base addresses of a Debian archive as this machine's own source lists have them.
///
/// `name` is the last part of the address: `debian`, or `debian-security`. Where the machine has only the first (or is
/// not Debian), `TELLTALE_DEBIAN_MIRROR` gives it, and the second is taken to be beside it.
pub(crate) fn archive(name: &str) -> Result<String> {
    let mirror = std::env::var("TELLTALE_DEBIAN_MIRROR").ok();
    let addresses: Vec<String> = mirror.into_iter().chain(sources()).collect();
    let ends = |address: &&String| address.trim_end_matches('/').rsplit('/').next() == Some(name);
    if let Some(address) = addresses.iter().find(ends) {
        return Ok(address.clone());
    }
    let beside = addresses.iter().find_map(|address| address.trim_end_matches('/').strip_suffix("/debian"));
    beside.map(|base| format!("{base}/{name}")).with_context(|| {
        format!(
            "no apt source of this machine is the archive `{name}`, so Debian's kernels cannot be had; \
             set TELLTALE_DEBIAN_MIRROR to the base address of a Debian mirror (it ends in /debian)"
        )
    })
}

/// Every address in `sources.list`, `*.list` and `*.sources`.
fn sources() -> Vec<String> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().filter_map(Result::ok);
    let files = folder.map(|entry| entry.path()).chain([PathBuf::from("/etc/apt/sources.list")]);
    let texts = files.filter_map(|file| fs::read_to_string(file).ok());
    texts
        .flat_map(|text| text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect::<Vec<_>>())
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter(|word| word.contains("://"))
        .collect()
}

/// A folder with its own package lists: one suite of one archive, apart from the machine's own.
pub(crate) struct Suite {
    folder: PathBuf,
}

impl Suite {
    /// Reads the suite's lists into `folder`.
    pub(crate) fn open(archive_name: &str, suite: &str, folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
        let signed = if Path::new(keyring).is_file() { format!("[signed-by={keyring}] ") } else { String::new() };
        let source = format!("deb {signed}{} {suite} main\n", archive(archive_name)?);
        fs::write(folder.join("sources.list"), source)?;
        let suite = Self { folder: folder.to_owned() };
        exec::retried(|| exec::output(suite.command("apt-get").arg("-q").args(STRICT).arg("update")))?;
        Ok(suite)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env("LC_ALL", "C");
        for (key, value) in
            [("Dir::Etc::sourcelist", "sources.list"), ("Dir::State::lists", "lists"), ("Dir::Cache", "cache")]
        {
            command.arg("-o").arg(format!("{key}={}", self.folder.join(value).display()));
        }
        command.args([
            "-o",
            "Dir::Etc::sourceparts=/dev/null",
            "-o",
            "APT::Sandbox::User=",
            "-o",
            "Debug::NoLocking=1",
        ]);
        command
    }

    /// The names of the packages that match an extended regular expression.
    pub(crate) fn names(&self, pattern: &str) -> Result<Vec<String>> {
        let listing = exec::output(self.command("apt-cache").args(["search", "--names-only", pattern]))?;
        Ok(listing.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect())
    }

    /// Downloads a package and unpacks it; gives the folder.
    pub(crate) fn unpack(&self, package: &str) -> Result<PathBuf> {
        let before = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|extension| extension == "deb");
        for old in fs::read_dir(&self.folder)?.filter_map(Result::ok).filter(before) {
            fs::remove_file(old.path())?;
        }
        exec::retried(|| exec::output(self.command("apt-get").args(["-q", "download", package])))?;
        let archive = fs::read_dir(&self.folder)?.filter_map(Result::ok).find(before);
        let archive = archive.with_context(|| format!("apt-get downloaded no file for {package}"))?.path();
        let tree = self.folder.join("tree");
        exec::output(Command::new("dpkg-deb").arg("--extract").arg(&archive).arg(&tree))?;
        Ok(tree)
    }
}
