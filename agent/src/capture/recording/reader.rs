//! Recording -> events.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use super::line::{self, FieldError, MAX_LINE};
use crate::capture::Event;

/// Why the next event could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file could not be read; nothing more will come.
    #[error("{name}: cannot read: {source}")]
    Io {
        /// The recording's name.
        name: String,
        /// What the system said.
        source: io::Error,
    },
    /// One line is broken; the next call reads the line after it.
    #[error("{name}:{number}: {problem}")]
    Line {
        /// The recording's name.
        name: String,
        /// Number of the line, from 1.
        number: u64,
        /// What is wrong with it.
        problem: FieldError,
    },
}

/// Reads events one by one; holds one line at a time, at most [`MAX_LINE`] bytes.
#[derive(Debug)]
pub struct Reader<R> {
    name: String,
    input: R,
    line: Vec<u8>,
    bytes: Vec<u8>,
    number: u64,
}

impl Reader<BufReader<File>> {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`ReadError::Io`] if the file cannot be opened or is a directory.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        let open = || {
            let file = File::open(path)?;
            if file.metadata()?.is_dir() {
                return Err(io::Error::from(io::ErrorKind::IsADirectory));
            }
            Ok(file)
        };
        match open() {
            Ok(file) => Ok(Self::new(name, BufReader::with_capacity(256 << 10, file))),
            Err(source) => Err(ReadError::Io { name, source }),
        }
    }
}

impl<R: BufRead> Reader<R> {
    /// Reads from `input`; `name` stands for it in errors.
    pub fn new(name: String, input: R) -> Self {
        Self { name, input, line: Vec::new(), bytes: Vec::new(), number: 0 }
    }

    /// The next event, `None` at the end. Empty lines are skipped.
    ///
    /// # Errors
    /// [`ReadError::Line`] for a broken line, after which reading goes on with the next; [`ReadError::Io`] is final.
    pub fn next_event(&mut self) -> Option<Result<Event<'_>, ReadError>> {
        loop {
            self.line.clear();
            let limit = MAX_LINE as u64 + 1;
            match (&mut self.input).take(limit).read_until(b'\n', &mut self.line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(source) => return Some(Err(ReadError::Io { name: self.name.clone(), source })),
            }
            self.number += 1;
            if self.line.last() == Some(&b'\n') {
                self.line.pop();
            } else if self.line.len() > MAX_LINE {
                let problem = FieldError::TooLong;
                if let Err(source) = self.input.skip_until(b'\n') {
                    return Some(Err(ReadError::Io { name: self.name.clone(), source }));
                }
                return Some(Err(self.broken(problem)));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        // The borrow of `bytes` ends with the event, the name is only cloned for an error.
        match line::parse(&self.line, &mut self.bytes) {
            Ok(event) => Some(Ok(event)),
            Err(problem) => Some(Err(ReadError::Line { name: self.name.clone(), number: self.number, problem })),
        }
    }

    fn broken(&self, problem: FieldError) -> ReadError {
        ReadError::Line { name: self.name.clone(), number: self.number, problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_line_is_named_and_the_next_one_is_read() {
        let text = "\n{\"t\":1,\"ev\":\"close\",\"conn\":1}\r\n{\"t\":1}\n{\"t\":2,\"ev\":\"close\",\"conn\":2}";
        let mut reader = Reader::new("a.jsonl".to_owned(), text.as_bytes());
        assert_eq!(reader.next_event().unwrap().unwrap().connection.0, 1);
        let error = reader.next_event().unwrap().unwrap_err().to_string();
        assert_eq!(error, "a.jsonl:3: field \"conn\": missing");
        assert_eq!(reader.next_event().unwrap().unwrap().connection.0, 2);
        assert!(reader.next_event().is_none());
    }

    #[test]
    fn a_line_past_the_bound_is_skipped_without_being_held() {
        let mut text = vec![b' '; MAX_LINE * 2];
        text.extend_from_slice(b"\n{\"t\":2,\"ev\":\"close\",\"conn\":2}\n");
        let mut reader = Reader::new("a".to_owned(), &text[..]);
        let error = reader.next_event().unwrap().unwrap_err().to_string();
        assert_eq!(error, format!("a:1: longer than {MAX_LINE} bytes"));
        assert!(reader.line.capacity() <= MAX_LINE * 2);
        assert_eq!(reader.next_event().unwrap().unwrap().connection.0, 2);
    }
}
