//! Probes in files: the programs, and the best links that the kernel has for them.

use std::{
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, mpsc::Sender},
};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};

use super::{
    detacher::Detacher,
    loaded::Programs,
    probe_error::{TlsError, failed},
    uprobe_multi::{At, Point},
};

/// A program of the object that is attached to functions in files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Its name in the object.
    pub(super) name: &'static str,
    /// When it runs.
    pub(super) at: At,
}

/// All of them.
pub(super) const PROGRAMS: [&str; 4] = [BEGIN.name, END.name, FREE.name, LIBRARIES.name];
/// The call of a function that moves plaintext.
pub(super) const BEGIN: Program = Program { name: "tls_begin", at: At::Entry };
/// Its return.
pub(super) const END: Program = Program { name: "tls_end", at: At::Return };
/// The end of an object.
pub(super) const FREE: Program = Program { name: "tls_free", at: At::Entry };
/// A dynamic linker that mapped libraries.
pub(super) const LIBRARIES: Program = Program { name: "libraries", at: At::Entry };

/// Links of the kind `uprobe_multi` that are closed at once, while some are: each takes a thread. One takes 50 ms, 900 take 0.4 s.
const LINKS_AT_ONCE: usize = 64;
/// Of perf events the kernel closes one after another, however many threads ask for it: it holds a lock (`event_mutex`) while it waits.
const EVENTS_AT_ONCE: usize = 1;

/// Some probes of one program in one file. They go when it is dropped, which takes time.
#[derive(Debug)]
#[expect(dead_code, reason = "what they hold is only kept, and closed")]
enum Link {
    /// One for all places.
    Multi(OwnedFd),
    /// A perf event for each.
    Perf(UProbeLink),
}

/// Attaches the programs.
pub(super) struct Uprobes {
    programs: Programs,
    detacher: Detacher<Held>,
}

/// The probes of one file. They are detached in the background when it is dropped.
pub(super) struct Probes {
    links: Vec<Link>,
    then: Option<Then>,
    places: usize,
    detacher: Detacher<Held>,
}

/// Who is told a number when it is dropped.
#[derive(Debug)]
struct Then(Sender<u32>, u32);

/// A link of a file, of which the last one that is dropped tells.
#[derive(Debug)]
#[expect(dead_code, reason = "they are only kept, and dropped in this order")]
struct Held {
    link: Link,
    then: Option<Arc<Then>>,
}

/// What is being detached. Dropping it waits until no probes are left of those that were let go before.
#[derive(Debug)]
pub struct Detaching(Detacher<Held>);

impl Drop for Then {
    fn drop(&mut self) {
        // Nobody may want to know any more.
        let _ = self.0.send(self.1);
    }
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.0.wait();
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        let then = self.then.take().map(Arc::new);
        for link in self.links.drain(..) {
            self.detacher.take(Held { link, then: then.clone() });
        }
    }
}

impl Probes {
    /// Number of links that hold them.
    pub(super) fn links(&self) -> usize {
        self.links.len()
    }

    /// Has this number sent when they are detached.
    pub(super) fn tell(&mut self, sender: Sender<u32>, number: u32) {
        self.then = Some(Then(sender, number));
    }

    /// Number of probes.
    pub(super) fn places(&self) -> usize {
        self.places
    }
}

impl Uprobes {
    /// Of programs that are loaded for `uprobe_multi` already, or can be for perf events.
    ///
    /// # Errors
    /// The kernel refuses a program.
    pub(super) fn new(programs: &Programs) -> Result<Self, TlsError> {
        if programs.uprobe_multi().is_none() {
            let loaded = programs.with(|ebpf| {
                PROGRAMS.iter().try_for_each(|name| {
                    uprobe(ebpf, name)?.load().map_err(|error| failed(&format!("load {name}"), &error))
                })
            });
            loaded.ok_or(TlsError::Over)??;
        }
        let at_once = if programs.uprobe_multi().is_some() { LINKS_AT_ONCE } else { EVENTS_AT_ONCE };
        Ok(Self { programs: programs.clone(), detacher: Detacher::new(at_once) })
    }

    /// What attaches them, in the kernel's words.
    pub(super) fn means(&self) -> &'static str {
        if self.programs.uprobe_multi().is_some() { "uprobe_multi" } else { "perf_event" }
    }

    /// What waits for the end of what is being detached.
    pub(super) fn detaching(&self) -> Detaching {
        Detaching(self.detacher.clone())
    }

    /// Attaches programs to places of a file: all or none. `of` says what is there.
    ///
    /// # Errors
    /// The file cannot be opened or probed, or the capture is over.
    pub(super) fn attach(&self, path: &Path, of: &str, wanted: &[(Program, Vec<Point>)]) -> Result<Probes, TlsError> {
        let mut links = Vec::new();
        for (program, points) in wanted.iter().filter(|(_, points)| !points.is_empty()) {
            let step = || format!("attach to {of} of {}", path.display());
            let attached = self.programs.with(|ebpf| match self.programs.uprobe_multi() {
                Some(programs) => programs
                    .attach(program.name, path, points, program.at)
                    .map(|link| vec![Link::Multi(link)])
                    .map_err(|error| failed(&step(), &error)),
                None => perf(ebpf, program.name, path, points)?.map_err(|error| failed(&step(), &error)),
            });
            links.extend(attached.ok_or(TlsError::Over)??);
        }
        let places = wanted.iter().map(|(_, points)| points.len()).sum();
        Ok(Probes { links, then: None, places, detacher: self.detacher.clone() })
    }
}

fn perf(
    ebpf: &mut Ebpf,
    name: &str,
    path: &Path,
    points: &[Point],
) -> Result<Result<Vec<Link>, ProgramError>, TlsError> {
    let program = uprobe(ebpf, name)?;
    let attach = |point: &Point| {
        let point = UProbeAttachPoint { location: point.offset.into(), cookie: Some(point.cookie) };
        program.attach(point, path, UProbeScope::AllProcesses).and_then(|id| program.take_link(id)).map(Link::Perf)
    };
    Ok(points.iter().map(attach).collect())
}

fn uprobe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, TlsError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded).and_then(TryInto::try_into);
    program.map_err(|error| failed(&format!("find {name}"), &error))
}
