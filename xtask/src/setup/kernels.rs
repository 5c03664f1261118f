//! Debian's kernels, in the cache.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};

use super::apt::Suite;
use crate::{exec, vm::matrix::Kernel, workspace};

/// The kernel's image, whether it is there or not.
pub(crate) fn image(kernel: &Kernel) -> Result<PathBuf> {
    Ok(workspace::cache()?.join("kernels").join(kernel.version).join("vmlinuz"))
}

/// The modules that the guest loads, in this order, where they are not part of the kernel itself: kernel TLS and the cipher
/// that its test uses.
const MODULES: &[&str] = &["gf128mul", "ghash-generic", "ctr", "crypto_null", "gcm", "tls"];

/// Beside the modules: which of them were looked for.
const LIST: &str = "list";

fn modules_folder(kernel: &Kernel) -> Result<PathBuf> {
    Ok(image(kernel)?.with_file_name("modules"))
}

/// The modules of a kernel that is there, in the order in which they are to be loaded.
pub(crate) fn modules(kernel: &Kernel) -> Result<Vec<PathBuf>> {
    let folder = modules_folder(kernel)?;
    let path = |name: &&str| folder.join(format!("{name}.ko"));
    Ok(MODULES.iter().map(path).filter(|path| path.is_file()).collect())
}

/// Downloads the newest kernel of that series unless one is there.
pub(crate) fn ensure(kernel: &Kernel) -> Result<PathBuf> {
    let (image, modules) = (image(kernel)?, modules_folder(kernel)?);
    let listed = fs::read_to_string(modules.join(LIST)).is_ok_and(|list| list == MODULES.join(" "));
    if image.is_file() && listed {
        return Ok(image);
    }
    println!("downloading Debian's kernel {} ({})", kernel.version, kernel.suite);
    let folder = image.parent().context("an image is in a folder")?.to_owned();
    let scratch = folder.join("apt");
    let suite = Suite::open(kernel.archive, kernel.suite, &scratch)?;
    let package = newest(&suite, kernel.version)?;
    let tree = suite.unpack(&package)?;
    if package.starts_with(IMAGE_ALONE) {
        // A suite may have dropped the modules of a kernel whose image it still has: then there are none.
        let of_modules = package.replacen(IMAGE_ALONE, "linux-modules", 1);
        for name in suite.names(&format!("^{}$", of_modules.replace(['.', '+'], ".")))? {
            suite.unpack(&name)?;
        }
    }
    let vmlinuz = find(&tree, "vmlinuz").with_context(|| format!("{package} holds no vmlinuz"))?;
    // The renames are what makes it count, so that a set-up cut short leaves nothing half done.
    let (partial, partial_modules) = (folder.join("vmlinuz.partial"), folder.join("modules.partial"));
    fs::copy(vmlinuz, &partial)?;
    fs::create_dir_all(&partial_modules)?;
    for name in MODULES {
        if let Some(module) = find(&tree, &format!("{name}.ko")) {
            unpack_module(&module, &partial_modules.join(format!("{name}.ko")))?;
        }
    }
    fs::write(partial_modules.join(LIST), MODULES.join(" "))?;
    fs::write(folder.join("package"), format!("{package}\n"))?;
    if modules.is_dir() {
        fs::remove_dir_all(&modules)?;
    }
    fs::rename(&partial, &image)?;
    fs::rename(&partial_modules, &modules)?;
    fs::remove_dir_all(&scratch)?;
    Ok(image)
}

/// The modules of these names and those that they depend on, in the order in which they are to be loaded, for the image that is there.
///
/// What is a part of the kernel itself has no module.
pub(crate) fn modules_for(kernel: &Kernel, wanted: &[&str]) -> Result<Vec<PathBuf>> {
    let image = ensure(kernel)?;
    let folder = image.with_file_name("modules-of-node");
    let list = folder.join(LIST);
    let package = fs::read_to_string(image.with_file_name("package"))?;
    let recipe = format!("{}: {}\n", package.trim(), wanted.join(" "));
    let known = fs::read_to_string(&list).unwrap_or_default();
    if !known.starts_with(&recipe) {
        println!("downloading the modules of {}", package.trim());
        let scratch = image.with_file_name("apt-of-node");
        let tree = Suite::open(kernel.archive, kernel.suite, &scratch)?.unpack(package.trim())?;
        let partial = image.with_file_name("modules-of-node.partial");
        for old in [&partial, &folder] {
            if old.exists() {
                fs::remove_dir_all(old)?;
            }
        }
        fs::create_dir_all(&partial)?;
        let mut order = Vec::new();
        for name in wanted {
            add_module(&tree, &partial, name, &mut order)?;
        }
        fs::write(partial.join(LIST), format!("{recipe}{}\n", order.join("\n")))?;
        fs::rename(&partial, &folder)?;
        fs::remove_dir_all(&scratch)?;
    }
    let names = fs::read_to_string(&list)?;
    Ok(names.lines().skip(1).map(|name| folder.join(format!("{name}.ko"))).collect())
}

/// Unpacks a module after those that it depends on, unless it is there.
fn add_module(tree: &Path, to: &Path, name: &str, order: &mut Vec<String>) -> Result<()> {
    let found = find(tree, &format!("{name}.ko")).or_else(|| find(tree, &format!("{}.ko", name.replace('_', "-"))));
    let Some(packed) = found.filter(|_| !order.iter().any(|known| known == name)) else { return Ok(()) };
    let file = to.join(format!("{name}.ko"));
    unpack_module(&packed, &file)?;
    for dependency in depends(&fs::read(&file)?) {
        add_module(tree, to, &dependency, order)?;
    }
    order.push(name.to_owned());
    Ok(())
}

/// What a module says that it depends on (its section `.modinfo`, of strings that end with NUL).
fn depends(module: &[u8]) -> Vec<String> {
    const KEY: &[u8] = b"\0depends=";
    let start = module.windows(KEY.len()).position(|bytes| bytes == KEY).map(|at| at + KEY.len());
    let value = start.and_then(|start| module[start..].split(|byte| *byte == 0).next()).unwrap_or_default();
    String::from_utf8_lossy(value).split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Copies a module, as the kernel loads it: not compressed.
fn unpack_module(from: &Path, to: &Path) -> Result<()> {
    if from.extension().is_none_or(|extension| extension != "xz") {
        fs::copy(from, to)?;
        return Ok(());
    }
    let unpacked = exec::captured(Command::new("xz").args(["--decompress", "--stdout"]).arg(from))?;
    anyhow::ensure!(unpacked.status.success(), "xz cannot unpack {}", from.display());
    Ok(fs::write(to, unpacked.stdout)?)
}

/// From 7.x on, the image is in a package of its own: the start of its name.
const IMAGE_ALONE: &str = "linux-binary";

/// The newest package of the series.
fn newest(suite: &Suite, version: &str) -> Result<String> {
    let series = version.replace('.', "\\.");
    for stem in [IMAGE_ALONE, "linux-image"] {
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

/// The first file whose name begins so, at any depth.
fn find(folder: &Path, start: &str) -> Option<PathBuf> {
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).ok()?.filter_map(Result::ok) {
            let path = entry.path();
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if entry.file_name().to_string_lossy().starts_with(start) {
                return Some(path);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{depends, numbers};

    #[test]
    fn a_module_names_what_it_depends_on() {
        assert_eq!(depends(b"\x7fELF\0license=GPL\0depends=bridge,nf_nat\0retpoline=Y\0"), ["bridge", "nf_nat"]);
        assert!(depends(b"license=GPL\0depends=\0name=llc\0").is_empty());
    }

    #[test]
    fn versions_are_ordered_by_number() {
        let mut names = ["linux-image-6.12.9+deb12", "linux-image-6.12.90+deb12.1", "linux-image-6.12.90+deb12"];
        names.sort_by_key(|name| numbers(name));
        assert_eq!(names.last(), Some(&"linux-image-6.12.90+deb12.1"));
    }
}
