//! Debian's kernels, in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::apt::Suite;
use crate::{vm::matrix::Kernel, workspace};

/// The kernel's image, whether it is there or not.
pub(crate) fn image(kernel: &Kernel) -> Result<PathBuf> {
    Ok(workspace::cache()?.join("kernels").join(kernel.version).join("vmlinuz"))
}

/// Downloads the newest kernel of that series unless one is there.
pub(crate) fn ensure(kernel: &Kernel) -> Result<PathBuf> {
    let image = image(kernel)?;
    if image.is_file() {
        return Ok(image);
    }
    println!("downloading Debian's kernel {} ({})", kernel.version, kernel.suite);
    let folder = image.parent().context("an image is in a folder")?.to_owned();
    let scratch = folder.join("apt");
    let suite = Suite::open(kernel.archive, kernel.suite, &scratch)?;
    let package = newest(&suite, kernel.version)?;
    let tree = suite.unpack(&package)?;
    let vmlinuz = find(&tree).with_context(|| format!("{package} holds no vmlinuz"))?;
    // The rename is what makes it count, so that a set-up cut short leaves nothing half done.
    let partial = folder.join("vmlinuz.partial");
    fs::copy(vmlinuz, &partial)?;
    fs::write(folder.join("package"), format!("{package}\n"))?;
    fs::rename(&partial, &image)?;
    fs::remove_dir_all(&scratch)?;
    Ok(image)
}

/// The newest package of the series. From 7.x on, the image is in a package of its own.
fn newest(suite: &Suite, version: &str) -> Result<String> {
    let series = version.replace('.', "\\.");
    for stem in ["linux-binary", "linux-image"] {
        let mut names = suite.names(&format!("^{stem}-{series}[.+-].*cloud-amd64$"))?;
        names.sort_by_key(|name| numbers(name));
        if let Some(name) = names.pop() {
            return Ok(name);
        }
    }
    anyhow::bail!("the suite has no kernel {version}")
}

/// The numbers in a name, in order: 6.12.9 comes before 6.12.10.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

/// The first file whose name begins with `vmlinuz`, at any depth.
fn find(folder: &Path) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()?.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if entry.file_name().to_string_lossy().starts_with("vmlinuz") {
                return Some(path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_are_ordered_by_number() {
        let mut names = ["linux-image-6.12.9+deb12", "linux-image-6.12.90+deb12.1", "linux-image-6.12.90+deb12"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names.last(), Some(&"linux-image-6.12.90+deb12.1"));
    }
}
