//! Interpreters, and the programs of `tests/live/programs`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use super::program::done;

/// A file of `tests/live/programs`.
pub(crate) fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/programs").join(name)
}

/// The interpreter itself: what is first on the search path may be a wrapper, whose process is another.
pub(crate) fn interpreter() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let said = done(Command::new("python3").args(["-c", "import sys; print(sys.executable)"])).stdout;
        PathBuf::from(String::from_utf8_lossy(&said).trim())
    })
}

/// A Python program.
pub(crate) fn python(name: &str) -> Command {
    let mut command = Command::new(interpreter());
    command.arg(file(name)).env_remove("http_proxy").env("NO_PROXY", "*");
    command
}

/// A Python program that may import `requests`.
pub(crate) fn python_with_requests(name: &str) -> Command {
    let mut command = Command::new(environment().join("bin/python"));
    command.arg(file(name)).env_remove("http_proxy").env("NO_PROXY", "*");
    command
}

/// The virtual environment of `cargo xtask setup` (`cargo xtask test` names its interpreter in `TELLTALE_TEST_PYTHON`), else one of our own.
fn environment() -> &'static Path {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    FOUND.get_or_init(|| {
        let named = std::env::var_os("TELLTALE_TEST_PYTHON").map(PathBuf::from);
        let named = named.and_then(|python| Some(python.parent()?.parent()?.to_owned()));
        named.or_else(|| prepared("bin/python")).unwrap_or_else(make_environment)
    })
}

/// What `cargo xtask setup` prepared, if this file is in it.
fn prepared(wanted: &str) -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))?;
    let environments = fs::read_dir(cache.join("telltale/py")).ok()?.flatten().map(|entry| entry.path());
    environments.into_iter().find(|path| path.join("complete").exists() && path.join(wanted).exists())
}

fn make_environment() -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("python");
    if !path.join("complete").exists() {
        done(Command::new("python3").args(["-m", "venv"]).arg(&path));
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "requests==2.34.2"];
        done(Command::new(path.join("bin/python")).args(install));
        fs::write(path.join("complete"), "").expect("the target folder is writable");
    }
    path
}

/// `rotel-agent`, a real OTLP receiver: from `TELLTALE_TEST_ROTEL`, else where `cargo xtask setup` put it, else by the search path.
pub(crate) fn rotel() -> PathBuf {
    std::env::var_os("TELLTALE_TEST_ROTEL")
        .map(PathBuf::from)
        .or_else(|| prepared("bin/rotel-agent").map(|environment| environment.join("bin/rotel-agent")))
        .unwrap_or_else(|| "rotel-agent".into())
}

/// A Node program.
pub(crate) fn node(name: &str) -> Command {
    let mut command = Command::new("node");
    command.arg(file(name));
    command
}

/// The Go program, built once.
pub(crate) fn go() -> Command {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let program = BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (program, fresh) = (folder.join("live-go"), folder.join(format!("live-go-{}", std::process::id())));
        let mut build = Command::new("go");
        build.args(["build", "-o"]).arg(&fresh).arg(".").current_dir(file("go"));
        done(build.env("GOPROXY", "off").env("GOTOOLCHAIN", "local").env("GOFLAGS", "-buildvcs=false"));
        fs::rename(&fresh, &program).expect("the target folder is writable");
        program
    });
    Command::new(program)
}
