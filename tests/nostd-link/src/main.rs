//! Calls into the product's crates from a program that has no `std`, no C library and no system
//! allocator. It exits with 0, or with the number of the first check that fails.
#![no_std]
#![no_main]

extern crate alloc;

mod shims;

use alloc::string::ToString;
use alloc::vec::Vec;

use bytes::{Buf, Bytes, BytesMut};
use sente_core::TransmitBuf;
use sente_core::framing::{Lines, upgrade};

/// The checks, in order. Each returns whether it holds.
const CHECKS: &[fn() -> bool] = &[transmit_buffers, lines, the_upgrade_key];

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
