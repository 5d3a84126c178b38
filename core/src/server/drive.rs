//! The verbs of a server's driver, and what happens behind them.

use crate::connection::{ConnectionEvent, Input, Message, Transmit};
use crate::hub::HubOutput;
use crate::id::ConnId;
use crate::time::Instant;
use crate::transmit::TransmitBuf;

use super::event::{ServerEvent, add};
use super::{Link, Server};

impl Server {
    /// Takes what a connection's transport read, or how its reading side ended. A connection that is
    /// not there (any more) drops it.
    pub fn handle_input(&mut self, now: Instant, id: ConnId, input: Input<'_>) {
        self.with_connection(now, id, |connection, now| {
            connection.handle_input(now, input);
        });
    }

    /// Says that a connection's last transmit has been handed to the operating system.
    pub fn handle_transmitted(&mut self, now: Instant, id: ConnId) {
        self.with_connection(now, id, |connection, now| {
            connection.handle_transmitted(now);
        });
    }

    /// Says what time it is, to the hub and to the connections whose time has come. Calls before
    /// [`poll_timeout`](Self::poll_timeout) do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tick(now);
        while let Some((at, id)) = self.timers.first().copied()
            && at <= self.now
        {
            self.timers.pop_first();
            if let Some(link) = self.links.get_mut(&id) {
                link.timer = None;
                link.connection.handle_timeout(self.now);
            }
            self.refresh(id);
        }
        self.hub.handle_timeout(self.now);
        self.carry_out();
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let link = self.timers.first().map(|(at, _)| *at);
        [link, self.hub.poll_timeout()].into_iter().flatten().min()
    }

    /// The next connection that may have something to write: ask
    /// [`poll_transmit`](Self::poll_transmit). It is named again when there is more.
    #[must_use]
    pub fn poll_writable(&mut self) -> Option<ConnId> {
        while let Some(id) = self.writable.pop_front() {
            if let Some(link) = self.links.get_mut(&id) {
                link.is_writable = false;
                return Some(id);
            }
        }
        None
    }

    /// Fills `out`, which must be empty, with what a connection has to write next.
    pub fn poll_transmit(&mut self, id: ConnId, out: &mut TransmitBuf) -> Option<Transmit> {
        let link = self.links.get_mut(&id)?;
        let transmit = link.connection.poll_transmit(out);
        // What left the send queue made room. Whether there is more to write is asked for when this
        // has been written.
        self.look_after(id);
        transmit
    }

    /// The next thing the application should know. Messages of connections come in turn, so that one
    /// that says much does not keep the others waiting.
    #[must_use]
    pub fn poll_event(&mut self) -> Option<ServerEvent> {
        loop {
            if let Some(event) = self.hub.poll_event() {
                return Some(ServerEvent::Hub(event));
            }
            let id = self.ready.pop_front()?;
            let Some(link) = self.links.get_mut(&id) else {
                continue;
            };
            link.is_ready = false;
            let last = link.last_words.take().map(ConnectionEvent::Closed);
            let event = last.or_else(|| link.connection.poll_event());
            let told = event.and_then(|event| self.heard(id, event));
            self.refresh(id);
            if told.is_some() {
                return told;
            }
        }
    }

    /// Whether the driver should read from a connection's transport.
    #[must_use]
    pub fn wants_read(&self, id: ConnId) -> bool {
        let link = self.links.get(&id);
        link.is_some_and(|link| link.connection.wants_read())
    }

    /// Whether a connection's transport can be dropped. True also of one that is not there.
    #[must_use]
    pub fn is_finished(&self, id: ConnId) -> bool {
        let link = self.links.get(&id);
        link.is_none_or(|link| link.connection.is_finished())
    }

    /// What of a connection's event is for the application.
    fn heard(&mut self, id: ConnId, event: ConnectionEvent) -> Option<ServerEvent> {
        let event = match event {
            ConnectionEvent::Message(message) => {
                let message = match self.pass(id, message) {
                    Passed::For(message) => message,
                    Passed::Refused(told) => return told,
                };
                let message = self.hub.handle_message(self.now, id, message);
                self.carry_out();
                ConnectionEvent::Message(message?)
            }
            event => event,
        };
        let link = self.links.get_mut(&id)?;
        let peer = link.peer.clone();
        if let ConnectionEvent::Hello(_) = event {
            self.hub.set_dialect(id, link.connection.dialect());
        }
        let ConnectionEvent::Closed(reason) = event else {
            return Some(ServerEvent::Connection { peer, event });
        };
        let (kept, rest) = link.inbox.take_unsent();
        let event = if rest.is_empty() {
            link.over = true;
            ConnectionEvent::Closed(reason)
        } else {
            // The end is told last.
            link.last_words = Some(reason);
            ConnectionEvent::Undelivered(rest)
        };
        self.hub.leave_with(self.now, id, kept);
        self.carry_out();
        Some(ServerEvent::Connection { peer, event })
    }

    /// Lets a message through the gate, or refuses it.
    fn pass(&mut self, id: ConnId, message: Message) -> Passed {
        let Some(link) = self.links.get_mut(&id) else {
            return Passed::Refused(None);
        };
        let users = Some(&mut self.users);
        let checked = link.gate.check(self.now, &link.peer, &message.event, users);
        let Err(why) = checked else {
            return Passed::For(message);
        };
        self.refused_events = self.refused_events.saturating_add(1);
        if let Some(token) = message.reply {
            // Whoever called is gone where this fails.
            let _ = link.connection.reply_error(self.now, token);
        }
        Passed::Refused(
            link.gate
                .report(self.now)
                .map(|count| ServerEvent::Refused {
                    peer: link.peer.clone(),
                    id: message.event.id,
                    why,
                    count,
                }),
        )
    }

    /// Does what the hub says, until it has nothing more to say.
    pub(super) fn carry_out(&mut self) {
        // What comes up on the way has its turn when what is under way has gone to everybody:
        // otherwise it would overtake that.
        if core::mem::replace(&mut self.is_carrying_out, true) {
            return;
        }
        while let Some(output) = self.hub.poll_output() {
            match output {
                HubOutput::Deliver(delivery) => {
                    for to in &delivery.to {
                        if let Some(link) = self.links.get_mut(to) {
                            // What is refused is told as the loss of a slow consumer.
                            let _ = link.inbox.push_delivery(self.now, &delivery);
                            self.refresh(*to);
                        }
                    }
                }
                HubOutput::Close {
                    connection,
                    code,
                    reason,
                } => self.close(self.now, connection, code, &reason),
                HubOutput::Reply { to, token, payload } => {
                    // Whoever called is gone where this fails.
                    self.with_connection(self.now, to, |connection, now| {
                        let _ = connection.reply(now, token, payload);
                    });
                }
                HubOutput::ReplyError { to, token } => {
                    self.with_connection(self.now, to, |connection, now| {
                        let _ = connection.reply_error(now, token);
                    });
                }
            }
        }
        self.is_carrying_out = false;
    }

    /// Looks what a connection wants after something was done with it.
    pub(super) fn refresh(&mut self, id: ConnId) {
        if let Some(link) = self.links.get_mut(&id)
            && !core::mem::replace(&mut link.is_writable, true)
        {
            self.writable.push_back(id);
        }
        self.look_after(id);
    }

    /// The same without asking it to write.
    fn look_after(&mut self, id: ConnId) {
        let Some(link) = self.links.get_mut(&id) else {
            return;
        };
        if link.over && link.connection.is_finished() && !link.connection.has_event() {
            add(&mut self.gone, &link.connection.stats());
            if let Some(at) = link.timer {
                self.timers.remove(&(at, id));
            }
            self.links.remove(&id);
            return;
        }
        let retry_at = link.inbox.deliver_to(self.now, &mut link.connection);
        let report = link.take_report(self.now);
        if (link.connection.has_event() || link.last_words.is_some())
            && !core::mem::replace(&mut link.is_ready, true)
        {
            self.ready.push_back(id);
        }
        let wanted = [
            link.connection.poll_timeout(),
            link.inbox_timeout(),
            retry_at,
        ];
        let wanted = wanted.into_iter().flatten().min();
        if link.timer != wanted {
            let before = core::mem::replace(&mut link.timer, wanted);
            if let Some(at) = before {
                self.timers.remove(&(at, id));
            }
            self.timers.extend(wanted.map(|at| (at, id)));
        }
        if let Some(report) = report {
            self.hub.handle_slow(self.now, id, report);
            self.carry_out();
        }
    }
}

/// What became of a message at the gate.
enum Passed {
    For(Message),
    /// With what there is to tell of it.
    Refused(Option<ServerEvent>),
}

impl Link {
    /// Whether what is in the inbox may still be sent.
    pub(super) fn takes(&self) -> bool {
        !self.over && self.connection.close_reason().is_none()
    }

    fn take_report(&mut self, now: Instant) -> Option<crate::hub::SlowReport> {
        if self.takes() {
            self.inbox.take_report(now)
        } else {
            None
        }
    }

    fn inbox_timeout(&self) -> Option<Instant> {
        self.inbox.poll_timeout().filter(|_| self.takes())
    }
}
