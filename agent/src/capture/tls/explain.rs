//! What can be read inside TLS of one process, and why not the rest: for people (`telltale check --pid`).

use std::{
    io,
    path::{Path, PathBuf},
};

use memchr::memmem::Finder;
use serde::Serialize;

use super::{
    elf::{Elf, ElfError, ReadAt},
    examine::{Examined, Missing, Unfit, examine},
    files::Opened,
    processes::{Processes, System},
    targets::Targets,
};

/// A TLS library, or what has one inside, that has no row.
struct Other {
    name: &'static str,
    /// What names of its files begin with.
    files: &'static [&'static str],
    /// Bytes that are in every build of it.
    sign: Option<&'static [u8]>,
    why: &'static str,
}

const WITHOUT_SYMBOLS: &str =
    "it is inside this file, which has no symbols of it: a row of tls.targets may say where they are";
const NO_ROW: &str = "there is no row for it yet";

/// What is told of although nothing is read inside it. A file may have several.
const OTHERS: &[Other] = &[
    Other { name: "OpenSSL", files: &[], sign: Some(b"ssl_lib.c\0"), why: WITHOUT_SYMBOLS },
    Other { name: "BoringSSL", files: &[], sign: Some(b"ssl_lib.cc\0"), why: WITHOUT_SYMBOLS },
    Other { name: "Go", files: &[], sign: Some(b"\xff Go buildinf:"), why: "Go's own TLS: there is no row for it yet" },
    Other { name: "rustls", files: &[], sign: Some(b"/rustls-0."), why: NO_ROW },
    Other { name: "GnuTLS", files: &["libgnutls.so"], sign: None, why: NO_ROW },
    Other { name: "NSS", files: &["libssl3.so"], sign: None, why: NO_ROW },
    Other { name: "Mbed TLS", files: &["libmbedtls.so"], sign: None, why: NO_ROW },
    Other { name: "wolfSSL", files: &["libwolfssl.so"], sign: None, why: NO_ROW },
    Other { name: "s2n", files: &["libs2n.so"], sign: None, why: NO_ROW },
    Other { name: "Java", files: &["libjvm.so"], sign: None, why: "Java's own TLS: there is no row for it yet" },
];

/// Bytes of a file that are searched for signs.
const MOST_SEARCHED: u64 = 512 << 20;

/// One library in a file of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// The file, as the process sees it.
    pub path: PathBuf,
    /// The library.
    pub library: String,
    /// Whether it is one that can be read inside, where the machine lets it.
    pub is_recognised: bool,
    /// How it was recognised, or why it is not read.
    pub why: String,
    /// Symbols of the functions that get probes, with their offsets in the file.
    pub functions: Vec<(&'static str, u64)>,
    /// Which build the file is, in hexadecimal.
    pub build_id: Option<String>,
}

/// What was found in a process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The process.
    pub pid: u32,
    /// Files of which it executes code.
    pub files: usize,
    /// TLS libraries in them.
    pub libraries: Vec<Explained>,
    /// Files that could not be looked into, and why.
    pub problems: Vec<String>,
    /// Whether it tells of libraries that it maps later: its dynamic linker does.
    pub tells_of_libraries: bool,
}

/// Looks at a process.
///
/// # Errors
/// There is none of this id, or this process may not look at it.
pub fn explain(pid: u32, targets: &Targets) -> io::Result<Explanation> {
    let system = System::default();
    let mapped = system.mapped(pid)?;
    let mut explanation = Explanation { pid, files: mapped.files.len(), ..Explanation::default() };
    for mapping in &mapped.files {
        let path = &mapping.path;
        match system.open(mapped.task, mapping) {
            Ok(opened) => explanation.look(path, &opened, targets),
            Err(error) => explanation.problems.push(format!("{}: {error}", path.display())),
        }
    }
    if mapped.is_cut {
        explanation.problems.push("it executes more files than are looked at".to_owned());
    }
    Ok(explanation)
}

impl Explanation {
    fn look(&mut self, path: &Path, opened: &Opened, targets: &Targets) {
        let Opened { file, .. } = opened;
        let examined = match Elf::open(file).and_then(|elf| examine(&elf, targets)) {
            Ok(examined) => examined,
            // Mapped for execution all the same, as some keep generated code.
            Err(ElfError::NotElf) => return,
            Err(error) => return self.problems.push(format!("{} {error}", path.display())),
        };
        let Examined { build, found, unfit, linker } = examined;
        self.tells_of_libraries |= linker.is_some();
        let build_id = build.map(|build| build.to_string());
        let explained = |library: &str| Explained {
            path: path.to_owned(),
            library: library.to_owned(),
            is_recognised: false,
            why: String::new(),
            functions: Vec::new(),
            build_id: build_id.clone(),
        };
        self.libraries
            .extend(unfit.iter().map(|unfit| Explained { why: wrong(unfit), ..explained(&unfit.target.name) }));
        self.libraries.extend(found.iter().map(|found| Explained {
            is_recognised: true,
            why: format!("found {}", found.by.words()),
            functions: found.functions.iter().map(|(function, offset)| (function.symbol(), *offset)).collect(),
            ..explained(&found.target.name)
        }));
        if !found.is_empty() {
            return;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let signs = signs(file);
        let others = OTHERS
            .iter()
            .zip(signs)
            .filter(|(other, has_sign)| *has_sign || other.files.iter().any(|file| name.starts_with(file)));
        // That a row may be added need not be said where one was.
        let others = others.filter(|(other, _)| unfit.is_empty() || other.why != WITHOUT_SYMBOLS);
        self.libraries
            .extend(others.map(|(other, _)| Explained { why: other.why.to_owned(), ..explained(other.name) }));
    }
}

/// What is wrong with a row of this very build.
fn wrong(unfit: &Unfit) -> String {
    let Missing { function, offset, is_code } = unfit.missing;
    let symbol = function.symbol();
    if is_code {
        return format!(
            "this row is of this build, but at {offset:#x}, where it has {symbol}, it or one before it has another function"
        );
    }
    format!(
        "this row is of this build, but at {offset:#x} of the file, where it has {symbol}, is no code; an offset is that in the file, not the address"
    )
}

/// Whose signs are in a file, by [`OTHERS`].
fn signs(file: &impl ReadAt) -> Vec<bool> {
    const PART: usize = 1 << 20;
    let finders: Vec<_> = OTHERS.iter().map(|other| other.sign.map(Finder::new)).collect();
    let overlap = OTHERS.iter().filter_map(|other| other.sign).map(<[u8]>::len).max().unwrap_or(1) - 1;
    let mut found = vec![false; OTHERS.len()];
    let (mut part, mut kept, mut at) = (vec![0; PART + overlap], 0, 0);
    while at < MOST_SEARCHED {
        let Ok(length @ 1..) = file.read_at(at, &mut part[kept..]) else { break };
        let end = kept + length;
        for (found, finder) in found.iter_mut().zip(&finders) {
            *found |= finder.as_ref().is_some_and(|finder| finder.find(&part[..end]).is_some());
        }
        at += length as u64;
        kept = overlap.min(end);
        part.copy_within(end - kept..end, 0);
    }
    found
}

#[cfg(test)]
mod tests {
    use agent_common::tls::Function;

    use super::*;
    use crate::capture::tls::{
        elf::{BuildId, testing},
        targets::Addition,
    };

    #[test]
    fn signs_are_found_across_parts() {
        let found = |bytes: &[u8]| {
            let found = signs(&bytes);
            OTHERS.iter().zip(found).filter_map(|(other, found)| found.then_some(other.name)).collect::<Vec<_>>()
        };
        let mut bytes = vec![0; 3 << 20];
        assert!(found(&bytes).is_empty());
        bytes[(1 << 20) - 3..][..12].copy_from_slice(b"/ssl_lib.cc\0");
        let end = bytes.len();
        bytes[end - 10..].copy_from_slice(b"/rustls-0.");
        assert_eq!(found(&bytes), ["BoringSSL", "rustls"]);
        assert!(found(b"").is_empty());
    }

    #[test]
    fn a_row_that_does_not_hold_is_explained() {
        let build = BuildId::from_hex("01010101").unwrap();
        let functions = [Function::Read, Function::Write, Function::Free];
        let offsets =
            |step: u64| functions.into_iter().zip(0..).map(move |(function, index)| (function, 4096 + step * index));
        let row = |step| Addition::Build {
            name: "gateway".to_owned(),
            like: "openssl".to_owned(),
            build: build.clone(),
            offsets: offsets(step).collect(),
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway");
        std::fs::write(&path, [testing::file(testing::Kind::Exports, &[], [1; 4]), b"ssl_lib.c\0".to_vec()].concat())
            .unwrap();
        let opened = Opened::at(&path).unwrap();
        let explained = |targets: &Targets| {
            let mut explanation = Explanation::default();
            explanation.look(&path, &opened, targets);
            let [library] = &explanation.libraries[..] else { panic!("{explanation:?}") };
            assert!(!library.is_recognised, "{library:?}");
            (library.library.clone(), library.why.clone())
        };
        assert_eq!(explained(&Targets::default()), ("OpenSSL".to_owned(), WITHOUT_SYMBOLS.to_owned()));
        let (name, why) = explained(&Targets::with([row(1 << 30)]).unwrap());
        assert_eq!(name, "gateway");
        assert!(why.contains("at 0x40001000 of the file, where it has SSL_write, is no code"), "{why}");
        let (_, why) = explained(&Targets::with([row(0)]).unwrap());
        assert!(why.contains("at 0x1000, where it has SSL_write, it or one before it has another"), "{why}");
    }

    #[test]
    fn a_process_is_explained() {
        let own = explain(std::process::id(), &Targets::default()).unwrap();
        assert!(own.files > 1 && own.tells_of_libraries, "{own:?}");
        // The agent's own exporters use it.
        let of_this_program = own.libraries.iter().find(|library| library.library == "rustls");
        assert!(of_this_program.is_some_and(|library| !library.is_recognised), "{own:?}");
        assert_eq!(explain(u32::MAX, &Targets::default()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
