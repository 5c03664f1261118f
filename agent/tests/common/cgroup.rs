//! Cgroups of the test's own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

/// A cgroup that is removed when this is dropped; its processes must have ended.
pub(crate) struct Cgroup(PathBuf);

impl Cgroup {
    /// One in the v2 hierarchy; `None` where there is none.
    pub(crate) fn v2() -> Option<Self> {
        Self::below(&mount(|kind, _| kind == "cgroup2")?)
    }

    /// One in the v1 hierarchy of `pids`; `None` where there is none.
    pub(crate) fn v1() -> Option<Self> {
        Self::below(&mount(|kind, options| kind == "cgroup" && options.split(',').any(|option| option == "pids"))?)
    }

    fn below(parent: &Path) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("telltale-test-{}-{number}", std::process::id()));
        fs::create_dir(&path).ok().map(|()| Self(path))
    }

    /// Its folder.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// A cgroup below it.
    pub(crate) fn child(&self) -> Self {
        Self::below(&self.0).expect("a cgroup can be made below one that could be made")
    }

    /// The same command, started inside.
    pub(crate) fn inside(&self, command: &Command) -> Command {
        Self::enter(&self.0, command)
    }

    /// The same command, started inside the cgroup of this folder.
    pub(crate) fn enter(directory: &Path, command: &Command) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", "echo $$ > \"$0\" && exec \"$@\""]).arg(directory.join("cgroup.procs"));
        shell.arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // A process in the middle of its exit holds it for a moment.
        super::poll(|| fs::remove_dir(&self.0).ok());
    }
}

fn mount(wanted: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(' ').collect();
        wanted(fields.get(2)?, fields.get(3)?).then(|| PathBuf::from(fields[1]))
    })
}
