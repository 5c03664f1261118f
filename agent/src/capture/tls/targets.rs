//! Which libraries can be read inside, as a table: how each is recognised, and where its functions are.
//!
//! A new library whose functions are called as OpenSSL's are is a row here, or one of `--config` (`tls.targets`).

use std::{borrow::Cow, sync::Arc};

use agent_common::{
    layout::ABSENT,
    tls::{Function, ObjectLayout},
};

use super::elf::BuildId;

/// A library, in whatever file it is: shared, or inside a program.
#[derive(Debug)]
pub struct Row {
    /// What it is called.
    pub name: &'static str,
    /// Symbols beside those of [`Self::REQUIRED`] that it has.
    pub has: &'static [&'static str],
    /// Symbols that it does not have.
    pub lacks: &'static [&'static str],
    /// Where objects of its builds keep what proves whose they are, where the library itself does not use the socket.
    pub layouts: &'static [Layout],
    /// Builds that real programs were read with, beside those of [`Self::layouts`].
    pub tested: &'static [&'static str],
}

/// A layout of objects.
#[derive(Debug)]
pub struct Layout {
    /// Versions of the library, of 64 bits, that were seen to have it.
    pub versions: &'static [&'static str],
    /// Where what is.
    pub object: ObjectLayout,
}

/// A layout, read out of what `SSL_get_client_random` and `SSL_is_server` do in builds of these versions.
const fn layout(versions: &'static [&'static str], pointer: u32, random: u32, server: u32) -> Layout {
    Layout { versions, object: ObjectLayout { pointer, random, server, used: 1 } }
}

/// The libraries that are known. The first row that fits a file holds.
pub static ROWS: &[Row] = &[
    Row {
        name: "boringssl",
        has: &["SSL_set_custom_verify"],
        lacks: &[],
        layouts: &[],
        tested: &["that of Android 13.0.0", "that of `curl_cffi` 0.16.3"],
    },
    Row {
        name: "openssl",
        has: &[],
        lacks: &["SSL_set_custom_verify"],
        layouts: &[
            layout(&["3.5.0", "3.5.4", "3.5.8", "3.6.5", "4.0.3"], ABSENT, 0x188, 0x78),
            layout(&["3.3.1"], ABSENT, 0x140, 0x70),
            layout(&["3.0.19"], ABSENT, 0x160, 0x38),
            layout(&["1.1.1v", "1.1.1w"], 0xa8, 0xb8, 0x38),
        ],
        tested: &[],
    },
];

/// The layouts of all rows. A row is none of what the kernel side is told of a file: it tries them all, and what is found proves which it is.
pub fn layouts() -> Vec<ObjectLayout> {
    ROWS.iter().flat_map(|row| row.layouts).map(|layout| layout.object).collect()
}

impl Row {
    /// What every file has that is attached to: without these, bytes or the ends of objects would be missed.
    pub const REQUIRED: &[Function] = &[Function::Read, Function::Write, Function::Free];
}

/// Where a function of a target is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever this symbol is.
    Symbol(Cow<'static, str>),
    /// At this offset of the file.
    Offset(u64),
}

/// A row that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// What it is called.
    pub name: Cow<'static, str>,
    /// The only build that it is; offsets hold for it alone.
    pub build: Option<BuildId>,
    /// Symbols that it has.
    pub has: Vec<Cow<'static, str>>,
    /// Symbols that it does not have.
    pub lacks: Vec<Cow<'static, str>>,
    /// Its functions. Those beside [`Row::REQUIRED`] are probed where they are.
    pub functions: Vec<(Function, Place)>,
}

impl Target {
    /// A row of [`ROWS`], whose symbols begin with `prefix`.
    fn of_row(row: &'static Row, name: Cow<'static, str>, prefix: &str) -> Self {
        let symbol = |symbol: &'static str| match prefix {
            "" => Cow::Borrowed(symbol),
            _ => Cow::Owned(format!("{prefix}{symbol}")),
        };
        let functions = Function::ALL.iter().map(|&function| (function, Place::Symbol(symbol(function.symbol()))));
        Self {
            name,
            build: None,
            has: row.has.iter().copied().map(symbol).collect(),
            lacks: row.lacks.iter().copied().map(symbol).collect(),
            functions: functions.collect(),
        }
    }

    /// Every symbol that is asked for.
    pub fn symbols(&self) -> impl Iterator<Item = &str> {
        let placed = self.functions.iter().filter_map(|(_, place)| match place {
            Place::Symbol(symbol) => Some(&**symbol),
            Place::Offset(_) => None,
        });
        placed.chain(self.has.iter().chain(&self.lacks).map(|symbol| &**symbol))
    }
}

/// What an operator adds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addition {
    /// A library whose symbols begin with something more: `aws_lc_0_29_0_SSL_read`.
    Prefixed {
        /// What it is called.
        name: String,
        /// The row that it is like, by its name.
        like: String,
        /// What its symbols begin with.
        prefix: String,
    },
    /// One build of a program without symbols.
    Build {
        /// What it is called.
        name: String,
        /// The row that it is like, by its name.
        like: String,
        /// Which build.
        build: BuildId,
        /// Where in the file its functions are.
        offsets: Vec<(Function, u64)>,
    },
}

/// Why a row cannot be added.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdditionError {
    /// There is no such row.
    #[error("there is no target `{0}`; one of {known}", known = ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "))]
    Like(String),
    /// A function is missing without which nothing can be read.
    #[error("it has no offset for {0}")]
    Missing(&'static str),
}

/// What is looked for in files.
#[derive(Clone, Debug)]
pub struct Targets {
    rows: Vec<Arc<Target>>,
}

impl Default for Targets {
    fn default() -> Self {
        let known = ROWS.iter().map(|row| Target::of_row(row, row.name.into(), ""));
        Self { rows: known.map(Arc::new).collect() }
    }
}

impl Targets {
    /// The known rows with these before them.
    ///
    /// # Errors
    /// The first that cannot be added, by its index.
    pub fn with(additions: impl IntoIterator<Item = Addition>) -> Result<Self, (usize, AdditionError)> {
        let own = additions.into_iter().enumerate().map(|(index, row)| target(row).map_err(|error| (index, error)));
        let mut rows = own.map(|row| row.map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        rows.extend(Self::default().rows);
        Ok(Self { rows })
    }

    /// In the order in which they are tried.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.rows.iter()
    }
}

fn target(addition: Addition) -> Result<Target, AdditionError> {
    let row = |like: &str| {
        let found = ROWS.iter().find(|row| row.name == like);
        found.ok_or_else(|| AdditionError::Like(like.to_owned()))
    };
    match addition {
        Addition::Prefixed { name, like, prefix } => Ok(Target::of_row(row(&like)?, name.into(), &prefix)),
        Addition::Build { name, like, build, offsets } => {
            row(&like)?;
            let is_given = |function: &&Function| offsets.iter().any(|(given, _)| given == *function);
            if let Some(missing) = Row::REQUIRED.iter().find(|function| !is_given(function)) {
                return Err(AdditionError::Missing(missing.symbol()));
            }
            Ok(Target {
                name: name.into(),
                build: Some(build),
                has: Vec::new(),
                lacks: Vec::new(),
                functions: offsets.into_iter().map(|(function, at)| (function, Place::Offset(at))).collect(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use agent_common::tls::LAYOUTS;

    use super::*;

    #[test]
    fn the_kernel_side_has_room_for_the_layouts() {
        let layouts = layouts();
        assert!(!layouts.is_empty() && layouts.len() <= LAYOUTS as usize);
        let named: std::collections::BTreeSet<_> =
            layouts.iter().map(|layout| (layout.pointer, layout.random)).collect();
        assert_eq!(named.len(), layouts.len());
    }

    /// The page names versions in this one place.
    #[test]
    fn the_page_names_the_versions_of_the_table() {
        const BEGIN: &str = "<!-- versions: written by agent/src/capture/tls/targets.rs -->\n";
        const END: &str = "<!-- end of versions -->";
        let row = |row: &Row| {
            let mut known: Vec<_> = row.layouts.iter().flat_map(|layout| layout.versions).copied().collect();
            known.sort_unstable();
            format!("| `{}` | {} | {} |\n", row.name, known.join(", "), row.tested.join(", "))
        };
        let rows: String = ROWS.iter().map(row).collect();
        let own = format!("| library | known of | tried without that |\n|---|---|---|\n{rows}");
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/tls.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (known, after) = rest.split_once(END).unwrap();
        if std::env::var_os("TELLTALE_UPDATE_DOCS").is_some() {
            std::fs::write(path, format!("{before}{BEGIN}{own}{END}{after}")).unwrap();
        } else {
            assert_eq!(known, own, "run this test with TELLTALE_UPDATE_DOCS=1");
        }
    }

    #[test]
    fn rows_are_added_before_the_known_ones() {
        let prefixed = |like: &str| Addition::Prefixed {
            name: "aws-lc".to_owned(),
            like: like.to_owned(),
            prefix: "aws_lc_1_".to_owned(),
        };
        let targets = Targets::with([prefixed("boringssl")]).unwrap();
        let names: Vec<_> = targets.iter().map(|target| &*target.name).collect();
        assert_eq!(names, ["aws-lc", "boringssl", "openssl"]);
        let first = targets.iter().next().unwrap();
        assert!(first.symbols().all(|symbol| symbol.starts_with("aws_lc_1_SSL_")));
        assert_eq!(first.has, ["aws_lc_1_SSL_set_custom_verify"]);
        let error = Targets::with([prefixed("openssl"), prefixed("opensl")]).unwrap_err();
        assert_eq!(error.0, 1);
        assert_eq!(error.1.to_string(), "there is no target `opensl`; one of boringssl, openssl");
    }

    #[test]
    fn a_build_says_where_its_functions_are() {
        let build = |offsets: &[Function]| Addition::Build {
            name: "gateway".to_owned(),
            like: "openssl".to_owned(),
            build: BuildId::from_hex("01").unwrap(),
            offsets: offsets.iter().map(|&function| (function, 4096)).collect(),
        };
        let error = Targets::with([build(&[Function::Read, Function::Free])]).unwrap_err();
        assert_eq!(error, (0, AdditionError::Missing("SSL_write")));
        let targets = Targets::with([build(Row::REQUIRED)]).unwrap();
        assert_eq!(targets.iter().next().unwrap().symbols().count(), 0);
    }
}
