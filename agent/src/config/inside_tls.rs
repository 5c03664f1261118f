//! `tls` of the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is inside TLS, as far as it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InsideTls {
    /// Libraries that are looked for in the files that processes execute, before those that are known (docs/tls.md).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub targets: Vec<TlsTarget>,
}

/// A library that is called as a known one is: one whose symbols begin with something more, or one build of a program without symbols.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [
    {"rule": "has(self.symbolPrefix) != has(self.buildId)", "message": "a target has a symbolPrefix, or a buildId with its functions"},
    {"rule": "has(self.buildId) == has(self.functions)", "message": "a buildId has functions, and functions are of a buildId"},
    {"rule": "!has(self.functions) || ['SSL_read', 'SSL_write', 'SSL_free'].all(needed, self.functions.exists(given, given.symbol == needed))", "message": "functions has at least SSL_read, SSL_write and SSL_free"}
]))]
pub struct TlsTarget {
    /// What it is called in messages.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"))]
    pub name: String,
    /// The library that it is called like.
    pub like: TlsLibrary,
    /// What stands before the symbols of that library: `aws_lc_0_29_0_`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z_][A-Za-z0-9_]*$"))]
    pub symbol_prefix: Option<String>,
    /// The build id of the file in hexadecimal, as `file` and `readelf -n` print it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 8, max = 128), regex(pattern = r"^([0-9A-Fa-f]{2})+$"))]
    pub build_id: Option<String>,
    /// Where its functions are. It takes at least `SSL_read`, `SSL_write` and `SSL_free`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub functions: Vec<TlsFunction>,
}

/// A library whose functions are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TlsLibrary {
    /// OpenSSL.
    #[default]
    Openssl,
    /// BoringSSL and what was made of it.
    Boringssl,
}

/// Where a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TlsFunction {
    /// Which.
    pub symbol: TlsSymbol,
    /// Its offset in the file (not its address).
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub offset: u64,
}

/// A function of the OpenSSL interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "they are documented where they come from")]
pub enum TlsSymbol {
    #[serde(rename = "SSL_read")]
    Read,
    #[serde(rename = "SSL_read_ex")]
    ReadEx,
    #[serde(rename = "SSL_read_early_data")]
    ReadEarly,
    #[serde(rename = "SSL_write")]
    Write,
    #[serde(rename = "SSL_write_ex")]
    WriteEx,
    #[serde(rename = "SSL_write_ex2")]
    WriteEx2,
    #[serde(rename = "SSL_write_early_data")]
    WriteEarly,
    #[serde(rename = "SSL_sendfile")]
    Sendfile,
    #[serde(rename = "SSL_free")]
    Free,
}

#[cfg(target_os = "linux")]
mod targets {
    use agent_common::tls::Function;

    use super::{InsideTls, TlsLibrary, TlsSymbol, TlsTarget};
    use crate::capture::tls::{
        elf::BuildId,
        targets::{Addition, Targets},
    };

    impl InsideTls {
        /// What is looked for in files. Of a file that was checked all rows can be.
        pub(in crate::config) fn targets(&self) -> Targets {
            Targets::with(self.targets.iter().filter_map(TlsTarget::addition)).unwrap_or_default()
        }
    }

    impl TlsTarget {
        fn addition(&self) -> Option<Addition> {
            let like = match self.like {
                TlsLibrary::Openssl => "openssl",
                TlsLibrary::Boringssl => "boringssl",
            };
            let (name, like) = (self.name.clone(), like.to_owned());
            if let Some(prefix) = &self.symbol_prefix {
                return Some(Addition::Prefixed { name, like, prefix: prefix.clone() });
            }
            let build = BuildId::from_hex(self.build_id.as_deref()?)?;
            let offsets = self.functions.iter().map(|function| (function.symbol.function(), function.offset)).collect();
            Some(Addition::Build { name, like, build, offsets })
        }
    }

    impl TlsSymbol {
        const fn function(self) -> Function {
            match self {
                Self::Read => Function::Read,
                Self::ReadEx => Function::ReadEx,
                Self::ReadEarly => Function::ReadEarly,
                Self::Write => Function::Write,
                Self::WriteEx => Function::WriteEx,
                Self::WriteEx2 => Function::WriteEx2,
                Self::WriteEarly => Function::WriteEarly,
                Self::Sendfile => Function::Sendfile,
                Self::Free => Function::Free,
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;
        use crate::capture::tls::targets::ROWS;

        #[test]
        fn every_library_and_symbol_is_a_known_one() {
            for row in ROWS {
                let library: TlsLibrary = serde_json::from_value(row.name.into()).unwrap();
                let target = TlsTarget { like: library, symbol_prefix: Some("x_".to_owned()), ..TlsTarget::default() };
                let targets = InsideTls { targets: vec![target] }.targets();
                let has: Vec<_> = row.has.iter().map(|symbol| format!("x_{symbol}")).collect();
                assert_eq!(targets.iter().next().unwrap().has, has);
            }
            for &function in Function::ALL {
                let symbol: TlsSymbol = serde_json::from_value(function.symbol().into()).unwrap();
                assert_eq!(symbol.function(), function);
            }
        }
    }
}
