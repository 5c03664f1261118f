//! Handles of what the kernel holds, and what it says of it.

use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use aya::{
    Ebpf,
    maps::{Map, MapData, MapError},
};
use nix::errno::Errno;

/// The descriptor of a map, of any kind that the object has.
pub(super) fn descriptor(map: &Map) -> Option<RawFd> {
    let (Map::Array(data)
    | Map::HashMap(data)
    | Map::LruHashMap(data)
    | Map::PerCpuArray(data)
    | Map::RingBuf(data)
    | Map::SkStorage(data)
    | Map::Unsupported(data)) = map
    else {
        return None;
    };
    Some(data.fd().as_fd().as_raw_fd())
}

/// A second handle to a map, for another thread.
pub(super) fn share(ebpf: &Ebpf, name: &str) -> Result<MapData, MapError> {
    let map = ebpf.map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })?;
    let (Map::Array(data) | Map::HashMap(data) | Map::PerCpuArray(data)) = map else {
        return Err(MapError::InvalidName { name: name.to_owned() });
    };
    // By its id the kernel would open it for SYS_ADMIN only.
    let again = data.fd().as_fd().try_clone_to_owned();
    MapData::from_fd(again.map_err(MapError::IoError)?)
}

/// A number that `/proc` says of a BPF object: among them what the system call does not tell.
pub(super) fn fdinfo(fd: RawFd, key: &str) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).ok()?;
    text.lines().find_map(|line| line.strip_prefix(key)?.trim().parse().ok())
}

/// The error number at the end of an error's chain of causes.
pub(super) fn errno_of(error: &(dyn std::error::Error + 'static)) -> Option<Errno> {
    let mut current = Some(error);
    while let Some(error) = current {
        if let Some(code) = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::raw_os_error) {
            return Some(Errno::from_raw(code));
        }
        current = error.source();
    }
    None
}
