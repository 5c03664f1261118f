//! GNU Wget with OpenSSL, which distributions have with `GnuTLS`: built from its source in Debian's archive into the cache.
//!
//! It is under the GPL, and only a peer of tests: a program of its own, which nothing here is linked with and nobody ships.

use std::{
    fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Instant,
};

use anyhow::{Context as _, Result, ensure};

use super::apt;
use crate::{exec, workspace};

/// What it is made of. `agent/tests/tls` knows folder and file.
const RECIPE: &str = include_str!("../../assets/tls/wget.txt");
const FOLDER: &str = "tls-wget";
/// Names one that somebody has: none is built then.
const VARIABLE: &str = "TELLTALE_TEST_WGET";
/// What `wget --version` says of one with OpenSSL.
const WITH_OPENSSL: &str = "+ssl/openssl";

/// The program, whether it is there or not.
pub(crate) fn program() -> Result<PathBuf> {
    named().map_or_else(|| Ok(folder()?.join("wget")), Ok)
}

fn named() -> Option<PathBuf> {
    std::env::var_os(VARIABLE).filter(|named| !named.is_empty()).map(PathBuf::from)
}

fn folder() -> Result<PathBuf> {
    let mut hasher = DefaultHasher::new();
    RECIPE.hash(&mut hasher);
    Ok(workspace::cache()?.join(FOLDER).join(format!("{:016x}", hasher.finish())))
}

/// The values of the recipe's lines that begin with this word.
fn values(word: &str) -> impl Iterator<Item = &'static str> {
    RECIPE.lines().filter_map(move |line| line.strip_prefix(word)?.strip_prefix(' ')).map(str::trim)
}

fn value(word: &str) -> Result<&'static str> {
    values(word).next().with_context(|| format!("the recipe of wget has no line `{word}`"))
}

/// Builds it unless one is there that starts: it is linked with the machine's own OpenSSL, which may have become another since.
pub(crate) fn ensure() -> Result<()> {
    if let Some(named) = named() {
        return starts(&named).with_context(|| format!("{VARIABLE} names what cannot be used"));
    }
    let program = program()?;
    if starts(&program).is_ok() {
        return Ok(());
    }
    build(&folder()?).with_context(|| format!("building wget with OpenSSL (or set {VARIABLE} to one)"))?;
    starts(&program)
}

/// It is a wget with OpenSSL that can be executed here.
fn starts(program: &Path) -> Result<()> {
    let said = exec::output(Command::new(program).arg("--version"))?;
    ensure!(said.contains(WITH_OPENSSL), "{} says nothing of {WITH_OPENSSL}", program.display());
    Ok(())
}

fn build(folder: &Path) -> Result<()> {
    println!("building wget with OpenSSL into the cache, once (about a minute on two cores)");
    let start = Instant::now();
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    let tree = folder.join("tree");
    fs::create_dir_all(&tree)?;
    let archive = folder.join("source.tar.gz");
    download(&archive)?;
    // The times of its files say that nothing of what is in it has to be made again.
    let unpack = ["--extract", "--gzip", "--no-same-owner", "--strip-components=1"];
    exec::output(Command::new("tar").args(unpack).arg("--file").arg(&archive).current_dir(&tree))?;

    let mut configure = Command::new("./configure");
    configure.arg("--quiet").args(values("configure"));
    exec::output(configure.current_dir(&tree))?;
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    // Neither its documentation nor its tests.
    for target in [["lib", "all"], ["src", "wget"]] {
        let mut make = Command::new("make");
        make.arg("--silent").arg(format!("--jobs={jobs}")).arg("--directory").args(target);
        exec::output(make.current_dir(&tree))?;
    }

    fs::rename(tree.join("src/wget"), folder.join("wget")).context("its source makes no wget")?;
    fs::remove_dir_all(&tree)?;
    fs::remove_file(&archive)?;
    fs::write(folder.join("wget.txt"), RECIPE)?;
    fs::write(folder.join("complete"), "").with_context(|| format!("marking {} as complete", folder.display()))?;
    println!("built it in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

/// As apt downloads, with the proxies that are configured for it; the file is there only if its checksum is the recipe's.
fn download(to: &Path) -> Result<()> {
    let from = format!("{}/{}", apt::archive("debian")?.trim_end_matches('/'), value("source")?);
    let mut helper = Command::new("/usr/lib/apt/apt-helper");
    // The user that apt would else become cannot write here.
    helper.args(["-q", "-o", "APT::Sandbox::User=", "download-file", &from]).arg(to);
    helper.arg(format!("SHA256:{}", value("sha256")?));
    exec::retried(|| exec::output(&mut helper)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recipe_says_what_it_is_made_of() {
        assert!(value("source").unwrap().ends_with(".orig.tar.gz"));
        assert_eq!(value("sha256").unwrap().len(), 64);
        assert_eq!(values("configure").next(), Some("--with-ssl=openssl"));
    }
}
