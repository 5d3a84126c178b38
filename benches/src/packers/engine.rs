//! What a connection does with the messages: an event routed to its handler, an event queued and
//! written, and twenty packed and written at once.

use std::hint::black_box;
use std::sync::Arc;

use bytes::{Buf, BytesMut};
use sente_core::packer::Packer;
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, EventId, Input,
    Instant, PackedEvent, Pattern, Registry, Role, TransmitBuf,
};

use super::shapes::{self, Data, EVENT_ID, Size};

/// How many events are packed and written at once.
pub(super) const BATCH: u32 = 20;

const NOW: Instant = Instant::EPOCH;

/// A connection that frames come in on, with a handler.
pub(super) struct Routing {
    server: Connection,
    registry: Registry<u32>,
    frame: Vec<u8>,
    buffer: BytesMut,
}

impl Routing {
    pub(super) fn new(packer: &Arc<dyn Packer>, size: Size) -> Self {
        let (mut client, server) = pair(packer);
        let sent = client.send_typed(NOW, &id(), &shapes::data(size));
        sent.expect("there is room");
        let mut registry = Registry::new();
        registry.on(Pattern::Id(id()), 1);
        Self {
            server,
            registry,
            frame: said(&mut client),
            buffer: BytesMut::with_capacity(1 << 18),
        }
    }

    pub(super) fn route(&mut self) {
        self.buffer.clear();
        self.buffer.extend_from_slice(&self.frame);
        self.server
            .handle_input(NOW, Input::Bytes(&mut self.buffer));
        let Some(ConnectionEvent::Message(message)) = self.server.poll_event() else {
            panic!("no message")
        };
        let mut seen = 0;
        let registry = &mut self.registry;
        registry.dispatch(&message.event, |_, handler| seen += *handler);
        assert_eq!(seen, 1, "one handler");
        black_box(message);
    }
}

/// A connection that events go out on.
pub(super) struct Sending {
    server: Connection,
    id: EventId,
    data: Data,
    packed: PackedEvent,
    out: TransmitBuf,
}

impl Sending {
    pub(super) fn new(packer: &Arc<dyn Packer>, size: Size) -> Self {
        let (_, server) = pair(packer);
        let (id, data) = (id(), shapes::data(size));
        Self {
            packed: PackedEvent::pack_typed(&id, &data, &**packer).expect("it can be packed"),
            server,
            id,
            data,
            out: TransmitBuf::new(),
        }
    }

    pub(super) fn queue(&mut self) {
        let sent = self.server.send_packed(NOW, &self.packed);
        sent.expect("there is room");
        self.write();
    }

    pub(super) fn batch(&mut self) {
        for _ in 0..BATCH {
            let sent = self.server.send_typed(NOW, &self.id, black_box(&self.data));
            sent.expect("there is room");
        }
        self.write();
    }

    fn write(&mut self) {
        while self.server.poll_transmit(&mut self.out).is_some() {
            self.out.advance(self.out.remaining());
            self.server.handle_transmitted(NOW);
        }
    }
}

fn id() -> EventId {
    EventId::new(EVENT_ID).expect("an id")
}

/// A client and a server over a WebSocket, shaken hands.
fn pair(packer: &Arc<dyn Packer>) -> (Connection, Connection) {
    let connection = |role, seed| {
        let builder = ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket);
        let config = builder.packer(packer.clone()).build();
        Connection::new(config.expect("the parts fit"), [seed; 32], NOW)
    };
    let (mut client, mut server) = (connection(Role::Client, 1), connection(Role::Server, 2));
    server.accept(NOW, Accept::new("u"));
    let mut handshake = BytesMut::from(&said(&mut server)[..]);
    client.handle_input(NOW, Input::Bytes(&mut handshake));
    while client.poll_event().is_some() || server.poll_event().is_some() {}
    (client, server)
}

fn said(connection: &mut Connection) -> Vec<u8> {
    let (mut out, mut bytes) = (TransmitBuf::new(), Vec::new());
    while connection.poll_transmit(&mut out).is_some() {
        while out.has_remaining() {
            let chunk = out.chunk();
            bytes.extend_from_slice(chunk);
            let length = chunk.len();
            out.advance(length);
        }
        connection.handle_transmitted(NOW);
    }
    bytes
}
