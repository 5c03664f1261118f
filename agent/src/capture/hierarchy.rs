//! Hierarchies of cgroups.

use std::{fs, io, path::Path};

/// Which hierarchy cgroups are of. A machine has the one of version 2, several of version 1, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hierarchy {
    /// cgroup v2.
    Unified,
    /// The v1 hierarchy of a controller, by the name that it is mounted with.
    Controller(String),
}

/// Controllers that a v1 hierarchy is known by.
const CONTROLLERS: [&str; 9] = ["memory", "cpu", "cpuacct", "pids", "devices", "freezer", "cpuset", "blkio", "net_cls"];

impl Hierarchy {
    /// That of a folder; `None` if it is none of a cgroup file system, or of one without a controller.
    ///
    /// # Errors
    /// The folder, or the table of mounts, cannot be read.
    pub fn of(folder: &Path) -> io::Result<Option<Self>> {
        use nix::sys::statfs::{CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, statfs};
        let kind = statfs(folder)?.filesystem_type();
        if kind == CGROUP2_SUPER_MAGIC {
            return Ok(Some(Self::Unified));
        }
        if kind != CGROUP_SUPER_MAGIC {
            return Ok(None);
        }
        let real = folder.canonicalize()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let deepest = mounts
            .lines()
            .filter_map(|line| {
                let (own, rest) = line.split_once(" - ")?;
                let mount_point = own.split(' ').nth(4)?;
                let mut of_file_system = rest.split(' ');
                let is_v1 = of_file_system.next()? == "cgroup";
                let options = of_file_system.nth(1)?;
                (is_v1 && real.starts_with(mount_point)).then_some((mount_point.len(), options))
            })
            .max_by_key(|(length, _)| *length);
        Ok(deepest.and_then(|(_, options)| {
            let name = options.split(',').find(|option| CONTROLLERS.contains(option))?;
            Some(Self::Controller(name.to_owned()))
        }))
    }
}

impl std::fmt::Display for Hierarchy {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unified => formatter.write_str("cgroup v2"),
            Self::Controller(name) => write!(formatter, "cgroup v1 ({name})"),
        }
    }
}
