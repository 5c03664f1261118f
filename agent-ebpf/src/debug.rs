//! Log lines for people who debug the programs (`--debug-ebpf`): of connections, never of calls. Off, the level is a constant
//! that the verifier knows, and it drops the code.

use aya_log_ebpf::debug;

use crate::socket::Socket;

/// A connection came into scope.
#[inline(never)]
pub(crate) fn opened(socket: &Socket, process: u32) {
    debug!((), "connection {} of process {}: role {}", socket.cookie, process, socket.role);
}

/// A connection is over.
#[inline(never)]
pub(crate) fn closed(cookie: u64, how: u8) {
    debug!((), "connection {} closed: {}", cookie, how);
}
