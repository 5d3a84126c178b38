//! A packer of one's own that encrypts: around any other, by `seal` and `open` alone.
//!
//! A server and a client over TCP, once with plain EDN inside, once with compressed MessagePack, and
//! once with another key than the server's:
//!
//! ```console
//! $ cargo run -p sente-adapters --example encrypted
//! encrypted-edn: 1542 bytes for 1500
//! encrypted-gzip-msgpack: 96 bytes for 1500
//! with another key: no handshake in time: not encrypted with our key, or changed at byte 0
//! ```
//!
//! Both sides hold one key, which reached them some other way. A frame is a nonce of 24 random bytes
//! and what XChaCha20-Poly1305 makes of the message: nobody without the key can read or change it.
//! The nonce is long enough to be drawn at random for every frame of a key's life. What this does
//! not hide is how long a message is, and when it was sent; and who sits between the two can still
//! drop a frame, repeat it, or send it back to where it came from. Where that matters, use TLS, or
//! give each direction a key of its own and count frames in the associated data.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chacha20poly1305::aead::{Aead, Generate, Key, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sente_adapters::{ConnectOptions, ListenOptions, Listener, connect};
use sente_core::framing::Kind;
use sente_core::packer::{Edn, Gzip, MsgPack, PackError, Packer, Span, Tokens, UnpackError, Visit};
use sente_core::{Accept, ConnectionEvent, Event, EventId, Limits};
use sente_edn::Value;

/// Bytes of the nonce before a message, and of the tag behind it.
const NONCE: usize = 24;
const TAG: usize = 16;

/// Encrypts the messages of the packer inside.
struct Encrypted<P> {
    inner: P,
    name: String,
    cipher: XChaCha20Poly1305,
}

impl<P: Packer> Encrypted<P> {
    fn new(inner: P, key: &Key<XChaCha20Poly1305>) -> Self {
        Self {
            name: format!("encrypted-{}", inner.name()),
            inner,
            cipher: XChaCha20Poly1305::new(key),
        }
    }

    fn error(&self, message: &str) -> PackError {
        PackError::new(&self.name, message)
    }

    /// The message with what is authenticated beside it: a frame of one packer is none of another.
    fn payload<'a>(&'a self, msg: &'a [u8]) -> Payload<'a, 'a> {
        Payload {
            msg,
            aad: self.name.as_bytes(),
        }
    }
}

/// Keys do not belong into logs.
impl<P: fmt::Debug> fmt::Debug for Encrypted<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encrypted")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

fn unreadable(message: &str) -> UnpackError {
    UnpackError::Other {
        offset: 0,
        message: message.to_owned(),
    }
}

impl<P: Packer> Packer for Encrypted<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn kind(&self) -> Kind {
        Kind::Binary
    }

    fn seals(&self) -> bool {
        true
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        let mut sealed = Vec::new();
        self.inner.seal(message, &mut sealed)?;
        let nonce = XNonce::try_generate().map_err(|_| self.error("the system has no entropy"))?;
        let encrypted = self.cipher.encrypt(&nonce, self.payload(&sealed));
        let encrypted = encrypted.map_err(|_| self.error("too long to be encrypted"))?;
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&encrypted);
        Ok(())
    }

    fn seal_overhead(&self) -> usize {
        self.inner.seal_overhead().saturating_add(NONCE + TAG)
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        let Some((nonce, encrypted)) = frame.split_first_chunk::<NONCE>() else {
            return Err(unreadable("too short for an encrypted message"));
        };
        if encrypted.len().saturating_sub(TAG) > limits.max_opened_bytes {
            return Err(UnpackError::OverLimit {
                offset: 0,
                what: "bytes",
                limit: limits.max_opened_bytes,
            });
        }
        let message = self
            .cipher
            .decrypt(&XNonce::from(*nonce), self.payload(encrypted));
        // Why it failed is nobody's business: there is nothing a peer may learn from it.
        let message = message.map_err(|_| unreadable("not encrypted with our key, or changed"))?;
        self.inner.open(&message.into(), limits)
    }

    // All the rest is about packed values, which are those of the packer inside.

    fn format(&self) -> &str {
        self.inner.format()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        self.inner.pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        self.inner.unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        self.inner.walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        self.inner.entries(packed, limits, visit);
    }

    fn sequence(&self, len: usize) -> Tokens {
        self.inner.sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        self.inner.map(len)
    }
}

/// Calls an echo server through the two packers, and gives back its answer.
async fn call(
    server: Arc<dyn Packer>,
    client: Arc<dyn Packer>,
    data: &str,
) -> Result<Value, Box<dyn Error>> {
    let mut options = ListenOptions::default();
    options.packer = Some(server);
    let mut listener = Listener::bind(&"tcp://127.0.0.1:0".parse()?, options).await?;
    let url = listener.url().clone();
    let serving = tokio::spawn(async move {
        let incoming = listener.accept().await?.ok()?;
        let (handle, mut events) = incoming.accept(Accept::new("client")).await.ok()?;
        while let Some(event) = events.next().await {
            if let ConnectionEvent::Message(message) = event
                && let (Some(token), Some(data)) = (message.reply, message.event.data)
            {
                handle.reply(token, data).ok()?;
            }
        }
        Some(())
    });
    let mut options = ConnectOptions::default();
    options.packer = Some(client);
    options.connect_timeout = Some(Duration::from_secs(1));
    let called = async {
        let (handle, _events) = connect(&url, &options).await?;
        let event = Event::new(EventId::new("test/echo")?, data);
        Ok(handle
            .call(event, Duration::from_secs(5))
            .await?
            .to_value()?)
    };
    let answer = called.await;
    serving.abort();
    answer
}

async fn show() -> Result<(), Box<dyn Error>> {
    let key = Key::<XChaCha20Poly1305>::generate();
    let text = "attack at dawn ".repeat(100);
    let packers: [Arc<dyn Packer>; 2] = [
        Arc::new(Encrypted::new(Edn, &key)),
        // Compressed before it is encrypted: afterwards there is nothing left to compress. Do not,
        // where others can put text of theirs into a message of yours and see how long it gets.
        Arc::new(Encrypted::new(Gzip::new(MsgPack::new()), &key)),
    ];
    for packer in packers {
        let mut frame = Vec::new();
        packer.pack_message(&Value::from(&*text), &mut frame)?;
        println!(
            "{}: {} bytes for {}",
            packer.name(),
            frame.len(),
            text.len()
        );
        let answer = call(packer.clone(), packer, &text).await?;
        if answer.as_str() != Some(&text) {
            return Err("the echo differs".into());
        }
    }
    let stranger = Encrypted::new(Edn, &Key::<XChaCha20Poly1305>::generate());
    let server = Arc::new(Encrypted::new(Edn, &key));
    match call(server, Arc::new(stranger), &text).await {
        Ok(_) => Err("a stranger was understood".into()),
        Err(error) => {
            println!("with another key: {error}");
            Ok(())
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    show().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_example_runs() {
        show().await.unwrap();
    }

    #[test]
    fn a_changed_frame_is_refused_wherever_it_was_changed() {
        let key = Key::<XChaCha20Poly1305>::generate();
        let packer = Encrypted::new(Edn, &key);
        let value = Value::from("secret");
        let mut frame = Vec::new();
        packer.pack_message(&value, &mut frame).unwrap();
        assert_eq!(frame.len(), "\"secret\"".len() + packer.seal_overhead());
        let limits = Limits::default();
        let read = packer.unpack_message(&frame.clone().into(), &limits);
        assert_eq!(read.unwrap(), value);
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert!(packer.open(&changed.into(), &limits).is_err(), "{at}");
            let cut = Bytes::copy_from_slice(&frame[..at]);
            assert!(packer.open(&cut, &limits).is_err(), "{at}");
        }
        let other = Encrypted::new(MsgPack::new(), &key);
        assert!(other.open(&frame.into(), &limits).is_err());
    }

    #[test]
    fn no_two_frames_of_a_message_are_equal() {
        let packer = Encrypted::new(Edn, &Key::<XChaCha20Poly1305>::generate());
        let mut frames = std::collections::BTreeSet::new();
        for _ in 0..100 {
            let mut frame = Vec::new();
            packer.seal(b"nil", &mut frame).unwrap();
            frames.insert(frame[..NONCE].to_vec());
        }
        assert_eq!(frames.len(), 100);
        assert!(!format!("{packer:?}").contains("cipher"));
    }
}
