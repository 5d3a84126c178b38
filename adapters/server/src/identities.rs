//! Identities that end: who is asked again whether one still holds, and who is closed.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use sente_core::admission::{IdentityDue, IdentityTimer};
use sente_core::{ConnId, Instant};
use smol_str::SmolStr;

use crate::config::Recheck;
use crate::line::{Order, Wire};
use crate::sender::Sender;
use crate::server::Server;
use crate::trace;

/// The WebSocket close code where an identity is over: policy violation.
const OVER: u16 = 1008;

/// The timers of those connections whose identity is to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    timers: HashMap<ConnId, IdentityTimer>,
    due: BTreeSet<(Instant, ConnId)>,
}

impl Identities {
    /// Takes up a connection, if there is anything to watch.
    pub(crate) fn join(
        &mut self,
        now: Instant,
        id: ConnId,
        expires: Option<Instant>,
        recheck: &Recheck,
    ) {
        let mut timer = IdentityTimer::new(now, expires).ask_before_end(recheck.before_end);
        if let Some(period) = recheck.every {
            timer = timer.ask_every(period);
        }
        if let Some(at) = timer.poll_timeout() {
            self.due.insert((at, id));
            self.timers.insert(id, timer);
        }
    }

    /// Lets go of a connection that has ended, or whose identity has.
    pub(crate) fn leave(&mut self, id: ConnId) {
        if let Some(at) = self.timers.remove(&id).and_then(|it| it.poll_timeout()) {
            self.due.remove(&(at, id));
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// The next whose time has come, and what is due. One that is over is asked about no more.
    pub(crate) fn handle_timeout(&mut self, now: Instant) -> Option<(ConnId, IdentityDue)> {
        while let Some((at, id)) = self.due.first().copied()
            && at <= now
        {
            self.due.pop_first();
            let Some(timer) = self.timers.get_mut(&id) else {
                continue;
            };
            let due = timer.handle_timeout(now);
            self.due.extend(timer.poll_timeout().map(|at| (at, id)));
            if due == Some(IdentityDue::Expired) {
                self.leave(id);
            }
            if let Some(due) = due {
                return Some((id, due));
            }
        }
        None
    }

    fn renew(&mut self, now: Instant, id: ConnId, expires: Option<Instant>) {
        let Some(timer) = self.timers.get_mut(&id) else {
            return;
        };
        let before = timer.poll_timeout();
        timer.renew(now, expires);
        let after = timer.poll_timeout();
        if let Some(at) = before {
            self.due.remove(&(at, id));
        }
        self.due.extend(after.map(|at| (at, id)));
    }
}

impl Server {
    /// Looks after the identities whose time has come.
    pub(crate) fn look_at_identities(&self) {
        loop {
            let due = self.in_room(|room, now| {
                let (id, due) = room.identities.handle_timeout(now)?;
                Some((room.lines.get(&id).cloned(), due))
            });
            match due {
                None => return,
                Some((None, _)) => {}
                Some((Some(line), IdentityDue::Expired)) => end(&*line),
                Some((Some(line), IdentityDue::Recheck)) => self.recheck(line),
            }
        }
    }

    /// Asks the application whether the identity of a connection still holds.
    fn recheck(&self, line: Arc<dyn Wire>) {
        let link = line.link();
        let sender = Sender::new(link.peer(), link.request.clone(), self.clone());
        let Some(asked) = self.inner.hooks.recheck(sender) else {
            return;
        };
        let server = self.clone();
        self.inner.runtime.spawn(async move {
            let id = line.link().id;
            match asked.await {
                Some(identity) => server.in_room(|room, now| {
                    room.identities.renew(now, id, identity.expires);
                }),
                None => {
                    // It takes a while to say goodbye, and nothing of it is to be asked then.
                    server.in_room(|room, _| room.identities.leave(id));
                    end(&*line);
                }
            }
        });
    }
}

fn end(line: &dyn Wire) {
    trace::identity_over(&line.link().peer());
    let reason = SmolStr::new_static("identity is over");
    if line.link().order(Order::Close(OVER, reason)) {
        line.wake();
    }
}
