//! Two network namespaces with a wire between them, on which addresses are translated.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use super::program::done;

/// Where the client believes the server is.
pub(crate) const VIRTUAL: &str = "10.78.0.9";
/// Where the server is.
pub(crate) const SERVER: &str = "10.77.0.2";
/// Where the server believes the client is.
pub(crate) const TRANSLATED: &str = "10.77.0.3";

/// A namespace for a client and one for a server. Dropping them removes them.
pub(crate) struct Namespaces {
    client: String,
    server: String,
}

/// Runs a tool of root's search path, which must succeed.
fn tool(line: &str) -> Result<(), String> {
    let mut words = line.split_whitespace();
    let program = words.next().expect("a tool has a name");
    let output = Command::new(program).args(words).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{line}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => Err(format!("{line}: {error}")),
    }
}

impl Namespaces {
    /// Both, joined by a pair of virtual interfaces; or why this machine cannot.
    pub(crate) fn new() -> Result<Self, String> {
        let id = std::process::id();
        let both = Self { client: format!("telltale-c{id}"), server: format!("telltale-s{id}") };
        let (client, server) = (&both.client, &both.server);
        for line in [
            format!("ip netns add {client}"),
            format!("ip netns add {server}"),
            format!("ip link add ttc netns {client} type veth peer name tts netns {server}"),
            format!("ip -n {client} addr add 10.77.0.1/24 dev ttc"),
            format!("ip -n {client} addr add {TRANSLATED}/24 dev ttc"),
            format!("ip -n {server} addr add {SERVER}/24 dev tts"),
            format!("ip -n {client} link set ttc up"),
            format!("ip -n {server} link set tts up"),
            format!("ip -n {client} route add {VIRTUAL}/32 via {SERVER} src 10.77.0.1"),
        ] {
            tool(&line)?;
        }
        Ok(both)
    }

    /// What the client sends to `from` of the virtual address comes to `to` of the server, from an address and a port that the client does not have: as
    /// a Service's address does, with the masquerade of a node. `Err` if this machine cannot.
    pub(crate) fn translate(&self, from: u16, to: u16) -> Result<(), String> {
        let rules = format!(
            "table ip nat {{\n\
             chain output {{ type nat hook output priority -100; ip daddr {VIRTUAL} tcp dport {from} dnat to {SERVER}:{to}; }}\n\
             chain postrouting {{ type nat hook postrouting priority 100; tcp dport {to} snat to {TRANSLATED}:20000-20999; }}\n\
             }}\n"
        );
        let mut child = Command::new("ip")
            .args(["netns", "exec", &self.client, "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let written = child.stdin.take().expect("its input is a pipe").write_all(rules.as_bytes());
        let output = child.wait_with_output().map_err(|error| error.to_string())?;
        match written {
            Ok(()) if output.status.success() => Ok(()),
            _ => Err(format!("nft: {}", String::from_utf8_lossy(&output.stderr).trim())),
        }
    }

    /// The command, in the client's namespace.
    pub(crate) fn client(&self, command: &Command) -> Command {
        inside(&self.client, command)
    }

    /// The command, in the server's namespace.
    pub(crate) fn server(&self, command: &Command) -> Command {
        inside(&self.server, command)
    }
}

fn inside(namespace: &str, command: &Command) -> Command {
    // It becomes the command: the process is the same.
    let mut inside = Command::new("ip");
    inside.args(["netns", "exec", namespace]).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => inside.env(name, value),
            None => inside.env_remove(name),
        };
    }
    inside
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in [&self.client, &self.server] {
            if std::path::Path::new("/run/netns").join(name).exists() {
                done(Command::new("ip").args(["netns", "del", name]));
            }
        }
    }
}
