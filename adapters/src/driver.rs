//! The one loop that drives a connection over a transport, whatever it is.

use std::future::{Future, pending, poll_fn};
use std::io;
use std::mem::MaybeUninit;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use sente_core::{Input, Instant, TransmitBuf};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::time::sleep_until;

use crate::clock::Clock;
use crate::process::Child;
use crate::transport::{Reader, Transport, Writer};

/// How much one read of a busy connection takes at most.
const READ_BYTES: usize = 64 * 1024;

/// How much the first read after a pause takes at most. It goes over the stack, so that a
/// connection that waits holds no buffer.
const FIRST_READ_BYTES: usize = 4096;

/// How long the last bytes of a connection that is over may take, and how long bytes that already
/// arrived are read after the writing side broke.
const LAST_FLUSH: Duration = Duration::from_secs(5);

/// How many bytes are read after the writing side broke: more than a system holds for a reader, so
/// that nothing that had arrived is lost, and a peer that speaks for ever is not heard for ever.
const LAST_READ_BYTES: usize = 16 * 1024 * 1024;

/// How long a child's output must be silent, after the child itself has ended, until it counts as
/// ended: a process the child left behind may hold it open for ever.
const ORPHANED: Duration = Duration::from_secs(1);

/// What the loop drives: a connection, or the present link of a client.
pub(crate) trait Driven: Send + Sync + 'static {
    fn handle_input(&self, input: Input<'_>);
    fn handle_timeout(&self);
    fn handle_transmitted(&self);
    /// Fills `out`, if it is empty, with what is to be written, and says what is waited for.
    fn ask(&self, out: &mut TransmitBuf) -> Wants;
    /// Whether the connection is over, though it may have something to write yet.
    fn is_closed(&self) -> bool;
    /// Comes when somebody else has changed the machine.
    fn woken(&self) -> impl Future<Output = ()> + Send;
    fn clock(&self) -> Clock;
}

/// Drives `machine` over `transport` until the transport is not needed any more and dropped. Gives
/// back the child, if the peer is one: it sees the end of its input only now.
pub(crate) async fn drive(machine: &impl Driven, transport: Transport) -> Option<Child> {
    let Transport {
        reader,
        writer,
        rest,
        child,
        buffers_writes,
        ..
    } = transport;
    let mut driver = Driver {
        machine,
        reader,
        writer,
        child,
        child_ended: false,
        orphaned: None,
        input: rest,
        out: TransmitBuf::new(),
        buffers_writes,
        flush_due: false,
        shutting_down: false,
        writer_done: false,
        reader_done: false,
        write_error: None,
        read_late: 0,
        last_flush: None,
        read_before_timeout: false,
    };
    driver.run().await;
    driver.child.take()
}

struct Driver<'a, M> {
    machine: &'a M,
    reader: Reader,
    writer: Writer,
    child: Option<Child>,
    child_ended: bool,
    /// When the output of a child that has ended counts as ended too. Runs only while it is read.
    orphaned: Option<tokio::time::Instant>,
    /// Without capacity while nothing comes.
    input: BytesMut,
    out: TransmitBuf,
    /// Whether a write is done only once it has been flushed, and whether one waits for that.
    buffers_writes: bool,
    flush_due: bool,
    shutting_down: bool,
    writer_done: bool,
    reader_done: bool,
    write_error: Option<io::Error>,
    /// How much has been read since.
    read_late: usize,
    last_flush: Option<tokio::time::Instant>,
    /// Whether the last read went ahead of a deadline that had come.
    read_before_timeout: bool,
}

/// What the engine waits for next.
pub(crate) struct Wants {
    pub(crate) read: bool,
    pub(crate) timeout: Option<Instant>,
    pub(crate) finished: bool,
    pub(crate) closed: bool,
    /// Whether the application has something to take.
    pub(crate) has_event: bool,
    /// Whether the writing side is to be shut down.
    pub(crate) shutdown: bool,
}

/// What came first.
enum Happened {
    ChildEnded,
    Flushed(io::Result<()>),
    LastFlush,
    Orphaned,
    Read(io::Result<usize>),
    Shutdown,
    Timeout,
    Woken,
    Written(io::Result<usize>),
}

impl<M: Driven> Driver<'_, M> {
    async fn run(&mut self) {
        if !self.input.is_empty() {
            self.machine.handle_input(Input::Bytes(&mut self.input));
        }
        loop {
            let wants = self.ask();
            if wants.finished {
                return;
            }
            // What arrived before the writing side broke waits for an application that is slow.
            let waits = self.write_error.is_some() && !wants.read && wants.has_event;
            if (wants.closed && self.last_flush.is_none()) || (waits && !wants.closed) {
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
        let wants = self.machine.ask(&mut self.out);
        self.shutting_down |= wants.shutdown;
        wants
    }

    /// Waits for the first thing that can happen. Reading and writing are waited for together, so
    /// two peers that both write without end cannot block each other.
    ///
    /// The reads and writes that lose are dropped: tokio's are cancel safe, nothing is lost.
    async fn wait(&mut self, wants: &Wants) -> Happened {
        let reading = wants.read && !self.reader_done;
        let writing = (!self.out.is_empty() || self.flush_due) && !self.writer_done;
        let ending = self.shutting_down && !writing && !self.writer_done;
        let clock = self.machine.clock();
        let timeout = wants.timeout.map(|at| clock.to_tokio(at));
        let last_flush = self.last_flush;
        self.orphaned = (self.child_ended && reading).then(|| {
            self.orphaned
                .unwrap_or_else(|| tokio::time::Instant::now() + ORPHANED)
        });
        let orphaned = self.orphaned;
        let first = tokio::select! {
            happened = write(&mut self.writer, &mut self.out, self.flush_due), if writing || ending => happened,
            result = read(&mut self.reader, &mut self.input), if reading => Happened::Read(result),
            () = at(timeout) => Happened::Timeout,
            () = at(last_flush) => Happened::LastFlush,
            () = at(orphaned) => Happened::Orphaned,
            () = ended(&mut self.child), if !self.child_ended => Happened::ChildEnded,
            () = self.machine.woken() => Happened::Woken,
        };
        if !matches!(first, Happened::Timeout) || !reading || self.read_before_timeout {
            self.read_before_timeout = false;
            return first;
        }
        // After a long sleep of the machine both may be due, and what waits to be read may be the
        // sign of life that the deadline is about. One read goes first, not all there is to read.
        self.read_before_timeout = true;
        tokio::select! {
            biased;
            result = read(&mut self.reader, &mut self.input) => Happened::Read(result),
            () = std::future::ready(()) => first,
        }
    }

    /// Tells the engine what happened. Whether the loop is over.
    fn take(&mut self, happened: Happened) -> bool {
        match happened {
            Happened::Woken => {}
            Happened::Timeout => self.machine.handle_timeout(),
            Happened::ChildEnded => self.child_ended = true,
            Happened::LastFlush => match self.write_error.take() {
                Some(error) => self.fail(&error),
                None => return true,
            },
            Happened::Written(Ok(0)) => self.fail_writing(io::ErrorKind::WriteZero.into()),
            Happened::Written(Ok(_)) => {
                if self.out.is_empty() {
                    self.flush_due = self.buffers_writes;
                    if !self.flush_due {
                        self.machine.handle_transmitted();
                    }
                }
            }
            Happened::Flushed(Ok(())) => {
                self.flush_due = false;
                self.machine.handle_transmitted();
            }
            Happened::Written(Err(error)) | Happened::Flushed(Err(error)) => {
                self.fail_writing(error);
            }
            Happened::Shutdown => {
                self.writer_done = true;
                self.shutting_down = false;
                self.writer = Box::new(tokio::io::empty());
            }
            Happened::Read(Ok(0)) | Happened::Orphaned => {
                self.end_reading();
                match self.write_error.take() {
                    Some(error) => self.fail(&error),
                    None => self.machine.handle_input(Input::Eof),
                }
            }
            Happened::Read(Ok(read)) => {
                self.orphaned = None;
                self.machine.handle_input(Input::Bytes(&mut self.input));
                if let Some(error) = self.write_error.take() {
                    self.read_late += read;
                    if self.read_late >= LAST_READ_BYTES {
                        self.fail(&error);
                        return false;
                    }
                    self.write_error = Some(error);
                }
                // A busy connection reads in large chunks.
                if read >= FIRST_READ_BYTES {
                    self.input.reserve(READ_BYTES);
                } else {
                    self.input = BytesMut::new();
                }
            }
            Happened::Read(Err(error)) => {
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
        if self.reader_done || self.machine.is_closed() {
            self.fail(&error);
        } else {
            self.write_error = Some(error);
            self.last_flush = Some(tokio::time::Instant::now() + LAST_FLUSH);
        }
    }

    /// The transport is dropped. The engine may still hold what it has no room to give out; the
    /// loop goes on for it, for its timeouts and for those who wait.
    fn fail(&mut self, error: &io::Error) {
        let text = error.to_string();
        self.out.clear();
        self.flush_due = false;
        self.last_flush = None;
        self.writer_done = true;
        self.writer = Box::new(tokio::io::empty());
        self.end_reading();
        self.machine.handle_input(Input::Failed(text));
    }

    fn end_reading(&mut self) {
        self.reader_done = true;
        self.reader = Box::new(tokio::io::empty());
        self.input = BytesMut::new();
    }
}

pub(crate) async fn at(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => sleep_until(time).await,
        None => pending().await,
    }
}

/// Waits for the child's own end. Never comes where there is no child.
async fn ended(child: &mut Option<Child>) {
    match child {
        Some(child) => child.ended().await,
        None => pending().await,
    }
}

/// Reads what is there, or waits until something is, without a buffer.
async fn read(reader: &mut Reader, input: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|context| {
        if input.capacity() == 0 {
            return poll_first_read(reader, input, context);
        }
        let read = pin!(reader.read_buf(input)).poll(context);
        if read.is_pending() && input.is_empty() {
            *input = BytesMut::new();
        }
        read
    })
    .await
}

fn poll_first_read(
    reader: &mut Reader,
    input: &mut BytesMut,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let mut scratch = [MaybeUninit::uninit(); FIRST_READ_BYTES];
    let mut buffer = ReadBuf::uninit(&mut scratch);
    ready!(Pin::new(reader).poll_read(context, &mut buffer))?;
    input.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
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
