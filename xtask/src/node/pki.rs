//! Certificates and keys of one cluster, which live as long as it does.

use std::{fs, path::Path};

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

use super::{ADDRESS, NODE, SERVICE_ADDRESS, VM_ADDRESS};

/// Who has a certificate: its file, organisation, common name, the names it serves, and whether it is somebody's kubeconfig too.
struct Holder {
    file: &'static str,
    organisation: &'static str,
    name: &'static str,
    serves: &'static [&'static str],
    kubeconfig: bool,
}

/// The names are those that Kubernetes' own roles are bound to.
const HOLDERS: &[Holder] = &[
    Holder {
        file: "apiserver",
        organisation: "",
        name: "kube-apiserver",
        serves: &[SERVICE_ADDRESS, ADDRESS, "127.0.0.1", "localhost", "kubernetes", "kubernetes.default.svc"],
        kubeconfig: false,
    },
    client("apiserver-kubelet", "system:masters", "kube-apiserver-kubelet-client", false),
    Holder {
        file: "kubelet",
        organisation: "system:nodes",
        name: NODE_USER,
        serves: &[ADDRESS, VM_ADDRESS, NODE],
        kubeconfig: true,
    },
    client("admin", "system:masters", "admin", true),
    client("controllers", "", "system:kube-controller-manager", true),
    client("scheduler", "", "system:kube-scheduler", true),
    client("proxy", "", "system:kube-proxy", true),
];

/// As `system:node:NAME` the kubelet may what a node's own authorizer lets it.
const NODE_USER: &str = "system:node:node-1";

const fn client(file: &'static str, organisation: &'static str, name: &'static str, kubeconfig: bool) -> Holder {
    Holder { file, organisation, name, serves: &[], kubeconfig }
}

/// Writes everything into a folder.
pub(super) fn write(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut parameters = CertificateParams::new(Vec::new())?;
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    parameters.distinguished_name.push(DnType::CommonName, "telltale-cluster");
    let authority = CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?;
    fs::write(folder.join("ca.crt"), authority.pem())?;
    for holder in HOLDERS {
        let mut parameters = CertificateParams::new(holder.serves.iter().map(ToString::to_string).collect::<Vec<_>>())?;
        if !holder.organisation.is_empty() {
            parameters.distinguished_name.push(DnType::OrganizationName, holder.organisation);
        }
        parameters.distinguished_name.push(DnType::CommonName, holder.name);
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if !holder.serves.is_empty() {
            parameters.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth);
        }
        let key = KeyPair::generate()?;
        let certificate = parameters.signed_by(&key, &authority)?;
        fs::write(folder.join(format!("{}.crt", holder.file)), certificate.pem())?;
        fs::write(folder.join(format!("{}.key", holder.file)), key.serialize_pem())?;
        if holder.kubeconfig {
            kubeconfig(folder, holder.file)?;
        }
    }
    let accounts = KeyPair::generate()?;
    fs::write(folder.join("accounts.key"), accounts.serialize_pem())?;
    Ok(fs::write(folder.join("accounts.pub"), accounts.public_key_pem())?)
}

/// The files beside it are named, not held, so that it is short enough to read.
fn kubeconfig(folder: &Path, user: &str) -> Result<()> {
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: telltale\n\
         clusters: [{{name: telltale, cluster: {{server: \"https://{ADDRESS}\", certificate-authority: ca.crt}}}}]\n\
         users: [{{name: {user}, user: {{client-certificate: {user}.crt, client-key: {user}.key}}}}]\n\
         contexts: [{{name: telltale, context: {{cluster: telltale, user: {user}}}}}]\n"
    );
    Ok(fs::write(folder.join(format!("{user}.kubeconfig")), text)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nodes_user_is_that_of_its_name() {
        assert_eq!(NODE_USER.strip_prefix("system:node:"), Some(NODE));
    }
}
