//! What a call costs while many wait: run under callgrind with two numbers of rounds, the
//! difference is the price of a round.
//!
//! `calls-cost answer|expire PENDING ROUNDS`: with so many calls pending all the time, so many are
//! made and answered, or time out one by one.
#![expect(
    clippy::print_stdout,
    reason = "standard output is this program's report, not a wire"
)]

use std::process::ExitCode;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Limits, Role, TransmitBuf,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok());
    let (Some(mode), Some(pending), Some(rounds)) = (arguments.get(1), number(2), number(3)) else {
        eprintln!("usage: calls-cost answer|expire PENDING ROUNDS");
        return ExitCode::from(2);
    };
    let mut calls = Calls::new();
    let expires = mode == "expire";
    for at in 0..pending {
        // Those that expire in the rounds are the first; all others wait to the end.
        let early = expires && at < rounds;
        let seconds = if early { at + 1 } else { 1 << 30 };
        let _ = calls.call(Duration::from_secs(seconds));
    }
    for round in 1..=rounds {
        if expires {
            calls.expire(Instant::from_millis(round * 1_000));
        } else {
            let callback = calls.call(Duration::from_secs(1 << 30));
            calls.answer(&callback);
        }
    }
    println!(
        "{} settled, {} pending",
        calls.settled,
        calls.connection.pending_calls()
    );
    // Tearing it down would cost more than the rounds.
    std::mem::forget(calls);
    ExitCode::SUCCESS
}

struct Calls {
    connection: Connection,
    event: Event,
    out: TransmitBuf,
    settled: u64,
}

impl Calls {
    fn new() -> Self {
        let mut limits = Limits::default();
        limits.max_pending_calls = 1 << 20;
        let builder = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines);
        let config = builder.limits(limits).build().expect("the parts fit");
        let mut connection = Connection::new(config, [1; 32], Instant::EPOCH);
        let mut hello = BytesMut::from("[:chsk/handshake [\"u\" nil nil true]]\n");
        connection.handle_input(Instant::EPOCH, Input::Bytes(&mut hello));
        while connection.poll_event().is_some() {}
        let id = EventId::new("a/b").expect("the id is one");
        Self {
            connection,
            event: Event::new(id, 1),
            out: TransmitBuf::new(),
            settled: 0,
        }
    }

    /// Makes a call and writes it. Its callback id, with quotes.
    fn call(&mut self, timeout: Duration) -> Bytes {
        let now = Instant::EPOCH;
        let called = self.connection.call(now, self.event.clone(), timeout);
        called.expect("there is room");
        let _ = self.connection.poll_transmit(&mut self.out);
        let frame = self.out.copy_to_bytes(self.out.remaining());
        self.connection.handle_transmitted(now);
        // `[[:a/b 1] "abcdef"]` and the end of the line; more digits where these were taken.
        frame.slice("[[:a/b 1] ".len()..frame.len() - 2)
    }

    fn answer(&mut self, callback: &[u8]) {
        let mut frame = BytesMut::with_capacity(64);
        frame.extend_from_slice(b"[:chsk/reply {:cb-uuid ");
        frame.extend_from_slice(callback);
        frame.extend_from_slice(b" :data 1}]\n");
        self.connection
            .handle_input(Instant::EPOCH, Input::Bytes(&mut frame));
        self.count();
    }

    fn expire(&mut self, now: Instant) {
        self.connection.handle_timeout(now);
        self.count();
    }

    fn count(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            self.settled += u64::from(matches!(event, ConnectionEvent::Settled { .. }));
        }
    }
}
