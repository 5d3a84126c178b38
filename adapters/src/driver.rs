//! The one loop that drives a connection over a transport, whatever it is.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use sente_core::{Connection, Input, Instant, State, Transmit, TransmitBuf};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep_until;

use crate::handle::{End, Shared};
use crate::transport::{Reader, Transport, Writer};

/// How much one read takes at most. The buffer is given back whenever nothing is waiting.
const READ_BYTES: usize = 64 * 1024;

/// How long the last bytes of a connection that is over may take, and how long bytes that already
/// arrived are read after the writing side broke.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// Starts the loop on a task of its own.
pub(crate) fn spawn(shared: Arc<Shared>, transport: Transport) {
    tokio::spawn(async move {
        let Transport {
            reader,
            writer,
            rest,
            child,
            buffers_writes,
            ..
        } = transport;
        let mut driver = Driver {
            shared: shared.clone(),
            reader,
            writer,
            input: rest,
            out: TransmitBuf::new(),
            buffers_writes,
            flush_due: false,
            shutting_down: false,
            writer_done: false,
            reader_done: false,
            write_error: None,
            last_flush: None,
        };
        driver.run().await;
        // The child sees the end of its input only when its pipe is dropped.
        drop(driver);
        let exit = match child {
            Some(child) => child.finish().await,
            None => None,
        };
        shared.finish(exit);
    });
}

struct Driver {
    shared: Arc<Shared>,
    reader: Reader,
    writer: Writer,
    input: BytesMut,
    out: TransmitBuf,
    /// Whether a write is done only once it has been flushed, and whether one waits for that.
    buffers_writes: bool,
    flush_due: bool,
    shutting_down: bool,
    writer_done: bool,
    reader_done: bool,
    write_error: Option<io::Error>,
    last_flush: Option<tokio::time::Instant>,
}

/// What the engine wants next.
struct Wants {
    read: bool,
    timeout: Option<Instant>,
    finished: bool,
    closed: bool,
}

/// What came first.
enum Happened {
    Flushed(io::Result<()>),
    LastFlush,
    Read(io::Result<usize>),
    Shutdown,
    Timeout,
    Woken,
    Written(io::Result<usize>),
}

impl Driver {
    async fn run(&mut self) {
        if !self.input.is_empty() {
            let shared = self.shared.clone();
            let input = &mut self.input;
            shared.with(|connection, now| connection.handle_input(now, Input::Bytes(input)));
        }
        loop {
            let wants = self.ask();
            if wants.finished {
                return;
            }
            if wants.closed && self.last_flush.is_none() {
                self.last_flush = Some(tokio::time::Instant::now() + LAST_FLUSH);
            }
            let happened = self.wait(&wants).await;
            if self.take(happened) {
                return;
            }
        }
    }

    /// Takes what is to be written out of the engine and asks what it waits for.
    fn ask(&mut self) -> Wants {
        let shared = self.shared.clone();
        let (out, shutting_down) = (&mut self.out, &mut self.shutting_down);
        shared.with(|connection, _| {
            if out.is_empty() && connection.poll_transmit(out) == Some(Transmit::Shutdown) {
                *shutting_down = true;
            }
            Wants {
                read: connection.wants_read(),
                timeout: connection.poll_timeout(),
                finished: connection.is_finished() && out.is_empty(),
                closed: connection.state() == State::Closed,
            }
        })
    }

    /// Waits for the first thing that can happen. Reading and writing are waited for together, so
    /// two peers that both write without end cannot block each other.
    ///
    /// The reads and writes that lose are dropped: tokio's are cancel safe, nothing is lost.
    async fn wait(&mut self, wants: &Wants) -> Happened {
        let reading = (wants.read || self.write_error.is_some()) && !self.reader_done;
        let writing = (!self.out.is_empty() || self.flush_due) && !self.writer_done;
        let ending = self.shutting_down && !writing && !self.writer_done;
        let clock = self.shared.clock();
        let timeout = wants.timeout.map(|at| clock.to_tokio(at));
        let last_flush = self.last_flush;
        if reading && self.input.capacity() == 0 {
            self.input.reserve(4096);
        }
        tokio::select! {
            happened = write(&mut self.writer, &mut self.out, self.flush_due), if writing || ending => happened,
            result = self.reader.read_buf(&mut self.input), if reading => Happened::Read(result),
            () = async { match timeout { Some(at) => sleep_until(at).await, None => pending().await } } => Happened::Timeout,
            () = async { match last_flush { Some(at) => sleep_until(at).await, None => pending().await } } => Happened::LastFlush,
            () = self.shared.woken() => Happened::Woken,
        }
    }

    /// Tells the engine what happened. Whether the loop is over.
    fn take(&mut self, happened: Happened) -> bool {
        let shared = self.shared.clone();
        match happened {
            Happened::Woken => {}
            Happened::Timeout => shared.with(Connection::handle_timeout),
            Happened::LastFlush => {
                if let Some(error) = self.write_error.take() {
                    self.fail(&error);
                }
                return true;
            }
            Happened::Written(Ok(0)) => self.fail_writing(io::ErrorKind::WriteZero.into()),
            Happened::Written(Ok(_)) => {
                if self.out.is_empty() {
                    self.flush_due = self.buffers_writes;
                    if !self.flush_due {
                        shared.with(Connection::handle_transmitted);
                    }
                }
            }
            Happened::Flushed(Ok(())) => {
                self.flush_due = false;
                shared.with(Connection::handle_transmitted);
            }
            Happened::Written(Err(error)) | Happened::Flushed(Err(error)) => {
                self.fail_writing(error);
            }
            Happened::Shutdown => {
                self.writer_done = true;
                self.shutting_down = false;
                self.writer = Box::new(tokio::io::empty());
            }
            Happened::Read(Ok(0)) => {
                self.reader_done = true;
                match self.write_error.take() {
                    Some(error) => self.fail(&error),
                    None => shared.with(|connection, now| connection.handle_input(now, Input::Eof)),
                }
            }
            Happened::Read(Ok(read)) => {
                let input = &mut self.input;
                let grow = read == input.capacity() || read >= 4096;
                shared.with(|connection, now| connection.handle_input(now, Input::Bytes(input)));
                // A busy connection reads in large chunks, an idle one holds nothing.
                if grow {
                    self.input.reserve(READ_BYTES);
                } else if self.input.capacity() > 4096 {
                    self.input = BytesMut::new();
                }
            }
            Happened::Read(Err(error)) => {
                self.reader_done = true;
                let error = self.write_error.take().unwrap_or(error);
                self.fail(&error);
            }
        }
        false
    }

    /// The peer takes no more bytes. What it said before is still read; then the connection fails.
    fn fail_writing(&mut self, error: io::Error) {
        self.out.clear();
        self.flush_due = false;
        self.writer_done = true;
        if self.reader_done {
            self.fail(&error);
        } else {
            self.write_error = Some(error);
            self.last_flush = Some(tokio::time::Instant::now() + LAST_FLUSH);
        }
    }

    fn fail(&mut self, error: &io::Error) {
        let text = error.to_string();
        self.out.clear();
        self.shared
            .with(|connection, now| connection.handle_input(now, Input::Failed(text)));
    }
}

/// Writes, flushes or, when nothing is left, shuts down.
async fn write(writer: &mut Writer, out: &mut TransmitBuf, flush_due: bool) -> Happened {
    if !out.is_empty() {
        Happened::Written(writer.write_buf(out).await)
    } else if flush_due {
        Happened::Flushed(writer.flush().await)
    } else {
        // That the peer is gone already is no news: its end will be read.
        let _ = writer.shutdown().await;
        Happened::Shutdown
    }
}

impl Shared {
    /// Says that the loop is over.
    fn finish(&self, exit: Option<std::process::ExitStatus>) {
        let end = self.with(|connection, now| {
            if connection.state() != State::Closed {
                connection.handle_input(now, Input::Failed("the transport was dropped".to_owned()));
            }
            End {
                reason: connection
                    .close_reason()
                    .cloned()
                    .unwrap_or(sente_core::CloseReason::Eof),
                exit,
                stats: connection.stats(),
            }
        });
        self.set_end(end);
    }
}
