//! What a file has that can be probed.

use std::sync::Arc;

use agent_common::tls::Function;

use super::{
    elf::{BuildId, Elf, ElfError, ReadAt},
    targets::{Place, Row, Target, Targets},
};

/// What the dynamic linker calls after it has mapped libraries, so that debuggers can stop there (`r_brk` of `struct r_debug`).
const LINKER: &str = "_dl_debug_state";

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// Which build it is.
    pub build: Option<BuildId>,
    /// A library that can be read inside.
    pub found: Option<Found>,
    /// It is the dynamic linker, and here is what it calls after it has mapped libraries.
    pub linker: Option<u64>,
}

/// A library inside a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which.
    pub target: Arc<Target>,
    /// Where in the file its functions are.
    pub functions: Vec<(Function, u64)>,
    /// How it was recognised.
    pub by: By,
}

/// How a library was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// It exports the functions.
    Exports,
    /// The functions are in the table of symbols.
    Symbols,
    /// It is the build that a row is of.
    Build,
}

impl By {
    /// In words, after "found".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Exports => "by exported symbols",
            Self::Symbols => "by its table of symbols",
            Self::Build => "by build id",
        }
    }
}

/// Looks into a file.
///
/// # Errors
/// It is damaged, or cannot be read.
pub fn examine<R: ReadAt>(elf: &Elf<R>, targets: &Targets) -> Result<Examined, ElfError> {
    let build = elf.build_id()?;
    let mut of_build = targets.iter().filter(|target| target.build.is_some() && target.build == build);
    let found = of_build.find_map(|target| at(elf, target, By::Build, &|_| None));
    let mut names: Vec<&str> = targets.iter().flat_map(|target| target.symbols()).chain([LINKER]).collect();
    names.sort_unstable();
    names.dedup();
    let place = |offsets: &[Option<u64>], name: &str| names.binary_search(&name).ok().and_then(|index| offsets[index]);
    let exported = elf.exported(&names)?;
    let linker = place(&exported, LINKER);
    let search = |offsets: &[Option<u64>], by: By| {
        let mut by_symbols = targets.iter().filter(|target| target.build.is_none());
        by_symbols.find_map(|target| at(elf, target, by, &|name| place(offsets, name)))
    };
    let found = found.or_else(|| search(&exported, By::Exports));
    let found = match found {
        None if linker.is_none() && has_one_of(elf, targets)? => search(&elf.in_symbol_table(&names)?, By::Symbols),
        found => found,
    };
    Ok(Examined { build, found, linker })
}

/// Whether the table of symbols has what every target has: most files have not, and each further name takes as long again.
fn has_one_of<R: ReadAt>(elf: &Elf<R>, targets: &Targets) -> Result<bool, ElfError> {
    let placed =
        targets.iter().flat_map(|target| &target.functions).filter(|(function, _)| *function == Function::Read);
    let mut names: Vec<&str> = placed
        .filter_map(|(_, place)| match place {
            Place::Symbol(symbol) => Some(&**symbol),
            Place::Offset(_) => None,
        })
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(elf.in_symbol_table(&names)?.iter().any(Option::is_some))
}

/// The target in this file, if the file has what makes it that.
fn at<R: ReadAt>(elf: &Elf<R>, target: &Arc<Target>, by: By, place: &dyn Fn(&str) -> Option<u64>) -> Option<Found> {
    let fits = target.has.iter().all(|symbol| place(symbol).is_some())
        && target.lacks.iter().all(|symbol| place(symbol).is_none());
    if !fits {
        return None;
    }
    let offset = |at: &Place| match at {
        Place::Symbol(symbol) => place(symbol),
        Place::Offset(offset) => elf.is_code(*offset).then_some(*offset),
    };
    let placed = target.functions.iter().filter_map(|(function, at)| Some((*function, offset(at)?)));
    let mut functions: Vec<(Function, u64)> = Vec::new();
    for (function, offset) in placed {
        // Linkers may fold functions of the same code into one: what its probe tells cannot be two things.
        if functions.iter().all(|(_, taken)| *taken != offset) {
            functions.push((function, offset));
        }
    }
    let has = |function: &Function| functions.iter().any(|(found, _)| found == function);
    Row::REQUIRED.iter().all(has).then(|| Found { target: Arc::clone(target), functions, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::tls::{
        elf::testing::{Kind, file},
        targets::Addition,
    };

    const OPENSSL: &[(&str, u64)] = &[("SSL_read", 4096), ("main", 4100), ("SSL_write", 4112), ("SSL_free", 4128)];

    fn examined(bytes: &[u8], targets: &Targets) -> Examined {
        examine(&Elf::open(bytes).unwrap(), targets).unwrap()
    }

    #[test]
    fn a_library_is_recognised_by_its_symbols() {
        let targets = Targets::default();
        for (kind, by) in [(Kind::Exports, By::Exports), (Kind::Symbols, By::Symbols)] {
            let found = examined(&file(kind, OPENSSL, [1; 4]), &targets);
            assert_eq!(found.build.unwrap().to_string(), "01010101");
            let found = found.found.unwrap();
            assert_eq!((&*found.target.name, found.by), ("openssl", by));
            let expected = [(Function::Read, 4096), (Function::Write, 4112), (Function::Free, 4128)];
            assert_eq!(found.functions, expected);
            let more = [OPENSSL, &[("SSL_read_ex", 4096), ("SSL_set_custom_verify", 4200)]].concat();
            let found = examined(&file(kind, &more, [1; 4]), &targets).found.unwrap();
            assert_eq!(&*found.target.name, "boringssl");
            // SSL_read_ex is the same code as SSL_read.
            assert_eq!(found.functions, expected);
            assert_eq!(examined(&file(kind, &OPENSSL[..3], [1; 4]), &targets).found, None);
        }
    }

    #[test]
    fn a_linker_is_recognised() {
        let linker = file(Kind::Exports, &[("_dl_debug_state", 4096)], [1; 4]);
        let found = examined(&linker, &Targets::default());
        assert_eq!((found.linker, found.found), (Some(4096), None));
    }

    #[test]
    fn a_build_is_recognised_without_symbols() {
        let offsets = |free| vec![(Function::Read, 4096), (Function::Write, 4112), (Function::Free, free)];
        let row = |name: &str, build: &str, free| Addition::Build {
            name: name.to_owned(),
            like: "openssl".to_owned(),
            build: BuildId::from_hex(build).unwrap(),
            offsets: offsets(free),
        };
        // The second is of an offset where there is no code.
        let rows = [row("other", "01010102", 4128), row("wrong", "01010101", 1 << 30), row("mine", "01010101", 4128)];
        let targets = Targets::with(rows).unwrap();
        let found = examined(&file(Kind::Exports, &[], [1; 4]), &targets).found.unwrap();
        assert_eq!((&*found.target.name, found.by, found.functions), ("mine", By::Build, offsets(4128)));
    }
}
