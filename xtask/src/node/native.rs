//! A node that is this machine's own kernel: containerd and kubelet in mount and cgroup namespaces of their own.

use std::fs;

use anyhow::Result;

use super::{
    ADDRESS, Cluster, INSIDE, NODE,
    configuration::{Driver, Places},
};

const SCRIPT: &str = include_str!("../../assets/node/native.sh");
/// Below [`INSIDE`].
const PLACES: Places = Places { plugins: "/run/telltale/bin", files: "/run/telltale/state" };

/// Writes what the node reads.
pub(super) fn configure(cluster: &Cluster) -> Result<()> {
    let state = &cluster.state;
    PLACES.write(Driver::Cgroupfs, state)?;
    fs::write(state.join("native.sh"), SCRIPT)?;
    if let Some(layout) = cluster.cgroups.layout() {
        fs::write(state.join("hybrid"), layout)?;
    }
    Ok(())
}

/// Starts containerd; gives its process, whose namespaces are the node's.
pub(super) fn start_containerd(cluster: &Cluster, namespace: u32) -> Result<u32> {
    let words = [
        format!("--net=/proc/{namespace}/ns/net"),
        "unshare".to_owned(),
        "--mount".to_owned(),
        "--cgroup".to_owned(),
        "sh".to_owned(),
        cluster.state.join("native.sh").display().to_string(),
        cluster.programs.display().to_string(),
        cluster.state.display().to_string(),
    ];
    cluster.spawn("containerd", &cluster.cgroups.node(), "nsenter", &words)
}

/// The words before a command that is to run in the node.
pub(super) fn enter(containerd: u32) -> Vec<String> {
    let target = format!("--target={containerd}");
    [&target, "--mount", "--cgroup", "--net"].map(str::to_owned).to_vec()
}

/// Starts kubelet.
pub(super) fn start_kubelet(cluster: &Cluster, containerd: u32) -> Result<()> {
    let mut words = enter(containerd);
    words.extend([
        format!("{INSIDE}/bin/kubelet"),
        format!("--config={INSIDE}/state/kubelet.yaml"),
        format!("--kubeconfig={INSIDE}/state/pki/kubelet.kubeconfig"),
        format!("--hostname-override={NODE}"),
        format!("--node-ip={ADDRESS}"),
    ]);
    cluster.spawn("kubelet", &cluster.cgroups.daemons(), "nsenter", &words).map(drop)
}

/// Starts what gives Services their addresses.
pub(super) fn start_proxy(cluster: &Cluster, containerd: u32) -> Result<()> {
    let mut words = enter(containerd);
    words.extend([
        format!("{INSIDE}/bin/kube-proxy"),
        format!("--kubeconfig={INSIDE}/state/pki/proxy.kubeconfig"),
        format!("--hostname-override={NODE}"),
        "--proxy-mode=nftables".to_owned(),
        "--cluster-cidr=10.244.0.0/16".to_owned(),
        // Limits of the host's own table stay as they are.
        "--conntrack-max-per-core=0".to_owned(),
        "--conntrack-tcp-timeout-established=0".to_owned(),
        "--conntrack-tcp-timeout-close-wait=0".to_owned(),
    ]);
    cluster.spawn("kube-proxy", &cluster.cgroups.daemons(), "nsenter", &words).map(drop)
}
