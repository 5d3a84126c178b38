//! Connections with packers that seal, events for them, and a packer that counts how often it does.
#![allow(dead_code, missing_docs, unreachable_pub)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, Dialect, Event, Instant, Limits, Role,
};
use sente_edn::Value;
use sente_tests::{Pair, RawPeer, Said, event, events};

pub const NOW: Instant = Instant::EPOCH;

pub fn config(role: Role, packer: Arc<dyn Packer>, limits: &Limits) -> Arc<ConnectionConfig> {
    ConnectionConfig::builder(role, Dialect::Sente, Carrier::WebSocket)
        .packer(packer)
        .limits(limits.clone())
        .build()
        .unwrap()
}

pub fn gzip() -> Arc<dyn Packer> {
    Arc::new(Gzip::new(Edn))
}

pub fn limits(max_frame_bytes: usize) -> Limits {
    let mut limits = Limits::default();
    limits.max_frame_bytes = max_frame_bytes;
    limits
}

pub fn pair(packer: &Arc<dyn Packer>, limits: &Limits) -> Pair {
    Pair::with(
        config(Role::Client, packer.clone(), limits),
        config(Role::Server, packer.clone(), limits),
    )
}

/// An open server, and the frames it says.
pub fn server(packer: &Arc<dyn Packer>, limits: &Limits) -> (Connection, RawPeer) {
    let mut server = Connection::new(config(Role::Server, packer.clone(), limits), [1; 32], NOW);
    let mut peer = RawPeer::new(Role::Client);
    server.accept(NOW, Accept::new("ada"));
    peer.hear(&mut server, NOW);
    events(&mut server);
    (server, peer)
}

pub fn binaries(peer: &mut RawPeer, connection: &mut Connection) -> Vec<Bytes> {
    peer.hear(connection, NOW)
        .into_iter()
        .map(|said| match said {
            Said::Binary(bytes) => Bytes::from(bytes),
            other => panic!("{other:?}"),
        })
        .collect()
}

/// An event whose data compresses to almost nothing.
pub fn dull(id: &str, length: usize) -> Event {
    let mut event = event(&format!("[{id}]"));
    event.data = Some(Value::from("x".repeat(length)).into());
    event
}

/// An event whose data does not compress.
pub fn noisy(id: &str, length: usize) -> Event {
    let mut state = 7_u64;
    let noise: String = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        char::from(b' ' + u8::try_from(state >> 59).unwrap())
    })
    .take(length)
    .collect();
    let mut event = event(&format!("[{id}]"));
    // Five bits of eight are left: what seals below measures its own output.
    event.data = Some(Value::from(noise).into());
    event
}

pub fn length(event: &Event) -> usize {
    event.to_value().unwrap().as_sequence().unwrap()[1]
        .as_str()
        .unwrap()
        .len()
}

/// Seals with as many bytes in front as it is told, and counts.
#[derive(Debug)]
pub struct Padded {
    inside: Arc<dyn Packer>,
    padding: usize,
    sealed: AtomicUsize,
    pub fails: AtomicBool,
}

impl Padded {
    pub fn new(padding: usize) -> Arc<Self> {
        Self::around(Arc::new(Edn), padding)
    }

    pub fn around(inside: Arc<dyn Packer>, padding: usize) -> Arc<Self> {
        Arc::new(Self {
            inside,
            padding,
            sealed: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
        })
    }

    pub fn sealed(&self) -> usize {
        self.sealed.load(Ordering::Relaxed)
    }
}

impl Packer for Padded {
    fn name(&self) -> &str {
        "padded-edn"
    }

    fn format(&self) -> &str {
        "edn"
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        self.inside.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        self.inside.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        self.inside.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        self.inside.entries(packed, limits, visit);
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let message = frame.slice(self.padding.min(frame.len())..);
        self.inside.open(&message, limits)
    }

    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        if self.fails.load(Ordering::Relaxed) {
            return Err(PackError::new("padded-edn", "it was told to"));
        }
        self.sealed.fetch_add(1, Ordering::Relaxed);
        out.resize(out.len() + self.padding, b'.');
        self.inside.seal(message, out)
    }

    fn seal_overhead(&self) -> usize {
        self.padding + self.inside.seal_overhead()
    }

    fn sequence(&self, len: usize) -> Tokens {
        self.inside.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        self.inside.map(len)
    }
}
