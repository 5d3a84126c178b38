//! What arrives on a running connection, or what a client has to tell, one event after the other.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::task::Poll;

use sente_core::{BadReason, CloseReason, Connection, ConnectionEvent, State};

use crate::engine::Engine;
use crate::handle::Handle;

/// What arrives on a connection, or, as [`ClientEvents`](crate::ClientEvents), what a client has to
/// tell. Not reading it is backpressure: the receive queue fills, the transport is not read any
/// more, and a client does not reconnect for ever.
///
/// What a stream of [`Handle::on`] or a [`Handle::take`] waits for goes there, and does not come from
/// here; it comes past whoever reads this.
///
/// Dropped, what arrives and no stream takes is discarded, calls from the peer are left unanswered,
/// and a peer that ends its side of a byte stream ends the connection: what is queued is written, and
/// it closes.
#[derive(Debug)]
pub struct Events<M: Engine = Connection> {
    handle: Handle<M>,
    /// What was taken before anybody asked, if anything was.
    #[expect(
        clippy::box_collection,
        reason = "a server keeps the events of each connection, and few take any early"
    )]
    early: Option<Box<VecDeque<M::Event>>>,
}

impl<M: Engine> Events<M> {
    pub(crate) const fn new(handle: Handle<M>) -> Self {
        Self {
            handle,
            early: None,
        }
    }

    /// The next event; `None` after the `Closed` of a connection. A client that closed may be told
    /// to connect again, so its events go on, until its task is gone with its runtime. Settled
    /// calls, flushes, reservations and `SendReady` go to those who wait for them and do not show
    /// up here.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<M::Event> {
        if let Some(event) = self.take_early() {
            return Some(event);
        }
        self.next_from_engine().await
    }

    /// The handle of the same connection or client.
    #[must_use]
    pub const fn handle(&self) -> &Handle<M> {
        &self.handle
    }

    async fn next_from_engine(&self) -> Option<M::Event> {
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(event) = self.poll_engine() {
                    return Poll::Ready(event);
                }
                if self.handle.shared.arrived.poll(cx).is_pending() {
                    return Poll::Pending;
                }
            }
        })
        .await
    }

    pub(crate) fn has_early(&self) -> bool {
        self.early.as_ref().is_some_and(|early| !early.is_empty())
    }

    pub(crate) fn take_early(&mut self) -> Option<M::Event> {
        self.early.as_mut()?.pop_front()
    }

    /// What the engine has to tell now; nothing after the end.
    pub(crate) fn poll_engine(&self) -> Poll<Option<M::Event>> {
        let shared = &self.handle.shared;
        let mut inner = shared.lock();
        let read_before = inner.machine.wants_read();
        let Some(event) = inner.next_event(shared) else {
            let is_over = inner.told_end || inner.over;
            if inner.subscriptions.is_some() {
                // What they took may have made room.
                inner.keep_share(|| shared.clock.now());
                inner.settle(shared);
                inner.end_subscriptions();
                drop(inner);
                if !read_before {
                    shared.wake();
                }
            }
            return if is_over {
                Poll::Ready(None)
            } else {
                Poll::Pending
            };
        };
        // Taking an event may have made room: what waited for it is decoded then, and may ask for
        // an answer, settle a call or end the connection.
        let wake = !read_before || M::is_waited_for(&event);
        inner.keep_share(|| shared.clock.now());
        inner.settle(shared);
        drop(inner);
        if wake {
            shared.wake();
        }
        Poll::Ready(Some(event))
    }
}

impl Events {
    /// Waits for the handshake. What comes before it is kept for [`next`](Self::next), and stays
    /// in the engine until then, so that it counts for the limits.
    pub(crate) async fn wait_until_open(&mut self) -> Result<(), CloseReason> {
        let shared = &self.handle.shared;
        loop {
            {
                let inner = shared.lock();
                if inner.machine.state() != State::Handshaking || inner.over {
                    break;
                }
            }
            shared.arrived.notified().await;
        }
        loop {
            match self.next_from_engine().await {
                Some(ConnectionEvent::Closed(reason)) => return Err(reason),
                Some(event) => {
                    let opened = matches!(event, ConnectionEvent::Opened(_));
                    self.early.get_or_insert_default().push_back(event);
                    if opened {
                        return Ok(());
                    }
                }
                None => return Err(CloseReason::Eof),
            }
        }
    }
}

impl Events {
    /// What was wrong with the first bad frame of those that came so far.
    pub(crate) fn first_bad(&mut self) -> Option<BadReason> {
        let shared = &self.handle.shared;
        let mut inner = shared.lock();
        inner.settle(shared);
        while let Some(event) = inner.next_event(shared) {
            self.early.get_or_insert_default().push_back(event);
        }
        let mut early = self.early.iter().flat_map(|early| early.iter());
        early.find_map(|event| match event {
            ConnectionEvent::BadEvent(bad) => Some(bad.reason.clone()),
            _ => None,
        })
    }
}

impl<M: Engine> Drop for Events<M> {
    fn drop(&mut self) {
        let shared = &self.handle.shared;
        shared.lock().discarding = true;
        // What is there already is discarded now.
        shared.with_waking(|_, _| ());
    }
}
