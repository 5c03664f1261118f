//! `host[:port]` and the forwarding fields (RFC 9110 section 7.2, RFC 3986 section 3.2.2, RFC 7239).

/// Splits `host[:port]`. The brackets of an IPv6 literal are not part of the address. A port that is not a number from 1 to 65535 is no
/// port; an empty host is `None`.
pub(super) fn split(authority: &str) -> Option<(&str, Option<u16>)> {
    let authority = authority.rsplit_once('@').map_or(authority, |(_, rest)| rest).trim();
    let (host, rest) = if let Some(bracketed) = authority.strip_prefix('[') {
        bracketed.split_once(']')?
    } else if authority.bytes().filter(|&byte| byte == b':').count() == 1 {
        let colon = authority.find(':')?;
        authority.split_at(colon)
    } else {
        // No colon, or an IPv6 address that somebody sent without brackets.
        (authority, "")
    };
    let port = rest.strip_prefix(':').and_then(|port| port.parse().ok()).filter(|&port| port != 0);
    (!host.is_empty()).then_some((host, port))
}

/// The value of a parameter in the first element of `Forwarded`: the one of the proxy nearest to the client (RFC 7239 section 4).
pub(super) fn forwarded<'a>(value: &'a str, parameter: &str) -> Option<&'a str> {
    // A quoted string may hold separators; no value that is asked for here may, so splitting is enough.
    let first = value.split(',').next()?;
    first.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case(parameter)
            .then(|| value.trim().trim_matches('"'))
            .filter(|value| !value.is_empty())
    })
}

/// The first element of a comma separated list such as `X-Forwarded-For`.
pub(super) fn first(value: &str) -> Option<&str> {
    value.split(',').next().map(str::trim).filter(|value| !value.is_empty())
}

/// A scheme of HTTP (RFC 9110 section 4.2), whatever its case; `None` for any other.
pub(super) fn scheme(value: &str) -> Option<&'static str> {
    ["https", "http"].into_iter().find(|known| value.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports() {
        assert_eq!(split("example.com"), Some(("example.com", None)));
        assert_eq!(split("example.com:8080"), Some(("example.com", Some(8080))));
        assert_eq!(split("[::1]:80"), Some(("::1", Some(80))));
        assert_eq!(split("[::1]"), Some(("::1", None)));
        assert_eq!(split("fe80::1"), Some(("fe80::1", None)));
        assert_eq!(split("user:pw@h:1"), Some(("h", Some(1))));
        assert_eq!(split("h:0"), Some(("h", None)));
        assert_eq!(split("h:x"), Some(("h", None)));
        assert_eq!(split(":80"), None);
        assert_eq!(split("[::1"), None);
        assert_eq!(split(""), None);
    }

    #[test]
    fn forwarded_takes_the_first_element() {
        let value = "For=\"[2001:db8::1]:4711\";Host=a.example;proto=https, for=10.0.0.1;host=b";
        assert_eq!(forwarded(value, "for"), Some("[2001:db8::1]:4711"));
        assert_eq!(forwarded(value, "host"), Some("a.example"));
        assert_eq!(forwarded(value, "proto"), Some("https"));
        assert_eq!(forwarded(value, "by"), None);
        assert_eq!(first("1.2.3.4, 5.6.7.8"), Some("1.2.3.4"));
        assert_eq!(first(" ,x"), None);
    }
}
