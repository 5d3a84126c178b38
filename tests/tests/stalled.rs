//! A peer that stops reading: what it costs the sender is bounded by the limit of the send queue,
//! the sender learns of it, others notice nothing, and nothing is lost.
//!
//! Prints `stalled: TRANSPORT ..` for each: the limit, what was taken, what was refused and by how
//! much the memory of the process has grown at most. Each is alone in its process, since that is what
//! the system counts.
#![allow(missing_docs, clippy::print_stdout)]

use std::future::ready;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use sente_adapters::{ConnectOptions, Events, Handle, ListenOptions, Listener, connect};
use sente_core::{Accept, ConnectionEvent, Event, EventId, Limits, Message, SendError};
use sente_edn::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// What each message weighs, and how many are tried: 128 MiB, which nobody holds.
const ITEM: usize = 64 * 1024;
const ITEMS: i64 = 2_000;

/// What one connection holds beside its send queue: what is on its way to the system, and the event
/// that is packed and refused, as a value and as text. The rest is what the allocator keeps.
fn allowed(limits: &Limits) -> usize {
    let under_way = limits.max_transmit_bytes + ITEM;
    let tried = 2 * ITEM;
    limits.max_send_bytes + under_way + tried + 2 * 1024 * 1024
}

const CASES: [(&str, usize); 4] = [
    ("exec", 1024 * 1024),
    ("exec", 8 * 1024 * 1024),
    ("tcp", 1024 * 1024),
    ("tcp", 8 * 1024 * 1024),
];

/// Says to a process of this program which case it is.
const CASE: &str = "SENTE_STALLED_CASE";

fn main() -> ExitCode {
    if let Ok(case) = std::env::var(CASE) {
        run(CASES[case.parse::<usize>().unwrap()]);
        return ExitCode::SUCCESS;
    }
    let began = Instant::now();
    let mut passed = 0;
    for case in 0..CASES.len() {
        let mut alone = Command::new(std::env::current_exe().unwrap());
        let status = alone.env(CASE, case.to_string()).status().unwrap();
        passed += usize::from(status.success());
    }
    let failed = CASES.len() - passed;
    // As other tests end, for those who count.
    println!(
        "test result: {}. {passed} passed; {failed} failed; 0 ignored; 0 measured; 0 filtered out; finished in {:.2}s",
        if failed == 0 { "ok" } else { "FAILED" },
        began.elapsed().as_secs_f32(),
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

#[tokio::main]
async fn run((transport, queue): (&str, usize)) {
    match transport {
        "exec" => child(queue).await,
        _ => socket(queue).await,
    }
}

fn limits(queue: usize) -> Limits {
    let mut limits = Limits::default();
    limits.max_send_bytes = queue;
    limits
}

/// Our child in Python, by lines of EDN over its standard streams.
async fn child(queue: usize) {
    let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
    let mut options = ConnectOptions::default();
    options.limits = Some(limits(queue));
    let at = |script| format!("exec:python3 {peers}/{script}").parse().unwrap();
    let (handle, mut events) = connect(&at("slow_reader.py"), &options).await.unwrap();
    let (other, _others) = connect(&at("echo.py"), &options).await.unwrap();
    handle
        .send(Event::bare(EventId::new("test/stop-reading").unwrap()))
        .await
        .unwrap();
    message(&mut events, "test/stopped").await;

    let pid = Pid::from_raw(i32::try_from(handle.pid().unwrap()).unwrap()).unwrap();
    let sent = fill("exec", &handle, &mut events, &other, &limits(queue)).await;
    let (sent, waiting) = waiting(&handle, sent).await;

    kill_process(pid, Signal::USR1).unwrap();
    waiting.await.unwrap();
    message(&mut events, "test/resumed").await;
    for n in 0..=sent {
        assert_eq!(number(&message(&mut events, "test/item").await), n);
    }
}

/// A client of our server, by lines of EDN over TCP, that knows nothing of our engine.
async fn socket(queue: usize) {
    let mut options = ListenOptions::default();
    options.limits = Some(limits(queue));
    let at = "tcp://127.0.0.1:0".parse().unwrap();
    let mut listener = Listener::bind(&at, options).await.unwrap();
    let at = listener.url().clone();
    let port = at.to_string().rsplit(':').next().unwrap().parse().unwrap();
    let client = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let incoming = listener.accept().await.unwrap().unwrap();
    let (handle, mut events) = incoming.accept(Accept::new("ada")).await.unwrap();
    let accepting = async {
        let incoming = listener.accept().await.unwrap().unwrap();
        incoming.accept(Accept::new("bob")).await.unwrap()
    };
    let options = ConnectOptions::default();
    let (asking, other) = tokio::join!(connect(&at, &options), accepting);
    let echoing = tokio::spawn(echo(asking.unwrap()));

    let sent = fill("tcp", &handle, &mut events, &other.0, &limits(queue)).await;
    let (sent, waiting) = waiting(&handle, sent).await;

    let reading = tokio::task::spawn_blocking(move || {
        let mut lines = BufReader::new(client).lines().map(Result::unwrap);
        let handshake = lines.next().unwrap();
        assert!(handshake.starts_with("[:chsk/handshake"), "{handshake}");
        for n in 0..=sent {
            let line = lines.next().unwrap();
            let start = format!("[:test/item [{n} ");
            assert!(line.starts_with(&start), "{n}: {:.40}", line);
        }
    });
    waiting.await.unwrap();
    tokio::time::timeout(PATIENCE, reading)
        .await
        .unwrap()
        .unwrap();
    drop(other);
    echoing.await.unwrap();
}

/// Sends until nothing is taken any more, and goes on trying. How many were taken.
async fn fill(
    name: &str,
    handle: &Handle,
    events: &mut Events,
    other: &Handle,
    limits: &Limits,
) -> i64 {
    let before = most_memory();
    let (mut sent, mut refused) = (0, 0);
    while sent + refused < ITEMS {
        let event = item(sent);
        let given = event.to_value().unwrap();
        match handle.try_send(event) {
            Ok(()) => sent += 1,
            Err(error) => {
                let SendError::Full { bytes, needed, .. } = &error else {
                    panic!("{error}");
                };
                // It says which limit it was, and gives back what was to be sent.
                assert!(bytes + needed > limits.max_send_bytes);
                assert!(
                    error.to_string().contains("the send queue is full"),
                    "{error}"
                );
                assert_eq!(error.into_event().to_value().unwrap(), given);
                refused += 1;
            }
        }
    }
    let grown = most_memory().saturating_sub(before);
    println!(
        "stalled: {name} queue of {} KiB: {} KiB taken, {} KiB refused, memory grew by {} KiB of at most {}",
        limits.max_send_bytes / 1024,
        sent * 64,
        refused * 64,
        grown / 1024,
        allowed(limits) / 1024,
    );
    assert!(grown <= allowed(limits), "{grown} bytes");
    // The events say it, too.
    let capacity = loop {
        if let ConnectionEvent::HighWater(capacity) = next(events).await {
            break capacity;
        }
    };
    assert_eq!(capacity.max_bytes, limits.max_send_bytes);
    // Another connection of the same process notices nothing.
    let reply = other.call(event("test/echo", 41), PATIENCE).await.unwrap();
    assert_eq!(reply.to_value().unwrap().as_i64(), Some(41));
    sent
}

/// A send that waits, and how many were taken before it: the system may have room for some more yet.
async fn waiting(
    handle: &Handle,
    mut sent: i64,
) -> (i64, impl Future<Output = Result<(), SendError>>) {
    loop {
        let mut sending = Box::pin(handle.send(item(sent)));
        tokio::select! {
            biased;
            taken = &mut sending => taken.unwrap(),
            () = ready(()) => return (sent, sending),
        }
        sent += 1;
    }
}

/// Answers until the end.
async fn echo((handle, mut events): (Handle, Events)) {
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Message(message) => {
                handle
                    .reply(message.reply.unwrap(), message.event.data.unwrap())
                    .unwrap();
            }
            ConnectionEvent::PeerFinished => handle.drain(PATIENCE),
            _ => {}
        }
    }
}

fn event(id: &str, data: impl Into<sente_core::Payload>) -> Event {
    Event::new(EventId::new(id).unwrap(), data)
}

fn item(n: i64) -> Event {
    let data = Value::from(vec![Value::from(n), Value::from("x".repeat(ITEM))]);
    event("test/item", data)
}

/// The number of an item.
fn number(message: &Message) -> i64 {
    let data = message.event.data.as_ref().unwrap().to_value().unwrap();
    data.as_vector().unwrap()[0].as_i64().unwrap()
}

async fn message(events: &mut Events, id: &str) -> Message {
    loop {
        if let ConnectionEvent::Message(message) = next(events).await {
            assert_eq!(message.event.id.as_str(), id);
            return message;
        }
    }
}

async fn next(events: &mut Events) -> ConnectionEvent {
    let next = tokio::time::timeout(PATIENCE, events.next()).await;
    next.expect("it takes for ever").expect("it is open")
}

/// The most memory this process has had so far, in bytes.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let most = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = most.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() * 1024
}
