//! Reading and writing what no runtime can watch, a terminal or a file, on threads of their own.

use std::fs::File;
use std::future::Future;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use sente_core::TransmitBuf;
use tokio::sync::{mpsc, oneshot};

/// How much is read or written at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A file that a thread reads, one chunk ahead. The thread is not waited for: one that waits for a
/// terminal ends with the process.
pub(crate) struct ThreadReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
}

impl ThreadReader {
    pub(crate) fn start(mut file: File) -> io::Result<Self> {
        let (sender, chunks) = mpsc::channel(1);
        thread("sente-reader", move || {
            let mut scratch = vec![0; CHUNK_BYTES];
            loop {
                let chunk = match file.read(&mut scratch) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    read => read.map(|read| {
                        Bytes::copy_from_slice(scratch.get(..read).unwrap_or_default())
                    }),
                };
                let is_last = !matches!(&chunk, Ok(chunk) if !chunk.is_empty());
                if sender.blocking_send(chunk).is_err() || is_last {
                    return;
                }
            }
        })?;
        Ok(Self { chunks })
    }

    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(match ready!(self.chunks.poll_recv(cx)) {
            Some(Ok(chunk)) => {
                input.extend_from_slice(&chunk);
                Ok(chunk.len())
            }
            Some(Err(error)) => Err(error),
            None => Ok(0),
        })
    }
}

/// A file that a thread writes, one chunk at a time.
pub(crate) struct ThreadWriter {
    jobs: std::sync::mpsc::Sender<(Bytes, oneshot::Sender<io::Result<()>>)>,
    /// The chunk that is being written.
    writing: Option<oneshot::Receiver<io::Result<()>>>,
}

impl ThreadWriter {
    pub(crate) fn start(mut file: File) -> io::Result<Self> {
        let (jobs, to_write) =
            std::sync::mpsc::channel::<(Bytes, oneshot::Sender<io::Result<()>>)>();
        thread("sente-writer", move || {
            for (chunk, done) in to_write {
                let written = file.write_all(&chunk).and_then(|()| file.flush());
                // Whoever waits may be gone; what was begun is written all the same.
                let _ = done.send(written);
            }
        })?;
        Ok(Self {
            jobs,
            writing: None,
        })
    }

    /// Takes a chunk over. Whether it is written is known when the next one is taken, or by
    /// [`poll_flush`](Self::poll_flush).
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_flush(cx))?;
        let bytes = out.remaining().min(CHUNK_BYTES);
        let chunk = out.copy_to_bytes(bytes);
        let (done, writing) = oneshot::channel();
        if self.jobs.send((chunk, done)).is_err() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        self.writing = Some(writing);
        Poll::Ready(Ok(bytes))
    }

    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(writing) = &mut self.writing else {
            return Poll::Ready(Ok(()));
        };
        let written = ready!(Pin::new(writing).poll(cx));
        self.writing = None;
        Poll::Ready(written.unwrap_or_else(|_| Err(io::ErrorKind::BrokenPipe.into())))
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder.spawn(work).map(|_| ())
}
