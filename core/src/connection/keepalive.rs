//! When a quiet peer is pinged, and when it is given up.

use super::{CloseReason, Connection, Instant, State};

impl Connection {
    /// When the keepalive next has something to decide.
    pub(super) fn keepalive_deadline(&self) -> Option<Instant> {
        let keepalive = self.config.keepalive.filter(|_| self.pings)?;
        // Where one side has ended, a ping cannot be sent or answered.
        let live = matches!(self.state, State::Open | State::Draining)
            && self.ended.is_none()
            && !self.shutdown_given;
        live.then(|| match self.ping_sent {
            Some(at) => at + keepalive.timeout,
            None => self.last_received + keepalive.interval,
        })
    }

    pub(super) fn check_keepalive(&mut self, now: Instant) {
        if self.keepalive_deadline().is_none_or(|at| at > now) {
            return;
        }
        let stopped = self.backlog || !self.has_recv_room();
        if core::mem::replace(&mut self.recv_stopped, stopped) || stopped {
            // Bytes we chose not to read may be the sign of life, also just after there is room
            // again.
            self.last_received = now;
            self.ping_sent = None;
        } else if self.ping_sent.is_some() {
            self.abort(CloseReason::PingTimeout);
        } else {
            self.ping_sent = Some(now);
            self.send_ping();
        }
    }
}
