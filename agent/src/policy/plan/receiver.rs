//! OTLP receivers that policies name.

use std::fmt;

use axum::http::{HeaderName, HeaderValue, Uri};

use super::super::{
    Effect, Finding, Trust,
    model::{BackendRef, Endpoint, FieldPath, Protocol, TlsSettings},
};

/// A receiver, with everything that makes it another one: who names the same shares one exporter.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Receiver {
    /// Which OTLP.
    pub protocol: Protocol,
    /// `http` or `https`. For OTLP/HTTP the whole URL, path included; for OTLP/gRPC scheme and authority.
    pub url: String,
    /// Sent with every request, names in lower case.
    pub headers: Vec<(String, String)>,
    /// How TLS is set up where `url` is `https`.
    pub tls: TlsSettings,
}

impl fmt::Debug for Receiver {
    /// Values of headers may be credentials: they are left out.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<&String> = self.headers.iter().map(|(name, _)| name).collect();
        write!(f, "Receiver({:?} {} headers {headers:?} {:?})", self.protocol, self.url, self.tls)
    }
}

/// Header fields that are the exporter's own. Were `user-agent` a policy's, agents could not tell each other's exports from traffic.
const OWN_HEADERS: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

/// OTLP's ports (OpenTelemetry specification, protocol/exporter.md).
const GRPC_PORT: u16 = 4317;
const HTTP_PORT: u16 = 4318;

impl Receiver {
    /// Reads an endpoint (POLICY.md section 1). `path` is that of the signal, such as `/v1/traces`: a URL without one means it. `None` if it makes the
    /// policy `Invalid`.
    pub fn of_endpoint(endpoint: &Endpoint, path: &str, trust: &Trust, findings: &mut Vec<Finding>) -> Option<Self> {
        match read(endpoint, path, trust) {
            Ok((protocol, url)) => {
                let tls = endpoint.tls.clone().unwrap_or_default();
                check_tls(endpoint, protocol, &url, trust, findings).then_some(Self {
                    protocol,
                    url,
                    headers: Vec::new(),
                    tls,
                })
            }
            Err(finding) => {
                findings.push(finding);
                None
            }
        }
    }

    /// The receiver behind a Service, of the policy's namespace unless it names another: in plaintext, at the name that the cluster's DNS knows. `None`
    /// for any other kind and without a port, which the schema and `ResolvedRefs` tell.
    pub fn of_service(backend: &BackendRef, namespace: &str, path: &str) -> Option<Self> {
        if !backend.group.is_empty() || backend.kind != "Service" {
            return None;
        }
        let (namespace, port) = (backend.namespace.as_deref().unwrap_or(namespace), backend.port?);
        let authority = format!("http://{}.{namespace}.svc:{port}", backend.name);
        let protocol = by_port(Some(port));
        let url = if protocol == Protocol::Http { format!("{authority}{path}") } else { authority };
        Some(Self { protocol, url, headers: Vec::new(), tls: TlsSettings::default() })
    }

    /// With these header fields. One that cannot be sent makes the policy `Invalid`; one that is the exporter's own is left out, and a message says so.
    #[must_use]
    pub fn with_headers(mut self, headers: &[(String, String)], at: &FieldPath, findings: &mut Vec<Finding>) -> Self {
        for (index, (name, value)) in headers.iter().enumerate() {
            let at = at.index(index);
            let lower = name.to_ascii_lowercase();
            if HeaderName::from_bytes(lower.as_bytes()).is_err() {
                findings
                    .push(Finding::invalid(&at.field("name"), format!("{name:?} is not the name of a header field")));
            } else if self.protocol == Protocol::Grpc && lower.ends_with("-bin") {
                let problem = "is a name of binary metadata in gRPC, whose value is not a text";
                findings.push(Finding::invalid(&at.field("name"), problem).instead("choose a name without -bin"));
            } else if HeaderValue::from_str(value).is_err() {
                // The value may be a credential: it is not repeated.
                findings.push(Finding::invalid(&at.field("value"), "has characters that no header field can have"));
            } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("grpc-") {
                let problem = format!("`{name}` is the exporter's own; it is left out");
                findings.push(Finding::new(&at.field("name"), Effect::Message, problem));
            } else {
                self.headers.push((lower, value.clone()));
            }
        }
        self
    }
}

fn by_port(port: Option<u16>) -> Protocol {
    if port == Some(HTTP_PORT) { Protocol::Http } else { Protocol::Grpc }
}

fn read(endpoint: &Endpoint, path: &str, trust: &Trust) -> Result<(Protocol, String), Finding> {
    const REMEDY: &str = "write HOST:PORT, http://HOST:PORT or https://HOST:PORT";
    // The address may hold a credential: problems do not repeat it.
    let invalid = |problem: &str| Finding::invalid(&endpoint.at, problem.to_owned()).instead(REMEDY);
    let address = endpoint.address.trim();
    let has_scheme = address.contains("://");
    let text = if has_scheme { address.to_owned() } else { format!("http://{address}") };
    let uri: Uri = text.parse().map_err(|error| invalid(&format!("is not a URL: {error}")))?;
    let Some(scheme @ ("http" | "https")) = uri.scheme_str() else {
        return Err(invalid("has a scheme that is neither http nor https"));
    };
    let (Some(authority), Some(host)) = (uri.authority(), uri.host().filter(|host| !host.is_empty())) else {
        return Err(invalid("names no host"));
    };
    if authority.as_str().contains('@') {
        return Err(Finding::invalid(&endpoint.at, "holds credentials").instead("write them as a header"));
    }
    let port = match uri.port_u16() {
        Some(0) => return Err(invalid("has port 0")),
        None if authority.as_str().len() > host.len() => {
            return Err(invalid("has a port that is no number up to 65535"));
        }
        port => port,
    };
    check_reach(endpoint, host, trust)?;
    let protocol = endpoint.protocol.unwrap_or_else(|| by_port(port));
    // With a scheme it is a URL, whose port is the scheme's; without one it is a receiver, whose port is OTLP's.
    let port = match port {
        Some(port) => format!(":{port}"),
        None if has_scheme => String::new(),
        None => format!(":{}", if protocol == Protocol::Http { HTTP_PORT } else { GRPC_PORT }),
    };
    let own = uri.path_and_query().map_or("", |path| path.as_str());
    let own = if own == "/" { "" } else { own };
    let base = format!("{scheme}://{host}{port}");
    match protocol {
        Protocol::Grpc if !own.is_empty() => {
            Err(Finding::invalid(&endpoint.at, "has a path, which OTLP/gRPC does not know")
                .instead("set protocol: http"))
        }
        Protocol::Grpc => Ok((protocol, base)),
        Protocol::Http => Ok((protocol, format!("{base}{}", if own.is_empty() { path } else { own }))),
    }
}

/// What can be said before any resolution. Other names are checked whenever they have been resolved.
fn check_reach(endpoint: &Endpoint, host: &str, trust: &Trust) -> Result<(), Finding> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    let address = match bare.parse() {
        Ok(address) => address,
        // RFC 6761 section 6.3: always loopback.
        Err(_) if name == "localhost" || name.ends_with(".localhost") => std::net::Ipv4Addr::LOCALHOST.into(),
        Err(_) => return Ok(()),
    };
    trust.reach.check(bare, address).map_err(|refused| Finding::invalid(&endpoint.at, refused.to_string()))
}

fn check_tls(endpoint: &Endpoint, protocol: Protocol, url: &str, trust: &Trust, findings: &mut Vec<Finding>) -> bool {
    let Some(tls) = &endpoint.tls else { return true };
    let at = endpoint.at.beside("tls");
    let before = findings.len();
    if !url.starts_with("https://") {
        findings.push(Finding::invalid(&at, "the endpoint is in plaintext").instead("write https://HOST:PORT"));
    }
    if let Some(name) = tls.server_name.as_deref().filter(|name| protocol == Protocol::Http && is_address(name)) {
        // The name takes the host's place in the URL, so that an address would be connected to.
        let problem = format!("{name:?} is an address, which OTLP/HTTP cannot ask a certificate for");
        findings
            .push(Finding::invalid(&at.field("serverName"), problem).instead("write a name, or use protocol: grpc"));
    }
    if tls.cert_file.is_some() != tls.key_file.is_some() {
        findings.push(Finding::invalid(&at, "a client certificate has a certFile and a keyFile"));
    }
    let files = [("caFile", &tls.ca_file), ("certFile", &tls.cert_file), ("keyFile", &tls.key_file)];
    for (field, _) in files.into_iter().filter(|(_, file)| file.is_some() && trust.reach.is_restricted()) {
        findings.push(Finding::invalid(&at.field(field), "policies may not name files of the node"));
    }
    findings.len() == before
}

/// Whether a URL with this host names an address: in IPv6, or ending in a number (WHATWG URL, "ends in a number").
fn is_address(host: &str) -> bool {
    let last = host.trim_end_matches('.').rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    host.contains(':') || is_number(&last) || last.strip_prefix("0x").is_some_and(is_hexadecimal)
}

#[cfg(test)]
#[path = "receiver_tests.rs"]
mod tests;
