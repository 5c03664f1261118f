//! Backends as data: which programs, on which hooks, in which order they are tried.

use super::btf::Btf;

/// A family of hooks that sees the bytes of TCP sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Backend {
    /// fentry and fexit on the functions of TCP that move bytes.
    Socket,
    /// BTF tracepoints at the end of socket calls.
    Syscall,
}

/// How a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attachment {
    /// At the start of a function.
    Fentry,
    /// At the end of a function.
    Fexit,
    /// At a tracepoint, arguments typed by BTF.
    TracePoint,
}

/// Whether a backend can do without a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// Refused without it.
    Required,
    /// Kernels without the function or tracepoint do what it is for in another way.
    IfPresent,
    /// Kernels with this tracepoint do what it is for in a better way.
    Without(&'static str),
}

/// One program and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hook {
    /// Name in the object.
    pub program: &'static str,
    /// How.
    pub attachment: Attachment,
    /// Function or tracepoint.
    pub target: &'static str,
    /// Whether it must be there.
    pub need: Need,
}

const fn hook(program: &'static str, attachment: Attachment, target: &'static str, need: Need) -> Hook {
    Hook { program, attachment, target, need }
}

/// Hooks of every backend.
pub const COMMON: &[Hook] = &[
    hook("set_state", Attachment::TracePoint, "inet_sock_set_state", Need::Required),
    hook("destroy", Attachment::TracePoint, "tcp_destroy_sock", Need::Required),
];

/// Hooks of a scope that follows processes.
pub const PROCESS: &[Hook] = &[
    hook("process_fork", Attachment::TracePoint, "sched_process_fork", Need::Required),
    hook("process_exit", Attachment::TracePoint, "sched_process_exit", Need::Required),
];

const SOCKET: &[Hook] = &[
    hook("send_end", Attachment::Fexit, "tcp_sendmsg_locked", Need::Required),
    hook("send_begin", Attachment::Fentry, "tcp_sendmsg_locked", Need::Required),
    hook("layer_end", Attachment::Fexit, "tcp_set_ulp", Need::IfPresent),
    hook("sendpage_end", Attachment::Fexit, "tcp_sendpage", Need::IfPresent),
    hook("sendpage_begin", Attachment::Fentry, "tcp_sendpage", Need::IfPresent),
    hook("receive_end", Attachment::Fexit, "tcp_recvmsg", Need::Required),
    hook("receive_begin", Attachment::Fentry, "tcp_recvmsg", Need::Required),
];

const SYSCALL: &[Hook] = &[
    hook("enter", Attachment::TracePoint, "sys_enter", Need::Without("tcp_sendmsg_locked")),
    hook("send_length", Attachment::TracePoint, "sock_send_length", Need::Required),
    hook("receive_length", Attachment::TracePoint, "sock_recv_length", Need::Required),
    hook("send_loop", Attachment::TracePoint, "tcp_sendmsg_locked", Need::IfPresent),
];

impl Backend {
    /// In the order in which they are tried.
    pub const ALL: [Self; 2] = [Self::Socket, Self::Syscall];

    /// The name that `--backend` takes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Syscall => "syscall",
        }
    }

    /// The backend of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|backend| backend.name() == name)
    }

    /// Its own hooks, without [`COMMON`].
    pub const fn hooks(self) -> &'static [Hook] {
        match self {
            Self::Socket => SOCKET,
            Self::Syscall => SYSCALL,
        }
    }

    /// What it needs, in words.
    pub const fn needs(self) -> &'static str {
        match self {
            Self::Socket => "kernel 5.12 or later with BTF, BPF trampolines, and no lockdown",
            Self::Syscall => "kernel 6.3 or later with BTF",
        }
    }
}

impl Hook {
    /// Whether the kernel has the function or tracepoint.
    pub fn is_present(&self, btf: &Btf) -> bool {
        match self.attachment {
            Attachment::Fentry | Attachment::Fexit => btf.has_function(self.target),
            Attachment::TracePoint => btf.has_tracepoint(self.target),
        }
    }
}
