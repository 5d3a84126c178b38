//! permessage-deflate (RFC 7692): what one side wants of it, and what both have agreed on.

mod codec;
mod negotiate;

use alloc::sync::Arc;

use flate2::{Compress, Decompress};

use super::Role;
use crate::flate::{Spare, compression, inflater};

pub(super) use codec::{Deflater, Inflater};

/// The largest window of deflate: 32 KiB. It is what is used where nothing else was agreed on.
const MAX_WINDOW_BITS: u8 = 15;
/// The smallest window we compress with. The protocol knows 8, too, which zlib never got right.
const MIN_WINDOW_BITS: u8 = 9;

/// What one side wants of permessage-deflate. Change single values on top of the defaults.
///
/// Off unless it is asked for on both sides: in the upgrade
/// ([`ClientUpgrade::deflate`](crate::framing::upgrade::ClientUpgrade::deflate),
/// [`ServerUpgrade::accept_deflate`](crate::framing::upgrade::ServerUpgrade::accept_deflate)),
/// whose outcome goes to [`WebSocket::set_deflate`](super::WebSocket::set_deflate) or
/// `Connection::set_deflate`.
///
/// What it costs: every message is compressed for each connection anew, and frames are no longer
/// shared between connections; where many get the same, a packer that compresses
/// (`packer::Gzip`, by the feature `gzip`) does it once for all. Without context
/// takeover an idle connection holds nothing for it. With takeover on the sending side it holds
/// its compressor from the first compressed message on, 380 KB with the default window, 265 KB with
/// the smallest; with takeover on the receiving side 48 KB. The clones of one configuration keep
/// one compressor and one decompressor for the connections without takeover, if the feature `std`
/// is on.
///
/// What a received message inflates to is bounded by
/// [`WebSocketConfig::max_message_bytes`](super::WebSocketConfig::max_message_bytes), in a
/// connection `Limits::max_frame_bytes`; beyond that the WebSocket is closed with 1009.
#[derive(Clone, Debug)]
pub struct DeflateConfig {
    level: u8,
    threshold: usize,
    takeover: bool,
    peer_takeover: bool,
    window_bits: u8,
    peer_window_bits: u8,
    spares: Arc<Spares>,
}

/// States between two messages of connections that keep none.
#[derive(Debug, Default)]
struct Spares {
    compressor: Spare<Compressor>,
    decompressor: Spare<Decompress>,
}

/// A compressor at the beginning of a stream, and what it was made with.
#[derive(Debug)]
struct Compressor {
    window_bits: u8,
    level: u8,
    state: Compress,
}

impl Default for DeflateConfig {
    fn default() -> Self {
        Self {
            level: 6,
            threshold: 1024,
            takeover: false,
            peer_takeover: false,
            window_bits: MAX_WINDOW_BITS,
            peer_window_bits: MAX_WINDOW_BITS,
            spares: Arc::default(),
        }
    }
}

impl DeflateConfig {
    /// How much work goes into compressing: 1 is fast, 9 thorough; others count as the nearest.
    /// Default 6, as zlib's.
    #[must_use]
    pub fn level(mut self, level: u8) -> Self {
        self.level = level.clamp(1, 9);
        self
    }

    /// The shortest message that is compressed, in bytes. Default 1024. With context takeover
    /// messages of 100 bytes that resemble those before them come to a few bytes, too, from the second
    /// on.
    #[must_use]
    pub const fn threshold(mut self, bytes: usize) -> Self {
        self.threshold = bytes;
        self
    }

    /// Whether what is sent may refer to messages sent before, which makes small ones much shorter
    /// (with a low [`threshold`](Self::threshold)) and costs the memory of a compressor for each
    /// connection. What does not compress becomes up to a thousandth longer. Default no.
    #[must_use]
    pub const fn context_takeover(mut self, on: bool) -> Self {
        self.takeover = on;
        self
    }

    /// Whether the peer may do so, which costs 48 KB for each connection. Default no: a peer that
    /// insists gets no compression.
    #[must_use]
    pub const fn peer_context_takeover(mut self, on: bool) -> Self {
        self.peer_takeover = on;
        self
    }

    /// The window that is compressed with, as the logarithm of its size: 9 to 15, others count as
    /// the nearest. Default 15 (32 KiB). The peer may ask for a smaller one; one that asks for 8
    /// gets what is sent uncompressed.
    #[must_use]
    pub fn window_bits(mut self, bits: u8) -> Self {
        self.window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self
    }

    /// The largest window that the peer is asked to compress with, 9 to 15 as for
    /// [`window_bits`](Self::window_bits). Default 15. A smaller one saves the peer memory, not us.
    /// A client that does not say that it can be asked is not asked.
    #[must_use]
    pub fn peer_window_bits(mut self, bits: u8) -> Self {
        self.peer_window_bits = bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self
    }
}

/// What both sides of a WebSocket have agreed on, as the upgrade gives it out.
#[derive(Clone, Debug)]
pub struct Deflate {
    config: DeflateConfig,
    /// Whether we may refer to messages before.
    takeover: bool,
    /// Whether the peer does so.
    peer_takeover: bool,
    /// The window we compress with; `None` where the peer wants one that we have not, so that we
    /// do not compress.
    window_bits: Option<u8>,
}

impl Deflate {
    /// Whether what is sent may refer to messages sent before.
    #[must_use]
    pub const fn has_context_takeover(&self) -> bool {
        self.takeover
    }

    /// Whether the peer may do so.
    #[must_use]
    pub const fn has_peer_context_takeover(&self) -> bool {
        self.peer_takeover
    }

    /// The logarithm of the window that is compressed with, 9 to 15; `None` if nothing is.
    #[must_use]
    pub const fn agreed_window_bits(&self) -> Option<u8> {
        self.window_bits
    }

    /// All that distinguishes one agreement from another.
    pub(crate) const fn parts(&self) -> (u8, usize, bool, bool, Option<u8>) {
        let DeflateConfig {
            level, threshold, ..
        } = self.config;
        (
            level,
            threshold,
            self.takeover,
            self.peer_takeover,
            self.window_bits,
        )
    }

    pub(crate) fn from_parts(
        level: u8,
        threshold: usize,
        takeover: bool,
        peer_takeover: bool,
        window_bits: Option<u8>,
    ) -> Self {
        Self {
            config: DeflateConfig {
                level,
                threshold,
                ..DeflateConfig::default()
            },
            takeover,
            peer_takeover,
            window_bits,
        }
    }

    fn compressor(&self) -> Option<Compressor> {
        let window_bits = self.window_bits?;
        let level = self.config.level;
        let spare = self.config.spares.compressor.take();
        let fits = spare.filter(|it| (it.window_bits, it.level) == (window_bits, level));
        Some(fits.unwrap_or_else(|| Compressor {
            window_bits,
            level,
            state: Compress::new_with_window_bits(compression(level), false, window_bits),
        }))
    }

    fn decompressor(&self) -> Decompress {
        inflater(&self.config.spares.decompressor)
    }
}

/// Two agreements are equal if they say the same.
impl PartialEq for Deflate {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Deflate {}
