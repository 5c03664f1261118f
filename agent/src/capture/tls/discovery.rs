//! Which files have probes: those that processes in scope execute code of, for as long as one does.

use std::{
    cell::Cell,
    collections::{BTreeSet, HashMap, HashSet},
    fs::File,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use agent_common::tls::Function;

use super::{
    elf::{BuildId, Elf, ElfError, ReadAt},
    examine::{Examined, Found, examine},
    files::{FileId, Opened, Stamp},
    processes::{Processes, Scoped},
    targets::Targets,
    turns::{Cause, Later, Paces},
};

/// Puts probes into files.
pub trait Prober {
    /// Probes of one file.
    type Attached;

    /// Attaches to every function of a file, or to none. `path` is how the agent opens it, offsets are those of the file.
    ///
    /// # Errors
    /// What the system said, in words.
    fn attach(&mut self, path: &Path, functions: &[(Function, u64)]) -> Result<Self::Attached, String>;

    /// Attaches to what a dynamic linker calls after it has mapped libraries.
    ///
    /// # Errors
    /// What the system said, in words.
    fn attach_linker(&mut self, path: &Path, offset: u64) -> Result<Self::Attached, String>;

    /// Takes the probes out again.
    fn detach(&mut self, attached: Self::Attached);
}

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files that were looked into, most of which are nothing.
    pub files: usize,
    /// Files with probes.
    pub attached: usize,
    /// Processes that execute code of these.
    pub processes: usize,
    /// Bytes of files that are read in one look, and of looks in one go: what is left waits until all others had their turn.
    pub bytes: u64,
    /// How long probes stay in a file that nobody executes any more: so that programs that start and end all the time find them there.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { files: 8192, attached: 512, processes: 32_768, bytes: 256 << 20, linger: Duration::from_secs(5) }
    }
}

/// When a process is looked at again after it has executed a program whose dynamic linker has not told of libraries since.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(5), Duration::from_millis(50), Duration::from_millis(500), Duration::from_secs(5)];
/// How often it is looked whether processes still live: of some ends nobody tells.
const SWEEP: Duration = Duration::from_secs(5);

/// When it is tried again to attach to a file that the system refused, while somebody executes it; the last one for good.
const RETRY: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(10), Duration::from_mins(1), Duration::from_mins(10)];

/// How long a file that was written to has no probes: those of what it was are out by then.
const OUT: Duration = Duration::from_secs(2);

/// Looks in one go, before it is seen whether somebody told of something.
const LOOKS: usize = 64;

/// Files that are warned of because probes were refused; of more the counter tells.
const WARNINGS: u64 = 8;

/// Why a file has no probes although it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusedBecause {
    /// The system did not let probes be attached.
    Attach,
    /// It could not be read.
    Read,
    /// Too many files have some.
    Files,
    /// Too many processes are known.
    Processes,
}

impl RefusedBecause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Attach, Self::Read, Self::Files, Self::Processes];

    /// A word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Attach => "attach",
            Self::Read => "read",
            Self::Files => "files",
            Self::Processes => "processes",
        }
    }
}

/// What became of it so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Files that were attached to.
    pub attached: u64,
    /// Those that were detached from.
    pub detached: u64,
    /// Those of them that only made room for others.
    pub evicted: u64,
    /// Looks at processes, by [`Cause::ALL`].
    pub looks: [u64; Cause::ALL.len()],
    /// By [`RefusedBecause::ALL`].
    pub refused: [u64; RefusedBecause::ALL.len()],
}

impl Counts {
    fn refuse(&mut self, because: RefusedBecause) {
        self.refused[because as usize] += 1;
    }
}

/// A file that is known.
struct Known<A> {
    stamp: Stamp,
    /// What the agent calls it when it speaks of it.
    path: PathBuf,
    /// Which build it is, where the file says so.
    build: Option<BuildId>,
    kind: Kind,
    attached: Option<A>,
    /// Processes that execute code of it.
    users: usize,
    /// Since when there are none.
    idle: Option<Duration>,
    /// It stays, whoever uses it.
    is_pinned: bool,
    refused: Option<Refused>,
}

/// Attaching was refused.
#[derive(Clone, Copy)]
struct Refused {
    /// When it may be tried again.
    next: Duration,
    /// How often it was, before.
    times: usize,
    /// When somebody who executes the file is looked at for that: another one each time, since who was may have ended meanwhile, or not let it be opened.
    ask: Duration,
    /// How often somebody was since it was refused.
    asked: usize,
    /// Who was last; the next one is the one with the next id.
    user: u32,
}

#[derive(PartialEq, Eq)]
enum Kind {
    Nothing,
    Libraries(Vec<Found>),
    Linker(u64),
}

impl Kind {
    /// What the libraries are called.
    fn names(&self) -> Option<String> {
        let Self::Libraries(found) = self else { return None };
        Some(found.iter().map(|found| &*found.target.name).collect::<Vec<_>>().join(", "))
    }
}

impl<A> Known<A> {
    /// Whether it is one to attach to.
    fn matters(&self) -> bool {
        !matches!(self.kind, Kind::Nothing)
    }
}

/// A process that executes code of files that matter.
#[derive(Default)]
struct Process {
    started: Option<u64>,
    files: Vec<Use>,
}

/// A file, and by what numbers the mappings of a process know it.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Use {
    id: FileId,
    device: (u32, u32),
    inode: u64,
}

/// A file with probes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachedFile {
    /// Where it is, as a process that executes it sees it.
    pub path: PathBuf,
    /// The library in it, or several; `None` of a dynamic linker.
    pub target: Option<String>,
    /// How many processes execute code of it.
    pub users: usize,
}

/// Keeps probes in the files that processes in scope execute. Times are from any one moment on.
pub struct Discovery<P: Prober, S> {
    prober: P,
    source: S,
    targets: Targets,
    limits: Limits,
    files: HashMap<FileId, Known<P::Attached>>,
    attached: usize,
    processes: HashMap<u32, Process>,
    /// When, who, and how often before.
    again: BTreeSet<(Duration, u32, usize)>,
    waiting: HashMap<u32, (Duration, usize)>,
    /// Who is to be looked at when it is its turn.
    later: Later,
    paces: Paces,
    /// Bytes of files that were read.
    read: u64,
    /// It was looked whether somebody executes the files that nobody is known to execute.
    is_rescanned: bool,
    swept: Duration,
    counts: Counts,
}

impl<P: Prober, S: Processes> Discovery<P, S> {
    /// Knows no process yet.
    pub fn new(prober: P, source: S, targets: Targets, limits: Limits) -> Self {
        Self {
            prober,
            source,
            targets,
            limits,
            files: HashMap::new(),
            attached: 0,
            processes: HashMap::new(),
            again: BTreeSet::new(),
            waiting: HashMap::new(),
            later: Later::default(),
            paces: Paces::default(),
            read: 0,
            is_rescanned: false,
            swept: Duration::ZERO,
            counts: Counts::default(),
        }
    }

    /// What became of it so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The files with probes now, in no order.
    pub fn attached(&self) -> impl Iterator<Item = AttachedFile> {
        self.files.values().filter(|file| file.attached.is_some()).map(|file| AttachedFile {
            path: file.path.clone(),
            target: file.kind.names(),
            users: file.users,
        })
    }

    /// Processes that are known.
    pub fn processes(&self) -> usize {
        self.processes.len()
    }

    /// Whether a process is among them.
    pub fn knows(&self, pid: u32) -> bool {
        self.processes.contains_key(&pid)
    }

    /// Attaches to a file before anybody executes it, if there is something in it, and for good. Whether it has probes now.
    pub fn pin(&mut self, path: &Path, now: Duration) -> bool {
        let Ok(opened) = Opened::at(path) else { return false };
        let id = opened.id;
        if !self.know(&opened, path, now) {
            return false;
        }
        self.attach(&opened, now);
        let Some(file) = self.files.get_mut(&id) else { return false };
        file.is_pinned = file.attached.is_some();
        file.is_pinned
    }

    /// Looks at a process, at once or as soon as it is its turn: what it executes gets probes, and what it executes no more loses a user. Whether it
    /// was at once.
    pub fn look(&mut self, pid: u32, cause: Cause, now: Duration) -> bool {
        let at = self.paces.next(pid, now);
        match at {
            None => self.look_now(pid, cause, now),
            Some(at) => self.look_later(pid, cause, at),
        }
        at.is_none()
    }

    fn look_later(&mut self, pid: u32, cause: Cause, at: Duration) {
        if self.later.len() < 2 * self.limits.processes {
            self.later.put(pid, cause, at);
        } else {
            self.counts.refuse(RefusedBecause::Processes);
        }
    }

    fn look_now(&mut self, pid: u32, cause: Cause, now: Duration) {
        self.counts.looks[cause as usize] += 1;
        self.later.remove(pid);
        let begun = self.read;
        let Ok(mapped) = self.source.mapped(pid) else { return self.ended(pid, now) };
        let is_known = self.processes.contains_key(&pid);
        if !is_known && self.processes.len() >= self.limits.processes {
            return self.counts.refuse(RefusedBecause::Processes);
        }
        if mapped.is_cut {
            self.counts.refuse(RefusedBecause::Files);
        }
        let (mut own, mut has_linker, mut is_told, mut is_cut) = (Vec::<Use>::new(), false, true, false);
        for mapping in &mapped.files {
            let (device, inode) = (mapping.device, mapping.inode);
            is_cut |= self.read - begun >= self.limits.bytes;
            // It may be mapped no more: then a notice of that comes.
            let opened = if is_cut { None } else { self.source.open(mapped.task, mapping).ok() };
            let mut ids = Vec::new();
            if let Some(opened) = &opened
                && self.know(opened, &mapping.path, now)
            {
                ids.push(opened.id);
            }
            // What cannot be opened any more, as one that was replaced on disk, is executed still. So is the file below an overlay of which a copy was
            // made since, that has the same numbers and now is what is opened.
            if opened.is_none() || cause != Cause::Exec {
                ids.extend(self.used(pid, device, inode));
            }
            for id in ids {
                if own.iter().any(|known| known.id == id) {
                    continue;
                }
                let was_attached = self.files.get(&id).is_some_and(|file| file.attached.is_some());
                if let Some(opened) = opened.as_ref().filter(|opened| opened.id == id) {
                    self.attach(opened, now);
                }
                let Some(file) = self.files.get(&id) else { continue };
                if matches!(file.kind, Kind::Linker(_)) {
                    has_linker = true;
                    is_told &= was_attached;
                }
                own.push(Use { id, device, inode });
            }
        }
        self.use_files(pid, own, now);
        self.paces.took(pid, now, self.read - begun);
        match cause {
            // What a new program needs is mapped after this, and if the linker's probe came only now it may have told already.
            Cause::Exec if has_linker => self.wait(pid, now, 0),
            // So of one that is only now met.
            Cause::Start | Cause::Connection if has_linker && !is_told => self.wait(pid, now, 0),
            Cause::Again => {}
            _ => self.forget_waiting(pid),
        }
        if is_cut {
            let at = self.paces.next(pid, now).unwrap_or(now);
            self.look_later(pid, cause, at);
        }
    }

    /// The files that matter that a process was known to execute by these numbers.
    fn used(&self, pid: u32, device: (u32, u32), inode: u64) -> Vec<FileId> {
        let known = self.processes.get(&pid).into_iter().flat_map(|process| &process.files);
        let known = known.filter(|known| (known.device, known.inode) == (device, inode)).map(|known| known.id);
        known.filter(|id| self.files.get(id).is_some_and(Known::matters)).collect()
    }

    /// Looks at those whose turn it is, as far as it goes in one go. Whether some are left.
    pub fn work(&mut self, now: Duration) -> bool {
        let begun = self.read;
        for _ in 0..LOOKS {
            if self.read - begun >= self.limits.bytes {
                break;
            }
            let Some((pid, cause)) = self.later.take(now) else { return false };
            self.look_now(pid, cause, now);
        }
        self.later.is_due(now)
    }

    /// The process is over.
    pub fn ended(&mut self, pid: u32, now: Duration) {
        self.forget_waiting(pid);
        self.later.remove(pid);
        self.use_files(pid, Vec::new(), now);
    }

    /// Where processes are seen.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// Looks for processes in scope that nobody told of, and lets those go that are in scope no more. Who does not get its turn at once is looked at
    /// by [`Self::work`] and [`Self::tick`].
    pub fn rescan(&mut self, now: Duration) {
        let Some(Scoped { processes, is_cut }) = self.source.members() else { return };
        if is_cut {
            self.counts.refuse(RefusedBecause::Processes);
        }
        let wanted: HashSet<u32> = processes.into_iter().collect();
        let known = self.processes.keys().chain(self.waiting.keys()).copied().chain(self.later.pids());
        for pid in known.filter(|pid| !wanted.contains(pid)).collect::<HashSet<_>>() {
            self.ended(pid, now);
        }
        for pid in wanted {
            if !self.processes.contains_key(&pid) {
                self.look_later(pid, Cause::Start, now);
            }
        }
        self.work(now);
    }

    /// The same when notices were lost: those that are known may execute something else by now, too.
    pub fn rescan_all(&mut self, now: Duration) {
        for pid in self.processes.keys().copied().collect::<Vec<_>>() {
            self.look_later(pid, Cause::Lost, now);
        }
        self.rescan(now);
        self.work(now);
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Duration) {
        while let Some(&(at, pid, step)) = self.again.first()
            && at <= now
        {
            self.forget_waiting(pid);
            self.look_now(pid, Cause::Again, now);
            if self.processes.contains_key(&pid) {
                self.wait(pid, now, step + 1);
            }
        }
        self.work(now);
        if now.saturating_sub(self.swept) >= SWEEP {
            self.swept = now;
            self.paces.forget(now);
            // Of one that ended while it was looked at it is not known when it was started.
            let lives =
                |pid: u32, process: &Process| process.started.is_some() && self.source.started(pid) == process.started;
            let over = |(pid, process): (&u32, &Process)| (!lives(*pid, process)).then_some(*pid);
            for pid in self.processes.iter().filter_map(over).collect::<Vec<_>>() {
                self.ended(pid, now);
            }
        }
        self.retry(now);
        if !self.due(now).is_empty() {
            // Of a process that only forked nobody tells.
            if !self.is_rescanned {
                self.is_rescanned = true;
                self.rescan(now);
            }
            if !self.later.is_due(now) {
                self.is_rescanned = false;
                for id in self.due(now) {
                    self.forget(id);
                }
            }
        }
    }

    /// Looks at somebody who executes a file that was refused, if it is time to try that again.
    fn retry(&mut self, now: Duration) {
        let executes = |process: &Process, id| process.files.iter().any(|own| own.id == id);
        let mut users = HashSet::new();
        for (id, file) in &mut self.files {
            let Some(refused) = file.refused.as_mut().filter(|refused| file.users > 0 && refused.ask <= now) else {
                continue;
            };
            let known = self.processes.iter().filter(|(_, process)| executes(process, *id)).map(|(pid, _)| *pid);
            let user = known.min_by_key(|pid| (*pid <= refused.user, *pid));
            refused.user = user.unwrap_or_default();
            refused.asked += 1;
            refused.ask = now + RETRY[(refused.times + refused.asked).min(RETRY.len() - 1)];
            users.extend(user);
        }
        for pid in users {
            self.look(pid, Cause::Again, now);
        }
    }

    /// The files that nobody executes any more, for long enough. Where nobody can say who is in scope, a child of a fork may: then they only make room.
    fn due(&self, now: Duration) -> Vec<FileId> {
        if !self.source.knows_members() {
            return Vec::new();
        }
        let is_due = |since: Duration| now.saturating_sub(since) >= self.limits.linger;
        let due = self.files.iter().filter(|(_, file)| file.idle.is_some_and(is_due));
        due.map(|(id, _)| *id).collect()
    }

    /// When [`Self::tick`] is to be called next.
    pub fn next_tick(&self, now: Duration) -> Duration {
        let again = self.again.first().map(|(at, _, _)| *at);
        let idle = self.files.values().filter_map(|file| file.idle).min();
        let linger = idle.filter(|_| self.source.knows_members()).map(|since| since + self.limits.linger);
        let refused = self.files.values().filter(|file| file.users > 0).filter_map(|file| file.refused);
        let retry = refused.map(|refused| refused.ask).min();
        let sweep = (!self.processes.is_empty()).then_some(self.swept + SWEEP);
        let next = [again, linger, retry, sweep, self.later.next()].into_iter().flatten().min();
        next.map_or(SWEEP, |at| at.saturating_sub(now))
    }

    /// Looks into a file, unless it is known already. Whether it is one that matters.
    fn know(&mut self, opened: &Opened, path: &Path, now: Duration) -> bool {
        let Opened { id, stamp, file } = opened;
        let (id, stamp) = (*id, *stamp);
        if let Some(known) = self.files.get(&id)
            && known.stamp == stamp
        {
            return known.matters();
        }
        // Written to, or another file that has the number of one that is gone: what was found in it may hold no more, but who executes it still does.
        let before = self.files.remove(&id);
        if self.files.len() >= self.limits.files {
            self.make_room();
        }
        if self.files.len() >= self.limits.files {
            self.counts.refuse(RefusedBecause::Files);
            return false;
        }
        let mut build = None;
        let counted = Counted { file, read: Cell::new(0) };
        let examined = Elf::open(&counted).and_then(|elf| examine(&elf, &self.targets));
        self.read = self.read.saturating_add(counted.read.get());
        if let Ok(examined) = &examined {
            build.clone_from(&examined.build);
        }
        let kind = match examined {
            Ok(Examined { found, .. }) if !found.is_empty() => Kind::Libraries(found),
            Ok(Examined { linker: Some(offset), .. }) => Kind::Linker(offset),
            Ok(_) | Err(ElfError::NotElf | ElfError::OtherMachine) => Kind::Nothing,
            Err(error) => {
                tracing::debug!("{} {error}", path.display());
                self.counts.refuse(RefusedBecause::Read);
                Kind::Nothing
            }
        };
        let mut known = Known {
            stamp,
            path: path.to_owned(),
            build,
            kind,
            attached: None,
            users: 0,
            idle: None,
            is_pinned: false,
            refused: None,
        };
        if let Some(before) = before {
            (known.users, known.idle, known.is_pinned) = (before.users, before.idle, before.is_pinned);
            if known.build.is_some() && (&before.kind, &before.build) == (&known.kind, &known.build) {
                // Only its time is another one.
                (known.attached, known.refused) = (before.attached, before.refused);
            } else if let Some(probes) = before.attached {
                // Where probes are the kernel executes the instructions that it found when they came, until all of them are gone.
                self.detach(probes);
                let next = now + OUT;
                known.refused = Some(Refused { next, times: 0, ask: next, asked: 0, user: 0 });
            }
        }
        let matters = known.matters();
        self.files.insert(id, known);
        matters
    }

    /// Attaches to a known file that matters, unless it has probes.
    fn attach(&mut self, opened: &Opened, now: Duration) {
        let Some(file) = self.files.get_mut(&opened.id) else { return };
        if file.attached.is_some() || file.refused.is_some_and(|refused| now < refused.next) {
            return;
        }
        if self.attached >= self.limits.attached && !self.evict() {
            return self.counts.refuse(RefusedBecause::Files);
        }
        let Some(file) = self.files.get_mut(&opened.id) else { return };
        // Mappings change while a program is loaded, and files are replaced: what is open stays.
        let path = opened.path();
        let (attached, what) = match &file.kind {
            Kind::Nothing => return,
            Kind::Libraries(found) => {
                let functions: Vec<_> = found.iter().flat_map(|found| &found.functions).copied().collect();
                (self.prober.attach(&path, &functions), file.kind.names().unwrap_or_default())
            }
            Kind::Linker(offset) => (self.prober.attach_linker(&path, *offset), "dynamic linker".to_owned()),
        };
        match attached {
            Ok(attached) => {
                tracing::debug!("probes in {} ({what})", file.path.display());
                file.attached = Some(attached);
                file.refused = None;
                self.attached += 1;
                self.counts.attached += 1;
            }
            Err(error) => {
                let times = file.refused.map_or(0, |refused| refused.times + 1);
                let next = now + RETRY[times.min(RETRY.len() - 1)];
                file.refused = Some(Refused { next, times, ask: next, asked: 0, user: 0 });
                self.counts.refuse(RefusedBecause::Attach);
                // Where a right is missing that is so of every file.
                if self.counts.refused[RefusedBecause::Attach as usize] <= WARNINGS {
                    tracing::warn!("cannot read inside TLS of {} ({what}): {error}", file.path.display());
                } else {
                    tracing::debug!("cannot read inside TLS of {} ({what}): {error}", file.path.display());
                }
            }
        }
    }

    /// Takes the probes out of the file that nobody is known to execute for longest. Whether there was one.
    fn evict(&mut self) -> bool {
        let idle = self.files.iter().filter(|(_, file)| file.attached.is_some());
        let idle = idle.filter_map(|(id, file)| Some((file.idle?, *id))).min();
        if let Some((_, id)) = idle {
            self.forget(id);
            self.counts.evicted += 1;
        }
        idle.is_some()
    }

    fn detach(&mut self, probes: P::Attached) {
        self.prober.detach(probes);
        self.attached -= 1;
        self.counts.detached += 1;
    }

    /// The process executes code of these files that matter, and of no others.
    fn use_files(&mut self, pid: u32, own: Vec<Use>, now: Duration) {
        for own in &own {
            if let Some(file) = self.files.get_mut(&own.id) {
                file.users += 1;
                file.idle = None;
            }
        }
        let before = if own.is_empty() {
            self.processes.remove(&pid)
        } else {
            let started = self.source.started(pid);
            self.processes.insert(pid, Process { started, files: own })
        };
        for own in before.unwrap_or_default().files {
            let Some(file) = self.files.get_mut(&own.id) else { continue };
            file.users = file.users.saturating_sub(1);
            if file.users == 0 && !file.is_pinned {
                file.idle = Some(now);
            }
        }
    }

    /// Forgets a file, and takes its probes out.
    fn forget(&mut self, id: FileId) {
        let Some(file) = self.files.remove(&id) else { return };
        if let Some(probes) = file.attached {
            tracing::debug!("no more probes in {}", file.path.display());
            self.detach(probes);
        }
    }

    /// Forgets the files that are nothing: they are looked into again when somebody executes them.
    fn make_room(&mut self) {
        self.files.retain(|_, file| file.matters() && (file.users > 0 || file.attached.is_some()));
    }

    fn wait(&mut self, pid: u32, now: Duration, step: usize) {
        self.forget_waiting(pid);
        if let Some(after) = AGAIN.get(step) {
            self.again.insert((now + *after, pid, step));
            self.waiting.insert(pid, (now + *after, step));
        }
    }

    fn forget_waiting(&mut self, pid: u32) {
        if let Some((at, step)) = self.waiting.remove(&pid) {
            self.again.remove(&(at, pid, step));
        }
    }
}

/// What a read takes, however little it is: one who makes files could have had hundred thousands of reads of some bytes for nothing.
const PAGE: u64 = 4096;

/// A file of which is counted how much was read.
struct Counted<'a> {
    file: &'a File,
    read: Cell<u64>,
}

impl ReadAt for Counted<'_> {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read_at(offset, buffer)?;
        self.read.set(self.read.get() + (length as u64).max(PAGE));
        Ok(length)
    }
}

#[cfg(test)]
mod tests;
