//! Calls waiting for their reply, found by callback id and by deadline.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::borrow::Borrow;
use core::cmp::Ordering;
use core::fmt;
use core::ops::Deref;

use crate::id::CallId;
use crate::time::Instant;

/// The pending calls of one connection. Every operation is O(log n).
#[derive(Debug, Default)]
pub(crate) struct Calls {
    next: u64,
    pending: BTreeMap<CallId, (Instant, CallName)>,
    by_callback: BTreeMap<CallName, CallId>,
    by_deadline: BTreeSet<(Instant, CallId)>,
}

impl Calls {
    /// The number of the next call.
    pub(crate) const fn next_id(&self) -> u64 {
        self.next
    }

    /// Numbers the next call `next`.
    pub(crate) const fn continue_from(&mut self, next: u64) {
        self.next = next;
    }

    pub(crate) fn register(&mut self, callback: CallName, deadline: Instant) -> CallId {
        let id = CallId(self.next);
        self.next = self.next.wrapping_add(1);
        self.by_callback.insert(callback.clone(), id);
        self.by_deadline.insert((deadline, id));
        self.pending.insert(id, (deadline, callback));
        id
    }

    pub(crate) fn remove(&mut self, id: CallId) -> bool {
        let Some((deadline, callback)) = self.pending.remove(&id) else {
            return false;
        };
        self.by_callback.remove(&callback);
        self.by_deadline.remove(&(deadline, id));
        true
    }

    /// The call whose packed callback id this is, removed.
    pub(crate) fn settle(&mut self, callback: &[u8]) -> Option<CallId> {
        let id = self.by_callback.get(callback).copied()?;
        self.remove(id);
        Some(id)
    }

    pub(crate) fn is_taken(&self, callback: &[u8]) -> bool {
        self.by_callback.contains_key(callback)
    }

    /// One call whose deadline has come, removed.
    pub(crate) fn expire(&mut self, now: Instant) -> Option<CallId> {
        let (deadline, id) = self.by_deadline.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(id);
        Some(id)
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// All pending calls, removed, oldest first.
    pub(crate) fn drain(&mut self) -> Vec<CallId> {
        self.by_callback.clear();
        self.by_deadline.clear();
        core::mem::take(&mut self.pending).into_keys().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.pending.len()
    }
}

/// The packed callback id of a call. A short one takes no memory of its own: all of ours are short,
/// and so is a UUID in quotes.
#[derive(Clone)]
pub(crate) enum CallName {
    Short { len: u8, bytes: [u8; Self::SHORT] },
    Long(Box<[u8]>),
}

impl CallName {
    const SHORT: usize = 38;

    pub(crate) fn new(packed: &[u8]) -> Self {
        let mut bytes = [0; Self::SHORT];
        match (bytes.get_mut(..packed.len()), u8::try_from(packed.len())) {
            (Some(slots), Ok(len)) => {
                slots.copy_from_slice(packed);
                Self::Short { len, bytes }
            }
            _ => Self::Long(packed.into()),
        }
    }

    /// The name that these parts make.
    pub(crate) fn joined(parts: [&[u8]; 3]) -> Self {
        let mut bytes = [0; Self::SHORT];
        let mut len: usize = 0;
        for part in parts {
            let end = len.saturating_add(part.len());
            let Some(slots) = bytes.get_mut(len..end) else {
                return Self::Long(parts.concat().into());
            };
            slots.copy_from_slice(part);
            len = end;
        }
        let len = u8::try_from(len).unwrap_or_default();
        Self::Short { len, bytes }
    }
}

impl Deref for CallName {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match self {
            Self::Short { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for CallName {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for CallName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.escape_ascii())
    }
}

impl PartialEq for CallName {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for CallName {}

impl PartialOrd for CallName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// As the bytes are ordered, so that they can be looked for.
impl Ord for CallName {
    fn cmp(&self, other: &Self) -> Ordering {
        let (one, other): (&[u8], &[u8]) = (self.borrow(), other.borrow());
        one.cmp(other)
    }
}
