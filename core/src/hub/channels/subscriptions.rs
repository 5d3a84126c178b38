//! The channels that one connection is subscribed to.

use alloc::collections::BTreeSet;

use super::ChannelKey;

/// A set of channels that takes little room where there is one or none, as for most connections.
#[derive(Debug, Default)]
pub(in crate::hub) enum Subscriptions {
    #[default]
    None,
    One(ChannelKey),
    /// Never empty.
    Many(BTreeSet<ChannelKey>),
}

impl Subscriptions {
    pub(in crate::hub) fn len(&self) -> usize {
        match self {
            Self::None => 0,
            Self::One(_) => 1,
            Self::Many(keys) => keys.len(),
        }
    }

    pub(super) fn extend(&mut self, key: Option<ChannelKey>) {
        if let Some(key) = key {
            self.insert(key);
        }
    }

    fn insert(&mut self, key: ChannelKey) {
        *self = match core::mem::take(self) {
            Self::None => Self::One(key),
            Self::One(known) if known == key => Self::One(known),
            Self::One(known) => Self::Many(BTreeSet::from([known, key])),
            Self::Many(mut keys) => {
                keys.insert(key);
                Self::Many(keys)
            }
        };
    }

    pub(super) fn remove(&mut self, key: &ChannelKey) {
        match self {
            Self::One(known) if known == key => *self = Self::None,
            Self::None | Self::One(_) => {}
            Self::Many(keys) => {
                keys.remove(key);
                if keys.is_empty() {
                    *self = Self::None;
                }
            }
        }
    }

    /// In the order of the keys.
    pub(in crate::hub) fn iter(&self) -> impl Iterator<Item = &ChannelKey> {
        let (one, many) = match self {
            Self::None => (None, None),
            Self::One(key) => (Some(key), None),
            Self::Many(keys) => (None, Some(keys.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
