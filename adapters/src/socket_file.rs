//! The file of a listening Unix socket: how it comes to be, and that it goes away again.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::net::SocketAddrUnix;

use crate::runtime::{Runtime, sleep};
use crate::sockets::{ListenSocket, is_deserted};

/// Binds a path; a socket file without a listener is what a killed server leaves, and is removed.
pub(crate) async fn bind_path(
    runtime: &dyn Runtime,
    path: &Path,
    mode: Option<u32>,
) -> io::Result<ListenSocket> {
    let address = SocketAddrUnix::new(path)?;
    let file = mode.map(|mode| (path, mode));
    // Of several that find the same stale file, none may remove what another has just bound.
    let _lock = lock_folder_of(runtime, path).await;
    match ListenSocket::bind_unix(runtime, &address, file) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let is_socket = std::fs::symlink_metadata(path)
                .is_ok_and(|metadata| metadata.file_type().is_socket());
            if !is_socket {
                return Err(io::Error::new(
                    io::ErrorKind::AlreadyExists,
                    "the path exists and is no socket",
                ));
            }
            if !is_deserted(&address) {
                return Err(error);
            }
            std::fs::remove_file(path)?;
            ListenSocket::bind_unix(runtime, &address, file)
        }
        other => other,
    }
}

/// Locks the folder of `path` against others that bind in it, which takes them a moment. `None`
/// where that cannot be done, or a stranger holds the lock.
async fn lock_folder_of(runtime: &dyn Runtime, path: &Path) -> Option<File> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let folder = File::open(folder).ok()?;
    for _ in 0..100 {
        if flock(&folder, FlockOperation::NonBlockingLockExclusive).is_ok() {
            return Some(folder);
        }
        sleep(runtime, Duration::from_millis(10)).await;
    }
    None
}

/// Removes the socket's file in the end, if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    pub(crate) fn of(path: &Path) -> Option<Self> {
        let identity = Self::identity(path)?;
        Some(Self {
            path: path.to_owned(),
            identity,
        })
    }

    /// Device and number of the file.
    fn identity(path: &Path) -> Option<(u64, u64)> {
        let metadata = std::fs::symlink_metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path) == Some(self.identity) {
            // Somebody may have removed it in this moment.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
