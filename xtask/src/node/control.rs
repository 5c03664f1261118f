//! The control plane: etcd and Kubernetes' own programs, in the cluster's network namespace.

use std::path::Path;

use anyhow::Result;

use super::{ADDRESS, Cluster};

/// Where Services are, and pods.
const SERVICES: &str = "10.96.0.0/16";
const PODS: &str = "10.244.0.0/16";

/// Starts etcd and the API server.
pub(super) fn start(cluster: &Cluster, namespace: u32) -> Result<()> {
    let file = |name: &str| cluster.state.join("pki").join(name).display().to_string();
    let client = "http://127.0.0.1:2379";
    run(
        cluster,
        namespace,
        "etcd",
        &[
            format!("--data-dir={}", cluster.state.join("etcd").display()),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            "--listen-peer-urls=http://127.0.0.1:2380".to_owned(),
            "--unsafe-no-fsync".to_owned(),
            "--log-level=warn".to_owned(),
        ],
    )?;
    run(
        cluster,
        namespace,
        "kube-apiserver",
        &[
            format!("--etcd-servers={client}"),
            "--bind-address=0.0.0.0".to_owned(),
            "--secure-port=443".to_owned(),
            format!("--advertise-address={ADDRESS}"),
            format!("--service-cluster-ip-range={SERVICES}"),
            format!("--tls-cert-file={}", file("apiserver.crt")),
            format!("--tls-private-key-file={}", file("apiserver.key")),
            format!("--client-ca-file={}", file("ca.crt")),
            format!("--kubelet-client-certificate={}", file("apiserver-kubelet.crt")),
            format!("--kubelet-client-key={}", file("apiserver-kubelet.key")),
            format!("--kubelet-certificate-authority={}", file("ca.crt")),
            "--kubelet-preferred-address-types=InternalIP".to_owned(),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--authorization-mode=Node,RBAC".to_owned(),
            "--enable-admission-plugins=NodeRestriction".to_owned(),
            "--allow-privileged=true".to_owned(),
            format!("--audit-policy-file={}", cluster.state.join("audit.yaml").display()),
            format!("--audit-log-path={}", cluster.audit_log().display()),
        ],
    )
}

/// Starts what acts on objects, once the API server is ready.
pub(super) fn start_controllers(cluster: &Cluster, namespace: u32) -> Result<()> {
    let file = |name: &str| cluster.state.join("pki").join(name).display().to_string();
    run(
        cluster,
        namespace,
        "kube-controller-manager",
        &[
            format!("--kubeconfig={}", file("controllers.kubeconfig")),
            format!("--service-account-private-key-file={}", file("accounts.key")),
            format!("--root-ca-file={}", file("ca.crt")),
            "--use-service-account-credentials".to_owned(),
            "--leader-elect=false".to_owned(),
            format!("--cluster-cidr={PODS}"),
            // It makes this folder, by default in the machine's own tree.
            format!("--flex-volume-plugin-dir={}", cluster.state.join("plugins").display()),
            format!("--service-cluster-ip-range={SERVICES}"),
        ],
    )?;
    run(
        cluster,
        namespace,
        "kube-scheduler",
        &[format!("--kubeconfig={}", file("scheduler.kubeconfig")), "--leader-elect=false".to_owned()],
    )
}

fn run(cluster: &Cluster, namespace: u32, program: &str, arguments: &[String]) -> Result<()> {
    let path: &Path = &cluster.programs.join(program);
    let mut words: Vec<String> = vec![format!("--net=/proc/{namespace}/ns/net"), path.display().to_string()];
    words.extend_from_slice(arguments);
    cluster.spawn(program, &cluster.cgroups.control(), "nsenter", &words).map(drop)
}
