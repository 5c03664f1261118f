//! The agent with fewer capabilities than this process has.

use std::process::Command;

/// What the chart grants by default.
pub(crate) const SHIPPED: &str = "bpf,perfmon,sys_ptrace";

/// The same command with these capabilities of Linux and no others, by `setpriv` of util-linux. They are named as there: `bpf,perfmon`; `""` is none.
pub(crate) fn confine(command: &mut Command, capabilities: &str) {
    let bounds = capabilities.split(',').filter(|name| !name.is_empty()).map(|name| format!(",+{name}"));
    let mut confined = Command::new("setpriv");
    confined.args(["--bounding-set", &format!("-all{}", bounds.collect::<String>()), "--inh-caps", "-all", "--"]);
    confined.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => confined.env(name, value),
            None => confined.env_remove(name),
        };
    }
    *command = confined;
}
