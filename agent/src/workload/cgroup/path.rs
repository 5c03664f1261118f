//! Paths of cgroups -> the pod and the container that they are of.
//!
//! The kubelet names a pod's cgroup `pod<uid>` and the runtime makes one below it for each container. What is around those names differs by
//! cgroup driver, runtime, quality of service and by where one looks from: a private cgroup namespace shows others as `/../../pod<uid>/...`, a
//! node in a container has its own cgroups before. So only the names count, never what is before them.

/// Of which pod and container a cgroup is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PodPath<'a> {
    /// UID of the pod as the API writes it; of a static pod the hash of its manifest, 32 digits without dashes
    /// (annotation `kubernetes.io/config.hash` of its mirror).
    pub uid: String,
    /// Id of the container, 64 hexadecimal digits; absent for the pod's own cgroup and for processes beside its containers. The sandbox of the
    /// pod (`pause`) is one that the API does not name.
    pub container: Option<&'a str>,
}

/// The pod and container of a path below the mount of a hierarchy, or of a line of `/proc/PID/cgroup` (`hierarchy:controllers:path`).
///
/// Of pods inside one another (a node that is itself a pod) the outermost is meant: the one whose API server knows this machine's node.
pub fn parse(path: &str) -> Option<PodPath<'_>> {
    let mut names = path.split('/');
    let (uid, rest) = names.by_ref().find_map(pod)?;
    let in_name = rest.and_then(|rest| container(rest.strip_prefix(':')?));
    Some(PodPath { uid, container: in_name.or_else(|| container(names.next()?)) })
}

/// The UID in the name of a pod's cgroup, and what follows it there.
fn pod(name: &str) -> Option<(String, Option<&str>)> {
    // A runtime with another driver than the kubelet makes one directory of all: `kubepods-pod<uid>.slice:cri-containerd:<id>`.
    let (own, rest) = name.find(':').map_or((name, None), |at| (&name[..at], Some(&name[at..])));
    let own = own.strip_suffix(".slice").unwrap_or(own);
    // The systemd driver puts the names of the slices above before it. No letter of `pod` is a hexadecimal digit but the last.
    let (before, uid) = own.rsplit_once("pod")?;
    if !(before.is_empty() || before.ends_with('-')) {
        return None;
    }
    Some((uid_of(uid)?, rest))
}

/// A UID with dashes, with underscores where the driver is systemd (a dash there means a slice below another), or a static pod's.
fn uid_of(text: &str) -> Option<String> {
    /// Where a UUID has dashes (RFC 9562 section 4).
    const DASHES: [usize; 4] = [8, 13, 18, 23];
    let hexadecimal = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    let uuid = |(at, byte): (usize, u8)| {
        if DASHES.contains(&at) { matches!(byte, b'-' | b'_') } else { hexadecimal(byte) }
    };
    match text.len() {
        36 if text.bytes().enumerate().all(uuid) => Some(text.replace('_', "-")),
        32 if text.bytes().all(hexadecimal) => Some(text.to_owned()),
        _ => None,
    }
}

/// The id in the name of a container's cgroup: bare, or as `<runtime>-<id>.scope`, `<runtime>-<id>`, `<runtime>:<id>`.
fn container(name: &str) -> Option<&str> {
    /// Digits of a container id of containerd, CRI-O and Docker.
    const ID: usize = 64;
    /// The monitors of CRI-O's containers carry their ids too.
    const MONITOR: &str = "conmon-";
    let name = name.strip_suffix(".scope").unwrap_or(name);
    let (before, id) = name.split_at_checked(name.len().checked_sub(ID)?)?;
    let is_id = id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let is_prefix = before.is_empty() || before.ends_with(['-', ':']);
    (is_id && is_prefix && !before.ends_with(MONITOR)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const UID: &str = "2f1c6b8e-9d1f-4a54-8a53-0c6c3b8f1d2e";
    const STATIC: &str = "0123456789abcdef0123456789abcdef";
    const ID: &str = "4f9d1e8c7b6a5f4e3d2c1b0a99887766554433221100ffeeddccbbaa00112233";
    const OTHER: &str = "aaaaaaaabbbbbbbbccccccccddddddddaaaaaaaabbbbbbbbccccccccdddddddd";
    const OTHER_UID: &str = "11111111-2222-3333-4444-555555555555";

    /// A row: what it is, the path (`U` and `_U_` the UID with dashes and underscores, `S` a static pod's, `I` a container id, `O` another, `P` another
    /// pod's UID), the UID, whether it is container `I`.
    const TABLE: &[(&str, &str, Option<&str>, bool)] = &[
        // The cgroupfs driver.
        ("burstable", "/kubepods/burstable/podU/I", Some(UID), true),
        ("best effort", "/kubepods/besteffort/podU/I", Some(UID), true),
        ("guaranteed", "/kubepods/podU/I", Some(UID), true),
        ("the pod's own", "/kubepods/burstable/podU", Some(UID), false),
        ("without a root", "kubepods/burstable/podU/I", Some(UID), true),
        ("CRI-O, cgroupfs", "/kubepods/burstable/podU/crio-I", Some(UID), true),
        ("CRI-O's monitor, cgroupfs", "/kubepods/burstable/podU/crio-conmon-I", Some(UID), false),
        ("dockerd through cri-dockerd, cgroupfs", "/kubepods/besteffort/podU/I", Some(UID), true),
        // The systemd driver.
        (
            "containerd, burstable",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod_U_.slice/cri-containerd-I.scope",
            Some(UID),
            true,
        ),
        (
            "containerd, best effort",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod_U_.slice/cri-containerd-I.scope",
            Some(UID),
            true,
        ),
        ("containerd, guaranteed", "/kubepods.slice/kubepods-pod_U_.slice/cri-containerd-I.scope", Some(UID), true),
        ("the pod's own slice", "/kubepods.slice/kubepods-pod_U_.slice", Some(UID), false),
        (
            "CRI-O",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod_U_.slice/crio-I.scope",
            Some(UID),
            true,
        ),
        (
            "CRI-O's monitor",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod_U_.slice/crio-conmon-I.scope",
            Some(UID),
            false,
        ),
        ("CRI-O, split", "/kubepods.slice/kubepods-pod_U_.slice/crio-I.scope/container", Some(UID), true),
        (
            "Docker",
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod_U_.slice/docker-I.scope",
            Some(UID),
            true,
        ),
        (
            "containerd with cgroupfs below a kubelet with systemd",
            "/system.slice/containerd.service/kubepods-burstable-pod_U_.slice:cri-containerd:I",
            Some(UID),
            true,
        ),
        // Lines of /proc/PID/cgroup.
        ("v2", "0::/kubepods/burstable/podU/I", Some(UID), true),
        ("v1", "12:pids:/kubepods/burstable/podU/I", Some(UID), true),
        ("v1, two controllers", "4:cpu,cpuacct:/kubepods.slice/kubepods-pod_U_.slice/docker-I.scope", Some(UID), true),
        ("v1, named", "1:name=systemd:/kubepods/besteffort/podU/I", Some(UID), true),
        (
            "v1, the form of one directory",
            "5:memory:/system.slice/containerd.service/kubepods-pod_U_.slice:cri-containerd:I",
            Some(UID),
            true,
        ),
        ("from a private cgroup namespace", "0::/../../podU/I", Some(UID), true),
        ("from one of another quality of service", "0::/../../../burstable/podU/I", Some(UID), true),
        ("from a container of the same pod", "0::/../I", None, false),
        ("from the pod's own", "0::/", None, false),
        (
            "from a private namespace, systemd",
            "0::/../../kubepods-besteffort-pod_U_.slice/cri-containerd-I.scope",
            Some(UID),
            true,
        ),
        // Nodes in containers, and nested ones.
        ("kind, cgroupfs", "/docker/O/kubelet/kubepods/burstable/podU/I", Some(UID), true),
        ("kind before its kubelet has a root of its own", "/docker/O/kubepods/podU/I", Some(UID), true),
        (
            "kind, systemd",
            "/system.slice/docker-O.scope/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod_U_.slice/cri-containerd-I.scope",
            Some(UID),
            true,
        ),
        (
            "kind, from inside",
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod_U_.slice/cri-containerd-I.scope",
            Some(UID),
            true,
        ),
        ("minikube", "/actions_job/O/kubepods/besteffort/podU/I", Some(UID), true),
        ("a node below a folder of its own", "/k8snat/kubepods/besteffort/podU/I", Some(UID), true),
        ("a node in a pod", "/kubepods/burstable/podU/I/kubelet/kubepods/podP/O", Some(UID), true),
        ("nested in a container", "/kubepods/burstable/podU/I/system.slice/nginx.service", Some(UID), true),
        ("nested in a container, deep", "/kubepods/burstable/podU/I/a/b/c/O", Some(UID), true),
        (
            "systemd in a container",
            "/kubepods.slice/kubepods-pod_U_.slice/cri-containerd-I.scope/init.scope",
            Some(UID),
            true,
        ),
        ("beside the containers", "/kubepods/burstable/podU/helper", Some(UID), false),
        // Static pods.
        ("static", "/kubepods/burstable/podS/I", Some(STATIC), true),
        (
            "static, systemd",
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podS.slice/crio-I.scope",
            Some(STATIC),
            true,
        ),
        // No pods.
        ("a service", "/system.slice/nginx.service", None, false),
        ("the kubelet", "/system.slice/kubelet.service", None, false),
        ("containerd", "0::/system.slice/containerd.service", None, false),
        ("above the pods", "/kubepods.slice/kubepods-burstable.slice", None, false),
        ("above the pods, cgroupfs", "/kubepods/besteffort", None, false),
        ("a container of Docker alone", "/docker/I", None, false),
        ("a container of Docker alone, systemd", "/system.slice/docker-I.scope", None, false),
        ("a container of Podman", "/machine.slice/libpod-I.scope/container", None, false),
        ("a service of Podman", "/user.slice/podman.service", None, false),
        ("a name that only begins so", "/podium/podcast-1", None, false),
        ("a UID in another name", "/systempodU/I", None, false),
        ("a UID with a digit too many", "/kubepods/podU0/I", None, false),
        ("a UID in capitals", "/kubepods/pod2F1C6B8E-9D1F-4A54-8A53-0C6C3B8F1D2E/I", None, false),
        ("no UID", "/kubepods/pod/I", None, false),
        ("the root", "/", None, false),
        ("nothing", "", None, false),
        // What is no container id.
        ("an id that is too short", "/kubepods/podU/4f9d1e8c", Some(UID), false),
        ("an id with more before it", "/kubepods/podU/xI", Some(UID), false),
        ("a name of several bytes a letter", "/kubepods/podU/\u{e9}\u{e9}I", Some(UID), false),
    ];

    #[test]
    fn every_form_tells_its_pod_and_container() {
        for (what, template, uid, in_container) in TABLE {
            let path = template
                .replace("_U_", &UID.replace('-', "_"))
                .replace("podU", &format!("pod{UID}"))
                .replace("podS", &format!("pod{STATIC}"))
                .replace("podP", &format!("pod{OTHER_UID}"))
                .split_inclusive(['/', '.', '-', ':'])
                .map(|part| {
                    let name = part.trim_end_matches(['/', '.', '-', ':']);
                    let end = &part[name.len()..];
                    let whole = match name {
                        "I" => ID.to_owned(),
                        "O" => OTHER.to_owned(),
                        "xI" => format!("x{ID}"),
                        "\u{e9}\u{e9}I" => format!("\u{e9}\u{e9}{ID}"),
                        other => other.to_owned(),
                    };
                    whole + end
                })
                .collect::<String>();
            let expected = uid.map(|uid| PodPath { uid: uid.to_owned(), container: in_container.then_some(ID) });
            assert_eq!(parse(&path), expected, "{what}: {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_panics(path in "(/|pod|[0-9a-f]{32}|[0-9a-f]{64}|\\.scope|\\.slice|:|-|\u{e9}|.){0,40}") {
            let _ = parse(&path);
        }
    }
}
