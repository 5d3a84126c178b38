//! What is written past the driver, by whoever has something to say while the driver sleeps.

use std::io;
use std::sync::Weak;

use sente_core::{Connection, Instant, State, Transmit, TransmitBuf};

use crate::descriptors::send_now;
use crate::handle::Handle;
use crate::runtime::Descriptor;
use crate::shared::{Inner, Shared};
use crate::spare::Out;

/// What it takes to write past the driver, and what that left for it.
///
/// The engine gives out nothing before the last transmit is acknowledged, so only one of the two ever
/// has something to write.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// Closed with the driver's link.
    socket: Option<Weak<dyn Descriptor>>,
    /// What is left to be done by the driver.
    rest: Option<Box<(Transmit, TransmitBuf)>>,
    /// What the last write came to that left something. The system says so once.
    error: Option<io::Error>,
    /// When the driver wakes at the latest.
    until: Option<Instant>,
}

impl Direct {
    pub(crate) fn to(socket: Option<Weak<dyn Descriptor>>) -> Self {
        Self {
            socket,
            ..Self::default()
        }
    }

    /// What the driver is to do first, into the empty `out`, if anything was left for it.
    pub(crate) fn take_rest(&mut self, out: &mut TransmitBuf) -> Option<Transmit> {
        let (transmit, rest) = *self.rest.take()?;
        *out = rest;
        Some(transmit)
    }

    pub(crate) fn take_error(&mut self) -> Option<io::Error> {
        self.error
            .take()
            .filter(|error| error.kind() != io::ErrorKind::WouldBlock)
    }

    pub(crate) const fn driver_waits_until(&mut self, until: Option<Instant>) {
        self.until = until;
    }
}

impl Handle {
    /// Writes what is queued, from the caller's own task, as far as the system takes it at once; the
    /// driver does the rest, and all else that is to be done. What was queued by
    /// [`queue_now`](Self::queue_now) leaves by this without waking a task, where the peer is reached
    /// over a socket of the adapters' own, and nothing else is under way.
    ///
    /// Never waits, and says nothing of whether anything was written.
    pub fn write_now(&self) {
        if !self.shared.write_now() {
            self.shared.wake();
        }
    }
}

impl Shared<Connection> {
    /// Writes past the driver, and says whether it may sleep on: whatever it would be told now it
    /// knows already.
    fn write_now(&self) -> bool {
        let mut inner = self.lock();
        let Inner {
            machine, direct, ..
        } = &mut *inner;
        let socket = direct.socket.as_ref().and_then(Weak::upgrade);
        let Some(socket) = socket.filter(|_| machine.state() == State::Open) else {
            return false;
        };
        let mut out = Out::default();
        out.lend();
        let transmit = machine.poll_transmit(out.buffer());
        if transmit == Some(Transmit::Data) {
            direct.error = send_now(&*socket, out.buffer()).err();
        }
        if let Some(transmit) = transmit
            && (transmit != Transmit::Data || !out.is_empty())
        {
            direct.rest = Some(Box::new((transmit, std::mem::take(out.buffer()))));
            return false;
        }
        out.give_back();
        if transmit.is_some() {
            let now = self.clock.now();
            machine.handle_transmitted(now);
            // Whoever looks after it does so after each write.
            if inner.attend(now).is_some() {
                return false;
            }
        }
        let Inner {
            machine, direct, ..
        } = &mut *inner;
        let is_early = |at: Instant| direct.until.is_none_or(|until| at < until);
        if !machine.is_quiet()
            || machine.has_event()
            || machine.poll_timeout().is_some_and(is_early)
        {
            return false;
        }
        machine.rest();
        true
    }
}
