//! Real processes whose files are not what they were.

use std::{
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    process::{Child, Command, Stdio},
};

use nix::{
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};

use super::*;
use crate::capture::tls::elf::Elf;

/// A copy of `sleep` that runs, in a folder of its own.
struct Program {
    folder: tempfile::TempDir,
    child: Child,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("program");
        // By another process: children of tests beside this one may hold for a moment what this one writes, and then it cannot be executed.
        assert!(Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success());
        let child = Command::new(&path).arg("600").stdin(Stdio::null()).spawn().unwrap();
        let program = Self { folder, child };
        program.wait();
        program
    }

    /// Until its linker has mapped what it needs.
    fn wait(&self) {
        let is_library =
            |mapping: &Mapping| mapping.path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"libc"));
        let mapped = || System::default().mapped(self.child.id()).unwrap_or_default().files;
        while !mapped().iter().any(is_library) {
            std::thread::yield_now();
        }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    fn executes(&self, path: &Path) -> bool {
        System::default().mapped(self.child.id()).unwrap_or_default().files.iter().any(|mapping| mapping.path == path)
    }

    fn mapping(&self, path: &Path) -> Mapping {
        let mapped = System::default().mapped(self.child.id()).unwrap();
        mapped.files.into_iter().find(|mapping| mapping.path == path).unwrap()
    }

    fn by_path(&self, mapping: &Mapping) -> io::Result<Option<Opened>> {
        by_path(&self.process(), mapping)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_took_the_place_of_a_mapped_file_is_not_taken_for_it() {
    let program = Program::start();
    let (path, moved) = (program.at("program"), program.at("moved"));
    let mapping = program.mapping(&path);
    let id = program.by_path(&mapping).unwrap().unwrap().id;
    assert_eq!(id, Opened::at(&path).unwrap().id);

    std::fs::rename(&path, &moved).unwrap();
    let not_opened = |what: &str| {
        let opened = program.by_path(&mapping);
        assert!(!matches!(opened, Ok(Some(_))), "{what} was opened: {opened:?}");
    };
    not_opened("nothing");
    // Nobody is at its other end, so that to open it would never end.
    mkfifo(&path, Mode::S_IRWXU).unwrap();
    not_opened("a FIFO");
    std::fs::remove_file(&path).unwrap();
    std::fs::copy(&moved, &path).unwrap();
    not_opened("a copy");
    std::fs::remove_file(&path).unwrap();
    symlink("/dev/zero", &path).unwrap();
    not_opened("a device");
    std::fs::remove_file(&path).unwrap();
    // A link to the very file is no harm.
    symlink(&moved, &path).unwrap();
    assert_eq!(program.by_path(&mapping).unwrap().unwrap().id, id);
    let elsewhere = Mapping { device: (mapping.device.0, mapping.device.1 + 1), ..mapping.clone() };
    assert!(program.by_path(&elsewhere).unwrap().is_none());
    let gone = Mapping { is_deleted: true, ..mapping.clone() };
    assert!(program.by_path(&gone).unwrap().is_none());
    // What is mapped leads to it whatever is at the path, for who may look there.
    if Uid::effective().is_root() {
        assert_eq!(System::default().open(program.child.id(), &mapping).unwrap().id, id);
    }
}

#[test]
fn files_of_a_process_with_a_root_of_its_own_are_found() {
    if !Uid::effective().is_root() {
        return eprintln!("skipped: it takes root to give a program another root");
    }
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    // What the program needs, at the same paths below.
    let needed = Program::start();
    for mapping in System::default().mapped(needed.child.id()).unwrap().files {
        let name = mapping.path.strip_prefix("/").unwrap();
        let name = if mapping.path == needed.at("program") { Path::new("program") } else { name };
        std::fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        std::fs::copy(&mapping.path, root.join(name)).unwrap();
    }
    // The linker is found by the name that the program has for it.
    let linker = Elf::open(std::fs::File::open("/bin/sleep").unwrap()).unwrap().interpreter().unwrap().unwrap();
    let linker = Path::new(std::str::from_utf8(&linker).unwrap());
    let (real, name) = (linker.canonicalize().unwrap(), root.join(linker.strip_prefix("/").unwrap()));
    std::fs::create_dir_all(name.parent().unwrap()).unwrap();
    if !name.exists() {
        symlink(real, &name).unwrap();
    }
    let mut command = Command::new("chroot");
    let child = command.arg(&root).args(["/program", "600"]).stdin(Stdio::null()).spawn().unwrap();
    let program = Program { folder, child };
    // `chroot` has libraries, too.
    while std::fs::read_link(program.process().join("root")).unwrap() != root {
        std::thread::yield_now();
    }
    let path = program.at("program");
    while !program.executes(&path) {
        std::thread::yield_now();
    }
    program.wait();
    let mapping = program.mapping(&path);
    let id = program.by_path(&mapping).unwrap().unwrap().id;
    assert_eq!(id, Opened::at(&path).unwrap().id);
    // Its own links mean what they mean to it.
    std::fs::rename(&path, program.at("moved")).unwrap();
    symlink("/moved", &path).unwrap();
    assert_eq!(program.by_path(&mapping).unwrap().unwrap().id, id);
}

#[test]
fn a_process_lives_on_when_its_first_thread_is_over() {
    let text = "import ctypes, threading, time\n\
        threading.Thread(target=time.sleep, args=(600,)).start()\n\
        ctypes.CDLL(None).pthread_exit(None)";
    let Ok(child) = Command::new("python3").args(["-c", text]).stdin(Stdio::null()).spawn() else {
        return eprintln!("skipped: there is no python3");
    };
    let (pid, folder) = (child.id(), tempfile::tempdir().unwrap());
    let program = Program { folder, child };
    let system = System::default();
    let started = system.started(pid).unwrap();
    let is_over = || {
        let stat = std::fs::read_to_string(program.process().join("stat")).unwrap();
        stat.contains(") Z ")
    };
    while !is_over() {
        std::thread::yield_now();
    }
    assert_eq!(system.started(pid), Some(started));
    let mapped = system.mapped(pid).unwrap();
    assert!(mapped.task != pid && !mapped.files.is_empty());
    for mapping in &mapped.files {
        let opened = by_path(&Path::new("/proc").join(mapped.task.to_string()), mapping).unwrap().unwrap();
        if Uid::effective().is_root() {
            assert_eq!(system.open(mapped.task, mapping).unwrap().id, opened.id);
        }
    }
}
