//! Resolves what the kernel programs must know of the running kernel. Fails closed: a missing member is an error by name.

use agent_common::layout::{ABSENT, Calls, Layout, OFFSETS};

use super::btf::{Btf, BtfError};

/// The layout of the running kernel; settings that are not the kernel's are left 0.
pub(super) fn resolve(btf: &Btf) -> Result<Layout, BtfError> {
    let mut layout = Layout::default();
    for offset in OFFSETS {
        let mut found =
            Err(BtfError::NoMember { structure: offset.structure.into(), member: offset.paths.join("` or `") });
        for path in offset.paths {
            match btf.offset(offset.structure, path) {
                Ok(value) => {
                    found = Ok(value);
                    break;
                }
                Err(BtfError::NoMember { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        (offset.set)(&mut layout, found?);
    }
    layout.iter_ubuf = btf.enumerator("ITER_UBUF").unwrap_or(ABSENT);
    layout.iter_iovec = btf
        .enumerator("ITER_IOVEC")
        .ok_or_else(|| BtfError::NoType { kind: "enum value", name: "ITER_IOVEC".into() })?;
    layout.recvmsg_arguments = btf.arguments("tcp_recvmsg")?;
    layout.cgroup_subsystem = ABSENT;
    layout.calls = calls(btf)?;
    Ok(layout)
}

#[cfg(target_arch = "x86_64")]
fn calls(btf: &Btf) -> Result<Calls, BtfError> {
    Ok(Calls {
        register_number: btf.offset("pt_regs", "orig_ax")?,
        register_first: btf.offset("pt_regs", "di")?,
        register_second: btf.offset("pt_regs", "si")?,
        register_third: btf.offset("pt_regs", "dx")?,
        // `TS_COMPAT`: numbers and registers are those of the 32-bit ABI.
        compat_word: btf.offset("task_struct", "thread_info.status")?,
        compat_bit: 2,
        ..numbers()
    })
}

#[cfg(target_arch = "aarch64")]
fn calls(btf: &Btf) -> Result<Calls, BtfError> {
    let registers = btf.offset("pt_regs", "regs")?;
    Ok(Calls {
        register_number: btf.offset("pt_regs", "syscallno")?,
        // The first is kept apart, since the result takes its place.
        register_first: btf.offset("pt_regs", "orig_x0")?,
        register_second: registers + 8,
        register_third: registers + 16,
        // `TIF_32BIT` is bit 22 of the flags.
        compat_word: btf.offset("task_struct", "thread_info.flags")?,
        compat_bit: 1 << 22,
        ..numbers()
    })
}

fn numbers() -> Calls {
    let number = |call: libc::c_long| call as u32;
    Calls {
        read: number(libc::SYS_read),
        readv: number(libc::SYS_readv),
        recvfrom: number(libc::SYS_recvfrom),
        recvmsg: number(libc::SYS_recvmsg),
        write: number(libc::SYS_write),
        writev: number(libc::SYS_writev),
        sendto: number(libc::SYS_sendto),
        sendmsg: number(libc::SYS_sendmsg),
        sendmmsg: number(libc::SYS_sendmmsg),
        sendfile: number(libc::SYS_sendfile),
        splice: number(libc::SYS_splice),
        io_uring_enter: number(libc::SYS_io_uring_enter),
        ..Calls::default()
    }
}
