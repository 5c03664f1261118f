//! A node that is a virtual machine: an emulated one, on a stock kernel, with cgroup v2 only.

use std::{
    fs::{self, File},
    io::BufWriter,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use clap::ValueEnum;

use super::{ADDRESS, Cluster, VM_ADDRESS, native};
use crate::{
    exec,
    image::archive::{copy, within},
    setup::kernels,
    toolchain,
    vm::{self, Archive, matrix, qemu},
};

/// A kind of virtual machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Machine {
    /// Debian's kernel with cgroup v2 only and busybox as its init
    A,
}

const PREBAKE: &str = include_str!("../../assets/node/prebake.sh");
const START: &str = include_str!("../../assets/node/start.sh");
const INIT: &str = include_str!("../../assets/node/init.sh");

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

/// Makes the disk, with these images in containerd's store, and the first file system.
pub(super) fn build(cluster: &Cluster, images: &[PathBuf]) -> Result<()> {
    let root = cluster.state.join("root");
    let modules = kernels::modules_for(&matrix::V6_12, MODULES)?;
    folders(&root)?;
    programs(cluster, &root)?;
    for module in &modules {
        copy(module, &root.join("lib/modules").join(module.file_name().context("a module is a file")?))?;
    }
    let names = modules.iter().skip(1).filter_map(|module| module.file_stem());
    let names: Vec<_> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    fs::write(root.join("lib/modules/list"), names.join("\n") + "\n")?;
    fs::write(root.join("sbin/init"), INIT)?;
    exec::run(Command::new("chmod").arg("755").arg(root.join("sbin/init")))?;
    configure(cluster, &root)?;

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
    first.program("/bin/busybox", &fs::read(busybox()?)?)?;
    first.program("/virtio_blk.ko", &fs::read(&modules[0])?)?;
    first.program("/init", START.as_bytes())?;
    Ok(first.finish()?)
}

/// Starts it; its console is a log of the cluster.
pub(super) fn start(cluster: &Cluster, namespace: u32) -> Result<()> {
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
        "console=ttyS0 quiet mitigations=off panic=-1 tsc=reliable no_timer_check",
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

fn busybox() -> Result<PathBuf> {
    toolchain::on_path("busybox").context("busybox is not installed; run `cargo xtask setup`")
}

/// Folders that are mounted over, or that programs expect.
fn folders(root: &Path) -> Result<()> {
    for folder in
        "dev proc sys run tmp root bin sbin lib/modules etc/node opt/cni/bin usr/local/bin usr/sbin var/log/pods var/lib/kubelet \
         var/lib/containerd"
            .split_whitespace()
    {
        fs::create_dir_all(root.join(folder))?;
    }
    for (file, text) in [
        ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/group", "root:x:0:\n"),
        ("etc/hosts", "127.0.0.1 localhost\n"),
        ("etc/resolv.conf", ""),
        ("etc/machine-id", "0123456789abcdef0123456789abcdef\n"),
        ("etc/os-release", "ID=telltale\n"),
    ] {
        fs::write(root.join(file), text)?;
    }
    Ok(())
}

fn programs(cluster: &Cluster, root: &Path) -> Result<()> {
    copy(&busybox()?, &root.join("bin/busybox"))?;
    for name in exec::output(Command::new(busybox()?).arg("--list"))?.lines().filter(|name| *name != "busybox") {
        symlink("busybox", root.join("bin").join(name))?;
    }
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
    // With it, kube-proxy writes the rules of Services.
    let nft = ["/usr/sbin/nft", "/sbin/nft"].map(PathBuf::from).into_iter().find(|path| path.is_file());
    let nft = nft.context("nft is not installed; run `cargo xtask setup`")?;
    copy(&nft, &bin.join("nft"))?;
    for library in vm::libraries_of(&nft)? {
        copy(Path::new(&library), &within(root, &library))?;
    }
    Ok(())
}

/// The same configuration as a native node's, at other paths.
fn configure(cluster: &Cluster, root: &Path) -> Result<()> {
    let own = root.join("etc/node");
    for folder in ["pki", "cni"] {
        fs::create_dir_all(own.join(folder))?;
    }
    fs::write(own.join("cni/10-bridge.conflist"), native::BRIDGE)?;
    let fill = |text: &str| {
        text.replace("@BIN@", "/opt/cni/bin").replace("@STATE@", "/etc/node").replace("@PKI@", "/etc/node/pki")
    };
    fs::write(own.join("containerd.toml"), fill(native::CONTAINERD))?;
    fs::write(own.join("kubelet.yaml"), fill(native::KUBELET))?;
    let names =
        ["ca.crt", "kubelet.crt", "kubelet.key", "kubelet.kubeconfig", "proxy.crt", "proxy.key", "proxy.kubeconfig"];
    for name in names {
        fs::copy(cluster.state.join("pki").join(name), own.join("pki").join(name))?;
    }
    Ok(fs::write(own.join("pki/resolv.conf"), "")?)
}
