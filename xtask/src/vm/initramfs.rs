//! The file system of a test kernel: busybox, the programs to run, their shared libraries.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::BufWriter,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::cpio::Archive;
use crate::{exec, toolchain};

const INIT: &str = include_str!("../../assets/guest-init.sh");

/// Folders that are mounted over, or that programs expect.
const FOLDERS: &[&str] =
    &["/dev", "/proc", "/sys", "/tmp", "/run", "/root", "/etc", "/bin", "/commands", "/modules", "/var/log"];

/// What a guest runs.
pub(crate) struct Guest<'a> {
    /// Programs, each put at the path that it has here (tests know that path from their build) and linked to in `/bin`.
    pub(crate) programs: &'a [PathBuf],
    /// Shell scripts by name, run in the order of their names.
    pub(crate) commands: &'a [(String, String)],
    /// Modules of the kernel, loaded in this order.
    pub(crate) modules: &'a [PathBuf],
}

impl Guest<'_> {
    /// Writes the archive.
    pub(crate) fn write(&self, to: &Path) -> Result<()> {
        let file = File::create(to).with_context(|| format!("creating {}", to.display()))?;
        let mut archive = Archive::new(BufWriter::new(file));
        for folder in FOLDERS {
            archive.folder(folder)?;
        }
        let busybox = toolchain::on_path("busybox").context("busybox is not installed; run `cargo xtask setup`")?;
        archive.program("/bin/busybox", &fs::read(busybox)?)?;
        archive.program("/init", INIT.as_bytes())?;
        for (name, script) in self.commands {
            archive.program(&format!("/commands/{name}"), script.as_bytes())?;
        }
        for (index, module) in self.modules.iter().enumerate() {
            let bytes = fs::read(module).with_context(|| format!("reading {}", module.display()))?;
            archive.program(&format!("/modules/{index}.ko"), &bytes)?;
        }
        let mut libraries = BTreeSet::new();
        let stripped = to.with_extension("stripped");
        for program in self.programs {
            exec::output(Command::new("strip").arg("-o").arg(&stripped).arg(program))?;
            archive.program(&program.display().to_string(), &fs::read(&stripped)?)?;
            libraries.extend(libraries_of(program)?);
        }
        for library in libraries {
            archive.program(&library, &fs::read(&library).with_context(|| format!("reading {library}"))?)?;
        }
        archive.finish().context("writing the archive")
    }
}

/// The shared libraries that the program loads, by the paths that its loader finds them at; none if it is static.
pub(crate) fn libraries_of(program: &Path) -> Result<Vec<String>> {
    let listing = exec::captured(Command::new("ldd").arg(program))?;
    let text = String::from_utf8_lossy(&listing.stdout).into_owned();
    // `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)`, and the loader: `/lib64/ld-linux-x86-64.so.2 (0x...)`.
    Ok(text
        .lines()
        .filter_map(|line| line.split_whitespace().find(|word| word.starts_with('/')))
        .map(str::to_owned)
        .collect())
}
