//! Handlers that the driver runs itself, between reading and writing.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::MutexGuard;
use std::task::Poll;

use sente_core::{Connection, ConnectionEvent, Instant, Message, RecvCapacity};

use crate::dispatch::{Dispatched, Dispatcher, OnDriver};
use crate::engine::Engine;
use crate::events::Events;
use crate::handle::Handle;
use crate::shared::{Again, Inner, Shared};

/// How many events handlers see until what they answered is written.
const EVENTS_IN_A_ROW: usize = 256;

/// How many messages are taken under one lock at most, and of how many bytes all that wait may be then:
/// what was taken does not count for the limits of the connection, and may have to wait for room for
/// answers.
const AT_ONCE: usize = 16;
const MAX_AT_ONCE_BYTES: usize = 64 * 1024;

/// How much of what is for no handler waits for the application at most, of messages one: what waits
/// here does not count for the limits of the connection.
const MAX_REST: usize = 16;

impl Dispatcher<Connection> {
    /// Has the driver of the connection run the handlers itself, and gives out what no handler wants:
    /// the way to serve handlers that do not wait.
    ///
    /// What one read brought is shown to the handlers on the spot, their answers go out with one
    /// write, and no other task has to be woken for that. After 256 events, or about 64 KiB, others of
    /// the runtime have their turn.
    ///
    /// Handlers see the events in the order in which they came, run without a lock, and may use any
    /// [`Handle`]. They must not block: while one runs, nothing is read or written. One that has to
    /// wait spawns a task, and takes the [`Responder`](crate::Responder) along. What they send while
    /// the send queue is full is refused, as always; answers never are, and while too many of them
    /// wait to be written nothing is read, nor shown to handlers.
    ///
    /// What no handler wants waits in the [`Rest`], in order. While a message does, or 16 of all else,
    /// handlers see nothing either, so that not reading it is backpressure. Where nobody is to read it, drop it: then calls
    /// that are for no handler are answered with an error, a peer that half-closes gets its answers
    /// within five seconds, and all else is dropped. [`attach_with`](Self::attach_with) shows it to a
    /// closure.
    ///
    /// The connection lives until either side ends it, whoever holds a handle. The handlers then have
    /// seen all that came when [`Handle::ended`] comes.
    ///
    /// ```no_run
    /// use sente_adapters::{Dispatcher, ListenOptions, Listener};
    /// use sente_core::{Accept, EventId, Pattern};
    ///
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut listener = Listener::bind(&"ws://127.0.0.1:0/chsk".parse()?, ListenOptions::default()).await?;
    /// while let Some(incoming) = listener.accept().await {
    ///     let (handle, events) = incoming?.accept(Accept::new("ada")).await?;
    ///     let mut handlers = Dispatcher::new(handle);
    ///     handlers.on(Pattern::Id(EventId::new("test/echo")?), |received| {
    ///         if let Some(data) = received.event().data.clone() {
    ///             let _ = received.reply(data);
    ///         }
    ///     });
    ///     // Nobody reads what is for no handler, and no task waits for it.
    ///     drop(handlers.attach(events));
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "dropped, what no handler wants is told nobody"]
    pub fn attach(self, events: Events) -> Rest {
        let handle = events.handle().clone();
        start(self, events, None);
        Rest { handle }
    }

    /// The same, and shows what no handler wants to `rest`, on the driver and after the handlers: the
    /// end of the connection for one, and panics. What is said of handlers holds for it, too. A call
    /// that it drops is left unanswered.
    pub fn attach_with(
        self,
        events: Events,
        rest: impl FnMut(Dispatched<ConnectionEvent>) + Send + 'static,
    ) {
        start(self, events, Some(Box::new(rest)));
    }
}

/// What no handler wants of a connection whose driver runs them, from [`Dispatcher::attach`].
///
/// Not reading it is backpressure. Dropped, nobody is told any more.
pub struct Rest<M: Engine = Connection> {
    handle: Handle<M>,
}

impl<M: Engine> Rest<M> {
    /// The next; `None` after the `Closed` of the connection.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub async fn next(&mut self) -> Option<Dispatched<M::Event>> {
        let shared = &self.handle.shared;
        poll_fn(|cx| {
            loop {
                let mut inner = shared.lock();
                let is_over = inner.over || inner.told_end;
                let Some(inline) = inner.inline.as_mut() else {
                    return Poll::Ready(None);
                };
                if let Some(next) = inline.rest.pop_front() {
                    let go_on = !inline.is_full();
                    drop(inner);
                    if go_on {
                        // Handlers go on.
                        shared.wake();
                    }
                    return Poll::Ready(Some(next));
                }
                // While handlers run, more may come.
                if is_over && (inline.work.is_some() || inner.over) {
                    return Poll::Ready(None);
                }
                drop(inner);
                if shared.arrived.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    /// The handle of the connection.
    #[must_use]
    pub const fn handle(&self) -> &Handle<M> {
        &self.handle
    }
}

impl<M: Engine> fmt::Debug for Rest<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rest").finish_non_exhaustive()
    }
}

impl<M: Engine> Drop for Rest<M> {
    fn drop(&mut self) {
        let shared = &self.handle.shared;
        let mut inner = shared.lock();
        let now = shared.clock.now();
        if let Some(inline) = inner.inline.as_mut() {
            inline.is_read = false;
            let rest = std::mem::take(&mut inline.rest);
            for dispatched in rest {
                inner.drop_rest(dispatched, now);
            }
        }
        drop(inner);
        shared.wake();
    }
}

/// Handlers on the driver, and what they left.
pub(crate) struct Inline<M: Engine> {
    /// `None` while it runs, and when the driver is gone.
    pub(crate) work: Option<Box<Work<M>>>,
    rest: VecDeque<Dispatched<M::Event>>,
    /// Whether somebody reads it.
    is_read: bool,
}

impl<M: Engine> Inline<M> {
    pub(crate) fn has_rest(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Whether handlers wait for the rest to be read.
    fn is_full(&self) -> bool {
        self.rest.len() >= MAX_REST || self.rest.iter().any(is_message::<M>)
    }
}

/// What the driver runs.
pub(crate) struct Work<M: Engine> {
    handlers: Dispatcher<M>,
    /// Held, so that nothing is discarded; with what came before the handlers.
    events: Events<M>,
    /// What was taken with others, and has to wait.
    taken: VecDeque<M::Event>,
    /// What no handler wanted since it runs.
    rest: VecDeque<Dispatched<M::Event>>,
    /// How much may be in it.
    max_rest: usize,
    shows_rest: Option<Box<ShowsRest<M>>>,
}

type ShowsRest<M> = dyn FnMut(Dispatched<<M as Engine>::Event>) + Send;

fn start<M: Engine>(
    handlers: Dispatcher<M>,
    events: Events<M>,
    shows_rest: Option<Box<ShowsRest<M>>>,
) {
    let shared = events.handle().shared.clone();
    let work = Box::new(Work {
        handlers,
        events,
        taken: VecDeque::new(),
        rest: VecDeque::new(),
        max_rest: 0,
        shows_rest,
    });
    let mut inner = shared.lock();
    inner.inline = Some(Box::new(Inline {
        is_read: work.shows_rest.is_none(),
        work: Some(work),
        rest: VecDeque::new(),
    }));
    let over = inner.over;
    drop(inner);
    if over {
        // What is there is all that comes, and there is no driver any more.
        shared.run_inline_to_the_end();
        let mut inner = shared.lock();
        let work = inner.inline.as_mut().and_then(|inline| inline.work.take());
        drop(inner);
        drop(work);
    } else {
        shared.wake();
    }
}

impl<M: Engine> Work<M> {
    /// Whether something is here that the machine has given out.
    fn has_taken(&self) -> bool {
        self.events.has_early() || !self.taken.is_empty()
    }

    /// The next event, if there is one.
    fn take(&mut self, inner: &mut Inner<M>, shared: &Shared<M>) -> Option<M::Event> {
        if self.has_taken() {
            return self.take_taken(inner);
        }
        inner.next_event(shared)
    }

    #[cold]
    fn take_taken(&mut self, inner: &mut Inner<M>) -> Option<M::Event> {
        if let Some(early) = self.events.take_early() {
            return Some(early);
        }
        let event = self.taken.pop_front()?;
        inner.note_given_out(&event);
        Some(event)
    }

    /// Fills `messages`, which is empty, with the next. What comes behind them and is none is kept to be
    /// shown alone.
    fn take_messages(
        &mut self,
        inner: &mut Inner<M>,
        shared: &Shared<M>,
        messages: &mut [Option<M::Event>],
    ) {
        for place in messages {
            *place = inner.take_event(shared);
            if !place.as_ref().is_some_and(M::is_message) {
                self.taken.extend(place.take());
                return;
            }
            if !inner.has_event() {
                return;
            }
        }
    }

    /// Shows an event to the handlers, and what is for none to whom the rest is shown. Whether it is a
    /// message that is in the rest now.
    fn show(&mut self, place: &mut Option<M::Event>, driver: &mut OnDriver) -> bool {
        let Some(event) = place else {
            return false;
        };
        let left = if self.handlers.dispatch_inline(event, driver) {
            *place = None;
            None
        } else {
            place
                .take()
                .and_then(|event| self.leave(Dispatched::Event(event)))
        };
        if self.handlers.has_panic() {
            self.take_panics();
        }
        let Some(left) = left else {
            return false;
        };
        let stops = is_message::<M>(&left);
        self.rest.push_back(left);
        stops
    }

    /// Shows messages one after the other, as long as there is room for answers and for the rest, and
    /// keeps those that are left. How many were shown.
    fn show_all(&mut self, messages: &mut [Option<M::Event>], driver: &mut OnDriver) -> usize {
        let mut shown = 0_usize;
        let mut places = messages.iter_mut();
        driver.has_no_room = false;
        for place in places.by_ref() {
            if place.is_none() {
                return shown;
            }
            self.show(place, driver);
            shown = shown.saturating_add(1);
            if driver.has_no_room || self.is_full() {
                break;
            }
        }
        self.keep(places.filter_map(Option::take));
        shown
    }

    fn is_full(&self) -> bool {
        self.rest.len() >= self.max_rest
    }

    #[cold]
    fn take_panics(&mut self) {
        while let Some(panicked) = self.panicked() {
            self.rest.push_back(panicked);
        }
    }

    /// Keeps messages that were taken, before what was kept of what came after them.
    fn keep(&mut self, messages: impl DoubleEndedIterator<Item = M::Event>) {
        for message in messages.rev() {
            self.taken.push_front(message);
        }
    }

    /// The next panic that is to be told of.
    fn panicked(&mut self) -> Option<Dispatched<M::Event>> {
        loop {
            let panic = self.handlers.poll_panic()?;
            let left = self.leave(Dispatched::Panicked(panic));
            if left.is_some() {
                return left;
            }
        }
    }

    fn leave(&mut self, dispatched: Dispatched<M::Event>) -> Option<Dispatched<M::Event>> {
        let Some(show) = &mut self.shows_rest else {
            return Some(dispatched);
        };
        // What it leaves half done is its own.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| show(dispatched))) {
            self.handlers.count_panic(payload);
        }
        None
    }
}

impl<M: Engine> Shared<M> {
    /// Shows what has come to the handlers. They run without the lock.
    pub(crate) fn run_inline<'a>(
        &'a self,
        mut inner: MutexGuard<'a, Inner<M>>,
        now: Instant,
        again: &mut Again,
    ) -> MutexGuard<'a, Inner<M>> {
        let has_event = inner.has_event();
        let Some(inline) = inner.inline.as_mut().filter(|inline| !inline.is_full()) else {
            return inner;
        };
        let Some(mut work) = inline.work.take() else {
            return inner;
        };
        again.at = work.handlers.due();
        let is_due = again.at.is_some_and(|due| due <= now);
        if !has_event && !is_due && !work.has_taken() {
            inline.work = Some(work);
            return inner;
        }
        // Nothing but this makes it longer.
        work.max_rest = MAX_REST.saturating_sub(inline.rest.len());
        if is_due {
            drop(inner);
            work.handlers.handle_timeout();
            work.take_panics();
            inner = self.lock();
        }
        let mut driver = OnDriver {
            now,
            has_no_room: false,
        };
        // What was read already may ask for more answers than are to wait at once.
        while again.shown < EVENTS_IN_A_ROW
            && !work.is_full()
            && inner.machine.has_reply_room()
            && (work.has_taken() || inner.may_have_event())
        {
            let left = EVENTS_IN_A_ROW.saturating_sub(again.shown);
            let shown = if left >= AT_ONCE && !work.has_taken() && inner.gives_many() {
                let mut messages: [_; AT_ONCE] = std::array::from_fn(|_| None);
                work.take_messages(&mut inner, self, &mut messages);
                drop(inner);
                let shown = work.show_all(&mut messages, &mut driver);
                inner = self.lock();
                shown
            } else {
                let mut event = work.take(&mut inner, self);
                if event.is_none() {
                    break;
                }
                drop(inner);
                let stops = work.show(&mut event, &mut driver);
                inner = self.lock();
                if stops && inner.is_rest_read() {
                    again.shown = again.shown.saturating_add(1);
                    break;
                }
                1
            };
            again.shown = again.shown.saturating_add(shown);
        }
        again.at = work.handlers.due();
        let has_rest = !work.rest.is_empty();
        if has_rest && !inner.is_rest_read() {
            for dispatched in work.rest.drain(..) {
                inner.drop_rest(dispatched, now);
            }
        }
        let is_left = inner.has_event() || work.has_taken();
        again.lacks_room = is_left && !inner.machine.has_reply_room();
        if let Some(inline) = inner.inline.as_mut() {
            if has_rest {
                inline.rest.append(&mut work.rest);
                work.rest = VecDeque::new();
            }
            inline.work = Some(work);
            again.at_once = is_left && !again.lacks_room && !inline.is_full();
        }
        inner
    }

    /// Shows all that is left to the handlers, whether anybody reads the rest or not: the driver is
    /// gone, so no more comes.
    pub(crate) fn run_inline_to_the_end(&self) {
        let mut inner = self.lock();
        if inner.inline.is_none() || std::thread::panicking() {
            return;
        }
        let now = self.clock.now();
        let mut kept = VecDeque::new();
        loop {
            let Some(inline) = inner.inline.as_mut() else {
                return;
            };
            kept.append(&mut inline.rest);
            let mut again = Again::default();
            inner = self.run_inline(inner, now, &mut again);
            if again.shown == 0 {
                break;
            }
        }
        if let Some(inline) = inner.inline.as_mut() {
            kept.append(&mut inline.rest);
            inline.rest = kept;
        }
    }
}

impl<M: Engine> Inner<M> {
    /// Whether several messages may be taken at once. Where somebody reads what no handler wants the first
    /// such message is the last that handlers see for now.
    fn gives_many(&self) -> bool {
        let is_much =
            |capacity: RecvCapacity| capacity.messages > 1 && capacity.bytes <= MAX_AT_ONCE_BYTES;
        self.machine.recv_capacity().is_some_and(is_much) && !self.is_rest_read()
    }

    fn is_rest_read(&self) -> bool {
        self.inline.as_ref().is_some_and(|inline| inline.is_read)
    }

    /// Does what is left to do with what nobody is told of.
    fn drop_rest(&mut self, dispatched: Dispatched<M::Event>, now: Instant) {
        let Dispatched::Event(event) = dispatched else {
            return;
        };
        match M::of_link(event) {
            Ok(ConnectionEvent::Message(Message {
                event,
                reply: Some(token),
                ..
            })) => {
                tracing::debug!("nobody handles {}: its caller is told", event.id);
                // It fails only where the caller is gone.
                let _ = self.machine.reply_error(now, token);
            }
            Ok(other) => self.machine.discard(now, M::told_of_link(other)),
            Err(other) => self.machine.discard(now, other),
        }
    }
}

fn is_message<M: Engine>(dispatched: &Dispatched<M::Event>) -> bool {
    matches!(dispatched, Dispatched::Event(event) if M::is_message(event))
}
