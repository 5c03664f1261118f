//! `OUT` of the command line: a file, or `-` for standard output.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::{LogFile, Place, Reopen};

/// An output could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("cannot open {path:?} for writing: {source}")]
pub struct OutputError {
    path: PathBuf,
    source: io::Error,
}

/// A writer and what it is called in messages.
pub struct Output {
    /// The path, or `standard output`.
    pub name: String,
    /// Where to write. Not buffered.
    pub writer: Box<dyn Write + Send>,
}

impl Output {
    /// Opens `-` or a file. A file is created or truncated; with `append` it is continued.
    pub fn open(path: &Path, append: bool) -> Result<Self, OutputError> {
        if path.as_os_str() == "-" {
            return Ok(Self::stdout());
        }
        let mut options = OpenOptions::new();
        options.create(true).write(true).append(append).truncate(!append);
        let file = options.open(path).map_err(|source| OutputError { path: path.to_owned(), source })?;
        Ok(Self { name: path.display().to_string(), writer: Box::new(file) })
    }

    /// Opens a file that is continued, and opened again when that is asked for. Says whether it is one that can be: a pipe or a device is opened once.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn open_log(path: &Path, reopen: &Reopen) -> Result<(Self, bool), OutputError> {
        if path.exists() && !path.is_file() {
            return Ok((Self::open(path, true)?, false));
        }
        let file = LogFile::open(Place::Path(path.to_owned()), reopen.clone());
        let file = file.map_err(|source| OutputError { path: path.to_owned(), source })?;
        Ok((Self { name: path.display().to_string(), writer: Box::new(file) }, true))
    }

    /// Standard output.
    pub fn stdout() -> Self {
        Self { name: "standard output".to_owned(), writer: Box::new(io::stdout()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_opened_is_named() {
        let error = Output::open(Path::new("/nonexistent/x.log"), true).err().unwrap();
        assert!(
            error.to_string().starts_with("cannot open \"/nonexistent/x.log\" for writing: No such file"),
            "{error}"
        );
    }

    #[test]
    fn append_or_truncate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        for (append, expected) in [(false, "x"), (true, "xx"), (false, "x")] {
            Output::open(&path, append).unwrap().writer.write_all(b"x").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }
}
