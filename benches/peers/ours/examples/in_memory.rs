//! One connection of our server over a link in memory that asks as quickly as it is answered, to be
//! counted by callgrind: `in_memory WINDOW ROUNDS [driver|typed|task|responder] [PACKER] [BYTES]`.
//! Handlers run on the driver, where with `typed` they read the data into a Rust type and reply with
//! that, or on a task of the application's, where they answer at once or through a `Responder`. Events
//! are as long as `BYTES` of JSON, 100 by default, and packed as EDN by default. What a call costs is
//! the difference of two counts of rounds by the calls between them; the link's own part is a copy
//! each way.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use peer_shapes::{Data, EVENT_ID, data};
use sente_adapters::{Acceptor, Dispatcher, Events, Link, ListenOptions, Received, Url};
use sente_core::packer::{Packer, named};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, Dialect, Event, EventId, Input, Instant,
    Pattern, Payload, Role, TransmitBuf,
};

const UPGRADE: &[u8] = b"GET /chsk?client-id=load HTTP/1.1\r\nhost: load\r\nupgrade: websocket\r\n\
    connection: Upgrade\r\nsec-websocket-version: 13\r\n\
    sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

const USAGE: &str = "usage: in_memory WINDOW ROUNDS [driver|typed|task|responder] [PACKER] [BYTES]";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |at: usize, default| words.get(at).map_or(default, String::as_str);
    let [window, rounds, ..] = &words[..] else {
        return Err(USAGE.into());
    };
    let (how, name) = (word(2, "driver"), word(3, "edn"));
    let packer = named(name).ok_or(USAGE)?;
    let data = data(word(4, "100").parse()?);
    let link = Load::new(window.parse()?, rounds.parse()?, &data, &packer)?;
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build()?.block_on(async {
        let url: Url = format!("ws://load/chsk?packer={name}").parse()?;
        let acceptor = Acceptor::new(&url, ListenOptions::default())?;
        let incoming = acceptor.take(link, "load").await?.ok_or("no upgrade")?;
        let (handle, events) = incoming.accept(Accept::new("load")).await?;
        let mut handlers = Dispatcher::new(events.handle().clone());
        let id = Pattern::Id(EventId::new(EVENT_ID)?);
        match how {
            "driver" => {
                handlers.on(id, answer);
                drop(handlers.attach(events));
            }
            "typed" => {
                let config = config(Role::Server, &packer)?;
                handlers.on(id, move |received| answer_typed(received, &config));
                drop(handlers.attach(events));
            }
            "responder" => {
                handlers.on(id, answer_by_responder);
                serve(handlers, events).await;
            }
            _ => {
                handlers.on(id, answer);
                serve(handlers, events).await;
            }
        }
        println!("{:?}", handle.ended().await.stats);
        Ok(())
    })
}

fn config(
    role: Role,
    packer: &Arc<dyn Packer>,
) -> Result<Arc<ConnectionConfig>, Box<dyn std::error::Error>> {
    let config = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket);
    Ok(config.packer(packer.clone()).build()?)
}

async fn serve(mut handlers: Dispatcher, mut events: Events) {
    while handlers.next(&mut events).await.is_some() {}
}

fn answer(received: &mut Received<'_>) {
    if let Some(data) = received.event().data.clone() {
        // It fails only where the caller is gone.
        let _ = received.reply(data);
    }
}

fn answer_typed(received: &mut Received<'_>, config: &ConnectionConfig) {
    if let Some(data) = &received.event().data {
        let data: Data = data.deserialize().expect("the data of an event");
        let reply = Payload::typed(&data, config).expect("it came packed");
        let _ = received.reply(reply);
    }
}

fn answer_by_responder(received: &mut Received<'_>) {
    let data = received.event().data.clone();
    if let (Some(data), Some(responder)) = (data, received.take_reply()) {
        let _ = responder.reply(data);
    }
}

/// What a client writes, and how far it is with what it reads.
struct Load {
    requests: Vec<u8>,
    window: usize,
    rounds: usize,
    /// How many frames are read until the next are written.
    awaited: usize,
    upgraded: bool,
    /// What has come and is no whole frame yet.
    read: BytesMut,
    reader: Option<Waker>,
    begun: bool,
}

impl Load {
    fn new(
        window: usize,
        rounds: usize,
        data: &Data,
        packer: &Arc<dyn Packer>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let now = Instant::EPOCH;
        let mut client = Connection::new(config(Role::Client, packer)?, [1; 32], now);
        let mut server = Connection::new(config(Role::Server, packer)?, [2; 32], now);
        server.accept(now, Accept::new("load"));
        let handshake = said(&mut server);
        client.handle_input(now, Input::Bytes(&mut BytesMut::from(&handshake[..])));
        while client.poll_event().is_some() {}
        let mut requests = Vec::new();
        for _ in 0..window {
            let payload = Payload::typed(data, client.config())?;
            let event = Event::new(EventId::new(EVENT_ID)?, payload);
            client.call(now, event, Duration::from_secs(3600))?;
            requests.extend_from_slice(&said(&mut client));
        }
        Ok(Self {
            requests,
            window,
            rounds,
            awaited: 1,
            upgraded: false,
            read: BytesMut::new(),
            reader: None,
            begun: false,
        })
    }

    /// Steps over the frames that have come.
    fn take_frames(&mut self) {
        if !self.upgraded {
            let Some(end) = self.read.windows(4).position(|four| four == b"\r\n\r\n") else {
                return;
            };
            self.read.advance(end + 4);
            self.upgraded = true;
        }
        while let [_, short, rest @ ..] = &self.read[..] {
            let (header, length) = match (short, rest) {
                (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
                (126, _) => return,
                (length, _) => (2, usize::from(*length)),
            };
            if self.read.len() < header + length {
                return;
            }
            self.read.advance(header + length);
            self.awaited -= 1;
        }
    }
}

impl Link for Load {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        if !self.begun {
            self.begun = true;
            input.extend_from_slice(UPGRADE);
            return Poll::Ready(Ok(UPGRADE.len()));
        }
        if self.awaited > 0 {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        if self.rounds == 0 {
            return Poll::Ready(Ok(0));
        }
        self.rounds -= 1;
        self.awaited = self.window;
        input.extend_from_slice(&self.requests);
        Poll::Ready(Ok(self.requests.len()))
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        let written = out.remaining();
        while out.has_remaining() {
            let piece = out.chunk();
            self.read.extend_from_slice(piece);
            let length = piece.len();
            out.advance(length);
        }
        self.take_frames();
        if self.awaited == 0
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn said(connection: &mut Connection) -> Vec<u8> {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(Instant::EPOCH);
    }
    all
}
