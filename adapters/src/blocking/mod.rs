//! The same without a runtime: each connection runs on a thread of its own, and the methods wait.
//!
//! The names are those of the asynchronous API, and so are the options. A [`Handle`] and [`Events`]
//! give out everything that does not wait as those they stand for; what waits, waits here.
//!
//! Nothing of this is to be called on an asynchronous task, whose thread it would hold up.
//!
//! ```no_run
//! use std::time::Duration;
//! use sente_adapters::{ConnectOptions, blocking};
//! use sente_core::{Event, EventId};
//!
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let url = "tcp://127.0.0.1:4000".parse()?;
//! let (handle, mut events) = blocking::connect(&url, &ConnectOptions::default())?;
//! let reply = handle.call(Event::new(EventId::new("test/echo")?, 1), Duration::from_secs(5))?;
//! println!("{:?}", reply.to_value()?);
//! while let Some(event) = events.next() {
//!     println!("{event:?}");
//! }
//! # Ok(())
//! # }
//! ```

mod events;
mod handle;
mod listen;
mod on;

use std::future::ready;
use std::io;
use std::sync::Arc;

use async_io::block_on;
use sente_core::{Client, Connect, ConnectFailure};

use crate::runtime::{AsyncIo, Runtime};
use crate::{ClientOptions, ConnectError, ConnectOptions, Endpoint, Url};

pub use events::{Events, NotYet};
pub use handle::Handle;
pub use listen::{Incoming, Listener};
pub use on::{EventStream, States, Take};

/// Connects to `url`, as [`connect`](crate::connect), and waits until that is done. Without a
/// runtime in the options the connection has a thread of its own.
///
/// # Errors
/// [`ConnectError`] says which step failed and why.
pub fn connect(url: &Url, options: &ConnectOptions) -> Result<(Handle, Events), ConnectError> {
    let mut options = options.clone();
    options.runtime.get_or_insert_with(threads);
    let (handle, events) = block_on(crate::connect(url, &options))?;
    Ok((handle.into(), events.into()))
}

/// Connects, and connects again whenever the link is lost, as
/// [`keep_connected`](crate::keep_connected), on a thread of its own, which `target` may hold up.
///
/// # Errors
/// What the system says when it has no randomness to give; it does not fail once it has started.
pub fn keep_connected<F>(
    mut options: ClientOptions,
    mut target: F,
) -> io::Result<(Handle<Client>, Events<Client>)>
where
    F: FnMut(Connect) -> Result<(Url, ConnectOptions), ConnectFailure> + Send + 'static,
{
    options.runtime.get_or_insert_with(threads);
    let target = move |attempt| ready(target(attempt));
    let (handle, events) = crate::keep_connected(options, target)?;
    Ok((handle.into(), events.into()))
}

/// Connects to the first of `endpoints` that answers, and whenever the link is lost again, as
/// [`keep_connected_to`](crate::keep_connected_to), on a thread of its own.
///
/// # Errors
/// That there are no endpoints; what the system says when it has no randomness to give, which does
/// not happen once it has started.
pub fn keep_connected_to(
    mut options: ClientOptions,
    endpoints: impl IntoIterator<Item = Endpoint>,
) -> io::Result<(Handle<Client>, Events<Client>)> {
    options.runtime.get_or_insert_with(threads);
    let (handle, events) = crate::keep_connected_to(options, endpoints)?;
    Ok((handle.into(), events.into()))
}

fn threads() -> Arc<dyn Runtime> {
    Arc::new(AsyncIo::threads())
}
