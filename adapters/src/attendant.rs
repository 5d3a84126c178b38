//! Looking after many connections without a task for each.

use std::sync::Arc;
use std::task::Poll;

use sente_core::{Connection, Instant};

use crate::engine::Engine;
use crate::events::Events;
use crate::handle::Handle;

/// Looks after a connection from its driver: for a server with many connections, most of which have
/// nothing to say most of the time, so that none needs a task that waits for its events.
///
/// Given to a connection by [`Handle::attend`], which keeps it until the connection is over.
pub trait Attendant<M: Engine = Connection>: Send + Sync {
    /// Called before the driver asks what is to be written: queue what waits for room now, close.
    /// When it wants to be called again at the latest, by the clock of `now`; it is called after
    /// every write, and after [`Handle::wake`].
    ///
    /// The connection is locked meanwhile: it has to be quick, must not wait, and must not use a
    /// handle of the same connection.
    fn attend(self: Arc<Self>, now: Instant, machine: &mut M) -> Option<Instant>;

    /// Called when [`Events::try_next`] may have something to give, also for the last time when the
    /// driver is gone. Nothing is locked, but it runs on the driver's task or on that of a sender:
    /// it should only see to it that somebody takes the events.
    fn arrived(self: Arc<Self>);
}

impl<M: Engine> Handle<M> {
    /// Has `attendant` look after the connection from now on, in the place of any other. It is told
    /// at once that something may have arrived.
    pub fn attend(&self, attendant: Arc<dyn Attendant<M>>) {
        let mut inner = self.shared.lock();
        if !inner.over {
            inner.attendant = Some(attendant.clone());
        }
        drop(inner);
        self.shared.wake();
        attendant.arrived();
    }

    /// Does at once what an [`Attendant`] would do when the driver looks: `f` gives the machine what
    /// is for it, and says whether there was anything. Then the driver looks. What `f` said.
    ///
    /// The connection is locked meanwhile, as for [`Attendant::attend`].
    pub fn attend_now(&self, f: impl FnOnce(Instant, &mut M) -> bool) -> bool {
        let done = self.queue_now(f);
        if done {
            self.shared.wake();
        }
        done
    }

    /// The same, without waking the driver: whoever has something for many connections gives it to
    /// each, and sees to it that each is [written](Handle::write_now) soon, or woken.
    pub fn queue_now(&self, f: impl FnOnce(Instant, &mut M) -> bool) -> bool {
        let mut inner = self.shared.lock();
        let now = self.shared.clock.now();
        f(now, &mut inner.machine)
    }

    /// Has the driver look again: its [`Attendant`] has something to queue.
    pub fn wake(&self) {
        self.shared.wake();
    }

    /// What the clock of this connection says: that of the times its [`Attendant`] is given.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.shared.clock.now()
    }
}

impl<M: Engine> Events<M> {
    /// The next event, if there is one now: [`next`](Self::next) without waiting. `None` says
    /// nothing about the end; that comes as an event.
    pub fn try_next(&mut self) -> Option<M::Event> {
        self.take_early().or_else(|| match self.poll_engine() {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        })
    }
}
