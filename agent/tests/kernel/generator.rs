//! Processes that make traffic: copies of this binary, told by lines on a pipe what to do.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

/// What a copy does. It says lines to the test and waits for lines from it.
pub(crate) type Scenario = fn(&mut Stage);

/// Names the scenario of a copy.
const SCENARIO: &str = "TELLTALE_TEST_SCENARIO";
/// Its arguments, separated by blanks.
const ARGUMENTS: &str = "TELLTALE_TEST_ARGUMENTS";
/// Starts a line of the copy to the test, among those of the test framework.
const MARK: &str = "@said ";
/// The longest that a copy lives and that a test waits for a line. Emulated machines are slow, and busy ones more so.
pub(crate) const LIMIT: Duration = Duration::from_mins(5);

/// The copy's end of the pipe.
pub(crate) struct Stage {
    /// What the test gave it.
    pub(crate) arguments: Vec<String>,
}

impl Stage {
    /// Tells the test.
    #[expect(clippy::unused_self, reason = "only a copy has a test to talk to")]
    pub(crate) fn say(&mut self, text: &str) {
        let mut out = std::io::stdout().lock();
        out.write_all(format!("\n{MARK}{text}\n").as_bytes()).and_then(|()| out.flush()).expect("the test listens");
    }

    /// Waits for a line of the test. The copy ends if the test has.
    #[expect(clippy::unused_self, reason = "only a copy has a test to talk to")]
    pub(crate) fn wait(&mut self) -> String {
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(1..) => line.trim_end().to_owned(),
            _ => std::process::exit(0),
        }
    }

    /// An argument that is a number.
    pub(crate) fn number<T: std::str::FromStr>(&self, index: usize) -> T {
        self.arguments[index].parse().unwrap_or_else(|_| panic!("argument {index} is a number"))
    }
}

/// Runs the scenario that the environment names, if it names one.
pub(crate) fn run(scenarios: &[(&str, Scenario)]) {
    let Ok(name) = std::env::var(SCENARIO) else { return };
    let (_, scenario) = scenarios.iter().find(|(known, _)| *known == name).expect("a known scenario");
    std::thread::spawn(|| {
        std::thread::sleep(LIMIT);
        eprintln!("the traffic took too long");
        std::process::exit(3);
    });
    let arguments = std::env::var(ARGUMENTS).unwrap_or_default();
    scenario(&mut Stage { arguments: arguments.split_whitespace().map(str::to_owned).collect() });
}

/// A command that runs a scenario in a copy.
pub(crate) fn command(scenario: &str, arguments: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the test's own file"));
    command
        .args(["--exact", "traffic", "--nocapture", "--test-threads=1"])
        .env(SCENARIO, scenario)
        .env(ARGUMENTS, arguments);
    command
}

/// A copy that makes traffic. Killed when dropped.
pub(crate) struct Generator {
    child: Child,
    commands: Option<ChildStdin>,
    lines: Receiver<String>,
    scenario: String,
}

impl Generator {
    /// Starts a copy with a scenario.
    pub(crate) fn start(scenario: &str, arguments: &str) -> Self {
        let mut child = command(scenario, arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test can start itself");
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if let Some(text) = line.strip_prefix(MARK)
                    && sender.send(text.to_owned()).is_err()
                {
                    return;
                }
            }
        });
        let commands = child.stdin.take();
        Self { child, commands, lines, scenario: scenario.to_owned() }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its name, as the kernel knows it.
    pub(crate) fn comm(&self) -> String {
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", self.pid())).expect("it runs");
        comm.trim_end().to_owned()
    }

    /// Tells the copy.
    pub(crate) fn tell(&mut self, line: &str) {
        let commands = self.commands.as_mut().expect("not finished");
        writeln!(commands, "{line}").unwrap_or_else(|error| panic!("{} is gone: {error}", self.scenario));
    }

    /// Waits for the copy's next line.
    pub(crate) fn hear(&mut self) -> String {
        self.lines.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("{} says nothing: {error}", self.scenario))
    }

    /// Waits for it to end well.
    pub(crate) fn finish(&mut self) {
        self.commands = None;
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{}: {status}", self.scenario);
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // Both fail if it ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
