//! Probes in files: the programs, and the best links that the kernel has for them.

use std::{
    os::fd::OwnedFd,
    path::Path,
    sync::mpsc::{Sender, channel},
};

use aya::{
    Ebpf,
    programs::{
        ProgramError, UProbe,
        uprobe::{UProbeAttachPoint, UProbeLink, UProbeScope},
    },
};

use super::{
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

/// Probes of one program in one file. They go when it is dropped, which takes time.
#[expect(dead_code, reason = "what they hold is only kept, and closed")]
enum Link {
    /// One for all places.
    Multi(OwnedFd),
    /// A perf event for each.
    Perf(Vec<UProbeLink>),
}

/// Attaches the programs.
pub(super) struct Uprobes {
    programs: Programs,
    /// To the thread that detaches: for each link the kernel waits until all CPUs are done with it, tens of milliseconds, and for no two at once. It ends
    /// by itself when nothing is left; the process may end before.
    detaching: Sender<Detaching>,
}

/// The probes of one file. They are detached in the background when it is dropped.
pub(super) struct Probes {
    held: Option<Detaching>,
    places: usize,
    detaching: Sender<Detaching>,
}

/// What is to be detached, and who is told a number then.
struct Detaching {
    links: Vec<Link>,
    then: Option<(Sender<u32>, u32)>,
}

impl Drop for Detaching {
    fn drop(&mut self) {
        self.links.clear();
        if let Some((sender, number)) = self.then.take() {
            // Nobody may want to know any more.
            let _ = sender.send(number);
        }
    }
}

impl Drop for Probes {
    fn drop(&mut self) {
        // Without the thread they are detached here.
        let _ = self.held.take().map(|held| self.detaching.send(held));
    }
}

impl Probes {
    /// Number of links that hold them.
    pub(super) fn links(&self) -> usize {
        let links = self.held.iter().flat_map(|held| &held.links);
        links.map(|link| if let Link::Perf(links) = link { links.len() } else { 1 }).sum()
    }

    /// Has this number sent when they are detached.
    pub(super) fn tell(&mut self, sender: Sender<u32>, number: u32) {
        if let Some(held) = &mut self.held {
            held.then = Some((sender, number));
        }
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
        Ok(Self { programs: programs.clone(), detaching: detacher() })
    }

    /// What attaches them, in the kernel's words.
    pub(super) fn means(&self) -> &'static str {
        if self.programs.uprobe_multi().is_some() { "uprobe_multi" } else { "perf_event" }
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
                    .map(Link::Multi)
                    .map_err(|error| failed(&step(), &error)),
                None => {
                    perf(ebpf, program.name, path, points)?.map(Link::Perf).map_err(|error| failed(&step(), &error))
                }
            });
            links.push(attached.ok_or(TlsError::Over)??);
        }
        let places = wanted.iter().map(|(_, points)| points.len()).sum();
        Ok(Probes { held: Some(Detaching { links, then: None }), places, detaching: self.detaching.clone() })
    }
}

fn perf(
    ebpf: &mut Ebpf,
    name: &str,
    path: &Path,
    points: &[Point],
) -> Result<Result<Vec<UProbeLink>, ProgramError>, TlsError> {
    let program = uprobe(ebpf, name)?;
    let attach = |point: &Point| {
        let point = UProbeAttachPoint { location: point.offset.into(), cookie: Some(point.cookie) };
        program.attach(point, path, UProbeScope::AllProcesses).and_then(|id| program.take_link(id))
    };
    Ok(points.iter().map(attach).collect())
}

fn uprobe<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut UProbe, TlsError> {
    let program = ebpf.program_mut(name).ok_or(ProgramError::NotLoaded).and_then(TryInto::try_into);
    program.map_err(|error| failed(&format!("find {name}"), &error))
}

/// Starts what detaches the probes that it is sent.
fn detacher() -> Sender<Detaching> {
    let (sender, received) = channel();
    let thread = std::thread::Builder::new().name("telltale-detach".to_owned());
    if let Err(error) = thread.spawn(move || received.into_iter().for_each(drop)) {
        tracing::debug!("probes are detached without a thread: {error}");
    }
    sender
}
