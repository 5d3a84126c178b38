//! What the protocol itself has to say: handshake, hello, pings and pongs.

use alloc::collections::VecDeque;

use bytes::Bytes;

use crate::seldom::Blank;

/// The protocol's own frames that are to be written.
#[derive(Debug, Default)]
pub(super) struct Control {
    pub(super) frames: VecDeque<Bytes>,
    pub(super) bytes: usize,
    /// Whether a pong without a callback id is among them: one answers all pings until then.
    pub(super) has_pong: bool,
}

impl Blank for Control {
    const BLANK: &'static Self = &Self {
        frames: VecDeque::new(),
        bytes: 0,
        has_pong: false,
    };
}
