//! A small module on both sides of a connection: a client that asks a server for its time.
//!
//! There is no network and no real clock: the two sides are joined by hand, and time passes because
//! the program says so.
//!
//! ```console
//! $ cargo run -p sente-core --example clock
//! 40ms: Read { peer: 00000000-0000-7101-8101-010101010101, ahead: 3600000000000, round_trip: 40ms }
//! 10.08s: Read { peer: 00000000-0000-7101-8101-010101010101, ahead: 3600000000000, round_trip: 40ms }
//! 20.12s: Read { peer: 00000000-0000-7101-8101-010101010101, ahead: 3600000000000, round_trip: 40ms }
//! ```

mod module;

use std::time::Duration;

use bytes::{Buf, BytesMut};
use module::Clock;
use sente_core::{
    Accept, Carrier, ConnId, Connection, ConnectionConfig, ConnectionOutbox, Dialect, Input,
    Instant, Module, Peer, Role, TransmitBuf,
};

/// How long a message takes from one side to the other.
const LATENCY: Duration = Duration::from_millis(20);

/// One side: a connection, the module on it, and who is on the other side.
struct Side {
    connection: Connection,
    clock: Clock,
    peer: Peer,
    /// How far this side's clock is ahead of the client's.
    ahead: Duration,
}

impl Side {
    /// The time on this side.
    fn local(&self, now: Instant) -> Instant {
        now + self.ahead
    }

    /// Shows the module what happened, and prints what it has to tell.
    #[expect(clippy::print_stdout, reason = "an example says what it does")]
    fn step(&mut self, now: Instant) {
        let now = self.local(now);
        while let Some(event) = self.connection.poll_event() {
            let mut out = ConnectionOutbox::new(&mut self.connection, &self.peer, now);
            let _for_others = self.clock.handle_event(now, &self.peer, event, &mut out);
        }
        let mut out = ConnectionOutbox::new(&mut self.connection, &self.peer, now);
        self.clock.handle_timeout(now, &mut out);
        while let Some(told) = self.clock.poll_event() {
            println!("{now:?}: {told:?}");
        }
    }

    /// Carries what this side has to write to the other.
    fn carry(&mut self, to: &mut Self, now: Instant) {
        let mut out = TransmitBuf::new();
        while self.connection.poll_transmit(&mut out).is_some() {
            let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
            self.connection.handle_transmitted(self.local(now));
            let read = Input::Bytes(&mut bytes);
            to.connection.handle_input(to.local(now), read);
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut now = Instant::EPOCH;
    let side = |role, n, every, ahead| -> Result<Side, Box<dyn std::error::Error>> {
        let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket).build()?;
        Ok(Side {
            connection: Connection::new(config, [n; 32], now + ahead),
            clock: Clock::new(every)?,
            peer: Peer::new(ConnId::new(0, &[n; 10])),
            ahead,
        })
    };
    let often = Some(Duration::from_secs(10));
    let mut client = side(Role::Client, 1, often, Duration::ZERO)?;
    let mut server = side(Role::Server, 2, None, Duration::from_secs(3600))?;
    let accepted = server.local(now);
    server.connection.accept(accepted, Accept::new("ada"));

    while now < Instant::EPOCH + Duration::from_secs(30) {
        server.carry(&mut client, now);
        client.step(now);
        now = now + LATENCY;
        client.carry(&mut server, now);
        server.step(now);
        now = now + LATENCY;
    }
    Ok(())
}
