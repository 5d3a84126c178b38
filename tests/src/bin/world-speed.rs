//! How fast the simulated world turns: CPU seconds for 1,000 simulated seconds of 100 connections
//! at one event a second each.
#![expect(
    clippy::print_stdout,
    reason = "standard output is this program's report, not a wire"
)]

use std::time::Duration;

use sente_core::{Carrier, ConnectionEvent, Dialect, Event, EventId, Instant, Role};
use sente_edn::Value;
use sente_tests::world::{Command, Quality, Spec, World};

const CONNECTIONS: usize = 100;
const SECONDS: u64 = 1_000;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let latency = arguments.next().and_then(|text| text.parse().ok());
    let latency = Duration::from_millis(latency.unwrap_or(20));
    for (name, dialect, carrier) in [
        ("Sente over WebSocket", Dialect::Sente, Carrier::WebSocket),
        ("sente-lite over lines", Dialect::SenteLite, Carrier::Lines),
    ] {
        let before = cpu_seconds();
        let arrived = run(dialect, carrier, latency);
        let took = cpu_seconds() - before;
        println!("{name}: {arrived} events in {took:.3} s of CPU time");
    }
}

/// The events that arrived.
fn run(dialect: Dialect, carrier: Carrier, latency: Duration) -> u64 {
    let mut world = World::new(1);
    let quality = Quality {
        latency,
        ..Quality::default()
    };
    let links: Vec<_> = (0..CONNECTIONS)
        .map(|number| {
            let mut client = Spec::new(Role::Client, dialect, carrier);
            let mut server = Spec::new(Role::Server, dialect, carrier);
            client.seed = [u8::try_from(number).unwrap_or(0); 32];
            server.seed = [0x80; 32];
            world.connect(client, server, quality)
        })
        .collect();
    let id = EventId::new("chat/message").expect("the id is one");
    let mut arrived = 0;
    let mut turn = |world: &mut World, until: Instant| {
        while let Some(told) = world.advance_to(until) {
            arrived += u64::from(matches!(told.event, ConnectionEvent::Message(_)));
        }
    };
    turn(&mut world, Instant::from_millis(500));
    for second in 0..SECONDS {
        for (number, link) in links.iter().enumerate() {
            let at = 500 + second * 1_000 + (number * 1_000 / CONNECTIONS) as u64;
            turn(&mut world, Instant::from_millis(at));
            let event = Event::new(id.clone(), Value::from("hello, how are you today?"));
            // Both directions, in turn.
            let from = if second % 2 == 0 {
                link.client
            } else {
                link.server
            };
            world
                .command(from, Command::Send(event))
                .expect("the connection is open");
        }
    }
    turn(&mut world, Instant::from_millis(2_000 + SECONDS * 1_000));
    arrived
}

/// What this process has used, as the kernel counts it.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/schedstat").unwrap_or_default();
    let nanos: u64 = stat
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    Duration::from_nanos(nanos).as_secs_f64()
}
