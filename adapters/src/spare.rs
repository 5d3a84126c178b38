//! One buffer for all that the drivers of a thread write, and one for what they read: what is written
//! or handled at once needs none of its connection's own, and a connection that waits holds none.

use std::cell::Cell;

use bytes::BytesMut;
use sente_core::TransmitBuf;

/// How large a buffer for what is read is kept. What more is read at once is worth one of its own.
const MAX_INPUT_BYTES: usize = 16 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<TransmitBuf>>> = const { Cell::new(None) };
    static SPARE_INPUT: Cell<BytesMut> = Cell::default();
}

/// What a driver has to write: a pointer while that is nothing.
#[derive(Default)]
pub(crate) struct Out(Option<Box<TransmitBuf>>);

impl Out {
    /// Lends the buffer of the thread, if there is nothing to write yet.
    pub(crate) fn lend(&mut self) {
        if self.is_empty() {
            self.0 = SPARE.take();
        }
    }

    /// Gives it back once everything in it is written. A driver keeps what its peer does not take yet.
    pub(crate) fn give_back(&mut self) {
        if let Some(out) = self.0.take_if(|out| out.is_empty()) {
            SPARE.set(Some(out));
        }
    }

    /// The buffer.
    #[inline]
    pub(crate) fn buffer(&mut self) -> &mut TransmitBuf {
        self.0.get_or_insert_default()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|out| out.is_empty())
    }

    pub(crate) fn clear(&mut self) {
        if let Some(out) = &mut self.0 {
            out.clear();
        }
    }
}

/// Lends a buffer to read into.
pub(crate) fn lend_input(input: &mut BytesMut) {
    if input.is_empty() {
        *input = SPARE_INPUT.take();
    }
}

/// Takes it back once nothing is in it. The driver keeps no room, whether this is kept or not.
pub(crate) fn give_input_back(input: &mut BytesMut) {
    if !input.is_empty() {
        return;
    }
    let mut input = std::mem::take(input);
    // Somebody may still hold what was read into it.
    if input.try_reclaim(1) && input.capacity() <= MAX_INPUT_BYTES {
        SPARE_INPUT.set(input);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_that_waits_keeps_no_room_for_what_it_reads() {
        for read in [64 * 1024, 1, 4_096, MAX_INPUT_BYTES] {
            let mut input = BytesMut::new();
            lend_input(&mut input);
            input.extend_from_slice(&vec![0; read]);
            // All of it is stepped over, as an engine does.
            bytes::Buf::advance(&mut input, read);
            give_input_back(&mut input);
            assert_eq!(input.capacity(), 0, "{read}");
        }
        let kept = SPARE_INPUT.take().capacity();
        assert!((1..=MAX_INPUT_BYTES).contains(&kept), "{kept}");
    }

    #[test]
    fn what_waits_to_be_handled_stays_with_its_driver() {
        let mut input = BytesMut::from(&b"half"[..]);
        give_input_back(&mut input);
        lend_input(&mut input);
        assert_eq!(&input[..], b"half");
    }

    #[test]
    fn a_buffer_that_somebody_holds_is_not_lent_again() {
        let mut input = BytesMut::new();
        input.extend_from_slice(&[7; 1_000]);
        let held = input.split().freeze();
        give_input_back(&mut input);
        let mut next = BytesMut::new();
        lend_input(&mut next);
        next.extend_from_slice(&[8; 1_000]);
        assert!(held.iter().all(|byte| *byte == 7));
    }
}
