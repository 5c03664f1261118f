//! The kernels that the tests run on: a table. Adding a kernel is adding a row.

/// Where a kernel comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kernel {
    /// The series, `major.minor`: the newest kernel of it is taken, once, into the cache.
    pub(crate) version: &'static str,
    /// Debian's suite.
    pub(crate) suite: &'static str,
    /// The archive that holds the suite: the last part of its address.
    pub(crate) archive: &'static str,
}

/// One boot.
#[derive(Debug)]
pub(crate) struct Row {
    /// What `--kernel` and the report call it: the series, and what is special about the boot.
    pub(crate) name: &'static str,
    /// The kernel.
    pub(crate) kernel: &'static Kernel,
    /// Added to the kernel's command line.
    pub(crate) command_line: &'static str,
    /// The capture backends that this kernel should allow; the tests run once with each.
    pub(crate) backends: &'static [&'static str],
    /// Part of `cargo xtask test`.
    pub(crate) default: bool,
}

static V5_10: Kernel = Kernel { version: "5.10", suite: "bullseye-security", archive: "debian-security" };
static V6_1: Kernel = Kernel { version: "6.1", suite: "bookworm", archive: "debian" };
pub(crate) static V6_12: Kernel = Kernel { version: "6.12", suite: "bookworm-backports", archive: "debian" };
static V6_18: Kernel = Kernel { version: "6.18", suite: "trixie-backports", archive: "debian" };
static V7_1: Kernel = Kernel { version: "7.1", suite: "trixie-backports", archive: "debian" };

/// Every boot. `sock_send_length`, which the `syscall` backend needs, came with 6.3; the atomic exchange, which both
/// need, with 5.12. What came with 5.17 (`bpf_get_func_ret`, `bpf_loop`) `socket` does without, if it must.
pub(crate) static ROWS: &[Row] = &[
    Row { name: "5.10", kernel: &V5_10, command_line: "", backends: &[], default: false },
    Row { name: "6.1", kernel: &V6_1, command_line: "", backends: &["socket"], default: true },
    Row { name: "6.12", kernel: &V6_12, command_line: "", backends: &["socket", "syscall"], default: true },
    Row {
        name: "6.12-preempt",
        kernel: &V6_12,
        command_line: "preempt=full",
        backends: &["socket", "syscall"],
        default: true,
    },
    Row { name: "6.18", kernel: &V6_18, command_line: "", backends: &["socket", "syscall"], default: false },
    Row { name: "7.1", kernel: &V7_1, command_line: "", backends: &["socket", "syscall"], default: false },
];

/// The boots that `cargo xtask test` makes.
pub(crate) fn default_rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(|row| row.default)
}
