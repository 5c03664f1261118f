//! Reading kernel structures by the offsets of [`Layout`].

use agent_common::layout::Layout;
use aya_ebpf::helpers::generated::bpf_probe_read_kernel;

/// Filled by userspace before the programs are loaded; frozen, so that the verifier sees constants.
#[unsafe(no_mangle)]
pub(crate) static LAYOUT: Layout = zeroed_layout();

const fn zeroed_layout() -> Layout {
    // SAFETY: every member is an integer, for which zero is a value.
    unsafe { core::mem::zeroed() }
}

/// Reads a member of [`LAYOUT`].
macro_rules! layout {
    ($($member:ident).+) => {
        $crate::kernel::loaded(&$crate::kernel::LAYOUT.$($member).+)
    };
}
pub(crate) use layout;

/// The value that userspace loaded. Volatile: the compiler must not fold the zeros it sees here.
#[inline(always)]
pub(crate) fn loaded(value: &u32) -> u32 {
    // SAFETY: a reference is valid for reads.
    unsafe { core::ptr::read_volatile(value) }
}

/// Reads a member of a structure that the verifier knows by its BTF type (a load that cannot fault).
///
/// # Safety
/// `base` must come from a program argument or a helper that returns a typed pointer, `offset` from [`layout!`].
#[inline(always)]
pub(crate) unsafe fn member<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: the verifier checks the access against the structure's BTF.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}

/// Reads kernel memory at an address that the verifier knows nothing about. `None` if it cannot be read.
#[inline(always)]
pub(crate) fn read<T: Copy + Default>(address: u64) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper checks the source; the destination is a local of that size.
    let failed = unsafe {
        bpf_probe_read_kernel((&raw mut value).cast(), size_of::<T>() as u32, address as *const core::ffi::c_void)
    };
    (failed == 0).then_some(value)
}
