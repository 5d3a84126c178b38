//! The loop of one Ajax session: its time, and the answers that do not come at once.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sente_core::ajax::{AjaxSession, Exchange, Response};
use sente_core::{CloseReason, Instant, State, Stats};
use tokio::sync::oneshot;

use crate::handle::End;
use crate::runtime::ready_or;
use crate::shared::Shared;

const DROPPED: &str = "the session was dropped with its runtime";

/// Who waits for the answers.
pub(super) type Waiting = HashMap<Exchange, oneshot::Sender<Response>>;

/// Takes the answers that there are now to those who wait for them. An answer whose request is gone
/// counts as lost. Whether there were any.
pub(super) fn give_out(session: &mut AjaxSession, waiting: &mut Waiting, now: Instant) -> bool {
    let mut some = false;
    while let Some(respond) = session.poll_respond() {
        let exchange = respond.exchange;
        let taken = waiting
            .remove(&exchange)
            .is_some_and(|waiter| waiter.send(respond.response).is_ok());
        if !taken {
            session.handle_aborted(now, exchange);
        }
        some = true;
    }
    some
}

/// What the session waits for.
struct Wants {
    timeout: Option<Instant>,
    /// Whether posts are taken.
    post: bool,
    finished: bool,
    /// Answers were given out, which may have made room for more.
    gave: bool,
}

/// Drives a session to its end.
pub(super) fn drive(shared: Arc<Shared<AjaxSession>>) -> impl Future<Output = ()> + Send {
    // Before the task begins: it may never do so.
    let over = Over { shared };
    async move { run(&over.shared).await }
}

async fn run(shared: &Shared<AjaxSession>) {
    loop {
        let again = shared.attend();
        let wants = shared.with(|session, now| {
            let gave = give_out(session, &mut shared.facts.waiting(), now);
            let due = [session.poll_timeout(), again];
            Wants {
                gave,
                timeout: due.into_iter().flatten().min(),
                post: session.wants_post() || session.state() == State::Closed,
                finished: session.is_finished(),
            }
        });
        if wants.post {
            shared.facts.room.notify_waiters();
        }
        if wants.finished {
            return;
        }
        if wants.gave {
            continue;
        }
        let woken = ready_or(shared.woken(), shared.clock.reached(wants.timeout));
        if woken.await.is_none() {
            shared.with(AjaxSession::handle_timeout);
        }
    }
}

/// Says that the loop is over, however it ends: also when the runtime drops it, or a panic does.
struct Over {
    shared: Arc<Shared<AjaxSession>>,
}

impl Drop for Over {
    fn drop(&mut self) {
        let shared = &self.shared;
        // A loop that panicked in the engine may do so again; whoever waits is told all the same.
        let end = |session: &mut AjaxSession, now: Instant| {
            let reason = session.close_reason().cloned();
            session.close(now);
            give_out(session, &mut shared.facts.waiting(), now);
            reason
        };
        let reason = catch_unwind(AssertUnwindSafe(|| shared.with(end))).unwrap_or_default();
        let reason = reason.unwrap_or_else(|| CloseReason::Failed(DROPPED.to_owned()));
        let mut stats = Stats::default();
        shared.let_go(|inner| stats = inner.machine.stats());
        shared.facts.waiting().clear();
        shared.facts.room.notify_waiters();
        shared.facts.end.set(End {
            reason,
            exit: None,
            stats,
        });
    }
}
