//! Kernel programs: one core ([`call`], [`account`], [`socket`], [`tls`], [`tls_call`], [`hello`], [`scope`], [`emit`]) and one thin file per hook family.
//!
//! The programs copy bytes and count; they understand nothing of what they copy.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(clippy::inline_always, reason = "the verifier knows what a value is only within one function")]
#![expect(clippy::needless_pass_by_value, reason = "aya's macros pass a program its context by value")]

mod account;
mod atomic;
mod call;
mod close;
mod debug;
mod emit;
mod hello;
mod hooks_process;
mod hooks_socket;
mod hooks_syscall;
mod hooks_tls;
mod kernel;
mod maps;
mod scope;
mod socket;
mod source;
mod task;
mod tls;
mod tls_call;
mod transfer;

#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// The kernel offers some helpers to GPL-compatible programs only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
