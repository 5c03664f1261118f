//! How the API server is reached.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use http::{HeaderValue, header::USER_AGENT};
use kube::{
    Client, Config,
    client::ClientBuilder,
    config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError},
};
use thiserror::Error;

use super::traffic::TrafficLayer;
use crate::admin::Health;

/// What a connection that has been opened may take to be made.
const CONNECT: Duration = Duration::from_secs(10);
/// A connection on which nothing has come for so long is dead: watches are told where they are (bookmarks) every minute.
const SILENCE: Duration = Duration::from_secs(150);

/// Why the API server cannot be spoken to.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// Nothing says where it is.
    #[error(
        "there is no API server to follow: this is no pod (KUBERNETES_SERVICE_HOST is not set), and neither --kubeconfig nor KUBECONFIG names a file"
    )]
    Nowhere,
    /// This is a pod, but not one with a service account.
    #[error("this pod cannot speak to the API server: {0}; it needs a service account with its token mounted")]
    InCluster(#[source] InClusterError),
    /// The file cannot be used.
    #[error("{}: {source}", file.display())]
    File {
        /// Which file.
        file: PathBuf,
        /// Why not.
        source: KubeconfigError,
    },
    /// What was read makes no client: a certificate that is none, for example.
    #[error("{server}: {source}")]
    Client {
        /// Which API server.
        server: String,
        /// Why not.
        source: kube::Error,
    },
}

/// A client of the API server. Nothing was sent yet.
#[derive(Clone)]
pub struct Connection {
    /// The client.
    pub client: Client,
    /// Where the API server is, for people.
    pub server: String,
    /// The namespace of the service account, or that of the kubeconfig's context.
    pub namespace: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("server", &self.server).finish_non_exhaustive()
    }
}

/// A client for the API server that the file names; without a file of the cluster that this process is a pod of, else of the one that
/// `KUBECONFIG` names. It must be called on a Tokio runtime.
pub async fn connect(kubeconfig: Option<&Path>, health: &Arc<Health>) -> Result<Connection, ConnectError> {
    let mut config = match kubeconfig {
        Some(file) => from_file(file).await?,
        None if std::env::var_os("KUBERNETES_SERVICE_HOST").is_some() => {
            Config::incluster_env().map_err(ConnectError::InCluster)?
        }
        None => {
            let file = std::env::var_os("KUBECONFIG").filter(|file| !file.is_empty()).ok_or(ConnectError::Nowhere)?;
            from_file(Path::new(&file)).await?
        }
    };
    let agent = HeaderValue::from_static(concat!("telltale/", env!("CARGO_PKG_VERSION")));
    config.headers.push((USER_AGENT, agent));
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(SILENCE);
    let (server, namespace) = (config.cluster_url.to_string(), config.default_namespace.clone());
    let builder =
        ClientBuilder::try_from(config).map_err(|source| ConnectError::Client { server: server.clone(), source })?;
    Ok(Connection { client: builder.with_layer(&TrafficLayer::new(health)).build(), server, namespace })
}

async fn from_file(file: &Path) -> Result<Config, ConnectError> {
    let fail = |source| ConnectError::File { file: file.to_owned(), source };
    let read = Kubeconfig::read_from(file).map_err(fail)?;
    Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await.map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refusal(text: &str) -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let error = connect(Some(file.path()), &Health::new()).await.unwrap_err();
        error.to_string().replace(&file.path().display().to_string(), "FILE")
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_named_with_the_reason() {
        let missing = connect(Some(Path::new("/nonexistent/config")), &Health::new()).await.unwrap_err();
        assert!(missing.to_string().starts_with("/nonexistent/config: "), "{missing}");
        assert!(refusal("{}").await.starts_with("FILE: "));
        assert!(refusal("current-context: x\ncontexts: []\n").await.starts_with("FILE: "));
    }

    #[tokio::test]
    async fn a_file_says_where_the_server_is() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = "current-context: a\nclusters: [{name: c, cluster: {server: \"http://127.0.0.1:1\"}}]\n\
                    contexts: [{name: a, context: {cluster: c, user: u, namespace: n}}]\nusers: [{name: u, user: {}}]\n";
        std::fs::write(file.path(), text).unwrap();
        let connection = connect(Some(file.path()), &Health::new()).await.unwrap();
        assert_eq!((connection.server.as_str(), connection.namespace.as_str()), ("http://127.0.0.1:1/", "n"));
    }
}
