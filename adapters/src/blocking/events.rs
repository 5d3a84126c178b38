//! What arrives, waited for.

use std::time::Duration;

use async_io::block_on;
use sente_core::Connection;
use thiserror::Error;

use super::Handle;
use crate::engine::Engine;
use crate::runtime::timeout;

/// What arrives on a connection, or what a client has to tell, as [`Events`](crate::Events). Also an
/// iterator, which ends with the connection.
#[derive(Debug)]
pub struct Events<M: Engine = Connection> {
    inner: crate::Events<M>,
    handle: Handle<M>,
}

impl<M: Engine> Events<M> {
    /// The next event; `None` after the end, as [`Events::next`](crate::Events::next).
    #[expect(
        clippy::should_implement_trait,
        reason = "it is the iterator's, without the need to import a trait"
    )]
    pub fn next(&mut self) -> Option<M::Event> {
        block_on(self.inner.next())
    }

    /// The next event if it comes `within` that time; `None` after the end.
    ///
    /// # Errors
    /// [`NotYet`] if none came in time.
    pub fn next_within(&mut self, within: Duration) -> Result<Option<M::Event>, NotYet> {
        let runtime = self.inner.handle().shared.clock.runtime().clone();
        block_on(timeout(&*runtime, within, self.inner.next())).ok_or(NotYet)
    }

    /// The handle of the same connection or client.
    #[must_use]
    pub const fn handle(&self) -> &Handle<M> {
        &self.handle
    }

    /// The asynchronous events, to run modules or handlers on.
    #[must_use]
    pub fn into_inner(self) -> crate::Events<M> {
        self.inner
    }
}

impl<M: Engine> Iterator for Events<M> {
    type Item = M::Event;

    fn next(&mut self) -> Option<M::Event> {
        Self::next(self)
    }
}

impl<M: Engine> From<crate::Events<M>> for Events<M> {
    fn from(inner: crate::Events<M>) -> Self {
        let handle = inner.handle().clone().into();
        Self { inner, handle }
    }
}

/// Nothing came in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("nothing came in time")]
#[expect(clippy::exhaustive_structs, reason = "it says all there is")]
pub struct NotYet;
