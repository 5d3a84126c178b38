//! Repeats one piece of the engine's work, and does nothing else:
//! `core_once --only frame-in/sente --iters 100`.
//!
//! Run under an instruction counter with two numbers of iterations, the difference is the cost of
//! the work without that of starting and preparing.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Pattern, Registry, Role, TransmitBuf,
};
use serde_json::value::RawValue;

const NOW: Instant = Instant::EPOCH;
const EDN: &str = "[:chat/message {:room :lobby, :from \"alice\", :text \"see you at the station at six\", :n 42, :ok true}]\n";
const JSON: &str = "[\"chat/message\",{\"room\":\"lobby\",\"from\":\"alice\",\"text\":\"see you at the station at six\",\"n\":42,\"ok\":true}]\n";

type Operation = Box<dyn FnMut()>;
type Case = (&'static str, fn() -> Operation);

fn cases() -> Vec<Case> {
    vec![
        ("copy/bytes", copy),
        ("frame-in/sente", frame_in),
        ("frame-in/serde_json", frame_in_json),
        ("enqueue/sente", enqueue),
        ("write/sente", write),
        ("call/sente", call),
    ]
}

fn copy() -> Operation {
    Box::new(|| drop(black_box(BytesMut::from(EDN))))
}

fn frame_in() -> Operation {
    let mut connection = open();
    let mut registry: Registry<u32> = Registry::new();
    let id = EventId::new("chat/message").expect("an id");
    registry.on(Pattern::Id(id), 1);
    let mut frame = BytesMut::with_capacity(1 << 16);
    Box::new(move || {
        frame.clear();
        frame.reserve(1 << 12);
        frame.extend_from_slice(EDN.as_bytes());
        connection.handle_input(NOW, Input::Bytes(&mut frame));
        let Some(ConnectionEvent::Message(message)) = connection.poll_event() else {
            panic!("no message")
        };
        let mut seen = 0;
        registry.dispatch(&message.event, |_, handler| seen += *handler);
        assert_eq!(seen, 1);
        black_box(message);
    })
}

fn frame_in_json() -> Operation {
    Box::new(|| {
        let (id, data): (&str, &RawValue) =
            serde_json::from_slice(black_box(JSON.as_bytes())).expect("reads");
        black_box((id, data));
    })
}

fn event() -> Event {
    let Ok(value) = sente_edn::from_str(EDN) else {
        panic!("it reads")
    };
    Event::from_value(value).expect("an event")
}

/// 1,000 at a time, written away between: the cost of one is the 1,000th part, less `write`.
fn enqueue() -> Operation {
    let mut connection = open();
    let packed = sente_core::PackedEvent::pack(&event(), &sente_core::packer::Edn).expect("packs");
    let mut out = TransmitBuf::new();
    Box::new(move || {
        for _ in 0..500 {
            connection.send_packed(NOW, &packed).expect("room");
        }
        flush(&mut connection, &mut out);
    })
}

fn write() -> Operation {
    let mut connection = open();
    let packed = sente_core::PackedEvent::pack(&event(), &sente_core::packer::Edn).expect("packs");
    let mut out = TransmitBuf::new();
    Box::new(move || {
        connection.send_packed(NOW, &packed).expect("room");
        flush(&mut connection, &mut out);
    })
}

fn call() -> Operation {
    let mut connection = open();
    let mut out = TransmitBuf::new();
    let event = event();
    Box::new(move || {
        let call = connection.call(NOW, event.clone(), Duration::from_secs(5));
        black_box(call.expect("room"));
        let mut sent = BytesMut::new();
        while connection.poll_transmit(&mut out).is_some() {
            sent.extend_from_slice(out.chunk());
            while out.has_remaining() {
                let len = out.chunk().len();
                out.advance(len);
            }
            connection.handle_transmitted(NOW);
        }
        let text = std::str::from_utf8(&sent).expect("text");
        let start = text.rfind(" \"").expect("a callback id") + 1;
        let id = &text[start..text.len() - 2];
        let mut frame =
            BytesMut::from(format!("[:chsk/reply {{:cb-uuid {id}, :data 1}}]\n").as_str());
        connection.handle_input(NOW, Input::Bytes(&mut frame));
        black_box(connection.poll_event().expect("settled"));
    })
}

fn flush(connection: &mut Connection, out: &mut TransmitBuf) {
    while connection.poll_transmit(out).is_some() {
        out.advance(out.remaining());
        connection.handle_transmitted(NOW);
    }
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

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["--list"] => {
            for (name, _) in cases() {
                println!("{name}");
            }
            ExitCode::SUCCESS
        }
        ["--only", name, "--iters", count] => {
            let Some((_, prepare)) = cases().into_iter().find(|(case, _)| *case == name) else {
                eprintln!("error: no such case: {name}");
                return ExitCode::from(2);
            };
            let mut operation = prepare();
            for _ in 0..count.parse::<u64>().unwrap_or(1) {
                operation();
            }
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("usage: core_once --list | --only NAME --iters N");
            ExitCode::from(2)
        }
    }
}
