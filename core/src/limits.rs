//! Every number that bounds what a peer or an application can make one connection hold.

use core::time::Duration;

/// The largest frame that sente-lite's Babashka client takes for sure, in bytes: what to give to
/// [`small_frames`](crate::ConnectionConfigBuilder::small_frames). Its WebSocket hands out what it
/// reads in pieces of 16 KiB, headers included, and the client takes each piece for a message.
pub const BABASHKA_FRAME_BYTES: usize = 16_000;

/// The limits of one connection, all in one place.
///
/// Nothing a peer sends can make the engine hold more than these say. `0` means none, never
/// "unlimited". Change single values on top of the defaults:
///
/// ```
/// let mut limits = sente_core::Limits::default();
/// limits.max_frame_bytes = 64 * 1024;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The largest frame (one message as it travels) taken or sent, in bytes. Default 1 MiB, as
    /// sente-lite's `:max-message-bytes`; Sente's server takes 4 MiB (http-kit's default).
    pub max_frame_bytes: usize,
    /// A received or sent frame of at least this size raises a warning event, in bytes.
    /// Default 512 KiB.
    pub warn_frame_bytes: usize,
    /// The longest message a received frame may come to when it is decompressed, decrypted or its
    /// key references are written out, and the longest that is compressed or encrypted to be sent,
    /// in bytes. Default 8 MiB. Sente has no such limit.
    pub max_opened_bytes: usize,
    /// How deep the collections of a message may nest. Default 512.
    pub max_depth: usize,
    /// How many elements all collections of one message may have together. Default 1,000,000.
    pub max_elements: usize,
    /// Events waiting to be sent on one connection. Default 1,000, as sente-lite's send queue.
    pub max_send_messages: usize,
    /// Bytes of events waiting to be sent on one connection; a larger event is too large. Default
    /// 8 MiB.
    pub max_send_bytes: usize,
    /// Above how many percent of either limit of the send queue `HighWater` is told; 100 or more
    /// for never. Default 75.
    pub send_high_water: u8,
    /// At how many percent of either limit of the send queue `SendReady` is told after a refusal or
    /// a `HighWater`; no higher than `send_high_water` counts. Default 50.
    pub send_low_water: u8,
    /// Reservations of room in the send queue, waiting or held, on one connection. Default 1,000.
    pub max_reservations: usize,
    /// Flushes waiting to be settled on one connection; one more is taken together with the newest.
    /// Default 1,000, and at least one.
    pub max_flushes: usize,
    /// Received events waiting for the application on one connection. Default 5,000.
    pub max_recv_messages: usize,
    /// Bytes of received events waiting for the application on one connection. Default 8 MiB.
    /// A batch whose events do not all fit is handed out as room appears; until then its message is
    /// held, and 8 bytes for each of its events. What was decompressed counts with its real size,
    /// so the last message taken may exceed this by up to
    /// [`max_opened_bytes`](Self::max_opened_bytes).
    pub max_recv_bytes: usize,
    /// With more received events than these waiting, the application counts as slow: see
    /// `RecvStatus`. Default 100.
    pub recv_slow_messages: usize,
    /// The bytes of one batch of pushes, before it is compressed or encrypted. Default 64 KiB.
    pub max_batch_bytes: usize,
    /// The events in one batch of pushes. Default 256.
    pub max_batch_events: usize,
    /// Calls waiting for their reply on one connection. Default 10,000.
    pub max_pending_calls: usize,
    /// The bytes handed to the transport in one go, so that a pong never waits long.
    /// Default 64 KiB; one frame larger than that still goes out whole.
    pub max_transmit_bytes: usize,
    /// How many bytes of a bad frame are kept for its report. Default 200.
    pub max_bad_frame_excerpt: usize,
    /// How many bad frames are reported one by one within [`bad_frame_period`]; those beyond are
    /// counted and reported together when the period ends. Default 16.
    ///
    /// [`bad_frame_period`]: Self::bad_frame_period
    pub max_bad_frames_reported: usize,
    /// The period of [`max_bad_frames_reported`](Self::max_bad_frames_reported). Default 1 s.
    pub bad_frame_period: Duration,
}

impl Limits {
    pub(crate) const DEFAULT: Self = Self {
        max_frame_bytes: 1024 * 1024,
        warn_frame_bytes: 512 * 1024,
        max_opened_bytes: 8 * 1024 * 1024,
        max_depth: 512,
        max_elements: 1_000_000,
        max_send_messages: 1_000,
        max_send_bytes: 8 * 1024 * 1024,
        send_high_water: 75,
        send_low_water: 50,
        max_reservations: 1_000,
        max_flushes: 1_000,
        max_recv_messages: 5_000,
        max_recv_bytes: 8 * 1024 * 1024,
        recv_slow_messages: 100,
        max_batch_bytes: 64 * 1024,
        max_batch_events: 256,
        max_pending_calls: 10_000,
        max_transmit_bytes: 64 * 1024,
        max_bad_frame_excerpt: 200,
        max_bad_frames_reported: 16,
        bad_frame_period: Duration::from_secs(1),
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
