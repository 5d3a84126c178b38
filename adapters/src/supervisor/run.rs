//! The life of one supervised child, from start to start.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use sente_core::ConnectionEvent;
use tokio::sync::mpsc;

use super::event::{ChildId, SupervisorEvent};
use super::{Restart, Shared, SupervisorOptions};
use crate::child::StderrLines;
use crate::connect::{ConnectOptions, connect};
use crate::events::Events;
use crate::handle::{End, Handle};
use crate::runtime::{ready_or, sleep};
use crate::seed::random;
use crate::url::Url;

pub(super) struct Child {
    pub(super) id: ChildId,
    pub(super) url: Url,
    pub(super) options: Arc<SupervisorOptions>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: mpsc::Sender<SupervisorEvent>,
}

impl Child {
    pub(super) async fn run(self) {
        let over = Over(&self);
        let connecting = self.connect_options();
        let mut failures = 0u32;
        while !*self.shared.stopping.borrow() {
            let failed = self.once(&connecting, &mut failures).await;
            let again = match self.options.restart {
                Restart::Always => true,
                Restart::OnFailure => failed,
                Restart::Never => false,
            };
            if *self.shared.stopping.borrow() {
                break;
            }
            let backoff = &self.options.backoff;
            let too_often = backoff
                .max_attempts
                .is_some_and(|attempts| failures >= attempts.get());
            if !again || too_often {
                self.tell(SupervisorEvent::GaveUp { child: self.id }).await;
                break;
            }
            // Without randomness all wait as long as they may.
            let dice = random::<8>().map_or(u64::MAX, u64::from_le_bytes);
            let after = backoff.delay(failures, dice);
            let restarting = SupervisorEvent::Restarting {
                child: self.id,
                after,
                failures,
            };
            self.tell(restarting).await;
            ready_or(sleep(&*self.shared.runtime, after), self.stopped()).await;
        }
        drop(over);
    }

    /// One run of the child. Whether it failed.
    async fn once(&self, connecting: &ConnectOptions, failures: &mut u32) -> bool {
        let runtime = &self.shared.runtime;
        let (handle, events) = match connect(&self.url, connecting).await {
            Ok(connected) => connected,
            Err(error) => {
                *failures = failures.saturating_add(1);
                let error = Arc::new(error);
                let failed = SupervisorEvent::StartFailed {
                    child: self.id,
                    error,
                };
                self.tell(failed).await;
                return true;
            }
        };
        let begun = runtime.now();
        let present = Present::new(self, &handle);
        self.tell(SupervisorEvent::Started {
            child: self.id,
            pid: handle.pid(),
        })
        .await;
        let end = self.attend(&present, &handle, events).await;
        let failed = end.exit.is_none_or(|exit| !exit.success());
        let ran = runtime.now().saturating_duration_since(begun);
        let stable = ran >= self.options.backoff.stable_for;
        // One that ends at once without a failure is held back, too.
        *failures = if stable {
            1
        } else {
            failures.saturating_add(1)
        };
        self.tell(SupervisorEvent::Ended {
            child: self.id,
            reason: end.reason,
            exit: end.exit,
        })
        .await;
        drop(present);
        failed
    }

    /// Passes on what the child says, until it has ended.
    async fn attend(&self, present: &Present<'_>, handle: &Handle, mut events: Events) -> End {
        let grace = self.options.connect.child.kill_grace;
        let mut draining = false;
        loop {
            let next = if draining {
                Some(events.next().await)
            } else {
                ready_or(events.next(), self.stopped()).await
            };
            match next {
                // Asked to end.
                None => {
                    draining = true;
                    present.withdraw();
                    handle.drain(grace);
                }
                Some(None | Some(ConnectionEvent::Closed(_))) => {
                    present.withdraw();
                    return handle.ended().await;
                }
                Some(Some(event)) => {
                    if matches!(event, ConnectionEvent::PeerFinished) {
                        present.withdraw();
                        handle.drain(grace);
                    }
                    let event = SupervisorEvent::Event {
                        child: self.id,
                        event,
                    };
                    self.tell(event).await;
                }
            }
        }
    }

    /// How the child is connected to, with its standard error as events.
    fn connect_options(&self) -> ConnectOptions {
        let mut options = self.options.connect.clone();
        let (events, child) = (self.events.clone(), self.id);
        options.child.stderr = Some(StderrLines::new(move |_, line| {
            let line = line.to_owned();
            let full = events.try_send(SupervisorEvent::Stderr { child, line });
            if let Err(mpsc::error::TrySendError::Full(SupervisorEvent::Stderr { line, .. })) = full
            {
                tracing::warn!(target: "sente::child", "{child}, not told as an event: {line}");
            }
        }));
        options
    }

    async fn tell(&self, event: SupervisorEvent) {
        // Nobody may be there to be told.
        let _ = self.events.send(event).await;
    }

    async fn stopped(&self) {
        let mut stopping = self.shared.stopping.subscribe();
        // The sender lives in `shared`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }
}

/// A child that runs: whoever picks one finds it.
struct Present<'a>(&'a Child);

impl<'a> Present<'a> {
    fn new(child: &'a Child, handle: &Handle) -> Self {
        let shared = &child.shared;
        if let Some(slot) = shared.slots.get(child.id.0) {
            *slot.lock() = Some(handle.clone());
        }
        shared
            .running
            .send_modify(|running| *running = running.saturating_add(1));
        shared.changed.notify_waiters();
        Self(child)
    }

    /// Nobody finds it any more.
    fn withdraw(&self) {
        if let Some(slot) = self.0.shared.slots.get(self.0.id.0) {
            *slot.lock() = None;
        }
    }
}

impl Drop for Present<'_> {
    fn drop(&mut self) {
        self.withdraw();
        let running = &self.0.shared.running;
        running.send_modify(|running| *running = running.saturating_sub(1));
    }
}

/// A child that never runs again, however its task ended.
struct Over<'a>(&'a Child);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        let shared = &self.0.shared;
        if let Some(slot) = shared.slots.get(self.0.id.0) {
            slot.over.store(true, Ordering::Relaxed);
        }
        shared.changed.notify_waiters();
    }
}
