//! Events -> recording.

use std::{
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
};

use super::line;
use crate::capture::Event;

/// Lines that a worker collects before it hands them over, in bytes.
const BATCH: usize = 64 << 10;

/// Batches that may wait for the disk. With [`BATCH`] this bounds the queue to about 16 MiB, or one batch of larger events each.
const QUEUE: usize = 256;

/// Creates the file of a recording: readable and writable by its owner only (mode 0600), emptied if it exists.
///
/// # Errors
/// Whatever the system says; and, since a recording holds traffic as it was, if `path` is a symbolic link, is not a regular
/// file, or belongs to another user.
#[cfg(unix)]
pub fn create(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};

    let refuse =
        |what: &str| io::Error::other(format!("refused, since it {what}: a recording holds traffic as it was"));
    let file = File::options()
        .write(true)
        .create(true)
        .mode(0o600)
        // Not blocking: the open of a FIFO would wait for a reader before it could be refused.
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => refuse("is a symbolic link"),
            _ => error,
        })?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(refuse("is not a regular file"));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(refuse("belongs to another user"));
    }
    file.set_permissions(std::fs::Permissions::from_mode(0o600))?;
    file.set_len(0)?;
    Ok(file)
}

/// Creates the file of a recording, emptied if it exists. This system has no owner-only mode.
#[cfg(not(unix))]
pub fn create(path: &Path) -> io::Result<File> {
    File::create(path)
}

/// Writes events to any sink, in the caller's thread; [`Recorder`] is the one for live capture.
#[derive(Debug)]
pub struct Writer<W> {
    output: W,
    base64: String,
}

impl<W: io::Write> Writer<W> {
    /// Writes to `output`, which should buffer.
    pub const fn new(output: W) -> Self {
        Self { output, base64: String::new() }
    }

    /// Writes one line.
    pub fn write(&mut self, event: &Event<'_>) -> io::Result<()> {
        line::format(event, &mut self.base64, &mut self.output)
    }

    /// Writes what is buffered and gives the sink back.
    pub fn finish(mut self) -> io::Result<W> {
        self.output.flush()?;
        Ok(self.output)
    }
}

/// What became of a recording.
#[derive(Debug)]
pub struct RecorderReport {
    /// Events that are in the file.
    pub events: u64,
    /// Size of the file in bytes.
    pub bytes: u64,
    /// Events that are not in the file, because the disk was too slow (its queue was full) or failed.
    pub lost: u64,
    /// Why writing stopped, if it did.
    pub error: Option<io::Error>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Writing failed: workers stop handing over.
    failed: AtomicBool,
    lost: AtomicU64,
}

/// Lines of one worker, and how many events they are.
#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    events: u64,
}

/// Merges the events of all workers into one file, written by its own thread so that capture never waits for the disk.
///
/// Events of one connection stay in order, since one worker has them all; those of different connections interleave by batch.
#[derive(Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    queue: SyncSender<Batch>,
    thread: JoinHandle<(u64, u64, Option<io::Error>)>,
}

impl Recorder {
    /// Creates the file ([`create`]) and starts the thread.
    pub fn start(path: &Path) -> io::Result<Self> {
        Self::start_on(create(path)?, path.to_owned())
    }

    fn start_on(file: File, path: PathBuf) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (queue, batches) = sync_channel(QUEUE);
        let thread_shared = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || write_batches(&file, &path, &batches, &thread_shared))?;
        Ok(Self { shared, queue, thread })
    }

    /// The end that a worker writes to.
    pub fn handle(&self) -> RecorderHandle {
        RecorderHandle {
            shared: Arc::clone(&self.shared),
            queue: self.queue.clone(),
            batch: Batch::default(),
            base64: String::new(),
        }
    }

    /// Waits until everything is written. All handles must have been dropped.
    pub fn finish(self) -> RecorderReport {
        drop(self.queue);
        let (events, bytes, error) = self
            .thread
            .join()
            .unwrap_or_else(|_| (0, 0, Some(io::Error::other("the thread that writes the recording panicked"))));
        RecorderReport { events, bytes, lost: self.shared.lost.load(Ordering::Relaxed), error }
    }
}

/// Takes the batches until all handles are gone. Returns events and bytes written, and what stopped it.
fn write_batches(
    mut file: &File,
    path: &Path,
    batches: &Receiver<Batch>,
    shared: &Shared,
) -> (u64, u64, Option<io::Error>) {
    let (mut events, mut bytes, mut failure) = (0, 0, None);
    for batch in batches {
        if failure.is_some() {
            shared.lost.fetch_add(batch.events, Ordering::Relaxed);
            continue;
        }
        match file.write_all(&batch.lines) {
            Ok(()) => {
                events += batch.events;
                bytes += batch.lines.len() as u64;
            }
            Err(error) => {
                shared.failed.store(true, Ordering::Relaxed);
                shared.lost.fetch_add(batch.events, Ordering::Relaxed);
                tracing::error!(
                    "{}: recording stopped after {events} events, capture goes on: {error}",
                    path.display()
                );
                // What was written of the batch may end inside a line; without it the recording stays readable.
                if let Err(error) = file.set_len(bytes) {
                    tracing::warn!("{}: its last line may be cut: {error}", path.display());
                }
                failure = Some(error);
            }
        }
    }
    (events, bytes, failure)
}

/// One worker's end of a [`Recorder`]. Dropping it hands over what it still holds.
#[derive(Debug)]
pub struct RecorderHandle {
    shared: Arc<Shared>,
    queue: SyncSender<Batch>,
    batch: Batch,
    base64: String,
}

impl RecorderHandle {
    /// Records an event. Never waits: if the disk is too slow, a batch of events is lost and counted.
    pub fn record(&mut self, event: &Event<'_>) {
        if self.shared.failed.load(Ordering::Relaxed) {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = self.batch.lines.len();
        if line::format(event, &mut self.base64, &mut self.batch.lines).is_ok() {
            self.batch.events += 1;
        } else {
            // Writing to a vector does not fail; were it to, half a line must not stay.
            self.batch.lines.truncate(before);
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
        if self.batch.lines.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what was collected; called now and then, so that a quiet recording reaches the disk too.
    pub fn flush(&mut self) {
        if self.batch.events == 0 {
            return;
        }
        let next = Batch { lines: Vec::with_capacity(self.batch.lines.len().min(2 * BATCH)), events: 0 };
        let full = std::mem::replace(&mut self.batch, next);
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.queue.try_send(full) {
            self.shared.lost.fetch_add(batch.events, Ordering::Relaxed);
        }
    }
}

impl Drop for RecorderHandle {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;
    use crate::capture::{ConnectionId, EventKind, Timestamp};

    fn close(connection: u64) -> Event<'static> {
        Event { time: Timestamp(1), connection: ConnectionId(connection), kind: EventKind::Close { how: None } }
    }

    #[test]
    fn a_recording_is_readable_by_its_owner_only_also_where_a_file_was() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.jsonl");
        std::fs::write(&path, "older and longer than what follows").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        let recorder = Recorder::start(&path).unwrap();
        let mut handle = recorder.handle();
        handle.record(&close(1));
        drop(handle);
        let report = recorder.finish();
        assert_eq!((report.events, report.lost), (1, 0));
        assert!(report.error.is_none());
        let metadata = std::fs::metadata(&path).unwrap();
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{\"t\":1,\"ev\":\"close\",\"conn\":1}\n");
        assert_eq!(metadata.len(), report.bytes);
    }

    #[test]
    fn links_and_special_files_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("target");
        std::fs::write(&target, "kept").unwrap();
        let link = directory.path().join("link");
        symlink(&target, &link).unwrap();
        assert!(create(&link).unwrap_err().to_string().contains("symbolic link"));
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "kept");
        assert!(create(Path::new("/dev/null")).unwrap_err().to_string().contains("regular file"));
    }

    #[test]
    fn workers_merge_into_one_file_with_every_line_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("r.jsonl");
        let recorder = Recorder::start(&path).unwrap();
        std::thread::scope(|scope| {
            for worker in 0..4 {
                let mut handle = recorder.handle();
                scope.spawn(move || (0..5000).for_each(|_| handle.record(&close(worker))));
            }
        });
        let report = recorder.finish();
        assert_eq!(report.events + report.lost, 20_000);
        let mut reader = super::super::Reader::open(&path).unwrap();
        let mut read = 0;
        while let Some(event) = reader.next_event() {
            event.unwrap();
            read += 1;
        }
        assert_eq!(read, report.events);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_stops_the_recording_and_is_counted() {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let recorder = Recorder::start_on(full, PathBuf::from("/dev/full")).unwrap();
        let mut handle = recorder.handle();
        handle.record(&close(1));
        handle.flush();
        while !recorder.shared.failed.load(Ordering::Relaxed) {
            std::thread::yield_now();
        }
        handle.record(&close(2));
        drop(handle);
        let report = recorder.finish();
        assert_eq!((report.events, report.lost), (0, 2));
        assert_eq!(report.error.unwrap().kind(), io::ErrorKind::StorageFull);
    }

    #[test]
    fn a_disk_that_does_not_keep_up_costs_counted_events() {
        // No thread takes the batches.
        let shared = Arc::new(Shared::default());
        let (queue, _batches) = sync_channel(2);
        let mut handle = RecorderHandle { shared, queue, batch: Batch::default(), base64: String::new() };
        for _ in 0..5 {
            handle.record(&close(1));
            handle.flush();
        }
        assert_eq!(handle.shared.lost.load(Ordering::Relaxed), 3);
    }
}
