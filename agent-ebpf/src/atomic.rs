//! The two atomic operations that the programs need. The BPF target of rustc declares no atomic read-modify-write, although
//! the machine has had them from the start (add) and since 5.12 (exchange).

use core::arch::asm;

/// Adds to a word.
///
/// # Safety
/// `word` must be valid for reads and writes and aligned.
#[inline(always)]
pub(crate) unsafe fn add(word: *mut u64, by: u64) {
    // SAFETY: one instruction on memory that the caller vouches for.
    unsafe { asm!("lock *(u64 *)({word} + 0) += {by}", word = in(reg) word, by = in(reg) by, options(nostack)) };
}

/// Writes a word and returns what it held.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub(crate) unsafe fn exchange(word: *mut u64, value: u64) -> u64 {
    let mut held = value;
    // SAFETY: as in `add`.
    unsafe {
        asm!("{held} = xchg_64({word} + 0, {held})", word = in(reg) word, held = inout(reg) held, options(nostack));
    }
    held
}
