//! How messages are compressed and inflated (RFC 7692 section 7.2).

use alloc::vec::Vec;

use flate2::{Decompress, FlushCompress, Status};

use super::{Compressor, Deflate};
use crate::flate::{InflateError, inflate};
use crate::framing::websocket::{Part, Violation};

/// What ends every flushed stream, and is left out on the wire.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// How much longer a message may become, beside a thousandth of it, for the sake of later ones: what
/// does not compress at all is stored in blocks of 16 KiB or more with 5 bytes each.
const LONGER: usize = 16;

/// Compresses what a WebSocket sends.
#[derive(Debug)]
pub(in crate::framing::websocket) struct Deflater {
    agreed: Deflate,
    /// With the messages before, where they are referred to.
    kept: Option<Compressor>,
}

impl Deflater {
    pub(in crate::framing::websocket) const fn new(agreed: Deflate) -> Self {
        Self { agreed, kept: None }
    }

    /// The payload of the compressed message; `None` if it is to be sent as it is, since it is short
    /// or would not become shorter. Where later messages may refer to it, it may become a little
    /// longer: else short messages that resemble each other never would become shorter. What is at
    /// most `limit` stays so.
    pub(in crate::framing::websocket) fn compress(
        &mut self,
        parts: &[Part<'_>],
        length: usize,
        limit: usize,
    ) -> Option<Vec<u8>> {
        if length == 0 || length < self.agreed.config.threshold {
            return None;
        }
        let mut compressor = self.kept.take().or_else(|| self.agreed.compressor())?;
        let most = if self.agreed.takeover {
            length.saturating_add(length / 1024).saturating_add(LONGER)
        } else {
            length.saturating_sub(1)
        };
        // What keeps to the limit of frames still does afterwards.
        let most = if length > limit {
            most
        } else {
            most.min(limit)
        };
        let payload = deflate(&mut compressor, parts, length, most);
        if !self.agreed.takeover || payload.is_none() {
            // What is sent uncompressed is in no window of the peer's: nothing may refer to it.
            compressor.state.reset();
        }
        if self.agreed.takeover {
            self.kept = Some(compressor);
        } else {
            self.agreed.config.spares.compressor.put(compressor);
        }
        payload
    }
}

/// The parts, `length` bytes together, compressed and flushed, if that is at most `most`.
fn deflate(
    compressor: &mut Compressor,
    parts: &[Part<'_>],
    length: usize,
    most: usize,
) -> Option<Vec<u8>> {
    let state = &mut compressor.state;
    let mut out = Vec::with_capacity((length / 4).saturating_add(64));
    let flush = [(&[][..], FlushCompress::Sync)];
    let parts = parts
        .iter()
        .map(|part| (part.as_slice(), FlushCompress::None));
    for (mut input, mode) in parts.chain(flush) {
        loop {
            let before = state.total_in();
            let status = state.compress_vec(input, &mut out, mode).ok()?;
            let read = state.total_in().saturating_sub(before);
            input = input.get(usize::try_from(read).ok()?..)?;
            if out.len() > most.saturating_add(TAIL.len()) {
                return None;
            }
            let is_full = out.len() == out.capacity();
            if is_full {
                out.reserve_exact(out.len().max(64));
            } else if input.is_empty() || status == Status::BufError {
                break;
            }
        }
    }
    out.truncate(out.strip_suffix(&TAIL)?.len());
    (out.len() <= most).then_some(out)
}

/// Inflates what a WebSocket receives.
#[derive(Debug)]
pub(in crate::framing::websocket) struct Inflater {
    agreed: Deflate,
    /// Within a message, and between messages where one refers to those before.
    state: Option<Decompress>,
}

impl Inflater {
    pub(in crate::framing::websocket) const fn new(agreed: Deflate) -> Self {
        Self {
            agreed,
            state: None,
        }
    }

    /// Appends what the next piece of a message comes to.
    pub(in crate::framing::websocket) fn push(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        let state = self.state.get_or_insert_with(|| self.agreed.decompressor());
        while !input.is_empty() {
            let inflated = inflate(state, input, out, limit).map_err(|error| match error {
                InflateError::Corrupt => Violation::BadDeflate,
                InflateError::TooLong => Violation::InflatedTooLong { limit },
            })?;
            if inflated.ended {
                // A sender may end a stream and begin another (section 7.2.3.4). Like zlib's, it
                // does not refer to what was before then.
                state.reset(false);
            }
            input = input.get(inflated.read..).unwrap_or_default();
        }
        Ok(())
    }

    /// The same for what ends a message.
    pub(in crate::framing::websocket) fn finish(
        &mut self,
        out: &mut Vec<u8>,
        limit: usize,
    ) -> Result<(), Violation> {
        self.push(&TAIL, out, limit)?;
        if !self.agreed.peer_takeover
            && let Some(state) = self.state.take()
        {
            self.agreed.config.spares.decompressor.put(state);
        }
        Ok(())
    }
}
