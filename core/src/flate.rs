//! What gzip and permessage-deflate have in common: inflating into a buffer that keeps to a limit,
//! and states that are used again, since making one takes longer than a small message.

use alloc::vec::Vec;

use flate2::{Compression, Decompress, FlushDecompress, Status};

/// The least by which an output buffer grows, in bytes.
const LEAST_GROWTH: usize = 4096;

/// Why inflating stopped early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InflateError {
    /// It is no deflate stream.
    Corrupt,
    /// It comes to more than the limit.
    TooLong,
}

/// How far inflating came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Inflated {
    /// How much of the input was read; all of it unless the stream ended.
    pub(crate) read: usize,
    /// Whether the stream ended.
    pub(crate) ended: bool,
}

/// Inflates `input` behind what is in `out`, which grows as it fills, to `limit` bytes in all at
/// most: a short input that would come to much more is refused when it has come to that much.
pub(crate) fn inflate(
    state: &mut Decompress,
    input: &[u8],
    out: &mut Vec<u8>,
    limit: usize,
) -> Result<Inflated, InflateError> {
    let mut read = 0_usize;
    loop {
        let rest = input.get(read..).unwrap_or_default();
        let before = state.total_in();
        let is_full = out.len() == out.capacity();
        let mut next = [0; 1];
        let (status, one_more) = if is_full {
            // Whether more comes at all is known without making room for it.
            let written = state.total_out();
            let status = state.decompress(rest, &mut next, FlushDecompress::None);
            (status, state.total_out() != written)
        } else {
            let status = state.decompress_vec(rest, out, FlushDecompress::None);
            (status, false)
        };
        let step = state.total_in().saturating_sub(before);
        read = read.saturating_add(usize::try_from(step).unwrap_or(usize::MAX));
        if out.len() > limit || (one_more && out.len() == limit) {
            return Err(InflateError::TooLong);
        }
        if one_more {
            let growth = out.len().max(LEAST_GROWTH);
            out.reserve_exact(growth.min(limit.saturating_sub(out.len())));
            out.extend_from_slice(&next);
        }
        // Last, so that `out` has all that came before the mistake, however the input is split.
        let status = status.map_err(|_| InflateError::Corrupt)?;
        let ended = status == Status::StreamEnd;
        // Where the output was filled, the state may hold back more of it.
        let has_more = one_more || (!is_full && out.len() == out.capacity());
        if ended || (read >= input.len() && !has_more) {
            return Ok(Inflated { read, ended });
        }
        if step == 0 && status == Status::BufError && !has_more {
            // Nothing moves any more though there is input and room: not reached with zlib.
            return Err(InflateError::Corrupt);
        }
    }
}

/// A state that inflates raw deflate streams, from the beginning of one.
pub(crate) fn inflater(spare: &Spare<Decompress>) -> Decompress {
    match spare.take() {
        Some(mut state) => {
            state.reset(false);
            state
        }
        // Its window has the full size whatever is asked for.
        None => Decompress::new(false),
    }
}

/// `level` as the library takes it.
pub(crate) fn compression(level: u8) -> Compression {
    Compression::new(u32::from(level.min(9)))
}

/// Room for one state that nobody uses now. With `std` it is kept for the next user; users at the
/// same time make their own. Without `std` there is no lock, and nothing is kept.
#[derive(Debug)]
pub(crate) struct Spare<T> {
    #[cfg(feature = "std")]
    slot: std::sync::Mutex<Option<T>>,
    #[cfg(not(feature = "std"))]
    slot: core::marker::PhantomData<fn(T)>,
}

#[cfg(feature = "std")]
impl<T> Spare<T> {
    pub(crate) fn take(&self) -> Option<T> {
        self.slot.try_lock().ok()?.take()
    }

    pub(crate) fn put(&self, state: T) {
        if let Ok(mut slot) = self.slot.try_lock() {
            *slot = Some(state);
        }
    }
}

#[cfg(not(feature = "std"))]
impl<T> Spare<T> {
    pub(crate) fn take(&self) -> Option<T> {
        let Self { slot: _ } = self;
        None
    }

    pub(crate) fn put(&self, state: T) {
        let Self { slot: _ } = self;
        drop(state);
    }
}

impl<T> Default for Spare<T> {
    fn default() -> Self {
        #[cfg(feature = "std")]
        let slot = std::sync::Mutex::new(None);
        #[cfg(not(feature = "std"))]
        let slot = core::marker::PhantomData;
        Self { slot }
    }
}
