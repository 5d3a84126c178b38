//! Two engines and no adapter.

use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    Carrier, Connection, ConnectionEvent, Event, Input, Instant, Limits, Payload, Role, TransmitBuf,
};

use super::{Echo, Link};
use crate::engine::{SAY, id, open as engine};

const NOW: Instant = Instant::EPOCH;

pub(super) fn open(link: Link, window: u64) -> Echo {
    let client = engine(Role::Client, Carrier::Lines, Limits::default());
    let server = engine(Role::Server, Carrier::Lines, Limits::default());
    let payload = Payload::typed(&SAY, client.config()).expect("it packs");
    let event = Event::new(id(), payload);
    let mut ends = [
        End::new(client, event.clone()),
        End::new(server, event.clone()),
    ];
    let mut wires: Option<[Box<dyn Wire>; 2]> = match link {
        Link::Memory => None,
        Link::Tcp | Link::TokioTcp => Some(boxed(tcp())),
        Link::Unix => Some(boxed(UnixStream::pair().expect("two sockets"))),
    };
    let mut scratch = vec![0; 1 << 16];
    Box::new(move |calls| {
        let mut left = calls;
        while left > 0 {
            let now = left.min(window);
            left -= now;
            for _ in 0..now {
                ends[0].call();
            }
            let mut settled = 0;
            while settled < now {
                for from in [0, 1] {
                    ends[from].write();
                    let [one, other] = &mut ends;
                    let (writer, reader) = if from == 0 {
                        (one, other)
                    } else {
                        (other, one)
                    };
                    if let Some(wires) = &mut wires {
                        writer.sent.hand_over(&mut *wires[from]);
                        reader.came.read(&mut *wires[1 - from], &mut scratch);
                    } else {
                        reader.came.0.extend_from_slice(&writer.sent.0);
                        writer.sent.0.clear();
                    }
                    settled += reader.take();
                }
            }
        }
    })
}

/// A socket that blocks.
trait Wire: Read + Write {}
impl<T: Read + Write> Wire for T {}

fn boxed<T: Wire + 'static>((one, other): (T, T)) -> [Box<dyn Wire>; 2] {
    [Box::new(one), Box::new(other)]
}

fn tcp() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let one = TcpStream::connect(address).expect("it listens");
    let (other, _) = listener.accept().expect("somebody came");
    for stream in [&one, &other] {
        stream.set_nodelay(true).expect("it is a socket");
    }
    (one, other)
}

/// One end.
struct End {
    engine: Connection,
    event: Event,
    out: TransmitBuf,
    sent: Buffer,
    came: Buffer,
}

struct Buffer(BytesMut);

impl Buffer {
    fn new() -> Self {
        Self(BytesMut::with_capacity(1 << 17))
    }

    /// Writes all there is.
    fn hand_over(&mut self, wire: &mut dyn Wire) {
        wire.write_all(&self.0).expect("the other end is there");
        self.0.clear();
    }

    /// Reads once, by way of `scratch`.
    fn read(&mut self, wire: &mut dyn Wire, scratch: &mut [u8]) {
        let read = wire.read(scratch).expect("the other end is there");
        self.0.extend_from_slice(&scratch[..read]);
    }
}

impl End {
    fn new(engine: Connection, event: Event) -> Self {
        Self {
            engine,
            event,
            out: TransmitBuf::new(),
            sent: Buffer::new(),
            came: Buffer::new(),
        }
    }

    fn call(&mut self) {
        let event = self.event.clone();
        let call = self.engine.call(NOW, event, Duration::from_secs(5));
        black_box(call.expect("room"));
    }

    /// Has the engine write what it has.
    fn write(&mut self) {
        while self.engine.poll_transmit(&mut self.out).is_some() {
            while self.out.has_remaining() {
                let chunk = self.out.chunk();
                let length = chunk.len();
                self.sent.0.extend_from_slice(chunk);
                self.out.advance(length);
            }
            self.engine.handle_transmitted(NOW);
        }
    }

    /// Shows the engine what came, and does what an application would. How many calls are settled.
    fn take(&mut self) -> u64 {
        self.came.0.reserve(1 << 12);
        self.engine
            .handle_input(NOW, Input::Bytes(&mut self.came.0));
        let mut settled = 0;
        while let Some(event) = self.engine.poll_event() {
            match event {
                ConnectionEvent::Message(message) => {
                    let (token, data) = (message.reply.expect("a call"), message.event.data);
                    let replied = self.engine.reply(NOW, token, data.expect("it has data"));
                    replied.expect("the caller waits");
                }
                ConnectionEvent::Settled { result, .. } => {
                    black_box(result.expect("an answer"));
                    settled += 1;
                }
                _ => {}
            }
        }
        settled
    }
}
