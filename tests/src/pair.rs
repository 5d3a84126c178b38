//! Two connections, a wire between them, and a clock that only the test moves.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, Dialect, Input, Instant, Role, Transmit,
    TransmitBuf,
};

/// A client and a server joined by a perfect wire.
#[derive(Debug)]
#[non_exhaustive]
pub struct Pair {
    /// The side that dialled.
    pub client: Connection,
    /// The side that was dialled.
    pub server: Connection,
    /// The virtual time.
    pub now: Instant,
    /// How many bytes the wire hands over at once; `usize::MAX` for all.
    pub chunk: usize,
}

/// A configuration of all defaults.
///
/// # Panics
/// If the defaults did not fit together.
#[must_use]
pub fn config(role: Role, dialect: Dialect, carrier: Carrier) -> Arc<ConnectionConfig> {
    ConnectionConfig::builder(role, dialect, carrier)
        .build()
        .expect("defaults fit together")
}

/// A duration in milliseconds.
#[must_use]
pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A duration in seconds.
#[must_use]
pub const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

impl Pair {
    /// Two open connections of default configuration; their first events have been taken.
    #[must_use]
    pub fn open(dialect: Dialect, carrier: Carrier) -> Self {
        Self::with(
            config(Role::Client, dialect, carrier),
            config(Role::Server, dialect, carrier),
        )
    }

    /// Two open connections of these configurations; their first events have been taken.
    #[must_use]
    pub fn with(client: Arc<ConnectionConfig>, server: Arc<ConnectionConfig>) -> Self {
        Self::accepted(client, server, Accept::new("uid-1"))
    }

    /// The same with a handshake of the test's own, such as one that knows what a client offered
    /// in its URL.
    #[must_use]
    pub fn accepted(
        client: Arc<ConnectionConfig>,
        server: Arc<ConnectionConfig>,
        accept: Accept,
    ) -> Self {
        let now = Instant::EPOCH;
        let mut pair = Self {
            client: Connection::new(client, [7; 32], now),
            server: Connection::new(server, [9; 32], now),
            now,
            chunk: usize::MAX,
        };
        pair.server.accept(now, accept);
        pair.drive();
        super::events(&mut pair.client);
        super::events(&mut pair.server);
        pair
    }

    /// Carries bytes both ways until nothing moves.
    ///
    /// # Panics
    /// If it never rests: a livelock.
    pub fn drive(&mut self) {
        for _ in 0..100_000 {
            let up = carry(&mut self.client, &mut self.server, self.now, self.chunk);
            let down = carry(&mut self.server, &mut self.client, self.now, self.chunk);
            if !up && !down {
                return;
            }
        }
        panic!("the pair never comes to rest");
    }

    /// Lets time pass, stopping at every deadline on the way.
    ///
    /// # Panics
    /// If a deadline does not move after its time has come: a busy loop.
    pub fn advance(&mut self, by: Duration) {
        let end = self.now + by;
        self.drive();
        for _ in 0..100_000 {
            let next = [self.client.poll_timeout(), self.server.poll_timeout()]
                .into_iter()
                .flatten()
                .min();
            match next {
                Some(at) if at <= end => {
                    self.now = self.now.max(at);
                    self.client.handle_timeout(self.now);
                    self.server.handle_timeout(self.now);
                    for side in [&self.client, &self.server] {
                        assert!(
                            side.poll_timeout().is_none_or(|at| at > self.now),
                            "a deadline is still due after handle_timeout"
                        );
                    }
                    self.drive();
                }
                _ => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("deadlines never end");
    }
}

/// Moves what `from` has to write to `to`, if it reads. Whether anything moved.
fn carry(from: &mut Connection, to: &mut Connection, now: Instant, chunk: usize) -> bool {
    if !to.wants_read() && !from.is_finished() && to.state() != sente_core::State::Closed {
        return false;
    }
    let mut out = TransmitBuf::new();
    match from.poll_transmit(&mut out) {
        None => false,
        Some(Transmit::Shutdown) => {
            to.handle_input(now, Input::Eof);
            true
        }
        Some(_) => {
            let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
            from.handle_transmitted(now);
            while !bytes.is_empty() {
                let length = bytes.len().min(chunk);
                let mut part = bytes.split_to(length);
                to.handle_input(now, Input::Bytes(&mut part));
                assert!(part.is_empty(), "a connection takes all bytes");
            }
            true
        }
    }
}
