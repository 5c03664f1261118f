//! Files that a command is going to execute code of, as far as that can be told before it does: so that its very first call has probes.
//!
//! It is a guess that costs only probes that nobody meets: what is missed here is found when the process has mapped it.

use std::{
    collections::HashSet,
    ffi::{OsStr, OsString},
    io::Read as _,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
};

use super::{elf::Elf, files, linker_cache::LinkerCache};

/// Files that are looked at for one command.
const MOST_FILES: usize = 512;
/// Folders of installed packages that are looked at for bundled libraries.
const MOST_PACKAGES: usize = 4096;
/// Where the linker looks at last.
const FOLDERS: [&str; 6] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib64", "/usr/local/lib"];
/// Names of libraries that programs load when they first need TLS.
const LOADED_LATE: [&[u8]; 2] = [b"libssl.so", b"libssl-"];
/// Functions by which a program loads libraries or starts other programs.
const LOADS: [&str; 16] = [
    "dlopen",
    "dlmopen",
    "execl",
    "execle",
    "execlp",
    "execv",
    "execve",
    "execveat",
    "execvp",
    "execvpe",
    "popen",
    "posix_spawn",
    "posix_spawnp",
    "system",
    "wordexp",
    "g_module_open",
];
/// What names of libraries begin with that have these functions for others, or use them for something else than TLS.
const LOADS_NOTHING: [&[u8]; 9] =
    [b"libc.", b"libc-", b"libdl.", b"libdl-", b"libpthread", b"ld-linux", b"ld-musl", b"ld-", b"libselinux."];

/// Extensions of Python with a TLS library inside: the folder in that of packages, and how the file is called.
const EXTENSIONS: [(&str, &[u8]); 3] = [
    // What pyOpenSSL calls; the second one up to version 41.
    ("cryptography/hazmat/bindings", b"_rust."),
    ("cryptography/hazmat/bindings", b"_openssl."),
    ("curl_cffi", b"_wrapper."),
];

/// What is known of this machine and of the environment that the command is given.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `PATH`
    pub path: OsString,
    /// `LD_LIBRARY_PATH`
    pub library_path: OsString,
    /// `VIRTUAL_ENV`
    pub virtual_env: Option<PathBuf>,
    /// Where libraries are.
    pub libraries: LinkerCache,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let variable = |name: &str| std::env::var_os(name);
        Self {
            path: variable("PATH").unwrap_or_default(),
            library_path: variable("LD_LIBRARY_PATH").unwrap_or_default(),
            virtual_env: variable("VIRTUAL_ENV").map(PathBuf::from),
            libraries: LinkerCache::read(Path::new(super::linker_cache::PATH)).unwrap_or_default(),
        }
    }

    /// The files that a command may execute: itself, what it is written in, the libraries that they need, and the system's TLS libraries unless it
    /// loads and starts nothing.
    pub fn files_of(&self, command: &[OsString]) -> Vec<PathBuf> {
        let mut search = Search::new(self);
        match command.first().and_then(|program| self.program(program)) {
            Some(program) => search.program(&program, 0),
            None => search.may_load = true,
        }
        // `env`, `sudo`, `timeout` and the like execute one of their arguments.
        for argument in command.iter().skip(1).take(8) {
            let is_name = !argument.is_empty() && !argument.as_bytes().starts_with(b"-");
            if let Some(program) = self.program(argument).filter(|_| is_name) {
                search.program(&program, 0);
            }
        }
        for (name, path) in self.libraries.entries() {
            if search.may_load && LOADED_LATE.iter().any(|begin| name.starts_with(begin)) {
                search.library(&path, 0);
            }
        }
        search.found
    }

    /// The files that a program may execute that has just been started.
    pub fn files_of_program(&self, program: &Path) -> Vec<PathBuf> {
        let mut search = Search::new(self);
        search.program(program, 0);
        search.found
    }

    /// Where a program is, as `execvp` finds it.
    fn program(&self, name: &OsStr) -> Option<PathBuf> {
        use std::os::unix::fs::PermissionsExt as _;
        let is_program = |path: &Path| {
            path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
        };
        if name.as_bytes().contains(&b'/') {
            return Some(PathBuf::from(name)).filter(|path| is_program(path));
        }
        std::env::split_paths(&self.path).map(|folder| folder.join(name)).find(|path| is_program(path))
    }
}

struct Search<'a> {
    around: &'a Surroundings,
    seen: HashSet<PathBuf>,
    found: Vec<PathBuf>,
    /// Something of it may load libraries, or start other programs, or it cannot be told.
    may_load: bool,
}

/// How deep scripts and libraries lead to others.
const MOST_DEPTH: u32 = 8;

impl<'a> Search<'a> {
    fn new(around: &'a Surroundings) -> Self {
        Self { around, seen: HashSet::new(), found: Vec::new(), may_load: false }
    }

    /// Whether a file is new.
    fn is_new(&mut self, path: &Path) -> Option<PathBuf> {
        let real = path.canonicalize().ok()?;
        (self.seen.len() < MOST_FILES && self.seen.insert(real.clone())).then_some(real)
    }

    fn program(&mut self, path: &Path, depth: u32) {
        let Some(real) = self.is_new(path) else { return };
        if depth > MOST_DEPTH {
            return;
        }
        let mut head = [0; 256];
        let Ok(length) = files::open(&real).and_then(|mut file| file.read(&mut head)) else { return };
        if let Some(line) = head[..length].strip_prefix(b"#!") {
            let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
            return self.script(line, depth);
        }
        self.load(&real, depth);
        let name = |path: &Path| path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"python"));
        if name(path) || name(&real) {
            for prefix in [path, &real].iter().filter_map(|path| path.parent()?.parent()) {
                self.python(prefix, depth);
            }
            if let Some(prefix) = &self.around.virtual_env {
                self.python(prefix, depth);
            }
        }
    }

    /// `/usr/bin/env -S python3 -u`
    fn script(&mut self, line: &[u8], depth: u32) {
        self.may_load = true;
        let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
        let Some(interpreter) = words.next() else { return };
        self.program(Path::new(interpreter), depth + 1);
        if Path::new(interpreter).file_name().is_some_and(|name| name == "env") {
            let is_name = |word: &&OsStr| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
            if let Some(program) = words.find(is_name).and_then(|name| self.around.program(name)) {
                self.program(&program, depth + 1);
            }
        }
    }

    /// An ELF file with what it needs.
    fn load(&mut self, real: &Path, depth: u32) {
        let Ok(elf) = files::open(real).map_err(Into::into).and_then(Elf::open) else {
            // A shell takes it for a script.
            self.may_load = true;
            return;
        };
        let name = real.file_name().unwrap_or_default().as_bytes();
        if !LOADS_NOTHING.iter().any(|begin| name.starts_with(begin)) {
            self.may_load |= elf.mentions(&LOADS).ok().flatten().unwrap_or(true);
        }
        self.found.push(real.to_owned());
        if let Ok(Some(linker)) = elf.interpreter() {
            self.library(Path::new(OsStr::from_bytes(&linker)), depth + 1);
        }
        let Ok(libraries) = elf.libraries() else { return };
        let origin = real.parent().unwrap_or(Path::new("/"));
        for name in &libraries.needed {
            if let Some(library) = self.needed(name, libraries.path.as_deref(), origin) {
                self.library(&library, depth + 1);
            }
        }
    }

    fn library(&mut self, path: &Path, depth: u32) {
        if let Some(real) = self.is_new(path)
            && depth <= MOST_DEPTH
        {
            self.load(&real, depth);
        }
    }

    /// Where the linker finds a library (ld.so(8)): in the folders that the file names, those of the environment, the cache, and its own.
    fn needed(&self, name: &[u8], folders: Option<&[u8]>, origin: &Path) -> Option<PathBuf> {
        let name = Path::new(OsStr::from_bytes(name));
        if name.components().count() > 1 {
            return Some(name.to_owned());
        }
        let named = folders.unwrap_or_default().split(|&byte| byte == b':').filter(|folder| !folder.is_empty());
        let named = named.map(|folder| {
            let rest = [&b"$ORIGIN"[..], b"${ORIGIN}"].iter().find_map(|origin| folder.strip_prefix(*origin));
            match rest {
                Some(rest) => origin.join(OsStr::from_bytes(rest.strip_prefix(b"/").unwrap_or(rest))),
                None => PathBuf::from(OsStr::from_bytes(folder)),
            }
        });
        let given = std::env::split_paths(&self.around.library_path).filter(|folder| !folder.as_os_str().is_empty());
        let is_there = |path: &PathBuf| path.is_file();
        named.chain(given).map(|folder| folder.join(name)).find(is_there).or_else(|| {
            let is_it = |(known, path): (&[u8], PathBuf)| (known == name.as_os_str().as_bytes()).then_some(path);
            let cached = self.around.libraries.entries().find_map(is_it);
            cached.or_else(|| FOLDERS.iter().map(|folder| Path::new(folder).join(name)).find(is_there))
        })
    }

    /// What `import ssl` loads, and the TLS libraries that wheels bring along, beside an extension or inside it.
    fn python(&mut self, prefix: &Path, depth: u32) {
        for library in children(&prefix.join("lib"), MOST_PACKAGES) {
            if !begins(&library, b"python3") && !begins(&library, b"python2") {
                continue;
            }
            for module in children(&library.join("lib-dynload"), MOST_PACKAGES) {
                if begins(&module, b"_ssl.") || begins(&module, b"_ssl_") {
                    self.library(&module, depth + 1);
                }
            }
            for packages in ["site-packages", "dist-packages"] {
                let packages = library.join(packages);
                for (folder, name) in EXTENSIONS {
                    let files = children(&packages.join(folder), MOST_FILES);
                    files.iter().filter(|path| begins(path, name)).for_each(|path| self.library(path, depth + 1));
                }
                for package in children(&packages, MOST_PACKAGES) {
                    if package.as_os_str().as_bytes().ends_with(b".libs") {
                        let bundled = children(&package, MOST_FILES);
                        bundled
                            .iter()
                            .filter(|path| begins(path, b"libssl"))
                            .for_each(|path| self.library(path, depth + 1));
                    }
                }
            }
        }
    }
}

fn begins(path: &Path, with: &[u8]) -> bool {
    path.file_name().is_some_and(|name| name.as_bytes().starts_with(with))
}

/// What is in a folder; nothing if there is none.
fn children(folder: &Path, most: usize) -> Vec<PathBuf> {
    std::fs::read_dir(folder).into_iter().flatten().flatten().take(most).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::capture::tls::{
        elf::testing::{self, Kind},
        linker_cache::testing::cache,
    };

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn put(&self, path: &str, bytes: &[u8]) -> PathBuf {
            let path = self.folder.path().canonicalize().unwrap().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
            path
        }

        fn elf(&self, path: &str) -> PathBuf {
            self.put(path, &testing::file(Kind::Exports, &[], [1; 4]))
        }

        fn around(&self) -> Surroundings {
            Surroundings { path: self.folder.path().join("bin").into(), ..Surroundings::default() }
        }
    }

    fn machine() -> Machine {
        Machine { folder: tempfile::tempdir().unwrap() }
    }

    fn command(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_script_leads_to_what_it_is_written_in() {
        let machine = machine();
        let python = machine.elf("bin/python3.12");
        symlink(&python, machine.folder.path().join("bin/python")).unwrap();
        let environment = machine.elf("bin/env");
        let ssl = machine.elf("lib/python3.12/lib-dynload/_ssl.cpython-312-x86_64-linux-gnu.so");
        let extension = machine.elf("lib/python3.12/site-packages/cryptography/hazmat/bindings/_rust.abi3.so");
        let wheel = machine.elf("lib/python3.12/site-packages/psycopg2_binary.libs/libssl-8bd944e8.so.3");
        machine.elf("lib/python3.12/site-packages/cryptography/hazmat/bindings/other.abi3.so");
        machine.elf("lib/python3.12/lib-dynload/_json.cpython-312-x86_64-linux-gnu.so");
        let script = machine.put("bin/agent", format!("#!{} -S python -u\nprint()", environment.display()).as_bytes());
        let around = machine.around();
        let expected = [environment, python, ssl, extension, wheel];
        assert_eq!(around.files_of(&command(&["agent", "--verbose"])), expected);
        assert_eq!(around.files_of(&[script.into_os_string()]), expected);
        assert_eq!(around.files_of(&command(&["no such program"])), [""; 0].map(PathBuf::from));
        // An argument may be a program.
        assert_eq!(around.files_of(&command(&["nothing", "-u", "agent"])), expected);
    }

    #[test]
    fn the_systems_library_is_for_who_may_load_it() {
        let machine = machine();
        let ssl = machine.elf("lib/libssl.so.3");
        let entry = [("libssl.so.3", ssl.to_str().unwrap())];
        let around = Surroundings { libraries: LinkerCache::of(&cache(&entry)), ..machine.around() };
        let found = |command: &str| around.files_of(&[command.into()]).contains(&ssl);
        let quiet = machine.elf("bin/cat");
        assert_eq!(around.files_of(&["cat".into()]), [quiet]);
        let names = |functions: &[(&str, u64)]| testing::file(Kind::Exports, functions, [1; 4]);
        machine.put("bin/node", &names(&[("dlopen", 4096)]));
        machine.put("bin/timeout", &names(&[("main", 4096), ("fexecve", 4100)]));
        machine.put("bin/text", b"curl https://x\n");
        machine.put("bin/shell", b"#!/bin/sh\n");
        // Where nothing is for the linker it cannot be told.
        machine.put("bin/static", &testing::file(Kind::Symbols, &[], [1; 4]));
        for command in ["node", "timeout", "text", "shell", "static", "not there"] {
            assert!(found(command), "{command}");
        }
        machine.put("bin/libc.so.6", &names(&[("dlopen", 4096)]));
        assert!(!found("libc.so.6"));
    }

    #[test]
    fn what_a_script_is_written_in_may_be_no_file() {
        let machine = machine();
        let fifo = machine.folder.path().canonicalize().unwrap().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).unwrap();
        machine.put("bin/script", format!("#!{}\n", fifo.display()).as_bytes());
        assert!(machine.around().files_of(&command(&["script"])).is_empty());
    }

    #[test]
    fn scripts_that_lead_in_circles_end() {
        let machine = machine();
        let path = machine.folder.path().canonicalize().unwrap();
        machine.put("bin/a", format!("#!{}/bin/b\n", path.display()).as_bytes());
        machine.put("bin/b", format!("#!{}/bin/a\n", path.display()).as_bytes());
        machine.put("bin/c", b"#!\n");
        assert!(machine.around().files_of(&command(&["a", "b", "c"])).is_empty());
    }

    #[test]
    fn a_program_leads_to_what_it_needs() {
        let around = Surroundings::of_this_process();
        let own = std::env::current_exe().unwrap().canonicalize().unwrap();
        let found = around.files_of_program(&own);
        assert_eq!(found[0], own);
        // As the linker itself found them.
        let mapped = crate::capture::tls::maps::of_task(std::process::id()).unwrap();
        for file in mapped.files {
            assert!(found.contains(&file.path), "{} is not among {found:?}", file.path.display());
        }
    }
}
