//! Calls into the product's crates from a program that has no `std`, no C library and no system
//! allocator. It exits with 0, or with the number of the first check that fails.
#![no_std]
#![no_main]

extern crate alloc;

mod shims;

use alloc::string::ToString;
use alloc::vec::Vec;
use core::error::Error;
use core::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use sente_core::framing::{Lines, upgrade};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Role, TransmitBuf,
};

/// The checks, in order. Each returns whether it holds.
const CHECKS: &[fn() -> bool] = &[
    transmit_buffers,
    lines,
    the_upgrade_key,
    edn,
    || a_call(Carrier::WebSocket, Dialect::Sente).is_ok_and(|replied| replied),
    || a_call(Carrier::Lines, Dialect::SenteLite).is_ok_and(|replied| replied),
    || a_call(Carrier::LengthPrefixed, Dialect::SenteLite).is_ok_and(|replied| replied),
];

/// What the program does once the shims have set it up; the result is its exit status.
fn run() -> u8 {
    let failed = CHECKS.iter().position(|check| !check());
    failed.map_or(0, |index| u8::try_from(index + 1).unwrap_or(u8::MAX))
}

fn transmit_buffers() -> bool {
    let mut out = TransmitBuf::new();
    out.put_slice(b"small ");
    out.put_shared(&Bytes::from_static(&[b'x'; TransmitBuf::SHARE_FROM]));
    let mut copied = Vec::new();
    while out.has_remaining() {
        let chunk = out.chunk().to_vec();
        out.advance(chunk.len());
        copied.extend(chunk);
    }
    copied.len() == 6 + TransmitBuf::SHARE_FROM && copied.starts_with(b"small xx")
}

fn lines() -> bool {
    let mut lines = Lines::new(64);
    lines.handle_input(&mut BytesMut::from(&b"[:a/b 1]\n[:c/"[..]));
    let Some(Ok(frame)) = lines.poll_frame() else {
        return false;
    };
    lines.handle_input(&mut BytesMut::from(&[b'd'; 100][..]));
    let too_long = match lines.poll_frame() {
        Some(Err(error)) => error.to_string(),
        _ => return false,
    };
    frame.bytes == "[:a/b 1]" && too_long.contains("limit of 64")
}

/// The example of RFC 6455, section 1.3: SHA-1 and base64 below it.
fn the_upgrade_key() -> bool {
    upgrade::accept_key("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
}

fn edn() -> bool {
    let text =
        r##"#:user{:id 1, :tags #{"a" \b}, :at #inst "2026-11-20", :n [1.5 22/7 -7N 1e3M]}"##;
    let Ok(value) = sente_edn::from_str(text) else {
        return false;
    };
    let written = sente_edn::to_string(&value);
    sente_edn::from_str(&written).is_ok_and(|again| again == value)
        && sente_edn::from_str("[1 2").is_err_and(|error| error.is_incomplete())
        && sente_edn::from_str("[".repeat(100_000).as_str()).is_err()
}

/// Whether a call crosses between two connections and its reply comes back.
fn a_call(carrier: Carrier, dialect: Dialect) -> Result<bool, alloc::boxed::Box<dyn Error>> {
    let now = Instant::EPOCH;
    let config = |role| ConnectionConfig::builder(role, dialect, carrier).build();
    let mut server = Connection::new(config(Role::Server)?, [1; 32], now);
    let mut client = Connection::new(config(Role::Client)?, [2; 32], now);
    server.accept(now, Accept::new("ada"));
    carry(&mut server, &mut client, now);
    let question = Event::new(EventId::new("test/echo")?, "who?");
    let call = client.call(now, question, Duration::from_secs(5))?;
    carry(&mut client, &mut server, now);
    while let Some(event) = server.poll_event() {
        if let ConnectionEvent::Message(message) = event
            && let Some(token) = message.reply
        {
            server.reply(now, token, "me")?;
        }
    }
    carry(&mut server, &mut client, now);
    while let Some(event) = client.poll_event() {
        if let ConnectionEvent::Settled {
            call: settled,
            result,
        } = event
        {
            return Ok(settled == call && result?.to_value()?.as_str() == Some("me"));
        }
    }
    Ok(false)
}

fn carry(from: &mut Connection, to: &mut Connection, now: Instant) {
    let mut out = TransmitBuf::new();
    while from.poll_transmit(&mut out).is_some() {
        let mut bytes = BytesMut::from(&*out.copy_to_bytes(out.remaining()));
        from.handle_transmitted(now);
        to.handle_input(now, Input::Bytes(&mut bytes));
    }
}
