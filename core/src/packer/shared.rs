//! A shared packer is a packer, so that one wraps around another that is only known when the
//! program runs: `Gzip<Arc<dyn Packer>>`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use super::{PackError, Packer, Span, Tokens, UnpackError, Visit};
use crate::framing::Kind;
use crate::limits::Limits;

impl<P: Packer + ?Sized> Packer for Arc<P> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn format(&self) -> &str {
        (**self).format()
    }

    fn kind(&self) -> Kind {
        (**self).kind()
    }

    fn pack(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        (**self).pack(value, out)
    }

    fn unpack(&self, packed: &[u8], limits: &Limits) -> Result<Value, UnpackError> {
        (**self).unpack(packed, limits)
    }

    fn walk(
        &self,
        packed: &[u8],
        limits: &Limits,
        visit: &mut Visit<'_>,
    ) -> Result<(), UnpackError> {
        (**self).walk(packed, limits, visit)
    }

    fn entries(&self, packed: &[u8], limits: &Limits, visit: &mut dyn FnMut(&str, Span)) {
        (**self).entries(packed, limits, visit);
    }

    fn open(&self, frame: &Bytes, limits: &Limits) -> Result<Bytes, UnpackError> {
        (**self).open(frame, limits)
    }

    fn is_edn(&self) -> bool {
        (**self).is_edn()
    }

    fn seals(&self) -> bool {
        (**self).seals()
    }

    fn seal(&self, message: &[u8], out: &mut Vec<u8>) -> Result<(), PackError> {
        (**self).seal(message, out)
    }

    fn seal_overhead(&self) -> usize {
        (**self).seal_overhead()
    }

    fn pack_message(&self, value: &Value, out: &mut Vec<u8>) -> Result<(), PackError> {
        (**self).pack_message(value, out)
    }

    fn unpack_message(&self, frame: &Bytes, limits: &Limits) -> Result<Value, UnpackError> {
        (**self).unpack_message(frame, limits)
    }

    fn sequence(&self, len: usize) -> Tokens {
        (**self).sequence(len)
    }

    fn map(&self, len: usize) -> Tokens {
        (**self).map(len)
    }
}
