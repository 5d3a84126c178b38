//! Streams of some of the events, the next of them, and states, waited for.

use std::time::Duration;

use async_io::block_on;
use sente_core::{Client, ClientState, Connection, Gone, Pattern, State};
use tokio::sync::watch;

use super::{Handle, NotYet};
use crate::engine::Engine;
use crate::runtime::timeout;
use crate::{Arrived, StreamLimits};

impl<M: Engine> Handle<M> {
    /// The events that `pattern` says, as [`Handle::on`](crate::Handle::on): from now on, and not from
    /// the [`Events`](super::Events) as well, which somebody has to read, or to drop.
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on(&self, pattern: impl Into<Pattern>) -> EventStream<M> {
        self.on_with(pattern, StreamLimits::default())
    }

    /// The same, and how much may wait, as [`Handle::on_with`](crate::Handle::on_with).
    #[must_use = "dropped, the stream takes nothing any more"]
    pub fn on_with(&self, pattern: impl Into<Pattern>, limits: StreamLimits) -> EventStream<M> {
        let handle: &crate::Handle<M> = self;
        EventStream {
            inner: handle.on_with(pattern, limits),
            handle: handle.clone(),
        }
    }

    /// The next event that `pattern` says, as [`Handle::take`](crate::Handle::take). It waits in the
    /// background from now on: for the answer to what is sent before [`Take::wait`].
    #[must_use = "dropped, it waits no longer"]
    pub fn take(&self, pattern: impl Into<Pattern>) -> Take<M> {
        let handle: &crate::Handle<M> = self;
        Take {
            inner: handle.take(pattern),
            handle: handle.clone(),
        }
    }
}

impl Handle {
    /// The state as a watch, as [`Handle::states`](crate::Handle::states).
    #[must_use]
    pub fn states(&self) -> States<State> {
        let handle: &crate::Handle = self;
        States(handle.states())
    }
}

impl Handle<Client> {
    /// The state as a watch, as [`Handle::states`](crate::Handle::states) of a client.
    #[must_use]
    pub fn states(&self) -> States<ClientState> {
        let handle: &crate::Handle<Client> = self;
        States(handle.states())
    }
}

/// Some of the events, as [`EventStream`](crate::EventStream). Also an iterator, which ends with the
/// connection.
#[derive(Debug)]
pub struct EventStream<M: Engine = Connection> {
    inner: crate::EventStream<M>,
    handle: crate::Handle<M>,
}

impl<M: Engine> EventStream<M> {
    /// The next event; `None` after the end, as [`EventStream::next`](crate::EventStream::next).
    #[expect(
        clippy::should_implement_trait,
        reason = "it is the iterator's, without the need to import a trait"
    )]
    pub fn next(&mut self) -> Option<Arrived<M>> {
        block_on(self.inner.next())
    }

    /// The next event if it comes `within` that time; `None` after the end.
    ///
    /// # Errors
    /// [`NotYet`] if none came in time.
    pub fn next_within(&mut self, within: Duration) -> Result<Option<Arrived<M>>, NotYet> {
        let runtime = self.handle.shared.clock.runtime();
        block_on(timeout(&**runtime, within, self.inner.next())).ok_or(NotYet)
    }

    /// How many events were dropped so far, since they were not taken in time.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.inner.missed()
    }

    /// How many events wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.waiting()
    }
}

impl<M: Engine> Iterator for EventStream<M> {
    type Item = Arrived<M>;

    fn next(&mut self) -> Option<Arrived<M>> {
        Self::next(self)
    }
}

/// The next event of a kind, as [`Take`](crate::Take).
#[derive(Debug)]
#[must_use = "dropped, it waits no longer"]
pub struct Take<M: Engine = Connection> {
    inner: crate::Take<M>,
    handle: crate::Handle<M>,
}

impl<M: Engine> Take<M> {
    /// Waits for it.
    ///
    /// # Errors
    /// [`Gone::Closed`] if the link ends first.
    pub fn wait(self) -> Result<Arrived<M>, Gone> {
        block_on(self.inner)
    }

    /// Waits for it, so long at most.
    ///
    /// # Errors
    /// [`Gone::Closed`] if the link ends first, [`Gone::Timeout`] if it did not come in time.
    pub fn wait_within(self, within: Duration) -> Result<Arrived<M>, Gone> {
        let runtime = self.handle.shared.clock.runtime();
        let taken = block_on(timeout(&**runtime, within, self.inner));
        taken.unwrap_or(Err(Gone::Timeout))
    }
}

/// A state, and those that come. Of states that follow each other quickly only the last may be seen,
/// and the last of all is never missed. Clones have each their own view of what is new.
#[derive(Clone, Debug)]
pub struct States<S>(watch::Receiver<S>);

impl<S: Clone> States<S> {
    /// The present state, which counts as seen.
    #[must_use]
    pub fn current(&mut self) -> S {
        self.0.borrow_and_update().clone()
    }

    /// The next state that has not been seen; `None` once no further one can come.
    pub fn changed(&mut self) -> Option<S> {
        block_on(self.0.changed()).ok()?;
        Some(self.current())
    }

    /// Waits for a state that `wanted` is true of, the present one included; `None` if it cannot come
    /// any more.
    pub fn wait_for(&mut self, wanted: impl FnMut(&S) -> bool) -> Option<S> {
        let state = block_on(self.0.wait_for(wanted)).ok()?;
        Some(state.clone())
    }
}
