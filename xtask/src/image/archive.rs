//! An image as one file: the layout of the OCI image specification in a tar archive, with the index that `docker load` reads
//! beside it. The same binary gives the same bytes.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::{exec, vm};

/// Writes the image of the agent's binary, called `name` (`telltale:0.1.0`), to the file `to`.
///
/// A binary that is not static, as those of tests are, is accompanied by the libraries that it loads on this machine.
pub(crate) fn archive(binary: &Path, name: &str, to: &Path) -> Result<()> {
    let dockerfile = super::dockerfile()?;
    let architecture = architecture(binary)?;
    fs::create_dir_all(to.parent().context("the archive is in a folder")?)?;
    let scratch = Scratch::beside(&to.with_file_name("content"))?;
    let root = scratch.0.join("root");
    for (from, path) in &dockerfile.copies {
        if from != "telltale" {
            bail!("deploy/Dockerfile copies {from}, but the context holds only `telltale`");
        }
        copy(binary, &within(&root, path))?;
        if !super::is_static(binary)? {
            strip(&within(&root, path))?;
            for library in vm::libraries_of(binary)? {
                copy(Path::new(&library), &within(&root, &library))?;
            }
        }
    }

    pack(&root, &Value::Object(dockerfile.config), architecture, name, to)
}

/// Writes the image that holds what is in `root`, with this configuration (`config` of the image specification).
pub(crate) fn pack(root: &Path, config: &Value, architecture: &str, name: &str, to: &Path) -> Result<()> {
    let folder = Scratch::beside(to)?;
    let layout = folder.0.join("layout");
    let blobs = layout.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    let layer = folder.0.join("layer.tar");
    tar(root, &layer)?;
    let layer = Blob::take(&layer, &blobs)?;
    let configuration = json!({
        "created": "1970-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": config,
        // The layer is not compressed, so that its digest is that of its content too.
        "rootfs": {"type": "layers", "diff_ids": [layer.digest]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "cargo xtask"}],
    });
    let configuration = Blob::write(&configuration, &folder.0, &blobs)?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration.descriptor("application/vnd.oci.image.config.v1+json"),
        "layers": [layer.descriptor("application/vnd.oci.image.layer.v1.tar")],
    });
    let manifest = Blob::write(&manifest, &folder.0, &blobs)?;

    let mut descriptor = manifest.descriptor("application/vnd.oci.image.manifest.v1+json");
    let full = normalized(name);
    descriptor["annotations"] = json!({
        "io.containerd.image.name": full,
        "org.opencontainers.image.ref.name": full.rsplit_once(':').map_or("latest", |(_, tag)| tag),
    });
    descriptor["platform"] = json!({"architecture": architecture, "os": "linux"});
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [descriptor],
    });
    write(&layout.join("index.json"), &index)?;
    write(&layout.join("oci-layout"), &json!({"imageLayoutVersion": "1.0.0"}))?;
    // Of docker before it knew the layout of OCI.
    let of_docker = json!([{"Config": configuration.path(), "RepoTags": [name], "Layers": [layer.path()]}]);
    write(&layout.join("manifest.json"), &of_docker)?;

    let partial = folder.0.join("image.tar");
    tar(&layout, &partial)?;
    fs::rename(&partial, to).with_context(|| format!("writing {}", to.display()))
}

/// The name of the processor in the image specification, from the binary itself.
pub(crate) fn architecture(binary: &Path) -> Result<&'static str> {
    // ELF-64 little-endian; `e_machine` is at offset 18 (System V gABI, ELF header).
    let bytes = fs::read(binary).with_context(|| format!("reading {}", binary.display()))?;
    match bytes.get(..20) {
        Some([0x7f, b'E', b'L', b'F', 2, 1, .., low, high]) => match u16::from_le_bytes([*low, *high]) {
            62 => Ok("amd64"),
            183 => Ok("arm64"),
            other => bail!("{} is for the processor {other} of ELF, which no image is made for", binary.display()),
        },
        _ => bail!("{} is no 64-bit program of Linux", binary.display()),
    }
}

/// The name with the registry that is meant where none is written: what containerd calls the image, and a kubelet asks for.
fn normalized(name: &str) -> String {
    let first = name.split('/').next().unwrap_or_default();
    let has_registry = name.contains('/') && (first.contains(['.', ':']) || first == "localhost");
    match (has_registry, name.contains('/')) {
        (true, _) => name.to_owned(),
        (false, true) => format!("docker.io/{name}"),
        (false, false) => format!("docker.io/library/{name}"),
    }
}

/// A file of the layout, by its digest.
struct Blob {
    digest: String,
    size: u64,
}

impl Blob {
    /// Moves a file into the layout.
    fn take(file: &Path, blobs: &Path) -> Result<Self> {
        let said = exec::output(Command::new("sha256sum").arg("--binary").arg(file))?;
        let sum = said.trim_start_matches('\\').split_whitespace().next().unwrap_or_default();
        if sum.len() != 64 {
            bail!("sha256sum said {said}");
        }
        let size = file.metadata()?.len();
        fs::rename(file, blobs.join(sum))?;
        Ok(Self { digest: format!("sha256:{sum}"), size })
    }

    fn write(value: &Value, scratch: &Path, blobs: &Path) -> Result<Self> {
        let file = scratch.join("blob.json");
        write(&file, value)?;
        Self::take(&file, blobs)
    }

    fn descriptor(&self, media_type: &str) -> Value {
        json!({"mediaType": media_type, "digest": self.digest, "size": self.size})
    }

    /// In the layout.
    fn path(&self) -> String {
        format!("blobs/{}", self.digest.replace(':', "/"))
    }
}

fn write(file: &Path, value: &Value) -> Result<()> {
    fs::write(file, value.to_string()).with_context(|| format!("writing {}", file.display()))
}

/// A path of the image in the folder that becomes it.
pub(crate) fn within(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Copies a program or a library, with the folders it is in.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to.parent().context("a file is in a folder")?)?;
    fs::copy(from, to).with_context(|| format!("copying {}", from.display()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn strip(program: &Path) -> Result<()> {
    exec::run(Command::new("strip").arg(program))
}

/// All of a folder, in the order of names, owned by root, of no time.
fn tar(folder: &Path, to: &Path) -> Result<()> {
    exec::run(
        Command::new("tar")
            .args(["--create", "--format=ustar", "--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .args(["--mtime=@0", "--mode=u=rwX,go=rX", "--file"])
            .arg(to)
            .arg("--directory")
            .arg(folder)
            .arg("--transform=s,^\\./,,")
            .arg("."),
    )
}

/// A folder that goes when it is dropped.
struct Scratch(PathBuf);

impl Scratch {
    /// A new one beside a file, so that a rename moves from one to the other.
    fn beside(file: &Path) -> Result<Self> {
        let folder = file.with_extension(format!("{}.partial", std::process::id()));
        fs::create_dir(&folder).with_context(|| format!("creating {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("remove {} by hand: {error}", self.0.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_a_kubelet_asks_for() {
        for (name, full) in [
            ("telltale:0.1.0", "docker.io/library/telltale:0.1.0"),
            ("me/telltale:1", "docker.io/me/telltale:1"),
            ("localhost/telltale:1", "localhost/telltale:1"),
            ("localhost:5000/telltale:1", "localhost:5000/telltale:1"),
            ("registry.example/a/telltale:1", "registry.example/a/telltale:1"),
        ] {
            assert_eq!(normalized(name), full);
        }
    }

    /// This test's own program stands for the agent's: it is one that loads libraries.
    #[test]
    fn an_archive_holds_the_program_and_what_it_loads_and_is_the_same_each_time() {
        let program = std::env::current_exe().unwrap();
        let folder = std::env::temp_dir().join(format!("telltale-image-{}", std::process::id()));
        let files = ["a.tar", "b.tar"].map(|name| folder.join(name));
        for file in &files {
            archive(&program, "telltale:test", file).unwrap();
        }
        assert!(fs::read(&files[0]).unwrap() == fs::read(&files[1]).unwrap());

        let unpacked = folder.join("unpacked");
        fs::create_dir(&unpacked).unwrap();
        exec::run(Command::new("tar").arg("-xf").arg(&files[0]).arg("-C").arg(&unpacked)).unwrap();
        let read = |path: &str| -> Value { serde_json::from_slice(&fs::read(unpacked.join(path)).unwrap()).unwrap() };
        let blob = |descriptor: &Value| format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/"));
        let entry = &read("index.json")["manifests"][0];
        assert_eq!(entry["annotations"]["io.containerd.image.name"], "docker.io/library/telltale:test");
        let manifest = read(&blob(entry));
        let configuration = read(&blob(&manifest["config"]));
        assert_eq!(configuration["config"]["User"], "0:0");
        assert_eq!(configuration["rootfs"]["diff_ids"][0], manifest["layers"][0]["digest"]);
        let of_docker = read("manifest.json");
        assert_eq!(of_docker[0]["Config"], blob(&manifest["config"]));
        let layer =
            exec::output(Command::new("tar").arg("-tvf").arg(unpacked.join(blob(&manifest["layers"][0])))).unwrap();
        let program = layer.lines().find(|line| line.ends_with(" telltale")).unwrap();
        assert!(program.starts_with("-rwxr-xr-x 0/0 "), "{program}");
        assert!(layer.contains("libc.so"), "{layer}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_script_is_no_agent() {
        assert!(architecture(Path::new("/dev/null")).is_err());
    }
}
