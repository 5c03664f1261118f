//! Policy files on disk.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// A file may have this many bytes.
const MAX_FILE: u64 = 64 << 20;
/// What a folder is searched for.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The bytes of a file, and how it is named in what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub bytes: Vec<u8>,
}

impl Source {
    /// From memory.
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }
}

/// A file or folder that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read {}", path.display())]
pub struct SourceError {
    path: PathBuf,
    #[source]
    error: io::Error,
}

/// Reads files, `-` for standard input, and the `*.yaml`, `*.yml` and `*.json` of folders (not of folders in them) in the order of their names. Names
/// that begin with a dot are left out: editors and mounted `ConfigMap`s keep their own there.
///
/// # Errors
/// [`SourceError`] names the first that cannot be read, or is larger than 64 MiB.
pub fn read_sources<P: AsRef<Path>>(paths: &[P]) -> Result<Vec<Source>, SourceError> {
    let mut sources = Vec::new();
    for path in paths {
        let path = path.as_ref();
        if path.as_os_str() != "-" && path.is_dir() {
            for file in listed(path).map_err(|error| SourceError { path: path.to_owned(), error })? {
                sources.push(open(&file)?);
            }
        } else {
            sources.push(read_source(path)?);
        }
    }
    Ok(sources)
}

/// Reads one file, or `-` for standard input.
///
/// # Errors
/// [`SourceError`]: it cannot be read, is a folder, or is larger than 64 MiB.
pub fn read_source(path: &Path) -> Result<Source, SourceError> {
    if path.as_os_str() == "-" { read(path, io::stdin().lock()) } else { open(path) }
}

fn listed(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let fits = path.extension().is_some_and(|extension| EXTENSIONS.iter().any(|known| extension == *known));
        if fits && !hidden && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn open(path: &Path) -> Result<Source, SourceError> {
    let file = File::open(path).map_err(|error| SourceError { path: path.to_owned(), error })?;
    read(path, file)
}

fn read(path: &Path, from: impl io::Read) -> Result<Source, SourceError> {
    let failed = |error| SourceError { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    from.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("it has more than {} MiB", MAX_FILE >> 20),
        )));
    }
    Ok(Source { name: path.display().to_string(), bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_read_in_the_order_of_names() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.yaml", "a.yml", "c.json", "d.txt", ".hidden.yaml"] {
            std::fs::write(folder.path().join(name), name).unwrap();
        }
        std::fs::create_dir(folder.path().join("sub.yaml")).unwrap();
        let sources = read_sources(&[folder.path(), &folder.path().join("d.txt")]).unwrap();
        let read: Vec<_> = sources.iter().map(|source| String::from_utf8_lossy(&source.bytes)).collect();
        assert_eq!(read, ["a.yml", "b.yaml", "c.json", "d.txt"]);
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = read_sources(&["no/such/policy.yaml"]).unwrap_err();
        assert!(error.to_string().starts_with("cannot read no/such/policy.yaml"), "{error}");
    }
}
