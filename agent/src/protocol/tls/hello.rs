//! The two messages that are in clear in every version.

use super::{MAX_OFFERED, Version};

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;

/// Types of extensions (IANA registry "TLS `ExtensionType` Values").
mod extension {
    pub(super) const SERVER_NAME: u16 = 0;
    pub(super) const APPLICATION_PROTOCOLS: u16 = 16;
    pub(super) const SUPPORTED_VERSIONS: u16 = 43;
}

/// The first message of a direction.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    Client(ClientHello),
    Server(ServerHello),
}

/// RFC 8446 section 4.1.2.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ClientHello {
    pub(super) server_name: Option<Box<str>>,
    pub(super) offered: Vec<Box<str>>,
}

/// RFC 8446 section 4.1.3. A `HelloRetryRequest` is one too, and says the version that the real one will (section 4.1.4).
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ServerHello {
    pub(super) version: Option<Version>,
    pub(super) chosen: Option<Box<str>>,
}

impl Message {
    /// Parses a whole message, header included. `None` if it is no hello or malformed.
    pub(super) fn parse(message: &[u8]) -> Option<Self> {
        let mut bytes = Cursor(message);
        let kind = bytes.byte()?;
        let mut body = Cursor(bytes.vector(3)?);
        Some(match kind {
            CLIENT_HELLO => Self::Client(ClientHello::parse(&mut body)?),
            SERVER_HELLO => Self::Server(ServerHello::parse(&mut body)?),
            _ => return None,
        })
    }
}

impl ClientHello {
    fn parse(body: &mut Cursor<'_>) -> Option<Self> {
        let _legacy_version = body.number()?;
        body.take(32)?;
        let _session_id = body.vector(1)?;
        let _cipher_suites = body.vector(2)?;
        let _compression_methods = body.vector(1)?;
        let mut hello = Self { server_name: None, offered: Vec::new() };
        body.extensions(|kind, content| {
            match kind {
                extension::SERVER_NAME => hello.server_name = server_name(content),
                extension::APPLICATION_PROTOCOLS => hello.offered = application_protocols(content),
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }
}

impl ServerHello {
    fn parse(body: &mut Cursor<'_>) -> Option<Self> {
        let mut hello = Self { version: Version::of(body.number()?), chosen: None };
        body.take(32)?;
        let _session_id = body.vector(1)?;
        let _cipher_suite = body.number()?;
        let _compression_method = body.byte()?;
        body.extensions(|kind, content| {
            match kind {
                // What stands for TLS 1.3 and later: the field says 1.2 (section 4.2.1).
                extension::SUPPORTED_VERSIONS => hello.version = Version::of(Cursor(content).number()?),
                extension::APPLICATION_PROTOCOLS => hello.chosen = application_protocols(content).into_iter().next(),
                _ => {}
            }
            Some(())
        })?;
        Some(hello)
    }
}

/// The host name of a `ServerNameList` (RFC 6066 section 3). What is no host name is none: it would be an attribute of whoever made it up.
fn server_name(content: &[u8]) -> Option<Box<str>> {
    const HOST_NAME: u8 = 0;
    let mut names = Cursor(Cursor(content).vector(2)?);
    while !names.0.is_empty() {
        let kind = names.byte()?;
        let name = names.vector(2)?;
        if kind == HOST_NAME {
            let name = name.strip_suffix(b".").unwrap_or(name);
            let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            let valid = (1..=255).contains(&name.len()) && name.iter().all(is_name);
            return valid.then(|| String::from_utf8_lossy(name).to_ascii_lowercase().into());
        }
    }
    None
}

/// A `ProtocolNameList` (RFC 7301 section 3.1), as far as it is well-formed, without GREASE (RFC 8701) and what is no text.
fn application_protocols(content: &[u8]) -> Vec<Box<str>> {
    let mut protocols = Vec::new();
    let Some(list) = Cursor(content).vector(2) else { return protocols };
    let mut list = Cursor(list);
    while let Some(name) = list.vector(1)
        && protocols.len() < MAX_OFFERED
    {
        if is_grease(name) || name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            continue;
        }
        protocols.push(String::from_utf8_lossy(name).into());
    }
    protocols
}

/// Values that mean nothing, so that nobody comes to rely on their absence: both bytes the same, ending in `A` (RFC 8701 section 2).
fn is_grease(name: &[u8]) -> bool {
    matches!(name, [first, second] if first == second && first & 0x0F == 0x0A)
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|byte| byte[0])
    }

    fn number(&mut self) -> Option<u16> {
        let (&number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u16::from_be_bytes(number))
    }

    /// A vector whose length is in the `width` bytes before it (RFC 8446 section 3.4).
    fn vector(&mut self, width: usize) -> Option<&'a [u8]> {
        let length = self.take(width)?.iter().fold(0, |length, byte| length << 8 | usize::from(*byte));
        self.take(length)
    }

    /// Each extension with its content. There may be none at all before TLS 1.3.
    fn extensions(&mut self, mut each: impl FnMut(u16, &'a [u8]) -> Option<()>) -> Option<()> {
        if self.0.is_empty() {
            return Some(());
        }
        let mut extensions = Cursor(self.vector(2)?);
        while !extensions.0.is_empty() {
            let kind = extensions.number()?;
            each(kind, extensions.vector(2)?)?;
        }
        Some(())
    }
}
