//! Kubernetes and what a node of it runs, built from Go modules into the cache: no registry, and the same programs on every machine.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::go;
use crate::{exec, workspace};

/// One Go module of `xtask/kube`: each has its own versions, so that none clashes with Kubernetes' own.
struct Module {
    folder: &'static str,
    /// The module whose version its programs report.
    of: &'static str,
    /// Go packages; each makes a program of its last name.
    packages: &'static [&'static str],
    /// What they are called, where that is not their last name.
    program: Option<&'static str>,
    /// Other names that one program is called by, which then does what the name says.
    names: &'static [&'static str],
    tags: &'static str,
    /// For the linker; `VERSION` is replaced, and `MINOR` by the middle number of it.
    linking: &'static str,
    /// Needs a C compiler and C libraries; linked statically all the same.
    c: bool,
}

const MODULES: &[Module] = &[
    Module {
        folder: "kubernetes",
        of: "k8s.io/kubernetes",
        packages: &["."],
        program: Some("k8s"),
        names: &[
            "etcd",
            "kube-apiserver",
            "kube-controller-manager",
            "kube-scheduler",
            "kubelet",
            "kube-proxy",
            "kubectl",
        ],
        tags: "",
        linking: "-X k8s.io/component-base/version.gitVersion=vVERSION -X k8s.io/component-base/version.gitMajor=1 \
                  -X k8s.io/component-base/version.gitMinor=MINOR",
        c: false,
    },
    Module {
        folder: "containerd",
        of: "github.com/containerd/containerd/v2",
        packages: &[
            "github.com/containerd/containerd/v2/cmd/containerd",
            "github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2",
            "github.com/containerd/containerd/v2/cmd/ctr",
        ],
        program: None,
        names: &[],
        tags: "no_btrfs no_devmapper no_zfs",
        linking: "-X github.com/containerd/containerd/v2/version.Version=VERSION",
        c: false,
    },
    Module {
        folder: "runc",
        of: "github.com/opencontainers/runc",
        packages: &["github.com/opencontainers/runc"],
        program: None,
        names: &[],
        // Without seccomp only privileged pods start.
        tags: "netgo osusergo seccomp",
        linking: "-extldflags -static",
        c: true,
    },
    Module {
        folder: "cni",
        of: "github.com/containernetworking/plugins",
        packages: &[
            "github.com/containernetworking/plugins/plugins/main/bridge",
            "github.com/containernetworking/plugins/plugins/main/loopback",
            "github.com/containernetworking/plugins/plugins/ipam/host-local",
            "github.com/containernetworking/plugins/plugins/meta/portmap",
        ],
        program: None,
        names: &[],
        tags: "",
        linking: "",
        c: false,
    },
    Module {
        folder: "helm",
        of: "helm.sh/helm/v4",
        packages: &["helm.sh/helm/v4/cmd/helm"],
        program: None,
        names: &[],
        tags: "",
        linking: "",
        c: false,
    },
];

/// Of the Gateway API only the definitions are wanted, which are in its module; tests ask Go where that is.
const DEFINITIONS: (&str, &str) = ("gateway-api", "sigs.k8s.io/gateway-api");

/// The folder of the programs, whether they are there or not: one for each version of Kubernetes.
pub(crate) fn folder() -> Result<PathBuf> {
    Ok(workspace::cache()?.join(format!("kube-{}", MODULES[0].version()?)))
}

/// Builds what is missing or was made otherwise.
pub(crate) fn ensure() -> Result<()> {
    let folder = folder()?;
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for module in MODULES {
        module.ensure(&folder)?;
    }
    exec::retried(|| exec::output(go(DEFINITIONS.0)?.args(["mod", "download", DEFINITIONS.1])))?;
    Ok(())
}

/// Go in a folder of `xtask/kube`.
fn go(folder: &str) -> Result<Command> {
    let mut command = Command::new(go::program()?);
    command.current_dir(source(folder)).env("GOFLAGS", "-buildvcs=false -mod=readonly").env("GOTOOLCHAIN", "local");
    // It may be that of an older one; each knows its own.
    command.env_remove("GOROOT");
    Ok(command)
}

fn source(folder: &str) -> PathBuf {
    workspace::root().join("xtask/kube").join(folder)
}

impl Module {
    fn programs(&self) -> impl Iterator<Item = &'static str> {
        let last = |package: &&'static str| package.rsplit('/').next().unwrap_or(package);
        let own = self.packages.iter().map(last).filter(|_| self.program.is_none());
        own.chain(self.program).chain(self.names.iter().copied())
    }

    fn version(&self) -> Result<String> {
        let file = source(self.folder).join("go.mod");
        let text = fs::read_to_string(&file).with_context(|| format!("reading {}", file.display()))?;
        let version = text.lines().find_map(|line| line.trim().strip_prefix(self.of)?.trim().strip_prefix('v'));
        let version = version.and_then(|rest| rest.split_whitespace().next());
        version.map(str::to_owned).with_context(|| format!("{} does not name {}", file.display(), self.of))
    }

    /// What its programs depend on, but the compiler: a newer one is no reason to wait for them again.
    fn recipe(&self) -> Result<String> {
        let mut hasher = DefaultHasher::new();
        (self.packages, self.tags, self.linking).hash(&mut hasher);
        for name in ["go.mod", "go.sum", "main.go"] {
            fs::read(source(self.folder).join(name)).unwrap_or_default().hash(&mut hasher);
        }
        Ok(format!("{} {} {:016x}\n", self.of, self.version()?, hasher.finish()))
    }

    fn ensure(&self, to: &Path) -> Result<()> {
        let stamp = to.join(format!(".{}", self.folder));
        let recipe = self.recipe()?;
        let here = self.programs().all(|name| to.join(name).is_file());
        if here && fs::read_to_string(&stamp).is_ok_and(|made| made == recipe) {
            return Ok(());
        }
        let version = self.version()?;
        println!("building {} {version} into the cache, once (minutes: it is compiled from source)", self.of);
        let start = Instant::now();
        let partial = to.join(format!(".{}.partial", self.folder));
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir(&partial)?;
        let minor = version.split('.').nth(1).unwrap_or_default();
        let linking = format!("-s -w {}", self.linking.replace("VERSION", &version).replace("MINOR", minor));
        let mut build = go(self.folder)?;
        build.env("CGO_ENABLED", if self.c { "1" } else { "0" });
        build.args(["build", "-trimpath", "-tags", self.tags, "-ldflags", &linking, "-o"]);
        build.arg(self.program.map_or_else(|| partial.join(""), |name| partial.join(name))).args(self.packages);
        // Most attempts that fail do so at a module that does not come; what was compiled by then is not compiled again.
        exec::retried(|| exec::run(&mut build)).with_context(|| format!("building {}", self.of))?;
        for name in self.names {
            std::os::unix::fs::symlink(self.program.context("one program has other names")?, partial.join(name))?;
        }
        for name in self.programs() {
            fs::rename(partial.join(name), to.join(name)).with_context(|| format!("{} has no {name}", self.of))?;
        }
        fs::remove_dir(&partial)?;
        fs::write(&stamp, recipe)?;
        println!("built {} {version} in {:.0} s", self.of, start.elapsed().as_secs_f64());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_module_names_its_version_and_programs() {
        for module in MODULES {
            assert!(module.version().unwrap().split('.').count() == 3, "{}", module.folder);
        }
        let names: Vec<_> = MODULES.iter().flat_map(Module::programs).collect();
        for wanted in ["k8s", "kubelet", "kubectl", "containerd", "ctr", "runc", "bridge", "host-local", "helm"] {
            assert!(names.contains(&wanted), "{wanted} in {names:?}");
        }
        assert!(!names.contains(&"."));
    }
}
