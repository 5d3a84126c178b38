//! What is fanned out and what is sent to one alone arrives at each socket once, whole and in the one
//! order in which it was said, whoever writes it: those who read slowly, who are closed, and who leave
//! are among them.
#![allow(missing_docs)]

use std::io::ErrorKind;
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult};
use sente_adapters::{ListenOptions, Listener, Url};
use sente_core::{ConnId, Event, Limits, Target, edn};
use sente_server::{Server, ServerEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::yield_now;
use tokio::time::timeout;

/// Longer than anything here takes: where it is reached, something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Debug)]
enum Op {
    /// To all, in a channel's way, so many of that length.
    FanOut(usize, usize),
    /// To one, by the hub.
    SendTo(usize, usize),
    /// To one, past the hub, as its handle does.
    TrySend(usize, usize),
    /// One reads so many bytes, if they are there.
    Read(usize, usize),
    /// Others have so many turns.
    Turns(usize),
    /// The server closes one.
    Close(usize),
    /// One is gone.
    Leave(usize),
}

#[derive(Clone, Debug)]
struct Case {
    clients: usize,
    /// Otherwise lines over a Unix socket, which takes less at once.
    is_websocket: bool,
    is_threaded: bool,
    /// How much one send queue takes.
    max_send_messages: usize,
    /// How many milliseconds an event waits for others.
    flush_window: Option<u64>,
    ops: Vec<Op>,
}

fn case() -> impl Strategy<Value = Case> {
    let len = || prop_oneof![5 => 0..300_usize, 1 => 4_000..5_000_usize];
    let long = 60_000..90_000_usize;
    let who = || 0..4_usize;
    let op = prop_oneof![
        8 => (1..12_usize, len()).prop_map(|(count, len)| Op::FanOut(count, len)),
        3 => (1..3_usize, long).prop_map(|(count, len)| Op::FanOut(count, len)),
        4 => (who(), len()).prop_map(|(who, len)| Op::SendTo(who, len)),
        4 => (who(), len()).prop_map(|(who, len)| Op::TrySend(who, len)),
        4 => (who(), prop_oneof![1..5_000_usize, Just(1 << 20)]).prop_map(|(who, len)| Op::Read(who, len)),
        6 => (1..20_usize).prop_map(Op::Turns),
        1 => who().prop_map(Op::Close),
        1 => who().prop_map(Op::Leave),
    ];
    let room = prop_oneof![1 => 1..6_usize, 2 => Just(1_000_usize)];
    let ops = prop::collection::vec(op, 1..40);
    let window = prop::option::weighted(0.3, 1..20_u64);
    (1..5_usize, any::<bool>(), any::<bool>(), room, window, ops).prop_map(
        |(clients, is_websocket, is_threaded, max_send_messages, flush_window, ops)| Case {
            clients,
            is_websocket,
            is_threaded,
            max_send_messages,
            flush_window,
            ops,
        },
    )
}

proptest! {
    #![proptest_config(Config { cases: 32, failure_persistence: None, ..Config::default() })]

    #[test]
    fn each_hears_all_that_was_for_it_once_and_in_order(case in case()) {
        runtime(case.is_threaded).block_on(run(case))?;
    }
}

#[test]
fn a_crowd_on_several_threads_hears_all_in_order() {
    runtime(true).block_on(async {
        let (server, mut clients) = started(600, true, ListenOptions::default()).await;
        for n in 0..20 {
            server.fan_out(&Target::All, &numbered(n, 200)).unwrap();
            if n % 5 == 4 {
                yield_now().await;
            }
        }
        for client in &mut clients {
            client.expected.extend(0..20);
            client.hear_all().await;
            client.heard();
            assert_eq!(client.heard, client.expected);
        }
    });
}

fn runtime(is_threaded: bool) -> tokio::runtime::Runtime {
    let mut runtime = if is_threaded {
        tokio::runtime::Builder::new_multi_thread()
    } else {
        tokio::runtime::Builder::new_current_thread()
    };
    runtime.worker_threads(2).enable_all().build().unwrap()
}

async fn run(case: Case) -> TestCaseResult {
    let mut listen = ListenOptions::default();
    let mut limits = Limits::default();
    limits.max_send_messages = case.max_send_messages;
    listen.limits = Some(limits);
    listen.flush_window = case.flush_window.map(Duration::from_millis);
    let (server, mut clients) = started(case.clients, case.is_websocket, listen).await;
    let mut next = 0;
    for op in case.ops {
        match op {
            Op::FanOut(count, len) => {
                for _ in 0..count {
                    server.fan_out(&Target::All, &numbered(next, len)).unwrap();
                    for client in clients.iter_mut().filter(|client| client.is_told) {
                        client.expected.push(next);
                    }
                    next += 1;
                }
            }
            Op::SendTo(who, len) => {
                if let Some(client) = told(&mut clients, who) {
                    let sent = server.send_to(client.id, &numbered(next, len));
                    prop_assert!(sent.unwrap());
                    client.expected.push(next);
                    next += 1;
                }
            }
            Op::TrySend(who, len) => {
                if let Some(client) = told(&mut clients, who) {
                    // It is refused where others wait.
                    if server.try_send(client.id, numbered(next, len)).is_ok() {
                        client.expected.push(next);
                    }
                    next += 1;
                }
            }
            Op::Read(who, len) => {
                if let Some(client) = clients.get_mut(who) {
                    client.read(len);
                }
            }
            Op::Turns(count) => {
                for _ in 0..count {
                    yield_now().await;
                }
            }
            Op::Close(who) => {
                if let Some(client) = told(&mut clients, who) {
                    server.disconnect(&Target::Connection(client.id), 1000, "");
                    client.is_told = false;
                }
            }
            Op::Leave(who) => {
                if let Some(client) = told(&mut clients, who) {
                    client.stream = None;
                    client.is_told = false;
                }
            }
        }
    }
    for client in &mut clients {
        if client.is_told {
            client.hear_all().await;
            client.heard();
            prop_assert_eq!(&client.heard, &client.expected);
        } else {
            // What had not left when it was closed is given up.
            client.hear_the_end().await;
            let count = client.heard().len();
            prop_assert_eq!(&client.heard[..], &client.expected[..count]);
        }
    }
    Ok(())
}

fn told(clients: &mut [Client], who: usize) -> Option<&mut Client> {
    clients.get_mut(who).filter(|client| client.is_told)
}

fn numbered(number: usize, len: usize) -> Event {
    let text = format!("[:n/w [{number} \"{}\"]]", "x".repeat(len));
    Event::from_value(edn::from_str(&text).unwrap()).unwrap()
}

/// A server with so many clients who read nothing yet but their handshake.
async fn started(count: usize, is_websocket: bool, listen: ListenOptions) -> (Server, Vec<Client>) {
    let server = Server::builder().let_everybody_in().build().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let url = if is_websocket {
        "ws://127.0.0.1:0/chsk".to_owned()
    } else {
        format!("unix:{}", directory.path().join("socket").display())
    };
    let url: Url = url.parse().unwrap();
    let listener = Listener::bind(&url, listen).await.unwrap();
    let url = listener.url().to_string();
    let mut events = server.events();
    server.serve(listener);
    let mut clients = Vec::new();
    for number in 0..count {
        let mut stream = if is_websocket {
            upgraded(&url, number).await
        } else {
            let path = url.trim_start_matches("unix:");
            Stream::Lines(UnixStream::connect(path).await.unwrap())
        };
        let id = loop {
            let event = timeout(PATIENCE, events.next()).await.unwrap().unwrap();
            if let ServerEvent::Joined { peer, .. } = event {
                break peer.connection;
            }
        };
        let mut bytes = Vec::new();
        while !contains(&bytes, b"chsk/handshake") {
            assert!(stream.read_more(&mut bytes).await, "turned away");
        }
        clients.push(Client {
            id,
            stream: Some(stream),
            bytes,
            read: 0,
            heard: Vec::new(),
            is_over: false,
            is_websocket,
            is_told: true,
            expected: Vec::new(),
        });
    }
    (server, clients)
}

async fn upgraded(url: &str, number: usize) -> Stream {
    let address = url.trim_start_matches("ws://").trim_end_matches("/chsk");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /chsk?client-id=client-{number} HTTP/1.1\r\nHost: {address}\r\n\
         Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    Stream::WebSocket(stream)
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window == word)
}

enum Stream {
    Lines(UnixStream),
    WebSocket(TcpStream),
}

impl Stream {
    /// Whether more came before the end.
    async fn read_more(&mut self, bytes: &mut Vec<u8>) -> bool {
        bytes.reserve(1 << 16);
        let read = async {
            match self {
                Self::Lines(stream) => stream.read_buf(bytes).await,
                Self::WebSocket(stream) => stream.read_buf(bytes).await,
            }
        };
        let read = timeout(PATIENCE, read).await.expect("in time");
        // Who is closed with something unread is reset.
        read.is_ok_and(|read| read > 0)
    }
}

struct Client {
    id: ConnId,
    /// `None` once it has left.
    stream: Option<Stream>,
    bytes: Vec<u8>,
    /// How many of them were looked at.
    read: usize,
    heard: Vec<usize>,
    /// Whether the server has said goodbye.
    is_over: bool,
    is_websocket: bool,
    /// Whether anything is still sent to it.
    is_told: bool,
    expected: Vec<usize>,
}

impl Client {
    /// Reads what is there.
    fn read(&mut self, most: usize) {
        let mut chunk = vec![0; most];
        let read = match &self.stream {
            Some(Stream::Lines(stream)) => stream.try_read(&mut chunk),
            Some(Stream::WebSocket(stream)) => stream.try_read(&mut chunk),
            None => return,
        };
        match read {
            Ok(read) => self.bytes.extend_from_slice(&chunk[..read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }

    async fn hear_all(&mut self) {
        while self.heard().len() < self.expected.len() {
            let stream = self.stream.as_mut().unwrap();
            assert!(stream.read_more(&mut self.bytes).await, "it has ended");
        }
    }

    async fn hear_the_end(&mut self) {
        self.heard();
        // A WebSocket that has said goodbye waits for ours.
        while !self.is_over
            && let Some(stream) = &mut self.stream
            && stream.read_more(&mut self.bytes).await
        {
            self.heard();
        }
    }

    /// The numbers of the events in what was read as a whole.
    fn heard(&mut self) -> &[usize] {
        loop {
            let rest = &self.bytes[self.read..];
            let found = match (self.is_websocket, self.read) {
                (false, _) => next_line(rest),
                (true, 0) => next_head(rest),
                (true, _) => next_frame(rest),
            };
            let Some((message, len)) = found else {
                return &self.heard;
            };
            self.is_over |= message == GOODBYE;
            if !message.is_empty() && !self.is_over {
                let text = std::str::from_utf8(message).unwrap();
                let value: edn::Value = edn::from_str(text).unwrap();
                collect(&value, &mut self.heard);
            }
            self.read += len;
        }
    }
}

/// A message and the length of all that carries it.
type Found<'a> = Option<(&'a [u8], usize)>;

fn next_line(bytes: &[u8]) -> Found<'_> {
    let len = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((&bytes[..len], len + 1))
}

/// The answer to an upgrade, as an empty message.
fn next_head(bytes: &[u8]) -> Found<'_> {
    let len = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    Some((&[], len + 4))
}

/// Stands for the frame that closes.
const GOODBYE: &[u8] = b"goodbye";

fn next_frame(bytes: &[u8]) -> Found<'_> {
    let (header, len) = match bytes {
        [_, 126, a, b, ..] => (4, usize::from(u16::from_be_bytes([*a, *b]))),
        [_, 127, 0, 0, 0, 0, len @ ..] => {
            let len = u32::from_be_bytes(*len.first_chunk()?);
            (10, usize::try_from(len).unwrap())
        }
        [_, 126 | 127, ..] => return None,
        [_, len, ..] => (2, usize::from(*len)),
        _ => return None,
    };
    let body = bytes.get(header..header + len)?;
    let text = match bytes[0] {
        0x81 => body,
        0x88 => GOODBYE,
        other => panic!("no frame begins with {other:#x}"),
    };
    Some((text, header + len))
}

/// The numbers of the events in a message, alone or in a batch.
fn collect(value: &edn::Value, numbers: &mut Vec<usize>) {
    let edn::Value::Vector(items) = value else {
        return;
    };
    match &items[..] {
        [edn::Value::Keyword(id), edn::Value::Vector(data)] if id.to_string() == ":n/w" => {
            let [edn::Value::Int(number), _] = &data[..] else {
                panic!("{value}");
            };
            numbers.push(usize::try_from(*number).unwrap());
        }
        items => {
            for item in items {
                collect(item, numbers);
            }
        }
    }
}
