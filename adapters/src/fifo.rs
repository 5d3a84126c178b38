//! Two named pipes as a link: one to read and one to write.

use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FileType, Mode, OFlags, fstat, open};
use rustix::io::Errno;

use crate::descriptors::PipeLink;
use crate::link::Link;
use crate::runtime::{Descriptor, Runtime, sleep};

/// How often it is tried whether the other side has come: nothing tells of it.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// Opens both, and waits until the other side has opened its reading end. It reads first, too, so
/// neither waits for the other in vain.
pub(crate) async fn open_pair(
    runtime: &dyn Runtime,
    input: &Path,
    output: &Path,
) -> io::Result<Box<dyn Link>> {
    let from = opened(runtime, input, OFlags::RDONLY)?;
    let to = loop {
        match opened(runtime, output, OFlags::WRONLY) {
            Err(error) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => {
                sleep(runtime, LOOK_AGAIN).await;
            }
            other => break other?,
        }
    };
    Ok(Box::new(PipeLink::new(from, to)))
}

fn opened(runtime: &dyn Runtime, path: &Path, way: OFlags) -> io::Result<Box<dyn Descriptor>> {
    let flags = way | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let pipe = open(path, flags, Mode::empty())?;
    if FileType::from_raw_mode(fstat(&pipe)?.st_mode) != FileType::Fifo {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("{} is no named pipe", path.display()),
        ));
    }
    runtime.watch(pipe)
}
