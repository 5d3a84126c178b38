//! One buffer for all that the drivers of a thread write: what is written at once needs none of its
//! connection's own, and a connection with nothing to write holds none.

use std::cell::Cell;

use sente_core::TransmitBuf;

thread_local! {
    static SPARE: Cell<Option<Box<TransmitBuf>>> = const { Cell::new(None) };
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
