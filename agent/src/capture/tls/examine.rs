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
    /// Libraries that can be read inside; no function is of two.
    pub found: Vec<Found>,
    /// Rows that are of this very build, and do not hold.
    pub unfit: Vec<Unfit>,
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

/// A row of a build that says where functions are, and is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    /// Which.
    pub target: Arc<Target>,
    /// What is not there.
    pub missing: Missing,
}

/// A function that is not where it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Which.
    pub function: Function,
    /// Where it should be.
    pub offset: u64,
    /// There is code, of another function.
    pub is_code: bool,
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
    let (mut found, mut unfit) = (Vec::new(), Vec::new());
    for target in targets.iter().filter(|target| target.build.is_some() && target.build == build) {
        match at(elf, target, By::Build, &found, &|_| None) {
            Ok(one) => found.push(one),
            Err(missing) => unfit.extend(missing.map(|missing| Unfit { target: Arc::clone(target), missing })),
        }
    }
    let mut names: Vec<&str> = targets.iter().flat_map(|target| target.symbols()).chain([LINKER]).collect();
    names.sort_unstable();
    names.dedup();
    let place = |offsets: &[Option<u64>], name: &str| names.binary_search(&name).ok().and_then(|index| offsets[index]);
    let exported = elf.exported(&names)?;
    let linker = place(&exported, LINKER);
    let search = |found: &mut Vec<Found>, offsets: &[Option<u64>], by: By| {
        for target in targets.iter().filter(|target| target.build.is_none()) {
            found.extend(at(elf, target, by, found, &|name| place(offsets, name)));
        }
    };
    search(&mut found, &exported, By::Exports);
    if found.is_empty() && linker.is_none() && has_one_of(elf, targets)? {
        search(&mut found, &elf.in_symbol_table(&names)?, By::Symbols);
    }
    Ok(Examined { build, found, unfit, linker })
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

/// The target in this file, if the file has what makes it that, and `others` have not got its functions. Else what an offset of it is wrong by, if it
/// has some.
fn at<R: ReadAt>(
    elf: &Elf<R>,
    target: &Arc<Target>,
    by: By,
    others: &[Found],
    place: &dyn Fn(&str) -> Option<u64>,
) -> Result<Found, Option<Missing>> {
    let fits = target.has.iter().all(|symbol| place(symbol).is_some())
        && target.lacks.iter().all(|symbol| place(symbol).is_none());
    if !fits {
        return Err(None);
    }
    let taken = |offset: u64| others.iter().flat_map(|found| &found.functions).any(|(_, taken)| *taken == offset);
    let mut functions: Vec<(Function, u64)> = Vec::new();
    let mut missing = None;
    for (function, at) in &target.functions {
        let offset = match at {
            Place::Symbol(symbol) => place(symbol),
            Place::Offset(offset) => Some(*offset),
        };
        let Some(offset) = offset else { continue };
        let is_code = !matches!(at, Place::Offset(_)) || elf.is_code(offset);
        // Linkers may fold functions of the same code into one: what its probe tells cannot be two things.
        if is_code && !taken(offset) && functions.iter().all(|(_, taken)| *taken != offset) {
            functions.push((*function, offset));
        } else if Row::REQUIRED.contains(function) {
            missing.get_or_insert(Missing { function: *function, offset, is_code });
        }
    }
    let has = |function: &Function| functions.iter().any(|(found, _)| found == function);
    if Row::REQUIRED.iter().all(has) { Ok(Found { target: Arc::clone(target), functions, by }) } else { Err(missing) }
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
            assert_eq!(found.build.as_ref().unwrap().to_string(), "01010101");
            let [found] = &found.found[..] else { panic!("{found:?}") };
            assert_eq!((&*found.target.name, found.by), ("openssl", by));
            let expected = [(Function::Read, 4096), (Function::Write, 4112), (Function::Free, 4128)];
            assert_eq!(found.functions, expected);
            let more = [OPENSSL, &[("SSL_read_ex", 4096), ("SSL_set_custom_verify", 4200)]].concat();
            let found = examined(&file(kind, &more, [1; 4]), &targets).found;
            let [found] = &found[..] else { panic!("{found:?}") };
            assert_eq!(&*found.target.name, "boringssl");
            // SSL_read_ex is the same code as SSL_read.
            assert_eq!(found.functions, expected);
            assert_eq!(examined(&file(kind, &OPENSSL[..3], [1; 4]), &targets).found, []);
        }
    }

    #[test]
    fn a_linker_is_recognised() {
        let linker = file(Kind::Exports, &[("_dl_debug_state", 4096)], [1; 4]);
        let found = examined(&linker, &Targets::default());
        assert_eq!((found.linker, found.found), (Some(4096), Vec::new()));
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
        // The second is of an offset where there is no code, the third has one twice.
        let rows = [
            row("other", "01010102", 4128),
            row("wrong", "01010101", 1 << 30),
            row("twice", "01010101", 4112),
            row("mine", "01010101", 4128),
        ];
        let targets = Targets::with(rows).unwrap();
        let examined = examined(&file(Kind::Exports, &[], [1; 4]), &targets);
        let [found] = &examined.found[..] else { panic!("{examined:?}") };
        assert_eq!((&*found.target.name, found.by, &found.functions), ("mine", By::Build, &offsets(4128)));
        let unfit = examined.unfit.iter().map(|unfit| (&*unfit.target.name, unfit.missing));
        let missing = |offset, is_code| Missing { function: Function::Free, offset, is_code };
        assert_eq!(unfit.collect::<Vec<_>>(), [("wrong", missing(1 << 30, false)), ("twice", missing(4112, true))]);
    }

    #[test]
    fn a_file_may_have_more_than_one() {
        let own =
            [("x_SSL_read", 4144), ("x_SSL_write", 4160), ("x_SSL_free", 4176), ("x_SSL_set_custom_verify", 4192)];
        let prefixed =
            Addition::Prefixed { name: "aws-lc".to_owned(), like: "boringssl".to_owned(), prefix: "x_".to_owned() };
        let build = Addition::Build {
            name: "same".to_owned(),
            like: "openssl".to_owned(),
            build: BuildId::from_hex("01010101").unwrap(),
            offsets: vec![(Function::Read, 4096), (Function::Write, 4112), (Function::Free, 4128)],
        };
        let names = |rows: &[Addition]| {
            let targets = Targets::with(rows.iter().cloned()).unwrap();
            let found = examined(&file(Kind::Exports, &[OPENSSL, &own].concat(), [1; 4]), &targets).found;
            found.into_iter().map(|found| found.target.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names(&[]), ["openssl"]);
        assert_eq!(names(std::slice::from_ref(&prefixed)), ["aws-lc", "openssl"]);
        // What it says of the same functions is not said twice.
        assert_eq!(names(&[prefixed, build]), ["same", "aws-lc"]);
    }
}
