//! What a node cannot do, in words for the status of policies.

use super::{PRIVILEGES, Without};
use crate::capture::kernel::CaptureError;

/// Why nothing is captured on this node, in one line. `effective` are the capabilities of this process ([`super::effective`]).
pub fn refusal(error: &CaptureError, effective: Option<u64>) -> String {
    let is_missing = |is_in: bool| effective.is_some() && !is_in;
    let missing: Vec<_> = PRIVILEGES
        .iter()
        .filter(|privilege| matches!(privilege.without, Without::Nothing(_)))
        .filter(|privilege| is_missing(effective.is_some_and(|effective| privilege.is_in(effective))))
        .map(|privilege| format!("{} is not granted (chart value {})", privilege.name, privilege.chart))
        .collect();
    let why = match error {
        CaptureError::Privilege | CaptureError::NoBackend(_) if !missing.is_empty() => missing.join(", "),
        CaptureError::NoBackend(refusals) => refusals.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "),
        CaptureError::PidNamespace => "the agent is in a PID namespace of its own (a pod: hostPID: true)".to_owned(),
        other => other.to_string(),
    };
    format!("nothing is captured: {}", in_one_line(&why))
}

/// Why what is inside TLS is not read on this node, in one line.
pub fn tls_refusal(error: &dyn std::error::Error) -> String {
    format!("what is inside TLS is not read: {}", in_one_line(&error.to_string()))
}

fn in_one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What is told less exactly on this node, each in a few words.
pub fn notes(effective: Option<u64>) -> Vec<String> {
    let Some(effective) = effective else { return Vec::new() };
    let less = PRIVILEGES.iter().filter(|privilege| matches!(privilege.without, Without::Less(_)));
    less.filter(|privilege| !privilege.is_in(effective)).filter_map(super::Privilege::loss).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::kernel::{Backend, Refusal};

    const BPF: u64 = 1 << 39;
    const PERFMON: u64 = 1 << 38;
    const SYS_PTRACE: u64 = 1 << 19;

    fn refused() -> CaptureError {
        let refusal = |backend| Refusal {
            backend,
            step: "attach fexit tcp_recvmsg".to_owned(),
            reason: "refused by the verifier:\n  R1 invalid".to_owned(),
            errno: None,
        };
        CaptureError::NoBackend(vec![refusal(Backend::Socket), refusal(Backend::Syscall)])
    }

    #[test]
    fn a_capability_that_is_not_granted_is_the_reason() {
        assert_eq!(
            refusal(&CaptureError::Privilege, Some(0)),
            "nothing is captured: BPF is not granted (chart value capabilities.bpf), PERFMON is not granted (chart value capabilities.perfmon)"
        );
        assert_eq!(
            refusal(&refused(), Some(BPF)),
            "nothing is captured: PERFMON is not granted (chart value capabilities.perfmon)"
        );
        assert_eq!(
            refusal(&refused(), Some(BPF | PERFMON)),
            "nothing is captured: socket: attach fexit tcp_recvmsg: refused by the verifier: R1 invalid; \
             syscall: attach fexit tcp_recvmsg: refused by the verifier: R1 invalid"
        );
        // Not known: not said.
        assert!(refusal(&refused(), None).contains("verifier"));
        assert!(refusal(&CaptureError::PidNamespace, None).ends_with("(a pod: hostPID: true)"));
    }

    #[test]
    fn what_is_told_less_exactly_is_noted() {
        assert_eq!(notes(Some(BPF | PERFMON | SYS_PTRACE)), [""; 0]);
        assert_eq!(
            notes(Some(BPF | PERFMON)),
            [
                "process.executable.name of a process with other rights is the name that the kernel has of it, and what is inside its TLS is not read (SYS_PTRACE is not granted)"
            ]
        );
        assert_eq!(notes(None), [""; 0]);
    }
}
