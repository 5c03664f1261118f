//! The kernel programs of Telltale.
#![no_std]
#![no_main]

/// The kernel lets only programs under a GPL-compatible licence call the helpers that read user memory.
#[unsafe(no_mangle)]
#[unsafe(link_section = "license")]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    // The verifier accepts no program that can reach this.
    loop {}
}
