//! The one loop that drives a connection over a link, whatever it is and on whatever runtime.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::BytesMut;
use sente_core::{Input, Instant, TransmitBuf};

use crate::clock::Clock;
use crate::link::{Link, Transport};
use crate::process::Child;
use crate::runtime::Timer;
use crate::signal::Signal;
use crate::spare::{self, Out};

/// After how many steps, bytes read and written, and events shown to handlers one busy connection
/// lets others of its runtime have a turn.
const MAX_STEPS: usize = 64;
const MAX_STEP_BYTES: usize = 128 * 1024;
const MAX_STEP_EVENTS: usize = 256;

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
    /// Tells the machine what happened, has handlers do their part, fills `out`, if it is empty, with
    /// what is to be written, and says what is waited for.
    fn turn(&self, news: News<'_>, out: &mut TransmitBuf) -> Wants;
    /// Tells the machine, at this time, that what was to be written has been. Whether it was, and wants
    /// nothing else than it said before the write; else it is to be told by a [`turn`](Self::turn).
    fn is_quiet_after_write(&self, _: Instant) -> bool {
        false
    }
    /// Why a write past the driver has failed, if one has: it is told once by the system, too.
    fn earlier_write_error(&self) -> Option<io::Error> {
        None
    }
    /// Whether the connection is over, though it may have something to write yet.
    fn is_closed(&self) -> bool;
    /// News that somebody else has changed the machine.
    fn changed(&self) -> &Signal;
    fn clock(&self) -> &Clock;
}

/// What the machine is told.
pub(crate) enum News<'a> {
    /// Nothing but the time.
    None,
    Input(Input<'a>),
    Timeout,
    /// What was to be written has been.
    Transmitted,
}

/// Drives `machine` over `transport` until the transport is not needed any more and dropped. Gives
/// back the child, if the peer is one: it sees the end of its input only now.
///
/// The transport is boxed, and given away before anything is waited for: a task keeps the room of what
/// it was begun with as long as it lives, and a box that was only moved out of as well. Link
/// and timer are erased everywhere but where it is measured what that costs.
pub(crate) fn drive<M: Driven, L: Link + ?Sized, T: Timer + ?Sized>(
    machine: &M,
    transport: Box<Transport<L>>,
    timer: impl FnOnce(&Clock) -> Box<T>,
) -> impl Future<Output = Option<Box<Child>>> {
    let (link, rest, child) = transport.into_parts();
    let mut driver = Driver {
        machine,
        link: Some(link),
        child,
        child_ended: false,
        orphaned: None,
        input: rest,
        out: Out::default(),
        flush_due: false,
        shutting_down: false,
        writer_done: false,
        reader_done: false,
        write_error: None,
        read_late: 0,
        last_flush: None,
        read_before_timeout: false,
        writes_first: true,
        timer: timer(machine.clock()),
        armed: None,
        wants: None,
    };
    if !driver.input.is_empty() {
        let input = Input::Bytes(&mut driver.input);
        let wants = machine.turn(News::Input(input), driver.out.buffer());
        driver.take_wants(wants);
    }
    driver
}

/// Not an `async fn`, which would keep room for what it was called with, too.
struct Driver<'a, M, L: ?Sized, T: ?Sized> {
    machine: &'a M,
    /// `None` once it is not needed any more.
    link: Option<Box<L>>,
    child: Option<Box<Child>>,
    child_ended: bool,
    /// When the output of a child that has ended counts as ended too. Runs only while it is read.
    orphaned: Option<Instant>,
    /// Lent while the driver runs, and its own as long as something in it waits.
    input: BytesMut,
    /// Lent while the driver runs, and its own as long as something in it waits.
    out: Out,
    /// Whether what was written waits to be flushed.
    flush_due: bool,
    shutting_down: bool,
    writer_done: bool,
    reader_done: bool,
    write_error: Option<io::Error>,
    /// How much has been read since.
    read_late: usize,
    last_flush: Option<Instant>,
    /// Whether the last read went ahead of a deadline that had come.
    read_before_timeout: bool,
    /// Whether writing was tried before reading in the last step; they take turns.
    writes_first: bool,
    timer: Box<T>,
    /// When the timer comes and whom it wakes, while it is waited for.
    armed: Option<(Instant, Waker)>,
    /// What is wanted, as long as nothing has happened since it was asked.
    wants: Option<Wants>,
}

/// How much has been done since others had their turn.
#[derive(Default)]
struct Work {
    steps: usize,
    bytes: usize,
    events: usize,
    /// Whether one step more was all that is left.
    is_last: bool,
}

impl Work {
    const fn add(&mut self, bytes: usize) {
        self.steps = self.steps.saturating_add(1);
        self.bytes = self.bytes.saturating_add(bytes);
    }

    const fn is_enough(&self) -> bool {
        self.steps >= MAX_STEPS || self.bytes >= MAX_STEP_BYTES || self.events >= MAX_STEP_EVENTS
    }
}

/// What came of a step.
enum Step {
    /// Something was done; there may be more.
    Done,
    /// The loop is over.
    Over,
}

/// What the engine waits for next.
pub(crate) struct Wants {
    /// When it was asked.
    pub(crate) now: Instant,
    pub(crate) read: bool,
    pub(crate) timeout: Option<Instant>,
    pub(crate) finished: bool,
    pub(crate) closed: bool,
    /// Whether the application has something to take.
    pub(crate) has_event: bool,
    /// Whether the writing side is to be shut down.
    pub(crate) shutdown: bool,
    /// Whether handlers have more to do at once.
    pub(crate) again: bool,
    /// How many events handlers were shown.
    pub(crate) shown: usize,
}

impl Wants {
    /// Whether what is wanted is nothing but to write, to read and to wait.
    const fn is_plain(&self) -> bool {
        !self.again && !self.closed && !self.shutdown
    }
}

/// What came first.
enum Happened {
    ChildEnded,
    Flushed(io::Result<()>),
    /// Handlers have more to do.
    Handlers,
    LastFlush,
    /// Time has passed, and something may be due.
    Nothing,
    Orphaned,
    Read(io::Result<usize>),
    /// Written and flushed.
    Sent(usize),
    Shutdown,
    Timeout,
    Written(io::Result<usize>),
}

impl<M: Driven, L: Link + ?Sized, T: Timer + ?Sized> Future for Driver<'_, M, L, T> {
    type Output = Option<Box<Child>>;

    /// Does what there is to do. Ready when the loop is over.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Box<Child>>> {
        let driver = &mut *self;
        driver.out.lend();
        spare::lend_input(&mut driver.input);
        let polled = driver.poll_steps(cx);
        driver.out.give_back();
        spare::give_input_back(&mut driver.input);
        polled.map(|()| driver.child.take())
    }
}

impl<M: Driven, L: Link + ?Sized, T: Timer + ?Sized> Driver<'_, M, L, T> {
    fn poll_steps(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.machine.changed().take() {
            self.wants = None;
            // Somebody has most likely queued something.
            self.writes_first = false;
        }
        let mut work = Work::default();
        if !self.read_first(cx, &mut work)
            && let Some(wants) = &mut self.wants
        {
            wants.now = self.machine.clock().now();
            // It was counted for the turn before.
            wants.shown = 0;
        }
        loop {
            match self.poll_step(cx, &mut work) {
                Poll::Ready(Step::Over) => return Poll::Ready(()),
                Poll::Ready(Step::Done) => {}
                Poll::Pending => return Poll::Pending,
            }
            if work.is_enough() {
                // What handlers answered is written first, as far as that goes at once.
                if std::mem::replace(&mut work.is_last, true) || self.out.is_empty() {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
    }

    /// Where nothing is done but to wait for what arrives, a task is mostly woken for that: reads once
    /// before a look at the clock, since the turn that follows looks at it. Whether something was read.
    fn read_first(&mut self, cx: &mut Context<'_>, work: &mut Work) -> bool {
        let reads = |wants: &Wants| wants.read && wants.is_plain() && !wants.finished;
        let waits = self.out.is_empty()
            && !self.flush_due
            && !self.shutting_down
            && !self.reader_done
            && !self.child_ended
            && self.last_flush.is_none();
        if !waits || !self.wants.as_ref().is_some_and(reads) {
            return false;
        }
        let Some(happened) = self.poll_read(cx) else {
            return false;
        };
        if let Happened::Read(Ok(bytes)) = &happened {
            work.add(*bytes);
        }
        // A deadline may have come, and writing was not tried.
        self.read_before_timeout = true;
        self.writes_first = false;
        self.wants = None;
        // A read never ends the loop.
        self.take(happened);
        true
    }

    /// Waits for the first thing that can happen, and tells the engine of it.
    fn poll_step(&mut self, cx: &mut Context<'_>, work: &mut Work) -> Poll<Step> {
        if self.wants.is_none() {
            self.tell(News::None);
        }
        let Some(wants) = self.wants.take() else {
            return Poll::Pending;
        };
        if wants.finished {
            return Poll::Ready(Step::Over);
        }
        work.events = work.events.saturating_add(wants.shown);
        let now = wants.now;
        // What arrived before the writing side broke waits for an application that is slow.
        let waits = self.write_error.is_some() && !wants.read && wants.has_event;
        if (wants.closed && self.last_flush.is_none()) || (waits && !wants.closed) {
            self.last_flush = Some(now + LAST_FLUSH);
        }
        let reads = wants.read && !self.reader_done;
        self.orphaned =
            (self.child_ended && reads).then(|| self.orphaned.unwrap_or_else(|| now + ORPHANED));
        let Some(happened) = self.poll_happened(cx, &wants, reads, now) else {
            if self.machine.changed().poll(cx).is_ready() {
                work.add(0);
                return Poll::Ready(Step::Done);
            }
            // Shown is shown.
            self.wants = Some(Wants { shown: 0, ..wants });
            return Poll::Pending;
        };
        work.add(match &happened {
            Happened::Read(Ok(bytes)) | Happened::Written(Ok(bytes)) | Happened::Sent(bytes) => {
                *bytes
            }
            _ => 0,
        });
        if matches!(happened, Happened::Sent(_))
            && wants.is_plain()
            && self.machine.is_quiet_after_write(now)
        {
            self.flush_due = false;
            self.wants = Some(Wants { shown: 0, ..wants });
            return Poll::Ready(Step::Done);
        }
        let over = self.take(happened);
        Poll::Ready(if over { Step::Over } else { Step::Done })
    }

    /// The first thing that has happened; `None` if nothing has, and the task will be woken. Reading
    /// and writing are waited for together, so two peers that both write without end cannot block
    /// each other.
    fn poll_happened(
        &mut self,
        cx: &mut Context<'_>,
        wants: &Wants,
        reads: bool,
        now: Instant,
    ) -> Option<Happened> {
        if let Some(due) = self.due(wants, now) {
            if !matches!(due, Happened::Timeout) || !reads || self.read_before_timeout {
                self.read_before_timeout = false;
                return Some(due);
            }
            // After a long sleep of the machine both may be due, and what waits to be read may be
            // the sign of life that the deadline is about. One read goes first, not all there is to
            // read.
            self.read_before_timeout = true;
            return Some(self.poll_read(cx).unwrap_or(due));
        }
        self.read_before_timeout = false;
        // What handlers answered goes out before more is read.
        self.writes_first = !self.writes_first || wants.shown > 0;
        let moved = if self.writes_first {
            self.poll_write(cx).or_else(|| self.poll_read_if(reads, cx))
        } else {
            self.poll_read_if(reads, cx).or_else(|| self.poll_write(cx))
        };
        if moved.is_some() {
            return moved;
        }
        if wants.again {
            return Some(Happened::Handlers);
        }
        if !self.child_ended
            && let Some(child) = &mut self.child
            && child.poll_ended(cx).is_ready()
        {
            return Some(Happened::ChildEnded);
        }
        let next = [wants.timeout, self.last_flush, self.orphaned];
        let next = next.into_iter().flatten().min()?;
        // A timer that comes too early is left as it is: deadlines mostly move on with each message.
        let is_armed = |(at, waker): &(Instant, Waker)| {
            *at <= next && *at > now && waker.will_wake(cx.waker())
        };
        if self.armed.as_ref().is_some_and(is_armed) {
            return None;
        }
        if self
            .timer
            .poll_until(cx, self.machine.clock().to_std(next))
            .is_pending()
        {
            self.armed = Some((next, cx.waker().clone()));
            return None;
        }
        // The next step finds what is due.
        self.armed = None;
        Some(Happened::Nothing)
    }

    /// What is due by the clock.
    fn due(&self, wants: &Wants, now: Instant) -> Option<Happened> {
        let is_due = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        if is_due(wants.timeout) {
            Some(Happened::Timeout)
        } else if is_due(self.last_flush) {
            Some(Happened::LastFlush)
        } else if is_due(self.orphaned) {
            Some(Happened::Orphaned)
        } else {
            None
        }
    }

    fn poll_read_if(&mut self, reads: bool, cx: &mut Context<'_>) -> Option<Happened> {
        if reads { self.poll_read(cx) } else { None }
    }

    /// Reads what is there.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Option<Happened> {
        let Some(link) = &mut self.link else {
            return Some(Happened::Read(Ok(0)));
        };
        match link.poll_read(cx, &mut self.input) {
            Poll::Ready(read) => Some(Happened::Read(read)),
            Poll::Pending => None,
        }
    }

    /// Writes, flushes or, when nothing is left, shuts down.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Option<Happened> {
        if self.writer_done {
            return None;
        }
        let link = self.link.as_mut()?;
        let polled = if !self.out.is_empty() {
            match link.poll_write(cx, self.out.buffer()) {
                // Mostly there is nothing to it.
                Poll::Ready(Ok(written)) if written > 0 && self.out.is_empty() => {
                    match link.poll_flush(cx) {
                        Poll::Ready(Ok(())) => Poll::Ready(Happened::Sent(written)),
                        Poll::Ready(Err(error)) => Poll::Ready(Happened::Flushed(Err(error))),
                        Poll::Pending => Poll::Ready(Happened::Written(Ok(written))),
                    }
                }
                written => written.map(Happened::Written),
            }
        } else if self.flush_due {
            link.poll_flush(cx).map(Happened::Flushed)
        } else if self.shutting_down {
            // That the peer is gone already is no news: its end will be read.
            link.poll_shutdown(cx).map(|_| Happened::Shutdown)
        } else {
            return None;
        };
        match polled {
            Poll::Ready(happened) => Some(happened),
            Poll::Pending => None,
        }
    }

    /// Tells the engine what happened. Whether the loop is over.
    fn take(&mut self, happened: Happened) -> bool {
        match happened {
            // Time has passed, or handlers get their turn with the next question.
            Happened::Nothing | Happened::Handlers => {}
            Happened::Timeout => self.tell(News::Timeout),
            Happened::ChildEnded => self.child_ended = true,
            Happened::LastFlush => match self.write_error.take() {
                Some(error) => self.fail(&error),
                None => return true,
            },
            Happened::Written(Ok(0)) => self.fail_writing(io::ErrorKind::WriteZero.into()),
            Happened::Written(Ok(_)) => {
                self.flush_due = self.out.is_empty();
            }
            Happened::Flushed(Ok(())) | Happened::Sent(_) => {
                self.flush_due = false;
                self.tell(News::Transmitted);
            }
            Happened::Written(Err(error)) | Happened::Flushed(Err(error)) => {
                self.fail_writing(error);
            }
            Happened::Shutdown => {
                self.writer_done = true;
                self.shutting_down = false;
                self.let_go();
            }
            Happened::Read(Ok(0)) | Happened::Orphaned => {
                self.end_reading();
                match self.write_error.take() {
                    Some(error) => self.fail(&error),
                    None => self.tell(News::Input(Input::Eof)),
                }
            }
            Happened::Read(Ok(read)) => {
                self.orphaned = None;
                let input = Input::Bytes(&mut self.input);
                let wants = self.machine.turn(News::Input(input), self.out.buffer());
                self.take_wants(wants);
                if let Some(error) = self.write_error.take() {
                    self.read_late += read;
                    if self.read_late >= LAST_READ_BYTES {
                        self.fail(&error);
                        return false;
                    }
                    self.write_error = Some(error);
                }
            }
            Happened::Read(Err(error)) => {
                let error = self.write_error.take().unwrap_or(error);
                self.fail(&error);
            }
        }
        false
    }

    fn tell(&mut self, news: News<'_>) {
        let wants = self.machine.turn(news, self.out.buffer());
        self.take_wants(wants);
    }

    fn take_wants(&mut self, wants: Wants) {
        // It is said once.
        self.shutting_down |= wants.shutdown;
        self.wants = Some(wants);
    }

    /// The peer takes no more bytes. What it said before is still read; then the connection fails.
    fn fail_writing(&mut self, error: io::Error) {
        let error = self.machine.earlier_write_error().unwrap_or(error);
        self.out.clear();
        self.flush_due = false;
        self.writer_done = true;
        if self.reader_done || self.machine.is_closed() {
            self.fail(&error);
        } else {
            self.write_error = Some(error);
            self.last_flush = Some(self.machine.clock().now() + LAST_FLUSH);
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
        self.end_reading();
        self.tell(News::Input(Input::Failed(text)));
    }

    fn end_reading(&mut self) {
        self.reader_done = true;
        self.input = BytesMut::new();
        self.let_go();
    }

    /// Drops the link once both its sides are done.
    fn let_go(&mut self) {
        if self.reader_done && self.writer_done {
            self.link = None;
        }
    }
}
