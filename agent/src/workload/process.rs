//! What a process is called.

/// Programs whose name says nothing about what runs: the script or module that they were given does.
/// Compared with the file name of the executable without a version suffix (`python3.12` is `python`).
const INTERPRETERS: &[&str] =
    &["bash", "bun", "dash", "deno", "java", "node", "nodejs", "perl", "php", "pypy", "python", "ruby", "sh", "zsh"];

/// Options after which an interpreter takes a value that is not the script.
const OPTIONS_WITH_VALUE: &[&str] =
    &["-W", "-X", "-r", "--require", "--import", "--loader", "-cp", "-classpath", "--class-path"];

/// Options after which the program text follows on the command line: there is no script.
const INLINE_CODE: &[&str] = &["-c", "-e", "-p", "--eval", "--print", "-"];

/// The service name that a command line tells: the script or module of an interpreter, else the executable's file name.
///
/// `python -u my_agent.py` is `my_agent`, `python -m http.server` is `http.server`, `java -jar shop.jar` is `shop`,
/// `/usr/bin/curl -s URL` is `curl`; `python -c ...` is `python`. `None` if there is no first argument.
pub(super) fn service_name(arguments: &[&str]) -> Option<String> {
    let (program, rest) = arguments.split_first()?;
    // A process may overwrite its arguments with a title of its own: `nginx: worker process`.
    let title = program.split_whitespace().next()?;
    let name = file_name(title).trim_end_matches(':').trim_start_matches('-');
    if name.is_empty() {
        return None;
    }
    let family = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let script = INTERPRETERS.contains(&family).then(|| script(rest)).flatten();
    Some(script.unwrap_or_else(|| name.to_owned()))
}

/// The script or module in the arguments of an interpreter.
fn script(arguments: &[&str]) -> Option<String> {
    let mut arguments = arguments.iter();
    while let Some(&argument) = arguments.next() {
        if INLINE_CODE.contains(&argument) {
            return None;
        } else if argument == "-m" {
            return arguments.next().map(|module| (*module).to_owned());
        } else if argument == "-jar" {
            return arguments.next().and_then(|path| stem(path));
        } else if OPTIONS_WITH_VALUE.contains(&argument) {
            arguments.next();
        } else if !argument.starts_with('-') {
            return stem(argument);
        }
    }
    None
}

/// What a script's file name may end with. Other dots belong to the name: `org.example.Main`.
const SCRIPT_EXTENSIONS: &[&str] = &["cjs", "jar", "js", "mjs", "php", "pl", "py", "pyc", "rb", "sh", "ts", "war"];

/// A file name without its directory and extension; `None` if nothing is left.
fn stem(path: &str) -> Option<String> {
    let name = file_name(path);
    let stem = match name.rsplit_once('.') {
        Some((stem, extension)) if SCRIPT_EXTENSIONS.contains(&extension) => stem,
        _ => name,
    };
    (!stem.is_empty()).then(|| stem.to_owned())
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What `/proc` says of a living process.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// From the command line ([`service_name`]).
    pub(super) service_name: Option<String>,
    /// `process.executable.name`: file name of the executable.
    pub(super) executable: Option<String>,
}

/// Reads what `/proc` says of process `pid`. Whatever cannot be read is absent: the process may be gone.
///
/// `comm` is the name that the kernel gave with the event: that of the main thread, whichever one made the call. Where `/proc/PID/comm`, which
/// is the main thread's as well, differs, the process has since executed another program or its id belongs to another one, so nothing is taken
/// from there. One that merely gave itself another name in that moment cannot be told from those.
#[cfg(target_os = "linux")]
pub(super) fn facts(pid: u32, comm: &str) -> Facts {
    use std::{fs, io::Read as _};

    /// Of a command line only the beginning matters.
    const COMMAND_LINE: u64 = 4096;

    let directory = format!("/proc/{pid}");
    // Not always UTF-8: the kernel cuts it anywhere.
    let current = fs::read(format!("{directory}/comm")).unwrap_or_default();
    let current = String::from_utf8_lossy(current.strip_suffix(b"\n").unwrap_or(&current));
    if !comm.is_empty() && current != comm {
        return Facts::default();
    }
    let executable = fs::read_link(format!("{directory}/exe"))
        .ok()
        .and_then(|path| path.file_name().map(|name| name.to_string_lossy().trim_end_matches(" (deleted)").to_owned()));
    let mut line = Vec::new();
    let read =
        fs::File::open(format!("{directory}/cmdline")).and_then(|file| file.take(COMMAND_LINE).read_to_end(&mut line));
    let service_name = read.ok().and_then(|_| {
        let text = String::from_utf8_lossy(&line);
        let arguments: Vec<&str> = text.split('\0').filter(|argument| !argument.is_empty()).collect();
        service_name(&arguments)
    });
    Facts { service_name, executable }
}

/// The cgroups of process `pid`, a line for each hierarchy; `None` if it is gone, or has another name than `comm` ([`facts`]).
#[cfg(target_os = "linux")]
pub(super) fn cgroups(pid: u32, comm: &str) -> Option<String> {
    let directory = format!("/proc/{pid}");
    let lines = std::fs::read_to_string(format!("{directory}/cgroup")).ok()?;
    let current = std::fs::read(format!("{directory}/comm")).ok()?;
    let current = String::from_utf8_lossy(current.strip_suffix(b"\n").unwrap_or(&current));
    (comm.is_empty() || current == comm).then_some(lines)
}

/// Other systems have no cgroups.
#[cfg(not(target_os = "linux"))]
pub(super) fn cgroups(_: u32, _: &str) -> Option<String> {
    None
}

/// Other systems have no `/proc`.
#[cfg(not(target_os = "linux"))]
pub(super) fn facts(_: u32, _: &str) -> Facts {
    Facts::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_called_what_its_user_calls_it() {
        let table: &[(&[&str], Option<&str>)] = &[
            (&["python", "my_agent.py"], Some("my_agent")),
            (&["/usr/bin/python3.12", "-u", "-W", "ignore", "/app/serve.py", "--port", "1"], Some("serve")),
            (&["python3", "-m", "http.server", "80"], Some("http.server")),
            (&["python3", "-c", "print()"], Some("python3")),
            (&["python3"], Some("python3")),
            (&["node", "--require", "x.js", "server.mjs"], Some("server")),
            (&["java", "-cp", "a:b", "-jar", "/opt/shop.jar"], Some("shop")),
            (&["java", "-Xmx1g", "org.example.Main"], Some("org.example.Main")),
            (&["/usr/bin/curl", "-s", "http://h/x.y"], Some("curl")),
            (&["nginx: worker process"], Some("nginx")),
            (&["-bash"], Some("bash")),
            (&["./my.server"], Some("my.server")),
            (&[], None),
            (&[""], None),
            (&["/"], None),
        ];
        for (arguments, expected) in table {
            assert_eq!(service_name(arguments).as_deref(), *expected, "{arguments:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn nothing_is_taken_from_a_process_with_another_name() {
        let own = facts(std::process::id(), "");
        assert!(own.executable.is_some());
        let other = facts(std::process::id(), "no such name");
        assert!(other.executable.is_none() && other.service_name.is_none());
        // However many threads there are, none but the main one is looked at: the kernel gives no other's name.
        let named = std::thread::Builder::new().name("of a thread".to_owned());
        let of_thread = named.spawn(|| facts(std::process::id(), "of a thread")).unwrap().join().unwrap();
        assert!(of_thread.executable.is_none() && of_thread.service_name.is_none());
    }
}
