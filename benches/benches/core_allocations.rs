//! What handing an event to a connection takes from the heap, as lines of `case`, allocations and
//! bytes for each event, parted by tabs: `cargo bench -p sente-benches --bench core_allocations`.
//!
//! Each case is done many times beforehand, so that queues and buffers have their size. What the
//! connection holds is written away between, and not counted. It fails where an event or a
//! call takes more than its packed bytes, and the echo of a call more than the bytes it came with. A connection that
//! was idle keeps no large buffer to pack in: that it grows again is shared by all events of a round.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::process::ExitCode;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use dhat::{HeapStats, Profiler};
use sente_core::packer::Edn;
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, PackedEvent, Policy, Role, SendOptions, TransmitBuf,
};

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const NOW: Instant = Instant::EPOCH;

/// How many events a round hands over before anything is written.
const EVENTS: usize = 100;

/// How many buffers and queues a connection that was idle makes anew in a round: it keeps none of them,
/// so that many idle ones take little, and their first use is no allocation of an event.
const REGROWN: f64 = 8.0;

fn main() -> ExitCode {
    let event = |text: &str| {
        let id = EventId::new("chat/message").expect("the id is one");
        Event::new(id, text)
    };
    let short = event("short");
    let long = event(&"long ".repeat(50));
    let large = event(&"large ".repeat(5_000));
    let mut over = Vec::new();
    let mut report = |most: f64, name: &str, event: &Event, hand_over: &mut HandOver<'_>| {
        if report(name, event, hand_over) > most + REGROWN / EVENTS as f64 {
            over.push(name.to_owned());
        }
    };
    for (name, event) in [("short", &short), ("long", &long), ("large", &large)] {
        let packed = PackedEvent::pack(event, &Edn).expect("it packs");
        println!("packed bytes, {name}\t1\t{}", packed.bytes().len());
        // The event itself is the application's, made before.
        let case = format!("send, {name}");
        report(1.0, &case, event, &mut |connection, event| {
            connection.send(NOW, event).expect("there is room");
        });
        let case = format!("call, {name}");
        report(1.0, &case, event, &mut |connection, event| {
            let call = connection.call(NOW, event, Duration::from_secs(1));
            connection.cancel(call.expect("there is room"));
        });
        for (policy, options) in [
            ("drop-oldest", SendOptions::new().policy(Policy::DropOldest)),
            (
                "latest",
                SendOptions::new().policy(Policy::Latest("key".into())),
            ),
        ] {
            let case = format!("send {policy}, {name}");
            report(1.0, &case, event, &mut |connection, event| {
                let sent = connection.send_with(NOW, event, options.clone());
                sent.expect("there is room");
            });
        }
        let case = format!("send_packed, {name}");
        report(0.0, &case, event, &mut |connection, _| {
            connection.send_packed(NOW, &packed).expect("there is room");
        });
    }
    let echoed = echo();
    println!("echo of a call\t{echoed:.2}\t");
    if echoed > 1.0 {
        over.push("echo of a call".to_owned());
    }
    if over.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: more allocations than for the packed bytes: {over:?}");
    ExitCode::FAILURE
}

/// Hands an event to a connection.
type HandOver<'a> = dyn FnMut(&mut Connection, Event) + 'a;

/// Prints what a case takes; its allocations for each event.
fn report(name: &str, event: &Event, hand_over: &mut HandOver<'_>) -> f64 {
    let mut connection = open();
    let mut out = TransmitBuf::new();
    let mut round = |counted: bool| {
        let events: Vec<Event> = (0..EVENTS).map(|_| event.clone()).collect();
        let profiler = counted.then(|| Profiler::builder().testing().build());
        for event in events {
            hand_over(&mut connection, event);
        }
        let taken = profiler.is_some().then(HeapStats::get);
        drop(profiler);
        while connection.poll_transmit(&mut out).is_some() {
            out.advance(out.remaining());
            connection.handle_transmitted(NOW);
        }
        while connection.poll_event().is_some() {}
        taken
    };
    for _ in 0..10 {
        round(false);
    }
    let Some(HeapStats {
        total_blocks,
        total_bytes,
        ..
    }) = round(true)
    else {
        return f64::NAN;
    };
    let each = |sum: u64| sum as f64 / EVENTS as f64;
    println!(
        "{name}\t{:.2}\t{:.1}",
        each(total_blocks),
        each(total_bytes)
    );
    each(total_blocks)
}

/// The allocations of a call that comes in and is answered with its own data.
fn echo() -> f64 {
    let builder = ConnectionConfig::builder(Role::Server, Dialect::SenteLite, Carrier::Lines);
    let config = builder.build().expect("the parts fit");
    let mut connection = Connection::new(config, [1; 32], NOW);
    connection.accept(NOW, Accept::new("u"));
    let mut out = TransmitBuf::new();
    let mut chunk = BytesMut::with_capacity(1 << 16);
    let mut round = || {
        chunk.clear();
        chunk.reserve(1 << 12);
        chunk.extend_from_slice(b"[[:chat/message {:text \"hello\", :n 1}] \"4c2ab8\"]\n");
        connection.handle_input(NOW, Input::Bytes(&mut chunk));
        while let Some(event) = connection.poll_event() {
            let ConnectionEvent::Message(message) = event else {
                continue;
            };
            let (token, data) = (message.reply.expect("a call"), message.event.data);
            let replied = connection.reply(NOW, token, data.expect("it has data"));
            replied.expect("the caller waits");
        }
        while connection.poll_transmit(&mut out).is_some() {
            out.advance(out.remaining());
            connection.handle_transmitted(NOW);
        }
    };
    for _ in 0..100 {
        round();
    }
    let profiler = Profiler::builder().testing().build();
    for _ in 0..EVENTS {
        round();
    }
    let taken = HeapStats::get();
    drop(profiler);
    taken.total_blocks as f64 / EVENTS as f64
}

fn open() -> Connection {
    let builder = ConnectionConfig::builder(Role::Client, Dialect::SenteLite, Carrier::Lines);
    let config = builder.build().expect("the parts fit");
    let mut connection = Connection::new(config, [1; 32], NOW);
    let mut handshake = BytesMut::from("[:chsk/handshake [\"u\" nil nil true]]\n");
    connection.handle_input(NOW, Input::Bytes(&mut handshake));
    while connection.poll_event().is_some() {}
    connection
}
