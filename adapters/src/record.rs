//! Recordings of connections in files.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, LineWriter, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sente_core::record::Recorder;
use sente_core::{ConnId, Connection, ConnectionConfig, Instant};

use crate::seed::{conn_id, random};

/// Where connections are recorded, line by line, so that
/// [`Replay`](sente_core::record::Replay) and `sente replay` can do again what they did. Clones count
/// together. What goes beyond the limits is not recorded, but counted; connections go on as before.
///
/// **A recording holds what the peers said, tokens included**; the files can be read by their owner
/// only. It costs a system call for each call of a connection: it is for finding faults, not for
/// every day.
///
/// What is recorded is what goes into a [`Connection`], which every WebSocket and every byte stream
/// has. A session of Ajax is another machine, whose inputs are whole requests that overtake each
/// other: the format has no lines for them, so it is not recorded.
#[derive(Clone, Debug)]
pub struct Recordings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    kind: Kind,
    limits: RecordingLimits,
    begun: AtomicU64,
    skipped: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
}

/// What stands at the path.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Directory,
    File,
}

/// How much is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordingLimits {
    /// How many connections. Those after them are not recorded, but counted. Default 1,000.
    pub max_recordings: u64,
    /// How long one recording may become, in bytes. What would come after it is not written, but
    /// counted. Default 1 GiB.
    pub max_bytes: u64,
    /// How long all of them together may become, in bytes. Default 4 GiB.
    pub max_total_bytes: u64,
}

impl Default for RecordingLimits {
    fn default() -> Self {
        Self {
            max_recordings: 1000,
            max_bytes: 1024 * 1024 * 1024,
            max_total_bytes: 4 * 1024 * 1024 * 1024,
        }
    }
}

impl Recordings {
    /// The first connection in the file `path`, the others in files that have `.1`, `.2` and so on
    /// behind that name; what was in them is overwritten. A connection whose file cannot be written
    /// fails.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::of(path.into(), Kind::File)
    }

    /// Each connection in a file of its own in the directory `path`, which is made if it is not
    /// there: for servers. The files are called after the ids of the connections, `ID.edn`, and so
    /// sort by time; none is ever overwritten. A connection whose file cannot be written goes on
    /// without, which is counted and logged.
    ///
    /// # Errors
    /// What the system says when there is no directory and none can be made.
    pub fn in_directory(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        let mut made = DirBuilder::new();
        made.recursive(true).mode(0o700).create(&path)?;
        Ok(Self::of(path, Kind::Directory))
    }

    /// The same within other limits, with nothing counted yet.
    #[must_use]
    pub fn with_limits(self, limits: RecordingLimits) -> Self {
        let Inner { path, kind, .. } = &*self.0;
        Self::within(path.clone(), *kind, limits)
    }

    /// How many recordings were begun.
    #[must_use]
    pub fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// How many connections were not recorded at all, because there were too many or their file
    /// could not be made.
    #[must_use]
    pub fn skipped(&self) -> u64 {
        self.0.skipped.load(Ordering::Relaxed)
    }

    /// How many lines of the others were not written, because a limit was reached or the file took
    /// no more.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    fn of(path: PathBuf, kind: Kind) -> Self {
        Self::within(path, kind, RecordingLimits::default())
    }

    fn within(path: PathBuf, kind: Kind, limits: RecordingLimits) -> Self {
        Self(Arc::new(Inner {
            path,
            kind,
            limits,
            begun: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    /// The recorder of the next connection, which may have an id; `None` if it is not recorded.
    ///
    /// # Errors
    /// The file cannot be written, and the connection is not to be without.
    pub(crate) fn begin(&self, id: Option<ConnId>) -> io::Result<Option<Box<dyn Recorder>>> {
        let limits = &self.0.limits;
        let Some(number) = add(&self.0.begun, 1, limits.max_recordings) else {
            if self.0.skipped.fetch_add(1, Ordering::Relaxed) == 0 {
                tracing::warn!("{} connections are recorded, and no more", self.begun());
            }
            return Ok(None);
        };
        match self.file(number, id) {
            Ok(recorder) => Ok(Some(Box::new(recorder))),
            Err(error) => match self.0.kind {
                Kind::Directory => {
                    self.0.begun.fetch_sub(1, Ordering::Relaxed);
                    self.0.skipped.fetch_add(1, Ordering::Relaxed);
                    tracing::error!("{error}");
                    Ok(None)
                }
                Kind::File => Err(error),
            },
        }
    }

    fn file(&self, number: u64, id: Option<ConnId>) -> io::Result<FileRecorder> {
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let path = match self.0.kind {
            Kind::File => {
                options.create(true).truncate(true);
                numbered(&self.0.path, number)
            }
            Kind::Directory => {
                options.create_new(true);
                let id = match id {
                    Some(id) => id,
                    None => conn_id()?,
                };
                self.0.path.join(format!("{id}.edn"))
            }
        };
        let file = options.open(&path).map_err(|error| {
            let text = format!("cannot record to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
        Ok(FileRecorder {
            file: Some(LineWriter::new(file)),
            path,
            left: self.0.limits.max_bytes,
            of: self.clone(),
        })
    }
}

/// Adds to a count that goes up to `most`. What it was; `None` if it would be more.
fn add(count: &AtomicU64, more: u64, most: u64) -> Option<u64> {
    count
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
            now.checked_add(more).filter(|sum| *sum <= most)
        })
        .ok()
}

/// The connection of this id, recorded if that is asked for.
pub(crate) fn connection(
    config: Arc<ConnectionConfig>,
    id: ConnId,
    now: Instant,
    recordings: Option<&Recordings>,
) -> io::Result<Connection> {
    let seed = random()?;
    let recorder = match recordings {
        Some(recordings) => recordings.begin(Some(id))?,
        None => None,
    };
    Ok(match recorder {
        Some(recorder) => Connection::recorded(config, seed, now, recorder),
        None => Connection::new(config, seed, now),
    })
}

fn numbered(path: &Path, number: u64) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name: OsString = path.to_owned().into_os_string();
    name.push(format!(".{number}"));
    name.into()
}

/// Writes one recording.
#[derive(Debug)]
struct FileRecorder {
    /// `None` once it takes no more.
    file: Option<LineWriter<File>>,
    path: PathBuf,
    left: u64,
    of: Recordings,
}

impl FileRecorder {
    fn stop(&mut self, why: &dyn std::fmt::Display) {
        self.file = None;
        tracing::error!("the recording {} ends here: {why}", self.path.display());
    }
}

impl Recorder for FileRecorder {
    fn line(&mut self, line: &str) {
        if let Some(file) = &mut self.file {
            let size = u64::try_from(line.len()).map_or(u64::MAX, |len| len.saturating_add(1));
            let left = self.left.checked_sub(size);
            let total = &self.of.0.bytes;
            let most = self.of.0.limits.max_total_bytes;
            match left {
                None => self.stop(&"it has reached its limit"),
                Some(_) if add(total, size, most).is_none() => {
                    self.stop(&"all recordings together have reached their limit");
                }
                Some(left) => {
                    self.left = left;
                    let written = file.write_all(line.as_bytes());
                    match written.and_then(|()| file.write_all(b"\n")) {
                        Ok(()) => return,
                        Err(error) => self.stop(&error),
                    }
                }
            }
        }
        self.of.0.lost.fetch_add(1, Ordering::Relaxed);
    }
}
