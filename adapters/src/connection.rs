//! A connection on a task of its own: what is said and known of it besides sending.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitStatus;
use std::sync::Arc;

use sente_core::packer::Packer;
use sente_core::{
    Carrier, CloseReason, ConnId, Connection, Dialect, Input, Instant, Opened, RecvCapacity, State,
    Stats, Transmit, TransmitBuf,
};
use tokio::sync::watch;

use crate::budget::SharedRecvBudget;
use crate::clock::Clock;
use crate::direct::Direct;
use crate::driver::{Driven, News, Wants, drive};
use crate::engine::ConnectionFacts;
use crate::events::Events;
use crate::handle::{End, Handle};
use crate::link::{Link, Transport};
use crate::runtime::Timer;
use crate::shared::Shared;
use crate::signal::Signal;

const DROPPED: &str = "the transport was dropped";

/// Starts to drive `connection` over `transport`, on a task of its own.
pub(crate) fn start(
    connection: Connection,
    clock: Clock,
    id: ConnId,
    transport: Transport,
    budget: &SharedRecvBudget,
) -> (Handle, Events) {
    start_with(connection, clock, id, transport, Clock::timer, budget)
}

/// The same with timers of that kind.
pub(crate) fn start_with<L: Link + ?Sized + 'static, T: Timer + ?Sized + 'static>(
    mut connection: Connection,
    clock: Clock,
    id: ConnId,
    mut transport: Transport<L>,
    timer: impl FnOnce(&Clock) -> Box<T> + Send + 'static,
    budget: &SharedRecvBudget,
) -> (Handle, Events) {
    let driver = Arc::new(Signal::default());
    let mut share = budget.join(&driver);
    if let Some(bytes) = share.news() {
        connection.set_recv_allowance(clock.now(), bytes);
    }
    let peer = std::mem::take(&mut transport.peer).into_boxed_str();
    let facts = ConnectionFacts::new(id, connection.config().clone(), peer);
    if let Some(pid) = transport.child.as_ref().and_then(|child| child.pid()) {
        // It is said once.
        let _ = facts.rare().pid.set(pid);
    }
    let runtime = clock.runtime().clone();
    let shared = Shared::new(connection, clock, driver, Some(share), facts);
    shared.lock().direct = Direct::to(transport.link.socket());
    let held = shared.hold();
    let transport = Box::new(transport);
    // Before the task begins: it may never do so.
    let mut over = Over { shared, exit: None };
    runtime.spawn(Box::pin(async move {
        let child = drive(&*over.shared, transport, timer).await;
        if let Some(child) = child {
            // Few peers are children, and no other is to keep room for this.
            let kill = over.shared.facts.rare().kill.notified();
            let exit = Box::pin(child.finish(kill)).await;
            over.came_to(exit);
        }
    }));
    held
}

impl Handle {
    /// Closes now: what is queued is given up. A WebSocket waits for the peer's goodbye, 5 s at
    /// most; what the peer says until then is told as far as the receive queue has room for it, and
    /// nobody has to take it.
    pub fn close(&self) {
        self.shared.with_waking(Connection::close);
    }

    /// Closes now, and kills the child, if the peer is one, without the grace it has otherwise.
    /// It is still waited for: see [`ended`](Self::ended).
    pub fn kill(&self) {
        self.shared.facts.rare().kill.notify_one();
        self.close();
    }

    /// Waits for the end: the connection is closed, its transport dropped, its child waited for.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn ended(&self) -> End {
        self.shared.facts.rare().end.wait().await
    }

    /// The id of this connection on this side.
    #[must_use]
    pub fn id(&self) -> ConnId {
        self.shared.facts.id
    }

    /// The packer both sides speak. A `Hub` wants to know it.
    #[must_use]
    pub fn packer(&self) -> &Arc<dyn Packer> {
        self.shared.facts.config.packer()
    }

    /// What the peer is called in messages: an address, a path, a command.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.shared.facts.peer
    }

    /// The child's process id, if the peer is one.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.shared.facts.rare_there()?.pid.get().copied()
    }

    /// The terms of the newest handshake that was seen. `None` where an [`Attendant`](crate::Attendant)
    /// was told them, as in a server: it keeps what it needs of them.
    #[must_use]
    pub fn opened(&self) -> Option<Opened> {
        self.shared.lock().opened.as_deref().cloned()
    }

    /// What carries it: a WebSocket or a byte stream.
    #[must_use]
    pub fn carrier(&self) -> Carrier {
        self.shared.facts.config.carrier()
    }

    /// The dialect in force.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.shared.lock().machine.dialect()
    }

    /// Where the connection is in its life, at this moment; [`states`](Self::states) waits for changes.
    #[must_use]
    pub fn state(&self) -> State {
        self.shared.lock().machine.state()
    }

    /// The state as a watch: the present one, and those that come. Of states that follow each other
    /// quickly only the last may be seen, and the last of all is never missed. Clones are cheap.
    ///
    /// Waiting for a change is cancel safe.
    #[must_use]
    pub fn states(&self) -> watch::Receiver<State> {
        // Under the lock, so that no change comes between.
        let inner = self.shared.lock();
        let state = inner.machine.state();
        let states = self
            .shared
            .facts
            .rare()
            .states
            .get_or_init(|| watch::Sender::new(state));
        states.subscribe()
    }

    /// Counts since the connection began.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.lock().machine.stats()
    }

    /// How much waits for the application, and of how much that may be.
    #[must_use]
    pub fn recv_capacity(&self) -> RecvCapacity {
        self.shared.lock().machine.recv_capacity()
    }
}

impl Driven for Shared<Connection> {
    fn turn(&self, news: News<'_>, out: &mut TransmitBuf) -> Wants {
        let is_transmitted = matches!(news, News::Transmitted);
        let tell = |connection: &mut Connection, now| match news {
            News::None => {}
            News::Input(input) => connection.handle_input(now, input),
            News::Timeout => connection.handle_timeout(now),
            News::Transmitted => connection.handle_transmitted(now),
        };
        self.step(tell, |connection, direct, now, again| {
            let shutdown = out.is_empty()
                && (direct.take_rest(out)).or_else(|| connection.poll_transmit(out))
                    == Some(Transmit::Shutdown);
            if is_transmitted && out.is_empty() {
                connection.rest();
            }
            let timeout = [connection.poll_timeout(), again.at];
            let timeout = timeout.into_iter().flatten().min();
            direct.driver_waits_until(timeout);
            Wants {
                now,
                shutdown,
                read: connection.wants_read(),
                timeout,
                finished: connection.is_finished(),
                closed: connection.state() == State::Closed,
                // What waits for answers to be written is not in the application's hands.
                has_event: connection.has_event() && !again.lacks_room,
                again: again.at_once,
                shown: again.shown,
            }
        })
    }

    fn is_quiet_after_write(&self, now: Instant) -> bool {
        let mut inner = self.lock();
        inner.machine.handle_transmitted(now);
        // Whoever looks after it does so after each write.
        if inner.attend(now).is_some() {
            return false;
        }
        let is_quiet = inner.machine.is_quiet();
        if is_quiet {
            inner.machine.rest();
        }
        is_quiet
    }

    fn earlier_write_error(&self) -> Option<io::Error> {
        self.lock().direct.take_error()
    }

    fn is_closed(&self) -> bool {
        self.with(|connection, _| connection.state() == State::Closed)
    }

    fn changed(&self) -> &Signal {
        &self.driver
    }

    fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// Says that the loop is over, however it ends: also when the runtime drops it, or a panic does.
struct Over {
    shared: Arc<Shared<Connection>>,
    exit: Option<ExitStatus>,
}

impl Over {
    /// Notes how the child ended.
    const fn came_to(&mut self, exit: Option<ExitStatus>) {
        self.exit = exit;
    }
}

impl Drop for Over {
    fn drop(&mut self) {
        let shared = &self.shared;
        // A loop that panicked in the engine may do so again; whoever waits is told all the same.
        let reason =
            catch_unwind(AssertUnwindSafe(|| shared.with(end))).unwrap_or_else(|_| dropped());
        let mut stats = Stats::default();
        shared.let_go(|inner| stats = inner.machine.stats());
        shared.facts.rare().end.set(End {
            reason,
            exit: self.exit,
            stats,
        });
    }
}

/// Ends `connection`, if its loop has not, and says why it ended.
fn end(connection: &mut Connection, now: Instant) -> CloseReason {
    if connection.state() != State::Closed {
        connection.handle_input(now, Input::Failed(DROPPED.to_owned()));
    }
    // With its receive queue full it is not closed yet; nobody will see to its timeouts.
    connection.close(now);
    connection.close_reason().cloned().unwrap_or_else(dropped)
}

fn dropped() -> CloseReason {
    CloseReason::Failed(DROPPED.to_owned())
}
