//! Who may ask: nobody whose browser was led here by a name.

use std::net::IpAddr;

use axum::{
    extract::Request,
    http::{HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};

use super::routes::fault;

/// Refuses requests for a host that is neither `localhost` nor an address: a page of a name that resolves to this machine (DNS rebinding) would be of
/// the same origin as the answers, and could read them. An address cannot be led astray.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    let mut response = if host.is_some_and(is_trusted) {
        next.run(request).await
    } else {
        fault(StatusCode::FORBIDDEN, "ask for localhost or an address, not for a name".to_owned()).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Whether the value of a Host field (RFC 9110 section 7.2) is `localhost` or an address, with or without a port.
fn is_trusted(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':').unwrap_or(if rest.is_empty() { "0" } else { "" })),
        None => host.split_once(':').unwrap_or((host, "0")),
    };
    port.parse::<u16>().is_ok() && (name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::is_trusted;

    #[test]
    fn names_of_others_are_refused() {
        for host in
            ["localhost", "LOCALHOST:9465", "127.0.0.1", "127.0.0.1:1", "10.244.0.7:9465", "[::1]", "[::1]:9465"]
        {
            assert!(is_trusted(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:9465",
            "localhost.evil.example",
            "127.0.0.1.nip.io:9465",
            "[::1]x",
            "[::1",
            "localhost:a",
            "2130706433",
        ] {
            assert!(!is_trusted(host), "{host}");
        }
    }
}
