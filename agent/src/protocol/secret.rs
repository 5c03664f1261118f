//! What is never kept: credentials in header fields and URLs (POLICY.md section 3). One table each.

use std::{borrow::Cow, sync::OnceLock};

use crate::percent;

/// Header fields whose value is never stored, lower case.
const SECRET_HEADERS: &[&str] = &[
    "api-key",
    "authorization",
    "cf-access-jwt-assertion",
    "cookie",
    "ocp-apim-subscription-key",
    "private-token",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-goog-api-key",
    "x-vault-token",
];

/// Header fields whose value is a URL or a request target, lower case.
const URL_HEADERS: &[&str] = &[
    "content-location",
    "location",
    "origin",
    "referer",
    "x-envoy-original-path",
    "x-forwarded-uri",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

/// Header fields that name an authority (RFC 3986 section 3.2), or parameters of which some do, lower case.
const AUTHORITY_HEADERS: &[&str] = &["forwarded", "host", "x-forwarded-host", "x-original-host"];

/// Query keys whose value is never stored.
const SECRET_QUERY_KEYS: &[&str] = &[
    "AWSAccessKeyId",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
    "access_token",
    "api_key",
    "key",
    "sig",
    "signature",
    "token",
];

/// What `--config` adds to the lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Additions {
    /// Header fields whose value is never stored.
    pub headers: Vec<String>,
    /// Query keys whose value is never stored.
    pub query_keys: Vec<String>,
}

/// One for the whole process: what is secret does not depend on who parses, nor on a policy, and nothing can be taken away again.
static ADDITIONS: OnceLock<Additions> = OnceLock::new();

/// The lists were extended before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lists of secrets are extended once, before any traffic is read")]
pub struct AlreadyExtended;

/// Extends the lists for the rest of the process. Names are compared without case.
///
/// # Errors
/// [`AlreadyExtended`] the second time.
pub fn extend(additions: Additions) -> Result<(), AlreadyExtended> {
    ADDITIONS.set(additions).map_err(|_| AlreadyExtended)
}

const REDACTED: &[u8] = b"REDACTED";
const REDACTED_USER_INFO: &[u8] = b"REDACTED:REDACTED";

/// Whether the value of this header field is a credential; the name is compared without case.
pub fn is_secret_header(name: &[u8]) -> bool {
    is_in(SECRET_HEADERS, name) || is_added(|additions| &additions.headers, name)
}

/// The value of a header field that is no credential, with what is secret in it redacted: as [`redact_url`] says if it is a URL, its user
/// info if it names an authority. The name is compared without case.
///
/// Borrowed where there is nothing to redact.
pub fn redact_field<'a>(name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
    if is_in(URL_HEADERS, name) {
        redact_url(value)
    } else if is_in(AUTHORITY_HEADERS, name) {
        redact_authority(value)
    } else {
        Cow::Borrowed(value)
    }
}

/// An authority may not have user info in these fields at all (RFC 9110 section 7.2), so nothing says where it would begin or what it may
/// contain: all before the last at sign is taken for it, also other members of a list.
fn redact_authority(value: &[u8]) -> Cow<'_, [u8]> {
    match memchr::memrchr(b'@', value) {
        None => Cow::Borrowed(value),
        Some(at) => Cow::Owned([REDACTED_USER_INFO, &value[at..]].concat()),
    }
}

/// The URL, reference or request target with `REDACTED` in place of the secrets in its query and fragment, and
/// `REDACTED:REDACTED` in place of its user info. Keys are compared without case and percent-decoded.
///
/// Borrowed where there is nothing to redact.
pub fn redact_url(url: &[u8]) -> Cow<'_, [u8]> {
    let user_info = user_info(url);
    let parameters = memchr::memchr2(b'?', b'#', url).unwrap_or(url.len());
    let mut redacted: Option<Vec<u8>> = None;
    // Everything before `kept` is already in `redacted`.
    let mut kept = 0;
    let mut replace = |start: usize, end: usize, with: &[u8]| {
        let out = redacted.get_or_insert_with(|| Vec::with_capacity(url.len() + REDACTED_USER_INFO.len()));
        out.extend_from_slice(&url[kept..start]);
        out.extend_from_slice(with);
        kept = end;
    };
    if let Some((start, end)) = user_info {
        replace(start, end, REDACTED_USER_INFO);
    }
    let mut start = parameters;
    while start < url.len() {
        // `start` is at the separator before a parameter.
        start += 1;
        let end = start + url[start..].iter().position(|byte| b"&;#?".contains(byte)).unwrap_or(url.len() - start);
        if let Some(equals) = memchr::memchr(b'=', &url[start..end])
            && is_secret_key(&url[start..start + equals])
            && start + equals + 1 < end
        {
            replace(start + equals + 1, end, REDACTED);
        }
        start = end;
    }
    match redacted {
        None => Cow::Borrowed(url),
        Some(mut out) => {
            out.extend_from_slice(&url[kept..]);
            Cow::Owned(out)
        }
    }
}

/// Start and end of the user info of a URL, a network-path reference or an authority (RFC 3986 section 3.2.1).
fn user_info(url: &[u8]) -> Option<(usize, usize)> {
    memchr::memchr(b'@', url)?;
    let authority = match memchr::memmem::find(url, b"://") {
        Some(scheme) if url[..scheme].iter().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte)) => {
            scheme + 3
        }
        _ if url.starts_with(b"//") => 2,
        _ => 0,
    };
    let end = memchr::memchr3(b'/', b'?', b'#', &url[authority..]).map_or(url.len(), |end| authority + end);
    let at = memchr::memrchr(b'@', &url[authority..end])?;
    Some((authority, authority + at))
}

fn is_secret_key(key: &[u8]) -> bool {
    if !key.contains(&b'%') {
        return is_secret_query_key(key);
    }
    let decoded: Vec<u8> = percent::decode(key).collect();
    is_secret_query_key(&decoded)
}

/// Whether the value of this query key, already percent-decoded, is a credential; the key is compared without case.
pub fn is_secret_query_key(key: &[u8]) -> bool {
    is_in(SECRET_QUERY_KEYS, key) || is_added(|additions| &additions.query_keys, key)
}

fn is_added(list: impl FnOnce(&Additions) -> &Vec<String>, name: &[u8]) -> bool {
    ADDITIONS
        .get()
        .is_some_and(|additions| list(additions).iter().any(|entry| name.eq_ignore_ascii_case(entry.as_bytes())))
}

fn is_in(table: &[&str], name: &[u8]) -> bool {
    table.iter().any(|entry| name.eq_ignore_ascii_case(entry.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacted(url: &str) -> String {
        String::from_utf8(redact_url(url.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn nothing_to_redact_is_borrowed() {
        for url in
            ["/", "*", "/a/b?x=1&y=2", "http://host:80/a@b?c=d@e", "/monkey?monkey=1&tokens=2&keyx", "/?key", "/?key="]
        {
            assert!(matches!(redact_url(url.as_bytes()), Cow::Borrowed(_)), "{url}");
        }
    }

    #[test]
    fn secrets_in_the_query_and_fragment_are_redacted() {
        for key in SECRET_QUERY_KEYS {
            assert_eq!(redacted(&format!("/p?a=1&{key}=s3cret&b=2")), format!("/p?a=1&{key}=REDACTED&b=2"));
            assert_eq!(redacted(&format!("/p?{key}=s3cret")), format!("/p?{key}=REDACTED"));
        }
        assert_eq!(redacted("/p?TOKEN=x&api%5fkey=y;sig=z"), "/p?TOKEN=REDACTED&api%5fkey=REDACTED;sig=REDACTED");
        assert_eq!(redacted("https://h/cb#access_token=x&state=1"), "https://h/cb#access_token=REDACTED&state=1");
        assert_eq!(redacted("/p?key=a=b?c"), "/p?key=REDACTED?c");
        assert_eq!(redacted("/p?%=1&%4=2&key=3"), "/p?%=1&%4=2&key=REDACTED");
    }

    #[test]
    fn user_info_is_redacted() {
        assert_eq!(redacted("http://me:pw@host/a?token=x"), "http://REDACTED:REDACTED@host/a?token=REDACTED");
        assert_eq!(redacted("http://me@host"), "http://REDACTED:REDACTED@host");
        assert_eq!(redacted("http://a@b@host/"), "http://REDACTED:REDACTED@host/");
        assert_eq!(redacted("//me:pw@host/"), "//REDACTED:REDACTED@host/");
        assert_eq!(redacted("me:pw@host:443"), "REDACTED:REDACTED@host:443");
        assert_eq!(redacted("/a@b"), "/a@b");
        assert_eq!(redacted("/x?u=http://me:pw@host"), "/x?u=http://me:pw@host");
    }

    #[test]
    fn header_names_are_compared_without_case() {
        assert!(is_secret_header(b"Authorization") && is_secret_header(b"SET-COOKIE") && !is_secret_header(b"host"));
        let url = b"http://me:pw@h/?token=x";
        assert_eq!(&*redact_field(b"Referer", url), b"http://REDACTED:REDACTED@h/?token=REDACTED");
        assert_eq!(&*redact_field(b"X-Referer", url), url);
    }

    #[test]
    fn fields_that_name_an_authority_have_no_user_info() {
        for name in ["Host", "X-Forwarded-Host", "X-Original-Host"] {
            let redacted =
                |value: &str| String::from_utf8(redact_field(name.as_bytes(), value.as_bytes()).into()).unwrap();
            assert_eq!(redacted("alice:s3cret@shop:80"), "REDACTED:REDACTED@shop:80");
            assert_eq!(redacted("alice:s3/c?r#et@shop"), "REDACTED:REDACTED@shop");
            assert_eq!(redacted("a:s3cret@b, c:s3cret@d"), "REDACTED:REDACTED@d");
            assert!(matches!(redact_field(name.as_bytes(), b"[::1]:80"), Cow::Borrowed(b"[::1]:80")));
        }
        let forwarded = b"for=10.0.0.1;host=\"alice:s3cret@shop:80\";proto=https";
        assert_eq!(&*redact_field(b"Forwarded", forwarded), b"REDACTED:REDACTED@shop:80\";proto=https");
        assert_eq!(&*redact_field(b"Origin", b"https://a:s3cret@shop"), b"https://REDACTED:REDACTED@shop");
    }

    /// The only test that extends the lists: they are those of the process.
    #[test]
    fn the_lists_can_be_extended_and_never_shortened() {
        let additions = Additions { headers: vec!["X-Corp-Secret".into()], query_keys: vec!["corp_secret".into()] };
        assert_eq!(extend(additions), Ok(()));
        assert_eq!(extend(Additions::default()), Err(AlreadyExtended));
        assert!(is_secret_header(b"x-corp-secret") && is_secret_header(b"authorization"));
        assert_eq!(redacted("/p?Corp%5Fsecret=x&key=y"), "/p?Corp%5Fsecret=REDACTED&key=REDACTED");
    }
}
