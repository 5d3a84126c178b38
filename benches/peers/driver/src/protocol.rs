//! What each server is spoken to in: requests made beforehand, as bytes.

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use peer_shapes::{EVENT_ID, data, data_json, event_json, frame};
use sente_core::packer::named;
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Hello,
    Input, Instant, Payload, Role, TransmitBuf,
};

/// How replies are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// So many bytes each.
    Fixed(usize),
    /// A line each.
    Lines,
    /// Four bytes of length, the most significant first.
    LengthPrefixed,
    /// The same behind one byte.
    FlaggedLength,
    /// The header of the Language Server Protocol.
    ContentLength,
    WebSocket,
}

/// How a connection begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// With the first request.
    None,
    /// With an upgrade of this path, after which so many messages come.
    Upgrade {
        path: &'static str,
        then: usize,
        /// Whether permessage-deflate is asked for, each message by itself.
        deflate: bool,
    },
    /// With these bytes: a handshake comes before they are read, and another after.
    Hello(Vec<u8>),
    /// As socket.io does.
    SocketIo,
}

/// What kind of server it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Raw,
    /// WebSocket messages that come back as they were.
    Echo,
    /// `[[id, data], callback]`, answered by `[data, callback]`, over WebSocket or in lines.
    Json(Framing),
    /// The same in MessagePack, over WebSocket.
    MessagePack,
    SocketIo,
    JsonRpc(Framing),
    Tarpc,
    Ours {
        carrier: Carrier,
        packer: String,
        deflated: bool,
    },
}

impl Protocol {
    /// Of the server with this name.
    pub(crate) fn of(name: &str) -> Self {
        match name {
            "raw-epoll" | "raw-epoll/unix" | "raw-tokio" | "stdio-raw" | "stdio-raw-tokio" => {
                Self::Raw
            }
            "tungstenite-json" | "batch-json" | "batch-json/each-alone" | "batch-json/typed" => {
                Self::Json(Framing::WebSocket)
            }
            "batch-msgpack/typed" => Self::MessagePack,
            "stdio-lines" | "stdio-batch" => Self::Json(Framing::Lines),
            "socketioxide" | "socketioxide/threads-2" | "node-socketio" => Self::SocketIo,
            "jsonrpsee" => Self::JsonRpc(Framing::WebSocket),
            "stdio-lsp-server" | "stdio-async-lsp" => Self::JsonRpc(Framing::ContentLength),
            "tarpc" => Self::Tarpc,
            ours if ours.starts_with("ours/") => Self::ours(ours),
            _ => Self::Echo,
        }
    }

    fn ours(name: &str) -> Self {
        let mut parts = name.split('/').skip(1);
        let (transport, packer) = (parts.next(), parts.next().unwrap_or("edn"));
        let carrier = match (transport, packer) {
            (Some("ws"), _) => Carrier::WebSocket,
            (_, "msgpack") => Carrier::LengthPrefixed,
            _ => Carrier::Lines,
        };
        Self::Ours {
            carrier,
            packer: packer.to_owned(),
            deflated: parts.any(|option| option == "deflate"),
        }
    }

    pub(crate) fn framing(&self, bytes: usize) -> Framing {
        match self {
            Self::Raw => Framing::Fixed(bytes),
            Self::Json(framing) | Self::JsonRpc(framing) => *framing,
            Self::Tarpc => Framing::LengthPrefixed,
            Self::Ours { carrier, .. } => match carrier {
                Carrier::LengthPrefixed => Framing::FlaggedLength,
                Carrier::Lines => Framing::Lines,
                _ => Framing::WebSocket,
            },
            Self::Echo | Self::MessagePack | Self::SocketIo => Framing::WebSocket,
        }
    }
}

/// Requests one behind the other, to be used round and round, and what else a client says.
#[derive(Debug)]
pub(crate) struct Requests {
    pub(crate) protocol: Protocol,
    pub(crate) framing: Framing,
    pub(crate) opening: Opening,
    pub(crate) bytes: Vec<u8>,
    /// Where each begins, and where the last ends.
    pub(crate) starts: Vec<usize>,
    /// The answer to a ping of the protocol's own.
    pub(crate) pong: Vec<u8>,
    /// Messages of so many bytes at most are no replies.
    pub(crate) ignored: usize,
}

/// Client frames are masked, with what does not matter.
pub(crate) const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

const NOW: Instant = Instant::EPOCH;

impl Requests {
    /// Calls of `bytes` as JSON, `window` of which can be under way.
    ///
    /// # Errors
    /// What could not be made.
    pub(crate) fn calls(protocol: Protocol, bytes: usize, window: usize) -> Result<Self, String> {
        let mut requests = Self::none(protocol, bytes)?;
        let calls = match &requests.protocol {
            Protocol::Tarpc => tarpc_calls(bytes, (window * 4).max(64))?,
            Protocol::Ours {
                carrier,
                packer,
                deflated: on,
            } => {
                let calls = Pair::new(*carrier, packer)?.calls(bytes, window);
                if *on {
                    calls.iter().map(|call| deflated(call)).collect()
                } else {
                    calls
                }
            }
            // Just the bytes that ours are sent.
            Protocol::Echo => Pair::new(Carrier::WebSocket, "edn")?.calls(bytes, window),
            other => (0..window).map(|index| call(other, bytes, index)).collect(),
        };
        requests.push(&calls);
        Ok(requests)
    }

    /// Events that are told to everybody.
    ///
    /// # Errors
    /// What could not be made.
    pub(crate) fn news(protocol: Protocol, bytes: usize) -> Result<Self, String> {
        let mut requests = Self::none(protocol, bytes)?;
        let text = match &requests.protocol {
            Protocol::Ours {
                carrier, packer, ..
            } => {
                let event = Pair::new(*carrier, packer)?.event(bytes);
                requests.push(&[event]);
                return Ok(requests);
            }
            Protocol::SocketIo => format!("42[\"pub\",{}]", data_json(bytes)),
            _ => event_json(bytes),
        };
        requests.push(&[client_text(&text)]);
        Ok(requests)
    }

    fn none(protocol: Protocol, bytes: usize) -> Result<Self, String> {
        let upgrade = |path| Opening::Upgrade {
            path,
            then: 0,
            deflate: false,
        };
        let (mut pong, mut ignored) = (Vec::new(), 0);
        let opening = match &protocol {
            Protocol::SocketIo => {
                (pong, ignored) = (client_text("3"), 1);
                Opening::SocketIo
            }
            Protocol::Ours {
                carrier,
                packer,
                deflated,
            } => {
                let pair = Pair::new(*carrier, packer)?;
                let hello = pair.hello.clone();
                // Compressed, replies are shorter.
                (pong, ignored) = (pair.pong(), if *deflated { 40 } else { 64 });
                match carrier {
                    Carrier::WebSocket => Opening::Upgrade {
                        path: "/chsk?client-id=driver",
                        then: 1,
                        deflate: *deflated,
                    },
                    _ => Opening::Hello(hello),
                }
            }
            Protocol::Echo
            | Protocol::MessagePack
            | Protocol::Json(Framing::WebSocket)
            | Protocol::JsonRpc(Framing::WebSocket) => upgrade("/"),
            _ => Opening::None,
        };
        Ok(Self {
            framing: protocol.framing(bytes),
            protocol,
            opening,
            bytes: Vec::new(),
            starts: vec![0],
            pong,
            ignored,
        })
    }

    fn push(&mut self, requests: &[Vec<u8>]) {
        for request in requests {
            assert!(!request.is_empty(), "{:?}: no request", self.protocol);
            self.bytes.extend_from_slice(request);
            self.starts.push(self.bytes.len());
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.starts.len() - 1
    }
}

fn client_text(text: &str) -> Vec<u8> {
    frame::frame(frame::TEXT, text.as_bytes(), Some(MASK))
}

/// A client's frame as permessage-deflate has it, with nothing taken over from the one before.
fn deflated(call: &[u8]) -> Vec<u8> {
    let payload = frame::unmasked(call).expect("a client's frames are masked");
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::new(6));
    let written = encoder.write_all(&payload).and_then(|()| encoder.flush());
    written.expect("there is room in memory");
    let whole = encoder.get_ref();
    let short = whole.strip_suffix(&[0, 0, 0xff, 0xff]).unwrap_or(whole);
    frame::frame(frame::COMPRESSED | frame::TEXT, short, Some(MASK))
}

fn call(protocol: &Protocol, bytes: usize, index: usize) -> Vec<u8> {
    let (event, data) = (event_json(bytes), data_json(bytes));
    let id = 1000 + index;
    match protocol {
        Protocol::Raw => event.into_bytes(),
        Protocol::Json(Framing::Lines) => format!("[{event},\"cb{id}\"]\n").into_bytes(),
        Protocol::Json(_) => client_text(&format!("[{event},\"cb{id}\"]")),
        Protocol::MessagePack => {
            let call = ((EVENT_ID, peer_shapes::data(bytes)), id);
            let call = rmp_serde::to_vec_named(&call).expect("it packs");
            frame::frame(frame::BINARY, &call, Some(MASK))
        }
        Protocol::SocketIo => client_text(&format!("42{id}{event}")),
        Protocol::JsonRpc(framing) => {
            let framed = *framing == Framing::ContentLength;
            let parameters = if framed { data } else { format!("[{data}]") };
            let body = format!(
                "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{EVENT_ID}\",\"params\":{parameters}}}"
            );
            if framed {
                format!("Content-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
            } else {
                client_text(&body)
            }
        }
        Protocol::Echo | Protocol::Tarpc | Protocol::Ours { .. } => Vec::new(),
    }
}

/// The frames of tarpc's own client. Ids must differ among those under way.
fn tarpc_calls(bytes: usize, count: usize) -> Result<Vec<Vec<u8>>, String> {
    let path = std::env::temp_dir().join(format!("tarpc-frames-{}", std::process::id()));
    let made = Command::new(crate::server::program("peer-servers")?)
        .arg("tarpc-frames")
        .args([bytes.to_string(), count.to_string()])
        .arg(&path)
        .status();
    let all = match made {
        Ok(status) if status.success() => std::fs::read(&path),
        Ok(status) => return Err(format!("peer-servers tarpc-frames: {status}")),
        Err(error) => return Err(format!("peer-servers tarpc-frames: {error}")),
    };
    let mut rest = &all.map_err(|error| format!("cannot read tarpc's frames: {error}"))?[..];
    // It has been read.
    let _ = std::fs::remove_file(&path);
    let mut calls = Vec::new();
    while let Some(length) = rest.first_chunk() {
        let (call, behind) = rest.split_at(4 + u32::from_be_bytes(*length) as usize);
        calls.push(call.to_vec());
        rest = behind;
    }
    Ok(calls)
}

/// A client and a server of ours in memory: the one to make what the other takes.
struct Pair {
    client: Connection,
    server: Connection,
    /// What the client says first.
    hello: Vec<u8>,
}

impl Pair {
    fn new(carrier: Carrier, packer: &str) -> Result<Self, String> {
        let packer = named(packer).ok_or_else(|| format!("there is no packer {packer}"))?;
        let config = |role| {
            let dialect = match (role, carrier) {
                (Role::Client, _) | (_, Carrier::WebSocket) => Dialect::Sente,
                _ => Dialect::SenteLite,
            };
            let mut builder = ConnectionConfig::builder(role, dialect, carrier);
            if role == Role::Client && carrier != Carrier::WebSocket {
                let mut hello = Hello::new();
                hello.dialect = Some(Dialect::Sente);
                builder = builder.hello(hello);
            }
            let built = builder.packer(packer.clone()).build();
            built.map_err(|error| error.to_string())
        };
        let mut pair = Self {
            client: Connection::new(config(Role::Client)?, [1; 32], NOW),
            server: Connection::new(config(Role::Server)?, [2; 32], NOW),
            hello: Vec::new(),
        };
        pair.server.accept(NOW, Accept::new("driver"));
        pair.hello = said(&mut pair.client);
        tell(&mut pair.server, NOW, &pair.hello);
        let handshake = said(&mut pair.server);
        tell(&mut pair.client, NOW, &handshake);
        let opened = std::iter::from_fn(|| pair.client.poll_event())
            .any(|event| matches!(event, ConnectionEvent::Opened(_)));
        if opened {
            Ok(pair)
        } else {
            Err("the two ends of a pair do not understand each other".to_owned())
        }
    }

    fn calls(mut self, bytes: usize, count: usize) -> Vec<Vec<u8>> {
        let event = self.data_of(bytes);
        let one = |_| {
            let made = self
                .client
                .call(NOW, event.clone(), Duration::from_secs(3600));
            made.expect("there is room for one");
            said(&mut self.client)
        };
        (0..count).map(one).collect()
    }

    fn event(mut self, bytes: usize) -> Vec<u8> {
        let event = self.data_of(bytes);
        self.client.send(NOW, event).expect("there is room for one");
        said(&mut self.client)
    }

    /// The answer to a ping.
    fn pong(mut self) -> Vec<u8> {
        let mut now = NOW;
        loop {
            let ping = said(&mut self.server);
            tell(&mut self.client, now, &ping);
            let pong = said(&mut self.client);
            if !pong.is_empty() {
                return pong;
            }
            // Byte streams need no pings.
            let Some(next) = self.server.poll_timeout() else {
                return Vec::new();
            };
            now = next;
            self.server.handle_timeout(now);
            if self.server.close_reason().is_some() {
                return Vec::new();
            }
        }
    }

    fn data_of(&self, bytes: usize) -> Event {
        let payload = Payload::typed(&data(bytes), self.client.config()).expect("it packs");
        Event::new(EventId::new(EVENT_ID).expect("an id"), payload)
    }
}

fn said(connection: &mut Connection) -> Vec<u8> {
    let mut out = TransmitBuf::new();
    let mut all = Vec::new();
    while connection.poll_transmit(&mut out).is_some() {
        all.extend_from_slice(&out.copy_to_bytes(out.remaining()));
        connection.handle_transmitted(NOW);
    }
    all
}

fn tell(connection: &mut Connection, now: Instant, bytes: &[u8]) {
    let mut bytes = BytesMut::from(bytes);
    connection.handle_input(now, Input::Bytes(&mut bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_are_sent_one_call_each() {
        for packer in ["edn", "json", "msgpack"] {
            for transport in ["ws", "tcp"] {
                let protocol = Protocol::of(&format!("ours/{transport}/{packer}"));
                let requests = Requests::calls(protocol, 100, 3).unwrap();
                assert_eq!(requests.count(), 3);
                println!(
                    "{packer} {transport} {:?} {:?}",
                    requests.starts, requests.pong
                );
                assert!(
                    requests
                        .starts
                        .windows(2)
                        .all(|pair| pair[1] - pair[0] > 64)
                );
            }
        }
    }

    #[test]
    fn a_ping_has_an_answer_over_websockets() {
        let protocol = Protocol::of("ours/ws/edn");
        let requests = Requests::calls(protocol, 100, 1).unwrap();
        assert!(!requests.pong.is_empty());
    }
}
