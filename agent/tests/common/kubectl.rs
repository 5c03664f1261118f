//! `kubectl` on one cluster.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest wait for a cluster to become what a test waits for: generous, since the machine may be busy. Nothing measures it.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often it is asked.
const POLL: Duration = Duration::from_millis(100);

/// The program and whom it speaks to.
#[derive(Debug)]
pub(crate) struct Kubectl {
    /// `kubectl` itself, or what runs it in the right network namespace, with its arguments.
    pub(crate) program: Vec<PathBuf>,
    /// Where the API server is and who the user is.
    pub(crate) kubeconfig: PathBuf,
}

impl Kubectl {
    /// This program (with arguments before those of a call) as the user of this kubeconfig.
    pub(crate) fn new(program: Vec<PathBuf>, kubeconfig: &Path) -> Self {
        Self { program, kubeconfig: kubeconfig.to_owned() }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program[0]);
        command.args(&self.program[1..]).arg("--kubeconfig").arg(&self.kubeconfig);
        // Its cache of what the server serves would hide resources that were just defined.
        command.args(["--cache-dir", "/dev/null", "--request-timeout", "30s"]).args(arguments);
        command
    }

    /// What it prints, or what it says instead.
    pub(crate) fn attempt(&self, arguments: &[&str], input: &str) -> Result<String, String> {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut to = child.stdin.take().expect("its input is a pipe");
        // Refused where it does not read its input, which is no fault.
        let _ = to.write_all(input.as_bytes());
        drop(to);
        let output = child.wait_with_output().expect("it is our child");
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    /// What it prints; it must succeed.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        self.attempt(arguments, "").unwrap_or_else(|said| panic!("kubectl {}: {said}", arguments.join(" ")))
    }

    /// Creates or updates what these documents say.
    pub(crate) fn apply(&self, documents: &str) -> String {
        // On the server's side: what is applied may be larger than an annotation can be.
        let arguments = ["apply", "--server-side", "--force-conflicts", "--filename", "-"];
        self.attempt(&arguments, documents).unwrap_or_else(|said| panic!("kubectl apply: {said}\n{documents}"))
    }

    /// An object, or a list, as JSON.
    pub(crate) fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let text = self.run(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("kubectl {}: {error}: {text}", arguments.join(" ")))
    }

    /// Asks until what it prints is what is waited for; gives that.
    pub(crate) fn until(&self, arguments: &[&str], wanted: impl Fn(&str) -> bool) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.attempt(arguments, "").unwrap_or_else(|said| said);
            if wanted(&said) {
                return said;
            }
            assert!(Instant::now() < end, "waited in vain; kubectl {} says:\n{said}", arguments.join(" "));
            std::thread::sleep(POLL);
        }
    }
}
