//! Where the running kernel keeps what the programs read: resolved from BTF by userspace, handed over as one read-only
//! global, so that the verifier sees constants.

/// Declares the offsets once: field, structure, member path.
macro_rules! offsets {
    ($($field:ident: $structure:literal $(, $path:literal)+;)+) => {
        /// Byte offsets of structure members, and a few numbers, of the running kernel.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[repr(C)]
        pub struct Layout {
            $(
                #[doc = concat!("Offset in `struct ", $structure, "`.")]
                pub $field: u32,
            )+
            /// Value of `ITER_UBUF`; [`ABSENT`] on kernels without it.
            pub iter_ubuf: u32,
            /// Value of `ITER_IOVEC`.
            pub iter_iovec: u32,
            /// Number of arguments of `tcp_recvmsg`.
            pub recvmsg_arguments: u32,
            /// 1 if `bpf_get_func_ret` may be used; 0 reads the result after the last argument.
            pub use_func_ret: u32,
            /// 1 if `bpf_loop` may be used.
            pub use_loop: u32,
            /// Index of the v1 controller whose hierarchy is the scope's; [`ABSENT`] for the v2 hierarchy.
            pub cgroup_subsystem: u32,
            /// Thread group id of the agent.
            pub own_pid: u32,
            /// Number of rings in use, at least 1.
            pub rings: u32,
            /// Scratch slots in use, at most [`SCRATCH_SLOTS`](crate::limits::SCRATCH_SLOTS).
            pub scratch_slots: u32,
            /// 1 if what is inside TLS may be captured.
            pub tls: u32,
            /// 1 to go on as if there were no memory for the state of threads.
            pub no_thread_state: u32,
            /// System call numbers of this architecture.
            pub calls: Calls,
        }

        /// One row of [`OFFSETS`].
        pub struct Offset {
            /// Structure name in BTF.
            pub structure: &'static str,
            /// Member paths, the first that exists counts (a rename in some kernel adds one).
            pub paths: &'static [&'static str],
            /// Where it goes.
            pub set: fn(&mut Layout, u32),
        }

        /// Every offset with where it is looked up.
        pub const OFFSETS: &[Offset] = &[
            $(Offset {
                structure: $structure,
                paths: &[$($path),+],
                set: |layout, value| layout.$field = value,
            },)+
        ];
    };
}

/// Stands for a number that this kernel does not have.
pub const ABSENT: u32 = u32::MAX;

offsets! {
    sk_family: "sock", "__sk_common.skc_family";
    sk_state: "sock", "__sk_common.skc_state";
    sk_daddr: "sock", "__sk_common.skc_daddr";
    sk_rcv_saddr: "sock", "__sk_common.skc_rcv_saddr";
    sk_v6_daddr: "sock", "__sk_common.skc_v6_daddr";
    sk_v6_rcv_saddr: "sock", "__sk_common.skc_v6_rcv_saddr";
    sk_dport: "sock", "__sk_common.skc_dport";
    sk_num: "sock", "__sk_common.skc_num";
    sk_protocol: "sock", "sk_protocol";
    sk_flags: "sock", "__sk_common.skc_flags";
    sk_user_data: "sock", "sk_user_data";
    icsk_ulp_ops: "inet_connection_sock", "icsk_ulp_ops";
    ulp_name: "tcp_ulp_ops", "name";
    write_seq: "tcp_sock", "write_seq";
    snd_una: "tcp_sock", "snd_una";
    snd_nxt: "tcp_sock", "snd_nxt";
    rcv_nxt: "tcp_sock", "rcv_nxt";
    copied_seq: "tcp_sock", "copied_seq";
    bytes_acked: "tcp_sock", "bytes_acked";
    bytes_sent: "tcp_sock", "bytes_sent";
    bytes_retrans: "tcp_sock", "bytes_retrans";
    bytes_received: "tcp_sock", "bytes_received";
    msg_iter: "msghdr", "msg_iter";
    msg_flags: "msghdr", "msg_flags";
    iter_type: "iov_iter", "iter_type";
    iter_offset: "iov_iter", "iov_offset";
    iter_base: "iov_iter", "__iov", "iov";
    iter_segments: "iov_iter", "nr_segs";
    task_tgid: "task_struct", "tgid";
    task_leader: "task_struct", "group_leader";
    task_comm: "task_struct", "comm";
    task_cgroups: "task_struct", "cgroups";
    task_flags: "task_struct", "flags";
    task_files: "task_struct", "files";
    files_table: "files_struct", "fdt";
    table_files: "fdtable", "fd";
    table_length: "fdtable", "max_fds";
    file_private: "file", "private_data";
    socket_sk: "socket", "sk";
    task_signal: "task_struct", "signal";
    signal_live: "signal_struct", "live";
    css_set_default: "css_set", "dfl_cgrp";
    css_set_subsystems: "css_set", "subsys";
    css_cgroup: "cgroup_subsys_state", "cgroup";
    css_parent: "cgroup_subsys_state", "parent";
    cgroup_self: "cgroup", "self";
    cgroup_node: "cgroup", "kn";
    node_id: "kernfs_node", "id";
}

/// Numbers of the system calls whose buffers the `syscall` backend finds in the registers; [`ABSENT`] where there is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Calls {
    /// `read`.
    pub read: u32,
    /// `readv`.
    pub readv: u32,
    /// `recvfrom`.
    pub recvfrom: u32,
    /// `recvmsg`.
    pub recvmsg: u32,
    /// `write`.
    pub write: u32,
    /// `writev`.
    pub writev: u32,
    /// `sendto`.
    pub sendto: u32,
    /// `sendmsg`.
    pub sendmsg: u32,
    /// `sendmmsg`.
    pub sendmmsg: u32,
    /// `sendfile`.
    pub sendfile: u32,
    /// `splice`.
    pub splice: u32,
    /// `io_uring_enter`.
    pub io_uring_enter: u32,
    /// Offset in `struct pt_regs` of the system call's number.
    pub register_number: u32,
    /// Offset in `struct pt_regs` of its first argument.
    pub register_first: u32,
    /// Offset in `struct pt_regs` of its second argument.
    pub register_second: u32,
    /// Offset in `struct pt_regs` of its third argument.
    pub register_third: u32,
    /// Offset in `struct task_struct` of the word that says that a 32-bit call is under way; [`ABSENT`] where there is none.
    pub compat_word: u32,
    /// The bit of that word.
    pub compat_bit: u32,
}
