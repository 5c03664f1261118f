//! Real processes whose files are not what they were.

use std::{
    os::unix::fs::symlink,
    process::{Child, Command, Stdio},
};

use nix::{
    sys::stat::Mode,
    unistd::{Uid, mkfifo},
};

use super::*;

/// A copy of `sleep` that runs, in a folder of its own.
struct Program {
    folder: tempfile::TempDir,
    child: Child,
}

impl Program {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap().join("program");
        std::fs::copy("/bin/sleep", &path).unwrap();
        let child = Command::new(&path).arg("600").stdin(Stdio::null()).spawn().unwrap();
        Self { folder, child }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
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
