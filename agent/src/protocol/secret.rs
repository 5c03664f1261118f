//! What is never kept: credentials in header fields and URLs (POLICY.md section 3). One table each.

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

/// Whether the value of this header field is a credential; the name is compared without case.
pub fn is_secret_header(name: &[u8]) -> bool {
    SECRET_HEADERS.iter().any(|secret| name.eq_ignore_ascii_case(secret.as_bytes()))
}
