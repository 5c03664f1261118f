//! Links of the kind `uprobe_multi` (Linux 6.6): all probes of a program in a file are one link. Beside perf events they need no more than the
//! capabilities BPF and PERFMON at any `kernel.perf_event_paranoid`, and one wait of the kernel when they are detached instead of one each.
//!
//! aya has no such programs, so these few are loaded here, from the same object and with the maps of the others.

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    io,
    os::{
        fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd},
        unix::ffi::OsStrExt as _,
    },
    path::Path,
};

use aya::Ebpf;
use aya_obj::{
    Function, Object,
    generated::{
        bpf_attach_type::BPF_TRACE_UPROBE_MULTI,
        bpf_attr,
        bpf_cmd::{self, BPF_BTF_LOAD, BPF_LINK_CREATE, BPF_PROG_LOAD},
        bpf_prog_type::BPF_PROG_TYPE_KPROBE,
    },
};
use nix::errno::Errno;

use super::handles::descriptor;

/// `BPF_F_UPROBE_MULTI_RETURN` of the kernel's `enum` without a name.
const RETURN: u32 = 1;
/// Bytes for what the verifier says of a program that it refuses.
const VERIFIER_LOG: usize = 1 << 20;

/// Why there are no such links.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unavailable {
    /// The kernel is older, or was built without uprobes.
    #[error("this kernel has no uprobe_multi links")]
    Kernel,
    /// The object and this module do not fit each other.
    #[error("cannot prepare the programs: {0}")]
    Object(String),
    /// The kernel refuses a program.
    #[error("cannot load {program}: {error}")]
    Load {
        /// Which.
        program: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// When a probe's program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum At {
    /// Before the instruction.
    Entry,
    /// When the function that begins there returns.
    Return,
}

/// A place in a file that is probed, and what its program is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    /// Offset in the file.
    pub(super) offset: u64,
    /// `bpf_get_attach_cookie` of the program.
    pub(super) cookie: u64,
}

/// The programs that such links are of.
#[derive(Debug)]
pub(super) struct UprobeMulti {
    programs: Vec<(&'static str, OwnedFd)>,
}

impl UprobeMulti {
    /// Loads these programs of the object for such links, with the maps of those that aya loaded of it. To be called before a map is taken out.
    ///
    /// # Errors
    /// See [`Unavailable`]; nothing stays loaded.
    pub(super) fn load(object: &[u8], ebpf: &Ebpf, names: &[&'static str]) -> Result<Self, Unavailable> {
        let functions = relocated(object, ebpf).map_err(Unavailable::Object)?;
        let mut programs = Vec::new();
        for &name in names {
            let (function, license) =
                functions.programs.get(name).ok_or_else(|| Unavailable::Object(format!("there is no {name}")))?;
            let program = load_program(name, function, license, functions.types.as_ref())
                .map_err(|error| Unavailable::Load { program: name, error })?;
            if programs.is_empty() && !is_supported(&program) {
                return Err(Unavailable::Kernel);
            }
            programs.push((name, program));
        }
        Ok(Self { programs })
    }

    /// The programs by name, as long as this lives.
    pub(super) fn programs(&self) -> impl Iterator<Item = (&'static str, &OwnedFd)> {
        self.programs.iter().map(|(name, program)| (*name, program))
    }

    /// Attaches a program to places of a file, to all or to none, until the link is closed.
    ///
    /// # Errors
    /// The file cannot be opened or probed there, or the program is not one of these (`ENOENT`).
    pub(super) fn attach(&self, name: &str, path: &Path, points: &[Point], at: At) -> io::Result<OwnedFd> {
        let (_, program) = self.programs.iter().find(|(known, _)| *known == name).ok_or(Errno::ENOENT)?;
        link(program, path, points, at)
    }
}

/// Programs of the object that only need be loaded.
struct Relocated {
    programs: HashMap<String, (Function, CString)>,
    types: Option<OwnedFd>,
}

/// As aya does it for the programs that it loads.
fn relocated(object: &[u8], ebpf: &Ebpf) -> Result<Relocated, String> {
    let mut object = Object::parse(object).map_err(|error| error.to_string())?;
    let features = aya::features();
    let types = match features.btf() {
        Some(features) => object.fixup_and_sanitize_btf(features).map_err(|error| error.to_string())?,
        None => None,
    };
    let types = types.map(|types| load_types(&types.to_bytes())).transpose().map_err(|error| error.to_string())?;
    let sections: HashSet<usize> = object.functions.keys().map(|(section, _)| *section).collect();
    let definitions = object.maps.clone();
    let maps = ebpf.maps().filter_map(|(name, map)| Some((name, descriptor(map)?, definitions.get(name)?)));
    object.relocate_maps(maps, &sections).map_err(|error| error.to_string())?;
    object.relocate_calls(&sections).map_err(|error| error.to_string())?;
    object.sanitize_functions(features);
    let programs = object.programs.drain().filter_map(|(name, program)| {
        let function = object.functions.get(&program.function_key())?.clone();
        Some((name, (function, program.license)))
    });
    Ok(Relocated { programs: programs.collect(), types })
}

fn load_types(types: &[u8]) -> io::Result<OwnedFd> {
    let mut attributes = attributes();
    attributes.__bindgen_anon_7.btf = address(types);
    attributes.__bindgen_anon_7.btf_size = types.len() as u32;
    // SAFETY: the pointer and the length are of `types`, which outlives the call.
    unsafe { bpf(BPF_BTF_LOAD, &attributes) }
}

fn load_program(name: &str, function: &Function, license: &CString, types: Option<&OwnedFd>) -> io::Result<OwnedFd> {
    let functions = function.func_info.func_info_bytes();
    let lines = function.line_info.line_info_bytes();
    let mut attributes = attributes();
    // SAFETY: any bytes are a value of this member, which is made of integers.
    let load = unsafe { &mut attributes.__bindgen_anon_3 };
    load.prog_type = BPF_PROG_TYPE_KPROBE as u32;
    load.expected_attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    for (to, from) in load.prog_name.iter_mut().take(15).zip(name.bytes()) {
        *to = from as _;
    }
    load.insns = address(&function.instructions);
    load.insn_cnt = function.instructions.len() as u32;
    load.license = license.as_ptr() as u64;
    if let Some(types) = types {
        load.prog_btf_fd = types.as_raw_fd() as u32;
        load.func_info = address(&functions);
        load.func_info_cnt = function.func_info.len() as u32;
        load.func_info_rec_size = function.func_info_rec_size as u32;
        load.line_info = address(&lines);
        load.line_info_cnt = function.line_info.len() as u32;
        load.line_info_rec_size = function.line_info_rec_size as u32;
    }
    // SAFETY: the pointers and lengths are of what outlives the call: instructions, license and the types' records.
    let loaded = unsafe { bpf(BPF_PROG_LOAD, &attributes) };
    if loaded.is_err() && tracing::enabled!(tracing::Level::DEBUG) {
        let mut log = vec![0u8; VERIFIER_LOG];
        // SAFETY: as above.
        let load = unsafe { &mut attributes.__bindgen_anon_3 };
        load.log_level = 1;
        load.log_buf = log.as_mut_ptr() as u64;
        load.log_size = log.len() as u32;
        // SAFETY: as above, and the log is of the length that is said.
        if unsafe { bpf(BPF_PROG_LOAD, &attributes) }.is_err() {
            tracing::debug!("verifier log of {name}:\n{}", String::from_utf8_lossy(&log).trim_end_matches('\0'));
        }
    }
    loaded
}

/// A kernel that has such links looks at the file before all else, and a folder is none that could be probed; another says that there is no such link.
fn is_supported(program: &OwnedFd) -> bool {
    let refused = link(program, Path::new("/"), &[Point { offset: 0, cookie: 0 }], At::Entry);
    refused.is_err_and(|error| error.raw_os_error() == Some(Errno::EBADF as i32))
}

fn link(program: &OwnedFd, path: &Path, points: &[Point], at: At) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let offsets: Vec<u64> = points.iter().map(|point| point.offset).collect();
    let cookies: Vec<u64> = points.iter().map(|point| point.cookie).collect();
    let mut attributes = attributes();
    // SAFETY: any bytes are a value of these members, which are made of integers.
    let (create, uprobe_multi) = unsafe {
        let create = &mut attributes.link_create;
        (&mut create.__bindgen_anon_1, &mut create.__bindgen_anon_3.uprobe_multi)
    };
    create.prog_fd = program.as_raw_fd() as u32;
    uprobe_multi.path = path.as_ptr() as u64;
    uprobe_multi.offsets = address(&offsets);
    uprobe_multi.cookies = address(&cookies);
    uprobe_multi.cnt = points.len() as u32;
    uprobe_multi.flags = if at == At::Return { RETURN } else { 0 };
    attributes.link_create.attach_type = BPF_TRACE_UPROBE_MULTI as u32;
    // SAFETY: the path ends with a zero, both lists have `cnt` entries, and all three outlive the call.
    unsafe { bpf(BPF_LINK_CREATE, &attributes) }
}

fn attributes() -> bpf_attr {
    // SAFETY: a union of structures of integers, of which zeros are a value; the kernel wants zeros where nothing is said.
    unsafe { std::mem::zeroed() }
}

fn address<T>(of: &[T]) -> u64 {
    of.as_ptr() as u64
}

/// `bpf(2)` for a command that returns a descriptor.
///
/// # Safety
/// What the attributes point to must be readable, or writable where the command writes, for as long as they say.
unsafe fn bpf(command: bpf_cmd, attributes: &bpf_attr) -> io::Result<OwnedFd> {
    // SAFETY: the attributes are of the size that is said; the rest is the caller's word.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command as libc::c_long, std::ptr::from_ref(attributes), size_of::<bpf_attr>())
    };
    let descriptor = Errno::result(result)?;
    // SAFETY: the command returned a descriptor that nothing else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) })
}
