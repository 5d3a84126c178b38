//! The protocol's own values, and what stands around others, packed once.

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

use crate::calls::CallName;
use crate::packer::{Packer, Tokens};

use super::config::{keyword, vector};

/// The protocol's own values, packed once.
#[derive(Debug)]
pub(crate) struct Atoms {
    pub(crate) nil: Bytes,
    pub(crate) ping: Bytes,
    pub(crate) ping_event: Bytes,
    pub(crate) pong_event: Bytes,
    pub(crate) pong: Bytes,
    pub(crate) error: Bytes,
    pub(crate) batch_id: Bytes,
    pub(crate) reply: ReplyForm,
    /// How a callback id of ours is packed, where that is the same for all.
    pub(crate) callback: Option<CallbackForm>,
    pub(crate) single: Tokens,
    pub(crate) pair: Tokens,
    /// What stands behind the event of a call whose callback id has eight bytes, with room for it.
    pub(crate) behind_eight: Bytes,
}

impl Atoms {
    pub(super) fn new(packer: &dyn Packer) -> Option<Self> {
        let pack = |value: Value| {
            let mut out = Vec::new();
            packer.pack(&value, &mut out).ok()?;
            Some(Bytes::from(out))
        };
        Some(Self {
            nil: pack(Value::Nil)?,
            ping: pack(keyword("chsk/ws-ping"))?,
            ping_event: pack(vector([keyword("chsk/ws-ping")]))?,
            pong_event: pack(vector([keyword("chsk/ws-pong")]))?,
            pong: pack(Value::from("pong"))?,
            error: pack(keyword("chsk/error"))?,
            batch_id: pack(keyword("batch/events"))?,
            reply: ReplyForm::new(packer, pack)?,
            callback: CallbackForm::find(pack),
            single: packer.sequence(1),
            behind_eight: {
                let pair = packer.sequence(2);
                Bytes::from([pair.separator(), &[0; 8], pair.close()].concat())
            },
            pair: packer.sequence(2),
        })
    }
}

/// What stands around the callback id and the data of `[:chsk/reply {:cb-uuid .., :data ..}]`.
#[derive(Debug)]
pub(crate) struct ReplyForm {
    pub(crate) open: Bytes,
    pub(crate) middle: Bytes,
    pub(crate) close: Bytes,
    /// What stands around a callback id of eight bytes, in one piece with room for it.
    pub(crate) around_eight: Bytes,
}

impl ReplyForm {
    fn new(packer: &dyn Packer, pack: impl Fn(Value) -> Option<Bytes>) -> Option<Self> {
        let (pair, map) = (packer.sequence(2), packer.map(2));
        let (id, callback) = (pack(keyword("chsk/reply"))?, pack(keyword("cb-uuid"))?);
        let data = pack(keyword("data"))?;
        let join = |parts: &[&[u8]]| Bytes::from(parts.concat());
        let open = join(&[
            pair.open(),
            &id,
            pair.separator(),
            map.open(),
            &callback,
            map.key_separator(),
        ]);
        let middle = join(&[map.separator(), &data, map.key_separator()]);
        Some(Self {
            around_eight: join(&[&open, &[0; 8], &middle]),
            open,
            middle,
            close: join(&[map.close(), pair.close()]),
        })
    }

    /// How many bytes that is.
    #[inline]
    pub(crate) const fn len(&self) -> usize {
        let len = self.open.len().wrapping_add(self.middle.len());
        len.wrapping_add(self.close.len())
    }
}

/// What stands around the digits of a packed callback id.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallbackForm {
    /// A packed callback id, whose digits are replaced.
    any: CallName,
    /// Where its digits are.
    start: usize,
}

impl CallbackForm {
    /// How many digits.
    pub(crate) const DIGITS: usize = 6;

    /// The form of ids of six digits, if `pack` writes their text as it is.
    fn find(pack: impl Fn(Value) -> Option<Bytes>) -> Option<Self> {
        const SAMPLES: [&[u8; CallbackForm::DIGITS]; 2] = [b"012345", b"abcdef"];
        let mut forms = SAMPLES.map(|text| {
            let packed = pack(Value::from(core::str::from_utf8(text).ok()?))?;
            let mut at = packed.windows(text.len());
            let start = at.position(|window| window == text)?;
            // All the same but for the digits.
            let any = CallName::new(&packed).with(start, *SAMPLES[0])?;
            Some(Self { any, start })
        });
        let (first, second) = (forms[0].take()?, forms[1].take()?);
        (first == second).then_some(first)
    }

    /// The packed callback id of the first of these digits. `None` if it is too long for a form.
    #[inline]
    pub(crate) fn name(&self, digits: [u8; 8]) -> Option<CallName> {
        let digits: [u8; Self::DIGITS] = *digits.first_chunk()?;
        self.any.with(self.start, digits)
    }
}
