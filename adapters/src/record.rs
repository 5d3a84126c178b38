//! Recordings of connections in files.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, LineWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sente_core::record::Recorder;
use sente_core::{Connection, ConnectionConfig, Instant};

/// How long a recording may become unless something else is said.
const MAX_BYTES: u64 = 1024 * 1024 * 1024;

/// Where connections are recorded, line by line, so that
/// [`Replay`](sente_core::record::Replay) and `sente replay` can do again what they did: the first
/// in the file that is named here, the others in files that have `.1`, `.2` and so on behind that
/// name. Clones count together.
///
/// **A recording holds what the peers said, tokens included**; the files can be read by their owner
/// only, and are written anew. It costs a system call for each call of a connection: it is for
/// finding faults, not for every day.
#[derive(Clone, Debug)]
pub struct Recordings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    max_bytes: u64,
    begun: AtomicU64,
    lost: AtomicU64,
}

impl Recordings {
    /// Recordings at `path`. A recording ends at 1 GiB.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_max_bytes(path, MAX_BYTES)
    }

    /// The same with another limit for each recording, in bytes. What comes after it is not
    /// recorded, but counted.
    pub fn with_max_bytes(path: impl Into<PathBuf>, max_bytes: u64) -> Self {
        Self(Arc::new(Inner {
            path: path.into(),
            max_bytes,
            begun: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        }))
    }

    /// How many lines were not written, because a recording had reached its limit or its file took
    /// no more.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// The recorder of the next connection.
    pub(crate) fn begin(&self) -> io::Result<Box<dyn Recorder>> {
        let number = self.0.begun.fetch_add(1, Ordering::Relaxed);
        let path = numbered(&self.0.path, number);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(&path).map_err(|error| {
            let text = format!("cannot record to {}: {error}", path.display());
            io::Error::new(error.kind(), text)
        })?;
        Ok(Box::new(FileRecorder {
            file: Some(LineWriter::new(file)),
            path,
            left: self.0.max_bytes,
            of: self.clone(),
        }))
    }
}

/// A connection, recorded if that is asked for.
pub(crate) fn connection(
    config: Arc<ConnectionConfig>,
    seed: [u8; 32],
    now: Instant,
    recordings: Option<&Recordings>,
) -> io::Result<Connection> {
    Ok(match recordings {
        Some(recordings) => Connection::recorded(config, seed, now, recordings.begin()?),
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
            match self.left.checked_sub(size) {
                None => self.stop(&"it has reached its limit"),
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
