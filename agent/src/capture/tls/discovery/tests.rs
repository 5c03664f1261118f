use std::{cell::RefCell, collections::BTreeMap, io, rc::Rc};

use super::*;
use crate::capture::tls::{
    elf::testing::{self, Kind as Symbols},
    maps::{Mapped, Mapping},
};

const OPENSSL: &[(&str, u64)] = &[("SSL_read", 4096), ("SSL_write", 4112), ("SSL_free", 4128)];
const LINKER: &[(&str, u64)] = &[("_dl_debug_state", 4096)];

/// Files that have probes, by path, and what was done.
#[derive(Default)]
struct Kernel {
    attached: Vec<PathBuf>,
    done: Vec<String>,
    refuses: bool,
}

#[derive(Clone, Default)]
struct FakeProber(Rc<RefCell<Kernel>>);

impl FakeProber {
    fn put(&self, path: &Path, what: &str) -> Result<PathBuf, String> {
        let mut kernel = self.0.borrow_mut();
        if kernel.refuses {
            return Err("no".to_owned());
        }
        let path = std::fs::read_link(path).unwrap();
        kernel.attached.push(path.clone());
        kernel.done.push(format!("{what} {}", path.file_name().unwrap().display()));
        Ok(path)
    }
}

impl Prober for FakeProber {
    type Attached = PathBuf;

    fn attach(&mut self, path: &Path, functions: &[(Function, u64)]) -> Result<PathBuf, String> {
        assert!(functions.len() >= 3);
        self.put(path, "attach")
    }

    fn attach_linker(&mut self, path: &Path, _: u64) -> Result<PathBuf, String> {
        self.put(path, "linker")
    }

    fn detach(&mut self, path: PathBuf) {
        let mut kernel = self.0.borrow_mut();
        let at = kernel.attached.iter().position(|known| *known == path).unwrap();
        kernel.attached.remove(at);
        kernel.done.push(format!("detach {}", path.file_name().unwrap().display()));
    }
}

/// Processes and what they map.
#[derive(Clone, Default)]
struct FakeProcesses(Rc<RefCell<World>>);

#[derive(Default)]
struct World {
    mapped: BTreeMap<u32, Vec<PathBuf>>,
    members: Option<Vec<u32>>,
    /// Those that are over by the time it is asked when they were started.
    ending: Vec<u32>,
    /// Those of which nothing can be opened.
    closed: Vec<u32>,
    /// There are more files and processes than are looked at.
    is_cut: bool,
}

impl Processes for FakeProcesses {
    fn mapped(&self, pid: u32) -> io::Result<Mapped> {
        let world = self.0.borrow();
        let paths = world.mapped.get(&pid).ok_or(io::ErrorKind::NotFound)?;
        let number = |path: &Path| {
            path.to_string_lossy().bytes().fold(1, |sum: u64, byte| sum.wrapping_mul(31) + u64::from(byte))
        };
        let mapping = |path: &PathBuf| Mapping {
            start: 0,
            end: 1,
            offset: 0,
            device: (0, 0),
            inode: number(path),
            path: path.clone(),
            is_deleted: false,
        };
        Ok(Mapped { task: pid, files: paths.iter().map(mapping).collect(), is_cut: world.is_cut })
    }

    fn open(&self, task: u32, mapping: &Mapping) -> io::Result<Opened> {
        if self.0.borrow().closed.contains(&task) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        Opened::at(&mapping.path)
    }

    fn started(&self, pid: u32) -> Option<u64> {
        let world = self.0.borrow();
        (world.mapped.contains_key(&pid) && !world.ending.contains(&pid)).then_some(1)
    }

    fn knows_members(&self) -> bool {
        self.0.borrow().members.is_some()
    }

    fn members(&self) -> Option<Scoped> {
        let world = self.0.borrow();
        Some(Scoped { processes: world.members.clone()?, is_cut: world.is_cut })
    }
}

struct Bench {
    folder: tempfile::TempDir,
    kernel: FakeProber,
    world: FakeProcesses,
    discovery: Discovery<FakeProber, FakeProcesses>,
}

impl Bench {
    fn new(limits: Limits) -> Self {
        let (kernel, world) = (FakeProber::default(), FakeProcesses::default());
        world.0.borrow_mut().members = Some(Vec::new());
        let discovery = Discovery::new(kernel.clone(), world.clone(), Targets::default(), limits);
        Self { folder: tempfile::tempdir().unwrap(), kernel, world, discovery }
    }

    fn file(&self, name: &str, functions: &[(&str, u64)]) -> PathBuf {
        let path = self.folder.path().join(name);
        // A new file, as package managers do it.
        let new = self.folder.path().join("new");
        std::fs::write(&new, testing::file(Symbols::Exports, functions, [1; 4])).unwrap();
        std::fs::rename(new, &path).unwrap();
        path
    }

    fn process(&self, pid: u32, files: &[&Path]) {
        let mut world = self.world.0.borrow_mut();
        world.mapped.insert(pid, files.iter().map(|&path| path.to_owned()).collect());
        if let Some(members) = &mut world.members {
            members.retain(|&member| member != pid);
            members.push(pid);
        }
    }

    fn end(&self, pid: u32) {
        let mut world = self.world.0.borrow_mut();
        world.mapped.remove(&pid);
        if let Some(members) = &mut world.members {
            members.retain(|&member| member != pid);
        }
    }

    fn take_done(&self) -> Vec<String> {
        std::mem::take(&mut self.kernel.0.borrow_mut().done)
    }
}

const fn second(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[test]
fn the_first_user_attaches_and_the_last_detaches() {
    let mut bench = Bench::new(Limits::default());
    let (library, other) = (bench.file("libssl.so", OPENSSL), bench.file("libz.so", &[("inflate", 4096)]));
    bench.process(1, &[&other, &library]);
    bench.process(2, &[&library]);
    bench.discovery.look(1, Cause::Start, second(0));
    bench.discovery.look(2, Cause::Connection, second(0));
    bench.discovery.look(2, Cause::Libraries, second(0));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    let attached: Vec<_> = bench.discovery.attached().collect();
    assert_eq!(attached, [AttachedFile { path: library, target: Some("openssl".to_owned()), users: 2 }]);

    bench.end(1);
    bench.discovery.ended(1, second(1));
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), [""; 0]);
    // Nobody tells of the end of the other: it is noticed.
    bench.end(2);
    bench.discovery.tick(second(200));
    assert_eq!((bench.take_done().len(), bench.discovery.processes()), (0, 0));
    assert_eq!(bench.discovery.next_tick(second(203)), second(2));
    bench.discovery.tick(second(204));
    assert_eq!(bench.take_done(), [""; 0]);
    bench.discovery.tick(second(205));
    assert_eq!(bench.take_done(), ["detach libssl.so"]);
    let counts = bench.discovery.counts();
    assert_eq!((counts.attached, counts.detached), (1, 1));
}

#[test]
fn a_user_who_comes_in_time_keeps_the_probes() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    for pid in 1..10 {
        let now = second(u64::from(pid) * 4);
        bench.process(pid, &[&library]);
        bench.discovery.tick(now);
        bench.discovery.look(pid, Cause::Libraries, now);
        bench.end(pid);
        bench.discovery.ended(pid, now);
    }
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
}

#[test]
fn a_child_of_a_fork_keeps_the_probes() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    // As a daemon does. Nobody tells of the child.
    bench.process(2, &[&library]);
    bench.end(1);
    bench.discovery.ended(1, second(1));
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    bench.end(2);
    bench.discovery.tick(second(200));
    bench.discovery.tick(second(300));
    assert_eq!(bench.take_done(), ["detach libssl.so"]);
}

#[test]
fn nothing_is_detached_while_nobody_knows_who_is_in_scope() {
    let mut bench = Bench::new(Limits::default());
    bench.world.0.borrow_mut().members = None;
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    bench.end(1);
    bench.discovery.ended(1, second(1));
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    assert_eq!(bench.discovery.next_tick(second(100)), SWEEP);
}

#[test]
fn files_that_nobody_is_known_to_execute_make_room() {
    let mut bench = Bench::new(Limits { attached: 2, ..Limits::default() });
    bench.world.0.borrow_mut().members = None;
    let names = ["1.so", "2.so", "3.so", "4.so", "5.so"];
    let files = names.map(|name| bench.file(name, OPENSSL));
    let mut look = |pid: u32, now: u64, ends: bool| {
        bench.process(pid, &[&files[pid as usize - 1]]);
        bench.discovery.look(pid, Cause::Exec, second(now));
        if ends {
            bench.end(pid);
            bench.discovery.ended(pid, second(now));
        }
        bench.take_done()
    };
    assert_eq!(look(1, 1, true), ["attach 1.so"]);
    assert_eq!(look(2, 2, true), ["attach 2.so"]);
    // The one that was executed last is the last to go.
    assert_eq!(look(1, 3, true), [""; 0]);
    assert_eq!(look(3, 4, false), ["detach 2.so", "attach 3.so"]);
    assert_eq!(look(4, 5, false), ["detach 1.so", "attach 4.so"]);
    assert_eq!(look(5, 6, false), [""; 0]);
    let counts = bench.discovery.counts();
    assert_eq!((counts.attached, counts.detached, counts.evicted), (4, 2, 2));
    assert_eq!(counts.refused[RefusedBecause::Files as usize], 1);
}

#[test]
fn what_is_too_much_is_counted() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.world.0.borrow_mut().is_cut = true;
    bench.discovery.rescan(second(0));
    assert_eq!(bench.discovery.counts().refused, [0, 0, 1, 1]);
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
}

#[test]
fn a_file_of_small_parts_takes_its_time_too() {
    // Reads of some bytes each: not one of them would be a thousandth of it.
    let mut bench = Bench::new(Limits { bytes: 16 * PAGE, ..Limits::default() });
    let names = ["a.so", "b.so", "c.so", "d.so"].map(|name| bench.file(name, &[("inflate", 4096)]));
    bench.process(1, &names.each_ref().map(PathBuf::as_path));
    bench.discovery.look(1, Cause::Exec, second(0));
    assert!(bench.discovery.files.len() < names.len(), "{}", bench.discovery.files.len());
}

#[test]
fn another_program_of_the_same_process_is_looked_at() {
    let mut bench = Bench::new(Limits::default());
    let (first, second_file) = (bench.file("curl", OPENSSL), bench.file("node", OPENSSL));
    bench.process(1, &[&first]);
    bench.discovery.look(1, Cause::Exec, second(0));
    bench.process(1, &[&second_file]);
    bench.discovery.look(1, Cause::Exec, second(1));
    bench.discovery.tick(second(7));
    assert_eq!(bench.take_done(), ["attach curl", "attach node", "detach curl"]);
}

#[test]
fn a_library_that_is_replaced_on_disk_is_another_file() {
    let mut bench = Bench::new(Limits::default());
    let old = bench.file("libssl.so", OPENSSL);
    let kept = bench.folder.path().join("deleted");
    // Who runs still has the old one.
    std::fs::hard_link(&old, &kept).unwrap();
    bench.process(1, &[&kept]);
    bench.discovery.look(1, Cause::Exec, second(0));
    let new = bench.file("libssl.so", OPENSSL);
    bench.process(2, &[&new]);
    bench.discovery.look(2, Cause::Exec, second(1));
    assert_eq!(bench.take_done(), ["attach deleted", "attach libssl.so"]);
    bench.end(1);
    bench.discovery.ended(1, second(2));
    bench.discovery.tick(second(9));
    assert_eq!(bench.take_done(), ["detach deleted"]);
}

#[test]
fn a_file_that_is_written_to_is_looked_into_again() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    let moved = [("SSL_read", 4112), ("SSL_write", 4096), ("SSL_free", 4128), ("more", 4129)];
    std::fs::write(&library, testing::file(Symbols::Symbols, &moved, [2; 4])).unwrap();
    let later = std::time::SystemTime::now() + second(10);
    File::options().write(true).open(&library).unwrap().set_modified(later).unwrap();
    bench.discovery.look(1, Cause::Libraries, second(1));
    // The old ones are to be gone before the new ones come: the kernel keeps the instructions where they are.
    assert_eq!(bench.take_done(), ["attach libssl.so", "detach libssl.so"]);
    bench.discovery.look(1, Cause::Libraries, second(2));
    assert_eq!(bench.take_done(), [""; 0]);
    assert_eq!(bench.discovery.next_tick(second(2)), second(1));
    bench.discovery.tick(second(3));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    bench.end(1);
    bench.discovery.ended(1, second(4));
    bench.discovery.tick(second(10));
    assert_eq!(bench.take_done(), ["detach libssl.so"]);
}

#[test]
fn a_file_whose_time_changes_keeps_its_users_and_its_probes() {
    let mut bench = Bench::new(Limits::default());
    let (library, pinned) = (bench.file("libssl.so", OPENSSL), bench.file("node", OPENSSL));
    assert!(bench.discovery.pin(&pinned, second(0)));
    for pid in [1, 2] {
        bench.process(pid, &[&library, &pinned]);
        bench.discovery.look(pid, Cause::Exec, second(0));
    }
    let touch = |path: &Path, after: u64| {
        let time = std::time::SystemTime::now() + second(after);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    touch(&library, 10);
    touch(&pinned, 10);
    bench.discovery.look(1, Cause::Libraries, second(1));
    assert_eq!(bench.take_done(), ["attach node", "attach libssl.so"]);
    bench.end(1);
    bench.discovery.ended(1, second(2));
    bench.discovery.tick(second(100));
    // The other one still executes it.
    assert_eq!(bench.take_done(), [""; 0]);
    // It is written to, and is no library any more.
    std::fs::write(&library, testing::file(Symbols::Exports, &[], [3; 4])).unwrap();
    touch(&library, 20);
    bench.discovery.look(2, Cause::Libraries, second(101));
    assert_eq!(bench.take_done(), ["detach libssl.so"]);
    bench.end(2);
    bench.discovery.ended(2, second(102));
    bench.discovery.tick(second(200));
    let attached: Vec<_> = bench.discovery.attached().map(|file| (file.path, file.users)).collect();
    assert_eq!(attached, [(pinned, 0)]);
    let counts = bench.discovery.counts();
    assert_eq!((counts.attached, counts.detached), (2, 1));
}

#[test]
fn a_new_program_is_looked_at_again_until_its_linker_tells() {
    let mut bench = Bench::new(Limits::default());
    let (program, linker) = (bench.file("curl", &[]), bench.file("ld.so", LINKER));
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&program, &linker]);
    bench.discovery.look(1, Cause::Exec, second(0));
    assert_eq!(bench.take_done(), ["linker ld.so"]);
    assert_eq!(bench.discovery.next_tick(second(0)), AGAIN[0]);
    bench.process(1, &[&program, &linker, &library]);
    bench.discovery.tick(AGAIN[0]);
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    for seconds in [1, 2, 20, 40] {
        bench.discovery.tick(second(seconds));
    }
    let looks = |bench: &Bench| bench.discovery.counts().looks[Cause::Again as usize];
    let before = looks(&bench);
    assert_eq!(before, AGAIN.len() as u64);
    bench.process(2, &[&program, &linker, &library]);
    bench.discovery.look(2, Cause::Exec, second(60));
    bench.discovery.look(2, Cause::Libraries, second(60));
    bench.discovery.tick(second(70));
    assert_eq!(looks(&bench), before);
    // A static program has no linker.
    bench.process(3, &[&program]);
    bench.discovery.look(3, Cause::Exec, second(80));
    bench.discovery.tick(second(90));
    assert_eq!(looks(&bench), before);
}

#[test]
fn what_is_refused_is_not_tried_for_every_process() {
    let mut bench = Bench::new(Limits::default());
    bench.kernel.0.borrow_mut().refuses = true;
    let library = bench.file("libssl.so", OPENSSL);
    for pid in 1..5 {
        bench.process(pid, &[&library]);
        bench.discovery.look(pid, Cause::Exec, second(0));
    }
    assert_eq!(bench.discovery.counts().refused, [1, 0, 0, 0]);
    // While somebody executes it, it is tried again, ever less often.
    assert_eq!(bench.discovery.next_tick(second(0)), RETRY[0]);
    let refused = |bench: &Bench| bench.discovery.counts().refused[RefusedBecause::Attach as usize];
    for (now, expected) in [(1, 2), (2, 2), (11, 3), (12, 3), (71, 4), (600, 4), (671, 5), (1271, 6)] {
        bench.discovery.tick(second(now));
        assert_eq!(refused(&bench), expected, "after {now} s");
    }
    bench.kernel.0.borrow_mut().refuses = false;
    bench.discovery.tick(second(1871));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
}

#[test]
fn what_was_refused_is_tried_again_for_the_next_ones() {
    let mut bench = Bench::new(Limits::default());
    bench.kernel.0.borrow_mut().refuses = true;
    let library = bench.file("libssl.so", OPENSSL);
    for pid in 1..5 {
        bench.process(pid, &[&library]);
        bench.discovery.look(pid, Cause::Exec, second(0));
    }
    for pid in 1..5 {
        bench.end(pid);
        bench.discovery.ended(pid, second(1));
    }
    bench.discovery.tick(second(10));
    bench.kernel.0.borrow_mut().refuses = false;
    bench.process(9, &[&library]);
    bench.discovery.look(9, Cause::Exec, second(11));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
}

#[test]
fn who_cannot_help_does_not_keep_a_file_from_being_tried_again() {
    let mut bench = Bench::new(Limits::default());
    bench.kernel.0.borrow_mut().refuses = true;
    let library = bench.file("libssl.so", OPENSSL);
    for pid in 1..=3 {
        bench.process(pid, &[&library]);
        bench.discovery.look(pid, Cause::Exec, second(0));
    }
    bench.kernel.0.borrow_mut().refuses = false;
    bench.world.0.borrow_mut().closed = vec![1, 2];
    // One after another is asked, ever less often, until the third is.
    let asks = [1, 11, 71].into_iter().filter(|&now| {
        bench.discovery.tick(second(now));
        bench.discovery.next_tick(second(now)) > Duration::ZERO
    });
    assert_eq!(asks.count(), 3);
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
}

#[test]
fn who_ends_while_it_is_looked_at_is_not_kept() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.world.0.borrow_mut().ending = vec![1];
    bench.discovery.look(1, Cause::Libraries, second(0));
    bench.end(1);
    for now in [5, 11] {
        bench.discovery.tick(second(now));
    }
    assert_eq!((bench.discovery.processes(), bench.take_done().len()), (0, 2));
}

#[test]
fn tables_are_bounded() {
    let mut bench = Bench::new(Limits { files: 3, attached: 2, processes: 2, ..Limits::default() });
    let files = [1, 2, 3, 4].map(|index| bench.file(&format!("{index}.so"), OPENSSL));
    let nothing = [5, 6, 7, 8].map(|index| bench.file(&format!("{index}.so"), &[]));
    let all: Vec<&Path> = nothing.iter().chain(&files).map(PathBuf::as_path).collect();
    bench.process(1, &all);
    bench.discovery.look(1, Cause::Start, second(0));
    assert_eq!(bench.take_done(), ["attach 1.so", "attach 2.so"]);
    assert!(bench.discovery.counts().refused[RefusedBecause::Files as usize] > 0);
    for pid in [2, 3, 4] {
        bench.process(pid, &[&files[0]]);
        bench.discovery.look(pid, Cause::Start, second(0));
    }
    assert_eq!(bench.discovery.processes(), 2);
    assert_eq!(bench.discovery.counts().refused[RefusedBecause::Processes as usize], 2);
}

#[test]
fn who_leaves_the_scope_is_let_go() {
    let mut bench = Bench::new(Limits::default());
    let (library, own) = (bench.file("libssl.so", OPENSSL), bench.file("node", OPENSSL));
    bench.process(1, &[&library]);
    bench.process(2, &[&library, &own]);
    bench.discovery.rescan(second(0));
    assert_eq!(bench.discovery.processes(), 2);
    bench.world.0.borrow_mut().members = Some(vec![1]);
    bench.discovery.rescan(second(1));
    bench.discovery.tick(second(7));
    let attached: Vec<_> = bench.discovery.attached().map(|file| (file.path, file.users)).collect();
    assert_eq!(attached, [(library, 1)]);
}

#[test]
fn a_pinned_file_stays() {
    let mut bench = Bench::new(Limits::default());
    let (library, nothing) = (bench.file("libssl.so", OPENSSL), bench.file("libz.so", &[]));
    assert!(bench.discovery.pin(&library, second(0)));
    assert!(!bench.discovery.pin(&nothing, second(0)) && !bench.discovery.pin(Path::new("/nowhere"), second(0)));
    bench.process(1, &[&library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    bench.end(1);
    bench.discovery.ended(1, second(1));
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    // Nothing that cannot be a file or is damaged stops anything.
    let damaged = bench.folder.path().join("damaged");
    std::fs::write(&damaged, &testing::file(Symbols::Exports, OPENSSL, [1; 4])[..300]).unwrap();
    assert!(!bench.discovery.pin(&damaged, second(0)) && !bench.discovery.pin(bench.folder.path(), second(0)));
    assert_eq!(bench.discovery.counts().refused[RefusedBecause::Read as usize], 1);
}

#[test]
fn who_is_told_of_all_the_time_keeps_nobody_waiting() {
    let mut bench = Bench::new(Limits::default());
    let (library, other) = (bench.file("libssl.so", OPENSSL), bench.file("node", OPENSSL));
    bench.process(1, &[&library]);
    bench.process(2, &[&other]);
    for _ in 0..10_000 {
        bench.discovery.look(1, Cause::Libraries, second(1));
    }
    let looks = |bench: &Bench| bench.discovery.counts().looks[Cause::Libraries as usize];
    let before = looks(&bench);
    assert!(before < 1000, "{before}");
    assert!(!bench.discovery.look(1, Cause::Libraries, second(1)));
    assert!(bench.discovery.look(2, Cause::Exec, second(1)));
    assert_eq!(bench.take_done(), ["attach libssl.so", "attach node"]);
    // It is not forgotten.
    let late = bench.file("late.so", OPENSSL);
    bench.process(1, &[&library, &late]);
    bench.discovery.look(1, Cause::Libraries, second(1));
    let wait = bench.discovery.next_tick(second(1));
    assert!(wait > Duration::ZERO);
    bench.discovery.tick(second(1) + wait);
    assert_eq!(bench.take_done(), ["attach late.so"]);
    assert_eq!(looks(&bench), before + 1);
}

#[test]
fn files_that_take_long_keep_nobody_waiting() {
    // Any file that is new is more than that.
    let mut bench = Bench::new(Limits { bytes: 1, ..Limits::default() });
    let names = ["a.so", "b.so", "c.so"].map(|name| bench.file(name, &[("inflate", 4096)]));
    let (library, own, other) =
        (bench.file("libssl.so", OPENSSL), bench.file("own", OPENSSL), bench.file("node", OPENSSL));
    bench.process(1, &[&own]);
    bench.discovery.look(1, Cause::Exec, second(0));
    assert_eq!(bench.take_done(), ["attach own"]);
    let [a, b, c] = &names;
    bench.process(1, &[a, b, c, &library, &own]);
    bench.process(2, &[&other]);
    bench.discovery.look(1, Cause::Libraries, second(1));
    bench.discovery.look(2, Cause::Exec, second(1));
    assert_eq!(bench.take_done(), ["attach node"]);
    assert_eq!(bench.discovery.next_tick(second(1)), Duration::ZERO);
    // What it was not seen to execute this time it may execute still.
    bench.discovery.tick(second(60));
    assert_eq!(bench.discovery.attached().count(), 2);
    for _ in 0..3 {
        bench.discovery.tick(second(60));
    }
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    let users = bench.discovery.attached().map(|file| file.users);
    assert_eq!(users.sum::<usize>(), 3);
}

#[test]
fn a_file_that_cannot_be_opened_any_more_keeps_its_probes() {
    let mut bench = Bench::new(Limits::default());
    let (library, program) = (bench.file("libssl.so", OPENSSL), bench.file("nginx", &[]));
    bench.process(1, &[&program, &library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    // As an update of a package does it, where the right to open what is only mapped is missing.
    std::fs::remove_file(&library).unwrap();
    bench.discovery.look(1, Cause::Libraries, second(1));
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    bench.process(1, &[&program]);
    bench.discovery.look(1, Cause::Libraries, second(101));
    bench.discovery.tick(second(200));
    assert_eq!(bench.take_done(), ["detach libssl.so"]);
}

#[test]
fn a_copy_that_an_overlay_makes_gets_probes_beside_what_it_is_of() {
    let mut bench = Bench::new(Limits::default());
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&library]);
    bench.discovery.look(1, Cause::Exec, second(0));
    // The same numbers, and another file.
    bench.file("libssl.so", OPENSSL);
    for now in [1, 2] {
        bench.discovery.look(1, Cause::Libraries, second(now));
    }
    bench.discovery.tick(second(100));
    assert_eq!(bench.take_done(), ["attach libssl.so", "attach libssl.so"]);
    // A program that begins now has the copy only.
    bench.discovery.look(1, Cause::Exec, second(101));
    bench.discovery.tick(second(200));
    assert_eq!(bench.take_done().len(), 1);
    let attached: Vec<_> = bench.discovery.attached().map(|file| (file.path, file.users)).collect();
    assert_eq!(attached, [(library, 1)]);
}

#[test]
fn lost_notices_are_made_good() {
    let mut bench = Bench::new(Limits::default());
    let (program, own) = (bench.file("python3", OPENSSL), bench.file("node", OPENSSL));
    let library = bench.file("libssl.so", OPENSSL);
    bench.process(1, &[&program]);
    bench.discovery.look(1, Cause::Start, second(0));
    // Nobody tells of either.
    bench.process(1, &[&program, &library]);
    bench.process(2, &[&own]);
    bench.discovery.rescan(second(1));
    assert_eq!(bench.take_done(), ["attach python3", "attach node"]);
    bench.discovery.rescan_all(second(2));
    assert_eq!(bench.take_done(), ["attach libssl.so"]);
    assert_eq!(bench.discovery.counts().looks[Cause::Lost as usize], 2);
}

#[test]
fn files_that_are_not_what_they_say_are_nothing() {
    let mut bench = Bench::new(Limits::default());
    let mut bytes = testing::file(Symbols::Symbols, OPENSSL, [1; 4]);
    // Where the sections are, and there the size of the first table.
    let sections = u64::from_le_bytes(bytes[40..48].try_into().unwrap()) as usize;
    bytes[sections + 64 + 32..][..8].copy_from_slice(&(1_u64 << 40).to_le_bytes());
    let huge = bench.folder.path().join("huge");
    std::fs::write(&huge, &bytes).unwrap();
    // It takes no room.
    File::options().write(true).open(&huge).unwrap().set_len(1 << 40).unwrap();
    assert!(!bench.discovery.pin(&huge, second(0)));
    assert!(bench.discovery.read < 1 << 20, "{}", bench.discovery.read);
    // A regular file that cannot be read at its begin.
    assert!(!bench.discovery.pin(Path::new("/proc/self/mem"), second(0)));
    assert_eq!(bench.discovery.counts().refused, [0, 1, 0, 0]);
}
