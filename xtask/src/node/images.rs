//! The images that pods are made of, from this machine's own programs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::json;

use crate::{
    exec,
    image::archive::{self, copy, within},
    toolchain, vm, workspace,
};

/// What holds a pod's namespaces; the name is in `containerd.toml`.
const PAUSE: &str = "telltale.test/pause:1";
/// Python and busybox: what the observed pods run. No tag `latest`, which would be pulled.
pub(crate) const WORKLOAD: &str = "telltale.test/workload:1";

const PAUSE_SOURCE: &str = include_str!("../../assets/node/pause.c");

/// Makes what is not there yet; gives the archives, that of the agent's binary last.
pub(crate) fn ensure(agent: &Path) -> Result<Vec<PathBuf>> {
    let folder = workspace::target().join("node-images");
    fs::create_dir_all(&folder)?;
    let (pause, workload, telltale) =
        (folder.join("pause.tar"), folder.join("workload.tar"), folder.join("telltale.tar"));
    if !pause.is_file() {
        make_pause(&folder, &pause)?;
    }
    if !workload.is_file() {
        make_workload(&folder, &workload)?;
    }
    crate::image::archive(agent, crate::image::DEFAULT_NAME, &telltale)?;
    Ok(vec![pause, workload, telltale])
}

/// An empty folder that becomes an image.
fn root(folder: &Path, name: &str) -> Result<PathBuf> {
    let root = folder.join(format!("{name}.root"));
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    fs::create_dir_all(&root)?;
    Ok(root)
}

fn make_pause(folder: &Path, to: &Path) -> Result<()> {
    let root = root(folder, "pause")?;
    let source = folder.join("pause.c");
    fs::write(&source, PAUSE_SOURCE)?;
    let program = root.join("pause");
    exec::run(Command::new("cc").args(["-Os", "-static", "-s", "-o"]).arg(&program).arg(&source))?;
    archive::pack(&root, &json!({"Entrypoint": ["/pause"]}), archive::architecture(&program)?, PAUSE, to)?;
    Ok(fs::remove_dir_all(root)?)
}

/// What of Python's library no small program asks for.
const LEFT_OUT: &[&str] =
    &["test", "tests", "idlelib", "tkinter", "turtledemo", "lib2to3", "ensurepip", "site-packages"];

fn make_workload(folder: &Path, to: &Path) -> Result<()> {
    let root = root(folder, "workload")?;
    let busybox = toolchain::on_path("busybox").context("busybox is not installed; run `cargo xtask setup`")?;
    copy(&busybox, &root.join("bin/busybox"))?;
    for name in exec::output(Command::new(&busybox).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
    }
    let facts = "import sys, os, sysconfig; \
                 print(os.path.realpath(sys.executable)); print(sys.prefix); print(sysconfig.get_paths()['stdlib'])";
    let said = exec::output(Command::new("python3").args(["-c", facts]))?;
    let [program, prefix, library] = said.lines().collect::<Vec<_>>()[..] else {
        anyhow::bail!("python3 said {said}");
    };
    let program = Path::new(program);
    copy(program, &within(&root, &program.display().to_string()))?;
    let mut needed = vm::libraries_of(program)?;
    needed.extend(copy_library(Path::new(library), &root)?);
    for file in needed {
        let to = within(&root, &file);
        if !to.exists() {
            copy(Path::new(&file), &to)?;
        }
    }
    fs::create_dir_all(root.join("usr/local/bin"))?;
    fs::create_dir_all(root.join("tmp"))?;
    let start = root.join("bin/python3");
    if !start.exists() {
        std::os::unix::fs::symlink(program, &start)?;
    }
    let config = json!({
        "Env": ["PATH=/bin", format!("PYTHONHOME={prefix}"), "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"],
    });
    archive::pack(&root, &config, archive::architecture(program)?, WORKLOAD, to)?;
    Ok(fs::remove_dir_all(root)?)
}

/// Copies Python's library; gives what its native modules load.
fn copy_library(library: &Path, root: &Path) -> Result<Vec<String>> {
    let mut folders = vec![library.to_owned()];
    let mut needed = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let skipped = LEFT_OUT.contains(&name.as_str()) || name == "__pycache__" || name.starts_with("config-");
            if path.is_dir() {
                folders.extend((!skipped).then_some(path));
            } else if path.extension().is_some_and(|kind| kind == "py" || kind == "so") {
                copy(&path, &within(root, &path.display().to_string()))?;
                if path.extension().is_some_and(|kind| kind == "so") {
                    needed.extend(vm::libraries_of(&path)?);
                }
            }
        }
    }
    Ok(needed)
}
