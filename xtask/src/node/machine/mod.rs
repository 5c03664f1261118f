//! A node that is a virtual machine: an emulated one, on a stock kernel, with cgroup v2 only.

mod busybox;
mod debian;

use std::{
    fs::{self, File},
    io::BufWriter,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::{
    ADDRESS, Cluster, NODE, VM_ADDRESS,
    configuration::{Driver, Places},
};
use crate::{
    exec,
    image::archive::copy,
    setup::kernels,
    vm::{Archive, matrix, qemu},
};

/// A kind of virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// Debian's kernel with cgroup v2 only, busybox as its init, pods' cgroups by kubelet and runc (cgroupfs driver)
    A,
    /// The same kernel with Debian 13, systemd as its init, pods' cgroups by systemd (slices and scopes)
    B,
}

/// What differs between them.
struct Form {
    /// Puts an operating system into an empty folder: a shell and the tools of the scripts below, and what starts as the first process.
    userland: fn(&Path) -> Result<()>,
    /// Who makes the cgroups of pods.
    driver: Driver,
    /// For the kernel, and for the first process.
    command_line: &'static str,
}

impl Machine {
    const fn form(self) -> Form {
        match self {
            Self::A => Form { userland: busybox::install, driver: Driver::Cgroupfs, command_line: "" },
            Self::B => Form {
                userland: debian::install,
                driver: Driver::Systemd,
                // Nobody logs in.
                command_line: "systemd.show_status=0 systemd.getty_auto=0 net.ifnames=0",
            },
        }
    }
}

/// Where the node finds its things.
const PLACES: Places = Places { plugins: "/opt/cni/bin", files: FILES };
const FILES: &str = "/etc/node";

const PREBAKE: &str = include_str!("../../../assets/node/prebake.sh");
const START: &str = include_str!("../../../assets/node/start.sh");
/// Of both, in [`FILES`].
const SCRIPTS: &[(&str, &str)] = &[
    ("prepare.sh", include_str!("../../../assets/node/prepare.sh")),
    ("daemon.sh", include_str!("../../../assets/node/daemon.sh")),
    ("console.sh", include_str!("../../../assets/node/console.sh")),
];

/// What the node's network and its file systems need where the kernel does not have it built in; the first is for the disk.
const MODULES: &[&str] = &[
    "virtio_blk",
    "overlay",
    "virtio_net",
    "veth",
    "bridge",
    "br_netfilter",
    "nf_tables",
    "nft_chain_nat",
    "nft_nat",
    "nft_masq",
    "nft_redir",
    "nft_ct",
    "nft_fib_ipv4",
    "nft_fib_inet",
    "nft_numgen",
    "nft_hash",
    "nft_limit",
    "nft_reject_inet",
    "nft_reject_ipv4",
    "nft_reject_ipv6",
    "nft_log",
];

/// Makes the interface on the cluster's side.
pub(super) fn network(cluster: &Cluster, namespace: u32) -> Result<()> {
    cluster.network(namespace, "ip tuntap add tap0 mode tap")?;
    cluster.network(namespace, &format!("ip address add {ADDRESS}/24 dev tap0"))?;
    cluster.network(namespace, "ip link set tap0 up")?;
    cluster.network(namespace, &format!("ip route add 10.244.0.0/24 via {VM_ADDRESS}"))
}

impl Machine {
    /// Makes the disk, with these images in containerd's store, and the first file system.
    pub(super) fn build(self, cluster: &Cluster, images: &[PathBuf]) -> Result<()> {
        let root = cluster.state.join("root");
        let modules = kernels::modules_for(&matrix::V6_12, MODULES)?;
        fs::create_dir_all(&root)?;
        (self.form().userland)(&root)?;
        folders(&root)?;
        programs(cluster, &root)?;
        for module in &modules {
            copy(module, &root.join("lib/modules").join(module.file_name().context("a module is a file")?))?;
        }
        let names = modules.iter().skip(1).filter_map(|module| module.file_stem());
        let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
        fs::write(root.join("lib/modules/list"), names.join("\n") + "\n")?;
        configure(cluster, self.form().driver, &root)?;

        let store = root.join("var/lib/containerd");
        let mut prebake = Command::new("unshare");
        prebake.args(["--mount", "sh", "-c", PREBAKE, "prebake"]).arg(&cluster.programs).arg(&store).args(images);
        exec::output(&mut prebake)?;

        let disk = cluster.state.join("disk");
        let mut format = Command::new("mkfs.ext4");
        exec::output(format.args(["-q", "-d"]).arg(&root).args(["-L", "root"]).arg(&disk).arg("4G"))?;
        fs::remove_dir_all(&root)?;
        let mut first = Archive::new(BufWriter::new(File::create(cluster.state.join("initramfs"))?));
        for folder in ["/dev", "/proc", "/new", "/bin"] {
            first.folder(folder)?;
        }
        first.program("/bin/busybox", &fs::read(busybox::program()?)?)?;
        first.program("/virtio_blk.ko", &fs::read(&modules[0])?)?;
        first.program("/init", START.as_bytes())?;
        Ok(first.finish()?)
    }

    /// Starts it; its console is a log of the cluster.
    pub(super) fn start(self, cluster: &Cluster, namespace: u32) -> Result<()> {
        let kernel = kernels::ensure(&matrix::V6_12)?;
        let file = |name: &str| cluster.state.join(name).display().to_string();
        let words: Vec<String> = [
            &format!("--net=/proc/{namespace}/ns/net"),
            "qemu-system-x86_64",
            // With a thread for each processor, a kernel that patches its own code can run half of the patch.
            "-accel",
            "tcg,thread=single",
            "-cpu",
            qemu::PROCESSOR,
            "-smp",
            "2",
            "-m",
            "4096",
            "-nodefaults",
            "-display",
            "none",
            "-no-reboot",
            "-kernel",
            &kernel.display().to_string(),
            "-initrd",
            &file("initramfs"),
            "-append",
            &format!(
                "console=ttyS0 quiet mitigations=off panic=-1 tsc=reliable no_timer_check {}",
                self.form().command_line
            ),
            "-drive",
            &format!("file={},format=raw,if=virtio,cache=unsafe", file("disk")),
            "-netdev",
            "tap,id=n,ifname=tap0,script=no,downscript=no",
            "-device",
            "virtio-net-pci,netdev=n,romfile=",
            "-device",
            "virtio-rng-pci",
            "-serial",
            &format!("file:{}", file("log/console")),
        ]
        .map(str::to_owned)
        .to_vec();
        cluster.spawn("qemu", &cluster.cgroups.control(), "nsenter", &words).map(drop)
    }
}

/// Folders that are mounted over, and files that programs expect.
fn folders(root: &Path) -> Result<()> {
    for folder in "dev proc sys run tmp root lib/modules opt/cni/bin usr/local/bin var/log/pods var/lib/kubelet var/lib/containerd"
        .split_whitespace()
    {
        fs::create_dir_all(root.join(folder))?;
    }
    for (file, text) in [
        ("etc/hostname", NODE),
        // Without it no pod starts.
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/resolv.conf", ""),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
    ] {
        fs::write(root.join(file), text)?;
    }
    Ok(())
}

fn programs(cluster: &Cluster, root: &Path) -> Result<()> {
    let (here, bin) = (|name: &str| cluster.programs.join(name), root.join("usr/local/bin"));
    for name in ["k8s", "containerd", "containerd-shim-runc-v2", "ctr", "runc"] {
        copy(&here(name), &bin.join(name))?;
    }
    for name in ["kubelet", "kube-proxy"] {
        symlink("k8s", bin.join(name))?;
    }
    for name in ["bridge", "loopback", "host-local", "portmap"] {
        copy(&here(name), &root.join("opt/cni/bin").join(name))?;
    }
    Ok(())
}

/// The same configuration as a native node's, at other paths, and the scripts.
fn configure(cluster: &Cluster, driver: Driver, root: &Path) -> Result<()> {
    let own = root.join(FILES.trim_start_matches('/'));
    PLACES.write(driver, &own)?;
    for (name, text) in SCRIPTS {
        fs::write(own.join(name), text)?;
    }
    let names =
        ["ca.crt", "kubelet.crt", "kubelet.key", "kubelet.kubeconfig", "proxy.crt", "proxy.key", "proxy.kubeconfig"];
    for name in names {
        fs::copy(cluster.state.join("pki").join(name), own.join("pki").join(name))?;
    }
    Ok(())
}
