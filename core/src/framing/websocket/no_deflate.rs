//! What stands in for permessage-deflate without the feature `deflate`: nothing ever is of these
//! types.
#![expect(clippy::needless_pass_by_ref_mut, reason = "as what it stands in for")]

use alloc::vec::Vec;

use super::{Part, Violation};

#[derive(Debug)]
pub(super) enum Deflater {}

impl Deflater {
    pub(super) const fn compress(&mut self, _: &[Part<'_>], _: usize, _: usize) -> Option<Vec<u8>> {
        match *self {}
    }
}

#[derive(Debug)]
pub(super) enum Inflater {}

impl Inflater {
    pub(super) const fn push(
        &mut self,
        _: &[u8],
        _: &mut Vec<u8>,
        _: usize,
    ) -> Result<(), Violation> {
        match *self {}
    }

    pub(super) const fn finish(&mut self, _: &mut Vec<u8>, _: usize) -> Result<(), Violation> {
        match *self {}
    }
}
