//! Listening, waited for.

use std::io;
use std::ops::Deref;

use async_io::block_on;
use sente_core::Accept;

use super::{Events, Handle, threads};
use crate::{ListenError, ListenOptions, Url};

/// A bound socket, as [`Listener`](crate::Listener).
#[derive(Debug)]
pub struct Listener(crate::Listener);

impl Listener {
    /// Binds `url`, as [`Listener::bind`](crate::Listener::bind). Without a runtime in the options
    /// the listener and each of its connections have a thread of their own.
    ///
    /// # Errors
    /// [`ListenError`]: the address is taken, or not one to listen on.
    pub fn bind(url: &Url, mut options: ListenOptions) -> Result<Self, ListenError> {
        options.runtime.get_or_insert_with(threads);
        block_on(crate::Listener::bind(url, options)).map(Self)
    }

    /// The URL with the real port.
    #[must_use]
    pub const fn url(&self) -> &Url {
        self.0.url()
    }

    /// The next client that wants in.
    pub fn accept(&mut self) -> Option<Result<Incoming, ListenError>> {
        Some(block_on(self.0.accept())?.map(Incoming))
    }
}

/// A client that wants in, as [`Incoming`](crate::Incoming), which it is for all that does not wait.
#[derive(Debug)]
#[must_use = "a client waits to be accepted or refused"]
pub struct Incoming(crate::Incoming);

impl Incoming {
    /// Lets it in with this handshake and starts to drive the connection.
    ///
    /// # Errors
    /// The socket's, if the client is gone already.
    pub fn accept(self, accept: Accept) -> io::Result<(Handle, Events)> {
        let (handle, events) = block_on(self.0.accept(accept))?;
        Ok((handle.into(), events.into()))
    }

    /// Turns it away, as [`Incoming::refuse`](crate::Incoming::refuse).
    pub fn refuse(self, status: u16, reason: &str) {
        block_on(self.0.refuse(status, reason));
    }
}

impl Deref for Incoming {
    type Target = crate::Incoming;

    fn deref(&self) -> &crate::Incoming {
        &self.0
    }
}
