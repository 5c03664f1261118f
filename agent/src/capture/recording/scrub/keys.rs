//! Which names have a secret value. Wider than what telemetry redacts (POLICY.md section 3): here a mistake publishes a secret.

use crate::{
    percent,
    protocol::secret::{is_secret_header, is_secret_query_key},
};

/// Names of members in JSON and of parameters in URLs and forms, in lower case without `-` and `_`.
const SECRET_NAMES: &[&str] = &[
    "accesskey",
    "accesskeyid",
    "accesstoken",
    "apikey",
    "apitoken",
    "assertion",
    "authtoken",
    "awsaccesskeyid",
    "bearertoken",
    "clientassertion",
    "clientsecret",
    "codeverifier",
    "credential",
    "credentials",
    "idtoken",
    "jwt",
    "passphrase",
    "passwd",
    "password",
    "privatekey",
    "pwd",
    "refreshtoken",
    "secret",
    "secretaccesskey",
    "secretkey",
    "sessiontoken",
    "token",
    "xamzcredential",
    "xamzsecuritytoken",
    "xamzsignature",
    "xgoogcredential",
    "xgoogsignature",
];

/// Names that are secret in a URL or a form only; in JSON they mean many things.
const SECRET_PARAMETERS: &[&str] = &["code", "key", "sig", "signature"];

/// The longest name that is compared, in bytes; every name of the tables is shorter, also if each letter is percent-encoded.
pub(super) const MAX_NAME: usize = 96;

/// A name that is being read: its bytes without `-` and `_`, in lower case, and as they are.
#[derive(Clone, Debug)]
pub(super) struct Name {
    raw: [u8; MAX_NAME],
    length: usize,
}

impl Default for Name {
    fn default() -> Self {
        Self { raw: [0; MAX_NAME], length: 0 }
    }
}

impl Name {
    pub(super) fn clear(&mut self) {
        self.length = 0;
    }

    /// Adds a byte. A name that is too long stays too long, and so is none of the tables'.
    pub(super) fn push(&mut self, byte: u8) {
        if let Some(slot) = self.raw.get_mut(self.length) {
            *slot = byte;
        }
        self.length = self.length.saturating_add(1);
    }

    pub(super) fn get(&self) -> &[u8] {
        self.raw.get(..self.length).unwrap_or_default()
    }

    pub(super) fn is_secret_field(&self) -> bool {
        is_secret_header(self.get().trim_ascii())
    }

    pub(super) fn is_secret_member(&self) -> bool {
        is_secret_header(self.get()) || self.is_in(SECRET_NAMES)
    }

    /// Also where bytes of the name are percent-encoded, as in `api%5Fkey`.
    pub(super) fn is_secret_parameter(&self) -> bool {
        let mut decoded = Self::default();
        percent::decode(self.get()).for_each(|byte| decoded.push(byte));
        decoded.is_secret_member() || decoded.is_in(SECRET_PARAMETERS) || is_secret_query_key(decoded.get())
    }

    fn is_in(&self, table: &[&str]) -> bool {
        let letters = || self.get().iter().filter(|byte| !matches!(byte, b'-' | b'_'));
        letters().next().is_some() && table.iter().any(|name| letters().map(u8::to_ascii_lowercase).eq(name.bytes()))
    }
}
