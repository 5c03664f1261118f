//! Whether a call survives in a process that may not make every system call, as those of containers may not.

use std::io;

use nix::{
    errno::Errno,
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};

/// System calls of x86-64 that came after filters were written: `uretprobe` is 335, `uprobe` is 336, and the next of the table that all machines share is 424.
const NEW: std::ops::Range<u32> = 335..424;

/// Calls a function in a process of its own, to which a seccomp filter refuses the system calls that older filters do not know (`EPERM`, as those of container
/// runtimes do). Whether it lived on.
///
/// # Errors
/// There can be no such process.
pub(in crate::capture) fn survives(call: extern "C" fn()) -> io::Result<bool> {
    // SAFETY: the child of a process with threads may only do what may be done in a handler of signals: it makes system calls, calls a function that does no
    // more, and ends.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(waitpid(child, None)? == WaitStatus::Exited(child, 0)),
        ForkResult::Child => {
            let is_confined = confine();
            if is_confined {
                call();
            }
            // SAFETY: it ends the process at once.
            unsafe { libc::_exit(i32::from(!is_confined)) }
        }
    }
}

/// Refuses [`NEW`] to this process for good.
fn confine() -> bool {
    let statement = |code: u32, operand: u32| libc::sock_filter { code: code as u16, jt: 0, jf: 0, k: operand };
    let jump =
        |code: u32, operand: u32, yes: u8, no: u8| libc::sock_filter { code: code as u16, jt: yes, jf: no, k: operand };
    let mut filter = [
        // The number is the first member of `seccomp_data`.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, NEW.start, 0, 2),
        jump(libc::BPF_JMP | libc::BPF_JGE | libc::BPF_K, NEW.end, 1, 0),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | Errno::EPERM as u32),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: the first takes numbers, the second a program of the length that it says.
    unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
            && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, std::ptr::from_ref(&program)) == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern "C" fn nothing() {}

    extern "C" fn refused() {
        // SAFETY: no kernel has this system call; without the filter it would be ENOSYS. (The first of them kernels let past filters.)
        let result = unsafe { libc::syscall((NEW.end - 1).into()) };
        // SAFETY: `errno` is the thread's own.
        if result != -1 || unsafe { *libc::__errno_location() } != libc::EPERM {
            // SAFETY: it ends the process at once.
            unsafe { libc::_exit(3) }
        }
    }

    extern "C" fn crash() {
        // SAFETY: it ends the process at once.
        unsafe { libc::abort() }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn a_call_survives_unless_it_crashes() {
        assert!(survives(nothing).expect("a process"));
        assert!(survives(refused).expect("a process"), "the filter refuses with EPERM");
        assert!(!survives(crash).expect("a process"));
    }
}
