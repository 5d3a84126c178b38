//! One buffer for all that the drivers of a thread write: what is written at once needs none of its
//! connection's own, and a connection with nothing to write holds none.

use std::cell::Cell;

use sente_core::TransmitBuf;

thread_local! {
    static SPARE: Cell<TransmitBuf> = Cell::default();
}

/// Lends the buffer to a driver that has nothing to write yet.
pub(crate) fn lend(out: &mut TransmitBuf) {
    if out.is_empty() {
        *out = SPARE.take();
    }
}

/// Takes it back once everything in it is written. A driver keeps what its peer does not take yet.
pub(crate) fn give_back(out: &mut TransmitBuf) {
    if out.is_empty() {
        SPARE.set(std::mem::take(out));
    }
}
