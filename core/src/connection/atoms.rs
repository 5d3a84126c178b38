//! The protocol's own values, and what stands around others, packed once.

use alloc::vec::Vec;

use bytes::Bytes;
use sente_edn::Value;

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
}

impl ReplyForm {
    fn new(packer: &dyn Packer, pack: impl Fn(Value) -> Option<Bytes>) -> Option<Self> {
        let (pair, map) = (packer.sequence(2), packer.map(2));
        let (id, callback) = (pack(keyword("chsk/reply"))?, pack(keyword("cb-uuid"))?);
        let data = pack(keyword("data"))?;
        let join = |parts: &[&[u8]]| Bytes::from(parts.concat());
        Some(Self {
            open: join(&[
                pair.open(),
                &id,
                pair.separator(),
                map.open(),
                &callback,
                map.key_separator(),
            ]),
            middle: join(&[map.separator(), &data, map.key_separator()]),
            close: join(&[map.close(), pair.close()]),
        })
    }

    /// How many bytes that is.
    pub(crate) const fn len(&self) -> usize {
        self.open
            .len()
            .saturating_add(self.middle.len())
            .saturating_add(self.close.len())
    }
}

/// What stands around the digits of a packed callback id.
#[derive(Debug)]
pub(crate) struct CallbackForm {
    /// How many digits.
    pub(crate) len: usize,
    pub(crate) before: Bytes,
    pub(crate) behind: Bytes,
}

impl CallbackForm {
    /// The form of ids of six digits, if `pack` writes their text as it is.
    fn find(pack: impl Fn(Value) -> Option<Bytes>) -> Option<Self> {
        const SAMPLES: [&str; 2] = ["012345", "abcdef"];
        let mut forms = SAMPLES.map(|text| {
            let packed = pack(Value::from(text))?;
            let mut at = packed.windows(text.len());
            let start = at.position(|window| window == text.as_bytes())?;
            Some(Self {
                len: text.len(),
                before: packed.slice(..start),
                behind: packed.slice(start + text.len()..),
            })
        });
        let (first, second) = (forms[0].take()?, forms[1].take()?);
        (first.before == second.before && first.behind == second.behind).then_some(first)
    }
}
