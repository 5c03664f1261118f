//! Connections only to where policies may send (POLICY.md section 6): what a name resolves to is checked at every resolution.

use std::{
    future::Future,
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::http::Uri;
use hyper_util::rt::TokioIo;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::{TcpStream, lookup_host};
use tower_service::Service;

use crate::policy::{Reach, Refused};

/// The addresses of a host that may be connected to. An error if it has none of these.
async fn resolve(reach: &Reach, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    let mut allowed = Vec::new();
    let mut refused = None;
    for address in lookup_host((host, port)).await? {
        match reach.check(host, address.ip()) {
            Ok(()) => allowed.push(address),
            Err(error) => refused = Some(error),
        }
    }
    match refused {
        Some(error) if allowed.is_empty() => Err(io::Error::new(io::ErrorKind::PermissionDenied, error)),
        _ => Ok(allowed),
    }
}

/// Whether the error is, or was caused by, an address that was refused.
pub(super) fn is_refused(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<Refused>() {
            return true;
        }
        // An I/O error leaves out what it wraps: its source is that error's source.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    false
}

/// Connects a gRPC channel.
#[derive(Clone, Debug)]
pub(super) struct Connector(pub(super) Reach);

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let reach = self.0.clone();
        Box::pin(async move {
            let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            let port = uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 });
            let stream = TcpStream::connect(&*resolve(&reach, host, port).await?).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// Resolves names for an HTTP client. Addresses in URLs come past it: [`check_literal`] is for these.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    pub(super) reach: Reach,
    /// The host that is meant: where the certificate must have another name, the URL has that.
    pub(super) host: Arc<str>,
}

impl Resolve for Resolver {
    fn resolve(&self, _: Name) -> Resolving {
        let (reach, host) = (self.reach.clone(), Arc::clone(&self.host));
        Box::pin(async move {
            // Port 0 stands for that of the URL.
            let addresses = resolve(&reach, &host, 0).await?;
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

/// Checks the host of a URL that is an address. The URL's parser has made addresses of all spellings of them, such as `http://2130706433/`.
pub(super) fn check_literal(reach: &Reach, url: &reqwest::Url) -> Result<(), Refused> {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().map_or(Ok(()), |address| reach.check(host, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_address_is_checked() {
        let reach = Reach::restricted(Vec::new());
        for url in
            ["http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://[::1]:4318/", "http://127.1:4318/"]
        {
            let url = reqwest::Url::parse(url).unwrap();
            assert!(check_literal(&reach, &url).is_err(), "{url}");
            assert!(check_literal(&Reach::ANYWHERE, &url).is_ok());
        }
        assert!(check_literal(&reach, &reqwest::Url::parse("http://10.0.0.7/").unwrap()).is_ok());
    }

    #[tokio::test]
    async fn names_that_resolve_to_loopback_are_refused() {
        let reach = Reach::restricted(Vec::new());
        for host in ["localhost", "127.0.0.1", "2130706433"] {
            let error = resolve(&reach, host, 1).await.unwrap_err();
            assert!(is_refused(&error), "{host}: {error}");
            assert!(!resolve(&Reach::ANYWHERE, host, 1).await.unwrap().is_empty());
        }
        let allowed = Reach::restricted(vec!["localhost".parse().unwrap()]);
        assert!(resolve(&allowed, "localhost", 1).await.is_ok());
        assert!(!is_refused(&io::Error::other("something else")));
    }
}
