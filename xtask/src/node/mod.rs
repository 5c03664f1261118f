//! A whole Kubernetes cluster of one node, of real parts, from no registry.
//!
//! Everything is in namespaces and cgroups of its own: a network namespace in which the control plane has its addresses, and for
//! the node mount and cgroup namespaces. `down` ends what is in the cgroups; nothing else of this machine is touched.

mod cgroup;
mod configuration;
mod control;
pub(crate) mod images;
mod machine;
mod native;
mod pki;

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use self::cgroup::Cgroups;
pub(crate) use self::machine::Machine;
use crate::{exec, setup};

/// The API server's address, and a native node's.
const ADDRESS: &str = "192.168.77.1";
/// The address of a node that is a virtual machine.
const VM_ADDRESS: &str = "192.168.77.2";
/// The API server's address as a Service.
const SERVICE_ADDRESS: &str = "10.96.0.1";
/// The node's name.
pub(crate) const NODE: &str = "node-1";
/// Where a native node finds its programs (`bin`) and files (`state`).
const INSIDE: &str = "/run/telltale";

const DOWN: &str = include_str!("../../assets/node/down.sh");
const AUDIT: &str = include_str!("../../assets/node/audit.yaml");

/// Longest wait for any one thing, on a busy machine. Nothing measures it.
const PATIENCE: Duration = Duration::from_mins(3);
/// How often it is looked for.
const POLL: Duration = Duration::from_millis(50);

/// A cluster, running or not, by the folder of its state.
pub(crate) struct Cluster {
    state: PathBuf,
    name: String,
    programs: PathBuf,
    cgroups: Cgroups,
}

impl Cluster {
    /// The one whose state is in this folder.
    pub(crate) fn at(state: &Path) -> Result<Self> {
        let mut hasher = DefaultHasher::new();
        state.hash(&mut hasher);
        let name = format!("telltale-{:08x}", hasher.finish() as u32);
        let cgroups = Cgroups::of(&name)?;
        Ok(Self { state: state.to_owned(), name, programs: setup::kube::folder()?, cgroups })
    }

    /// The folder of its state.
    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    /// What the API server was asked for, by whom: JSON lines.
    pub(crate) fn audit_log(&self) -> PathBuf {
        self.state.join("audit.log")
    }

    /// Starts it with these images and a native node, after taking away what an earlier one left; ready when the node is.
    pub(crate) fn up(&self, images: &[PathBuf]) -> Result<()> {
        let namespace = self.begin()?;
        native::configure(self)?;
        self.network(namespace, &format!("ip address add {ADDRESS}/32 dev lo"))?;
        control::start(self, namespace)?;
        let containerd = native::start_containerd(self, namespace)?;
        let imported = self.import(containerd, images);
        self.wait_for_api()?;
        control::start_controllers(self, namespace)?;
        imported?;
        native::start_kubelet(self, containerd)?;
        native::start_proxy(self, containerd)?;
        self.wait_for_node()
    }

    /// The same with a node that is a virtual machine.
    pub(crate) fn up_machine(&self, machine: Machine, images: &[PathBuf]) -> Result<()> {
        let namespace = self.begin()?;
        machine::network(self, namespace)?;
        control::start(self, namespace)?;
        machine.build(self, images)?;
        machine.start(self, namespace)?;
        self.wait_for_api()?;
        control::start_controllers(self, namespace)?;
        self.wait_for_node()
    }

    /// What both begin with: gives the process that holds the network namespace.
    fn begin(&self) -> Result<u32> {
        self.down()?;
        fs::create_dir_all(self.state.join("log"))?;
        fs::write(self.state.join("audit.yaml"), AUDIT)?;
        pki::write(&self.state.join("pki"))?;
        self.cgroups.make()?;
        let namespace = self.namespace()?;
        self.write_scripts(namespace)?;
        Ok(namespace)
    }

    fn wait_for_api(&self) -> Result<()> {
        self.wait("the API server", || Ok(self.ask(&["get", "--raw", "/readyz"]).is_ok()))
    }

    fn wait_for_node(&self) -> Result<()> {
        let ready = "--output=jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
        self.wait("the node", || Ok(self.ask(&["get", "node", NODE, ready]).is_ok_and(|said| said == "True")))
    }

    /// Ends it and removes all that it made; does nothing where there is none.
    pub(crate) fn down(&self) -> Result<()> {
        exec::output(Command::new("sh").args(["-c", DOWN, "down"]).arg(&self.name).arg(&self.state)).map(drop)
    }

    /// While the result lives so does the cluster, but not longer, however this process ends.
    pub(crate) fn guard(&self) -> Result<Guard<'_>> {
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", &format!("cat; set -- \"$@\"\n{DOWN}"), "down"]).arg(&self.name).arg(&self.state);
        let shell = command.stdin(Stdio::piped()).spawn().context("starting a shell")?;
        Ok(Guard { cluster: self, shell })
    }

    /// `kubectl` as the administrator.
    pub(crate) fn kubectl(&self) -> Command {
        Command::new(self.state.join("kubectl"))
    }

    /// What `kubectl` prints; fails with what it says.
    pub(crate) fn ask(&self, arguments: &[&str]) -> Result<String> {
        exec::output(self.kubectl().arg("--request-timeout=20s").args(arguments))
    }

    /// Creates or updates what the documents say.
    pub(crate) fn apply(&self, documents: &str) -> Result<()> {
        let mut command = self.kubectl();
        command.args(["apply", "--server-side", "--force-conflicts", "--filename", "-"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().context("its input is a pipe")?.write_all(documents.as_bytes())?;
        let output = child.wait_with_output()?;
        if !output.status.success() {
            bail!("kubectl apply: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// Waits until something holds; fails with the ends of all logs if it never does.
    pub(crate) fn wait(&self, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
        let end = Instant::now() + PATIENCE;
        while !holds()? {
            if Instant::now() > end {
                bail!("waited in vain for {what}\n{}", self.logs());
            }
            thread::sleep(POLL);
        }
        Ok(())
    }

    /// What became of the pods of a namespace, for a message.
    pub(crate) fn describe(&self, namespace: &str) -> String {
        let pods = self.ask(&["describe", "pods", "--namespace", namespace]).unwrap_or_default();
        let said = self.ask(&["logs", "--namespace", namespace, "--all-pods", "--tail=20", "daemonset/telltale"]);
        format!("{pods}\n{}", said.unwrap_or_default())
    }

    /// The last lines of every daemon.
    fn logs(&self) -> String {
        let files = fs::read_dir(self.state.join("log")).into_iter().flatten().flatten();
        let mut lines = Vec::new();
        for entry in files {
            let log = fs::read(entry.path()).unwrap_or_default();
            let log = String::from_utf8_lossy(&log).into_owned();
            lines.push(format!("{}:", entry.file_name().to_string_lossy()));
            let first = log.lines().count().saturating_sub(8);
            lines.extend(log.lines().skip(first).map(|line| format!("    {line:.300}")));
        }
        lines.join("\n")
    }

    /// Makes the network namespace; gives a process that holds it.
    fn namespace(&self) -> Result<u32> {
        let words = ["--net", "sleep", "infinity"].map(str::to_owned);
        let holder = self.spawn("namespace", &self.cgroups.control(), "unshare", &words)?;
        let namespace = |id: &str| fs::read_link(format!("/proc/{id}/ns/net")).ok();
        let (own, of_holder) = (namespace("self"), holder.to_string());
        self.wait("a network namespace", || Ok(namespace(&of_holder).is_some_and(|it| Some(it) != own)))?;
        self.network(holder, "ip link set lo up")?;
        self.network(holder, &format!("ip address add {SERVICE_ADDRESS}/32 dev lo"))?;
        Ok(holder)
    }

    /// Runs a command of `ip` in the network namespace.
    fn network(&self, holder: u32, line: &str) -> Result<()> {
        let net = format!("--net=/proc/{holder}/ns/net");
        exec::output(Command::new("nsenter").arg(net).args(line.split(' ')))
            .map(drop)
            .with_context(|| format!("in the network namespace of {}", self.name))
    }

    /// Scripts for people and tests, which find their way by themselves: `enter COMMAND`, in the network namespace of the cluster, and `kubectl` there.
    fn write_scripts(&self, namespace: u32) -> Result<()> {
        let enter = format!("exec nsenter --net=/proc/{namespace}/ns/net");
        let kubectl = self.programs.join("kubectl");
        let kubectl =
            format!("{} --kubeconfig {}", kubectl.display(), self.state.join("pki/admin.kubeconfig").display());
        for (name, command) in [("enter", enter.clone()), ("kubectl", format!("{enter} {kubectl}"))] {
            let file = self.state.join(name);
            fs::write(&file, format!("#!/bin/sh\n{command} \"$@\"\n"))?;
            fs::set_permissions(file, fs::Permissions::from_mode(0o755))?;
        }
        Ok(())
    }

    fn import(&self, containerd: u32, images: &[PathBuf]) -> Result<()> {
        let ctr = |arguments: &[&str]| {
            let mut command = Command::new("nsenter");
            command.args(native::enter(containerd)).arg(format!("{INSIDE}/bin/ctr")).args(["-n", "k8s.io"]);
            command.args(arguments);
            command
        };
        self.wait("containerd", || Ok(exec::captured(&mut ctr(&["version"]))?.status.success()))?;
        for image in images {
            // Copied to where the node sees it, whatever is mounted over its own place.
            let name = image.file_name().context("an image is a file")?;
            fs::copy(image, self.state.join(name)).with_context(|| format!("copying {}", image.display()))?;
            let inside = format!("{INSIDE}/state/{}", name.to_string_lossy());
            exec::output(&mut ctr(&["images", "import", "--digests=false", &inside]))?;
            fs::remove_file(self.state.join(name))?;
        }
        Ok(())
    }

    /// Starts a daemon in these cgroups, with a log; it outlives this process.
    fn spawn(&self, name: &str, cgroups: &[PathBuf], program: &str, arguments: &[String]) -> Result<u32> {
        let log = File::create(self.state.join("log").join(name))?;
        let join: Vec<_> = cgroups.iter().map(|file| format!("echo 0 > {}", file.display())).collect();
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", &format!("set -e\n{}\nexec \"$@\"", join.join("\n")), "sh", program]).args(arguments);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        Ok(command.spawn().with_context(|| format!("starting {name}"))?.id())
    }
}

/// See [`Cluster::guard`].
pub(crate) struct Guard<'a> {
    cluster: &'a Cluster,
    shell: Child,
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let ended = self.shell.wait();
        // What is left is worth a word; the next `up` tries again.
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("some of the cluster in {} is left", self.cluster.state.display());
        }
    }
}
