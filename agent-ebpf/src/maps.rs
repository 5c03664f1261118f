//! The maps, and the few accesses that aya's wrappers do not offer to tracing programs.

use agent_common::{
    counter,
    limits::{CGROUPS, CHUNK, PORTS, PROCESSES, SCRATCH_SLOTS, SKIPS},
    record::Head,
    scope::{Scope, Skip},
    tls::{self, ObjectLayout},
};
use aya_ebpf::{
    bindings::{BPF_F_NO_PREALLOC, BPF_LOCAL_STORAGE_GET_F_CREATE, bpf_map_type},
    btf_maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
    helpers::generated::{bpf_sk_storage_get, bpf_task_storage_get},
    macros::btf_map,
};

use crate::{
    atomic,
    call::Call,
    hello::{Hello, Random, Remembered, TlsConnection},
    kernel::layout,
    socket::Socket,
    tls::{Object, ObjectKey},
    transfer::Cursor,
};

/// Size before userspace sets the real one; the least that the kernel accepts.
const RING_BYTES: usize = 4096;

#[btf_map]
pub(crate) static RING0: RingBuf<u8, RING_BYTES> = RingBuf::new();
#[btf_map]
pub(crate) static RING1: RingBuf<u8, RING_BYTES> = RingBuf::new();
#[btf_map]
pub(crate) static RING2: RingBuf<u8, RING_BYTES> = RingBuf::new();
#[btf_map]
pub(crate) static RING3: RingBuf<u8, RING_BYTES> = RingBuf::new();

/// By ring: 1 while its worker sleeps and wants to be woken.
#[btf_map]
pub(crate) static WAKE: Array<u32, 4> = Array::new();

/// One entry: what is in scope.
#[btf_map]
pub(crate) static SCOPE: Array<Scope, 1> = Array::new();
/// Thread group ids in scope.
#[btf_map]
pub(crate) static SCOPE_PROCESSES: HashMap<u32, u8, { PROCESSES as usize }> = HashMap::new();
/// Cgroup ids that are in scope or taken out of it, with all below them.
#[btf_map]
pub(crate) static SCOPE_CGROUPS: HashMap<u64, u8, { CGROUPS as usize }> = HashMap::new();
/// Ports in scope.
#[btf_map]
pub(crate) static SCOPE_PORTS: HashMap<u16, u8, { PORTS as usize }> = HashMap::new();

/// By socket cookie: what need not be copied.
#[btf_map]
pub(crate) static SKIP: HashMap<u64, Skip, { SKIPS as usize }> = HashMap::new();

/// Objects of TLS libraries.
#[btf_map]
pub(crate) static TLS_OBJECTS: LruHashMap<ObjectKey, Object, { tls::OBJECTS as usize }> = LruHashMap::new();
/// By object: when a write that would have blocked was first tried.
#[btf_map]
pub(crate) static TLS_TRIES: LruHashMap<ObjectKey, u64, { tls::TRIES as usize }> = LruHashMap::new();
/// By socket cookie: connections that carry TLS.
#[btf_map]
pub(crate) static TLS_CONNECTIONS: LruHashMap<u64, TlsConnection, { tls::OBJECTS as usize }> = LruHashMap::new();
/// By the random of a hello: where it went.
#[btf_map]
pub(crate) static HELLOS: LruHashMap<Random, Hello, { tls::HELLOS as usize }> = LruHashMap::new();
/// By index of the file: when all of its probes were attached; 0 before.
#[btf_map]
pub(crate) static TLS_FILES: Array<u64, { tls::FILES as usize }> = Array::new();
/// Layouts of objects, those in use first.
#[btf_map]
pub(crate) static TLS_LAYOUTS: Array<ObjectLayout, { tls::LAYOUTS as usize }> = Array::new();
/// Tells userspace of processes that may map files which are not probed yet.
#[btf_map]
pub(crate) static NOTICES: RingBuf<u8, RING_BYTES> = RingBuf::new();

/// Indexed by [`counter`].
#[btf_map]
pub(crate) static COUNTERS: PerCpuArray<u64, { counter::LENGTH as usize }> = PerCpuArray::new();

/// Where a record is put together. `taken` is claimed by one program run at a time.
#[repr(C)]
pub(crate) struct Scratch {
    pub(crate) taken: u64,
    pub(crate) cursor: Cursor,
    pub(crate) hello: Remembered,
    pub(crate) head: Head,
    pub(crate) payload: [u8; CHUNK as usize],
}

#[btf_map]
pub(crate) static SCRATCH: PerCpuArray<Scratch, { SCRATCH_SLOTS as usize }> = PerCpuArray::new();

/// Definition of a local storage map, as the loader reads it from BTF. The wrappers of aya-ebpf take other contexts.
#[repr(C)]
pub(crate) struct LocalStorage<T, const TYPE: usize> {
    r#type: *const [i32; TYPE],
    key: *const i32,
    value: *const T,
    map_flags: *const [i32; BPF_F_NO_PREALLOC as usize],
}

// SAFETY: the pointers are never followed; they exist for their types.
unsafe impl<T, const TYPE: usize> Sync for LocalStorage<T, TYPE> {}

impl<T, const TYPE: usize> LocalStorage<T, TYPE> {
    const fn new() -> Self {
        Self {
            r#type: core::ptr::null(),
            key: core::ptr::null(),
            value: core::ptr::null(),
            map_flags: core::ptr::null(),
        }
    }
}

/// State of a socket; goes with it.
#[unsafe(link_section = ".maps")]
#[unsafe(export_name = "SOCKETS")]
static SOCKETS: LocalStorage<Socket, { bpf_map_type::BPF_MAP_TYPE_SK_STORAGE as usize }> = LocalStorage::new();

/// The call that a thread is in; goes with it.
#[unsafe(link_section = ".maps")]
#[unsafe(export_name = "CALLS")]
static CALLS: LocalStorage<Call, { bpf_map_type::BPF_MAP_TYPE_TASK_STORAGE as usize }> = LocalStorage::new();

/// The state of a socket, made if `create`.
#[inline(always)]
pub(crate) fn socket_state(sk: *const u8, create: bool) -> Option<&'static mut Socket> {
    let flags = if create { u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE) } else { 0 };
    // SAFETY: `sk` is a typed pointer; the storage lives as long as the socket, which the program holds. Runs on several
    // CPUs may write the same state: its fields are plain integers, and see `socket` for why a race costs at most a gap.
    unsafe {
        bpf_sk_storage_get((&raw const SOCKETS).cast_mut().cast(), sk.cast_mut().cast(), core::ptr::null_mut(), flags)
            .cast::<Socket>()
            .as_mut()
    }
}

/// The call of the current thread, made if `create`.
#[inline(always)]
pub(crate) fn current_call(create: bool) -> Option<&'static mut Call> {
    if layout!(no_thread_state) != 0 {
        return None;
    }
    let flags = if create { u64::from(BPF_LOCAL_STORAGE_GET_F_CREATE) } else { 0 };
    // SAFETY: the current task outlives the program, and only its own thread runs programs on its behalf.
    unsafe {
        let task = aya_ebpf::helpers::generated::bpf_get_current_task_btf();
        bpf_task_storage_get((&raw const CALLS).cast_mut().cast(), task.cast(), core::ptr::null_mut(), flags)
            .cast::<Call>()
            .as_mut()
    }
}

/// Adds to a counter of this CPU.
#[inline(always)]
pub(crate) fn count(index: u32, by: u64) {
    if let Some(slot) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the slot lives as long as the map.
        unsafe { atomic::add(slot, by) };
    }
}
