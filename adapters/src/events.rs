//! What arrives on a running connection, one event after the other.

use std::collections::VecDeque;

use sente_core::{CloseReason, ConnectionEvent, State};

use crate::handle::Handle;

/// What arrives on a connection. Not reading it is backpressure: the receive queue fills, and the
/// transport is not read any more.
///
/// Dropped, what arrives is discarded, calls from the peer are left unanswered, and a peer that ends
/// its side of a byte stream ends the connection: what is queued is written, and it closes.
#[derive(Debug)]
pub struct Events {
    pub(crate) handle: Handle,
    pub(crate) early: VecDeque<ConnectionEvent>,
}

impl Events {
    /// The next event; `None` after `Closed`. Settled calls, flushes, reservations and `SendReady`
    /// go to those who wait for them and do not show up here.
    ///
    /// # Cancel safety
    /// Safe: no event is lost.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        if let Some(event) = self.early.pop_front() {
            return Some(event);
        }
        self.next_from_engine().await
    }

    /// The handle of the same connection.
    #[must_use]
    pub const fn handle(&self) -> &Handle {
        &self.handle
    }

    async fn next_from_engine(&self) -> Option<ConnectionEvent> {
        let shared = &self.handle.shared;
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let mut state = shared.lock();
                let read_before = state.connection.wants_read();
                state.settle(shared);
                if let Some(event) = state.next_event(shared) {
                    // Taking an event may have made room: what waited for it is decoded then, and
                    // may ask for an answer, settle a call or end the connection.
                    let wake = !read_before;
                    state.keep_share(shared.clock.now());
                    state.settle(shared);
                    drop(state);
                    if wake {
                        shared.wake();
                    }
                    return Some(event);
                }
                if state.told_end || state.over {
                    return None;
                }
            }
            arrived.await;
        }
    }

    /// Waits for the handshake. What comes before it is kept for [`next`](Self::next), and stays
    /// in the engine until then, so that it counts for the limits.
    pub(crate) async fn wait_until_open(&mut self) -> Result<(), CloseReason> {
        let shared = &self.handle.shared;
        loop {
            let arrived = shared.arrived.notified();
            tokio::pin!(arrived);
            arrived.as_mut().enable();
            {
                let state = shared.lock();
                if state.connection.state() != State::Handshaking || state.over {
                    break;
                }
            }
            arrived.await;
        }
        loop {
            match self.next_from_engine().await {
                Some(ConnectionEvent::Closed(reason)) => return Err(reason),
                Some(event) => {
                    let opened = matches!(event, ConnectionEvent::Opened(_));
                    self.early.push_back(event);
                    if opened {
                        return Ok(());
                    }
                }
                None => return Err(CloseReason::Eof),
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.handle.shared.lock().discarding = true;
        self.handle.shared.wake();
    }
}
