//! Capture on a real kernel, byte for byte.
//!
//! The one test binary that runs on this machine and inside the kernels of `cargo xtask vm`. It needs no other program than `telltale` and
//! `setpriv`: the traffic comes from copies of itself (test `traffic`, see [`generator`]), since capture leaves out the process that
//! captures. `TELLTALE_TEST_BACKEND` names the backend to test; without it every backend that this kernel allows is.
#![cfg(all(feature = "ebpf", target_os = "linux"))]

#[path = "../common/confined.rs"]
mod confined;

mod bounds;
mod bytes;
mod calls;
mod captured;
mod ends;
mod gaps;
mod generator;
mod io_uring;
mod late_join;
mod layers;
mod memory;
mod pair;
mod pattern;
mod privileges;
mod scope;
mod session;
mod side_by_side;
mod threads;
mod tls;
mod tls_calls;
mod verifier;

/// Scenarios of the copies, by name.
const SCENARIOS: &[(&str, generator::Scenario)] = &[
    ("bytes_server", bytes::server),
    ("bytes_client", bytes::client),
    ("exchanges", pair::exchanges),
    ("late_connections", late_join::connections),
    ("thread_connections", threads::connections),
    ("shared_writers", threads::shared_writers),
    ("shared_readers", threads::shared_readers),
    ("sendfile", gaps::sendfile),
    ("splice", gaps::splice),
    ("zero_copy", gaps::zero_copy),
    ("huge", gaps::huge),
    ("unreadable", gaps::unreadable),
    ("many_calls", gaps::many_calls),
    ("skipped", gaps::skipped),
    ("io_uring", io_uring::operations),
    ("few_calls", bounds::few_calls),
    ("large_calls", bounds::large_calls),
    ("many_buffers", bounds::many_buffers),
    ("full_socket", memory::full_socket),
    ("multipath", layers::multipath),
    ("socket_map", layers::socket_map),
    ("kernel_tls", layers::kernel_tls),
    ("tls_exchanges", tls::exchanges),
    ("tls_unseen_hello", tls::unseen_hello),
    ("tls_between_hellos", tls::between_hellos),
    ("tls_passed_on", tls::passed_on),
    #[cfg(target_arch = "x86_64")]
    ("tls_left", tls_calls::left),
    ("tls_within", tls_calls::within),
    ("tls_not_freed", tls_calls::not_freed),
    ("tls_early_and_file", tls_calls::early_and_file),
    ("tls_in_turns", tls_calls::in_turns),
    ("tls_not_tried_again", tls_calls::not_tried_again),
    ("tls_late", tls::late),
    ("tls_reused", tls::reused),
];

/// Not a test of its own: a copy of this binary runs it to make traffic. Without a scenario it does nothing.
#[test]
fn traffic() {
    generator::run(SCENARIOS);
}
