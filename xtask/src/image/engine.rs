//! Docker, podman or buildah, where there is one.

use std::{path::Path, process::Command};

use anyhow::Result;

use crate::{exec, toolchain};

/// How an engine is asked whether it works, and how it takes an archive.
struct Engine {
    program: &'static str,
    asked: &'static str,
    load: &'static [&'static str],
    /// Comes before the file, in the same argument.
    transport: &'static str,
}

const ENGINES: &[Engine] = &[
    Engine { program: "docker", asked: "info", load: &["load", "--input"], transport: "" },
    Engine { program: "podman", asked: "info", load: &["load", "--input"], transport: "" },
    Engine { program: "buildah", asked: "images", load: &["pull"], transport: "docker-archive:" },
];

/// Has the first engine that works load the archive; says so if there is none.
pub(super) fn load(file: &Path) -> Result<()> {
    let works = |engine: &&Engine| {
        toolchain::on_path(engine.program).is_some()
            && exec::captured(Command::new(engine.program).arg(engine.asked)).is_ok_and(|said| said.status.success())
    };
    let Some(engine) = ENGINES.iter().find(works) else {
        println!("no docker, podman or buildah works here; on a node: ctr -n k8s.io images import FILE");
        return Ok(());
    };
    exec::run(Command::new(engine.program).args(engine.load).arg(format!("{}{}", engine.transport, file.display())))
}
