//! A sorted map whose entries lie close together: for tables with a place for every connection.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::mem;
use core::ops::Bound;

/// How many entries a piece has at most. A whole one is no more than half empty where it was split,
/// and full where the keys came in their order, as those of connections do.
const PIECE: usize = 64;

/// With so few entries left a piece is put together with the one behind it.
const FEW: usize = PIECE / 4;

/// A map in the order of its keys. A tree of the standard library is a little more than half full where
/// the keys come in order, as the ids of connections do, and takes a whole node for a single entry; this
/// is full then, and takes as much as the entry. What is looked up or changed costs O(log n), and the
/// moving of at most [`PIECE`] entries.
#[derive(Debug)]
pub(super) struct DenseMap<K, V> {
    /// Those before the first bound, in order.
    head: Vec<(K, V)>,
    /// The others, in pieces: each holds keys from its bound on, up to the next one's. None is empty.
    rest: BTreeMap<K, Vec<(K, V)>>,
    len: usize,
}

/// A set in the order of its members, see [`DenseMap`].
#[derive(Debug)]
pub(super) struct DenseSet<K>(DenseMap<K, ()>);

impl<K, V> DenseMap<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            head: Vec::new(),
            rest: BTreeMap::new(),
            len: 0,
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// In the order of the keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        let rest = self.rest.values().flatten();
        self.head
            .iter()
            .chain(rest)
            .map(|(key, value)| (key, value))
    }

    /// In their order.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.iter().map(|(key, _)| key)
    }
}

impl<K: Ord + Clone, V> DenseMap<K, V> {
    pub(super) fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        let piece = self.piece(key);
        let at = place(piece, key).ok()?;
        piece.get(at).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let piece = self.piece_mut(key);
        let at = place(piece, key).ok()?;
        piece.get_mut(at).map(|(_, value)| value)
    }

    /// The first entry whose key is this one or a later one.
    pub(super) fn first_from(&self, key: &K) -> Option<(&K, &V)> {
        let piece = self.piece(key);
        let at = place(piece, key).unwrap_or_else(|at| at);
        let here = piece.get(at);
        let behind = || self.rest.range((Bound::Excluded(key), Bound::Unbounded));
        let entry = here.or_else(|| behind().next().and_then(|(_, piece)| piece.first()));
        entry.map(|(key, value)| (key, value))
    }

    /// Puts an entry in; gives back what stood under its key.
    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let piece = self.piece_mut(&key);
        let at = match place(piece, &key) {
            Ok(at) => {
                let known = piece.get_mut(at);
                return known.map(|(_, known)| mem::replace(known, value));
            }
            Err(at) => at,
        };
        let split = if piece.len() < PIECE {
            make_room(piece);
            piece.insert(at, (key, value));
            None
        } else if at == piece.len() {
            // In order: the piece stays full.
            Some((key.clone(), Vec::from([(key, value)])))
        } else {
            let mut behind = piece.split_off(PIECE / 2);
            match at.checked_sub(piece.len()) {
                Some(at) if at > 0 => behind.insert(at, (key, value)),
                _ => piece.insert(at, (key, value)),
            }
            behind
                .first()
                .map(|(bound, _)| bound.clone())
                .zip(Some(behind))
        };
        self.rest.extend(split);
        self.len = self.len.saturating_add(1);
        None
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let piece = self.piece_mut(key);
        let at = place(piece, key).ok()?;
        let (_, value) = piece.remove(at);
        let has_few = piece.len() <= FEW;
        self.len = self.len.saturating_sub(1);
        if has_few {
            self.tidy(key);
        }
        Some(value)
    }

    /// Puts the piece that `key` would be in, which has few entries, together with a neighbour that
    /// has few, too, and gives back the room they do not need.
    fn tidy(&mut self, key: &K) {
        let here = self.rest.range(..=key).next_back();
        let here = here.map(|(bound, _)| bound.clone());
        let before = here
            .as_ref()
            .map(|bound| self.rest.range(..bound).next_back());
        let first = match before {
            Some(Some((bound, piece))) if piece.len() <= FEW => Some(bound.clone()),
            Some(None) if self.head.len() <= FEW => None,
            _ => here,
        };
        let from = first.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.rest.range((from, Bound::Unbounded)).next();
        let next = next.filter(|(_, piece)| piece.len() <= FEW);
        let next = next.map(|(bound, _)| bound.clone());
        let behind = next.and_then(|bound| self.rest.remove(&bound));
        let piece = match &first {
            Some(bound) => self.rest.get_mut(bound),
            None => Some(&mut self.head),
        };
        let Some(piece) = piece else { return };
        piece.extend(behind.unwrap_or_default());
        if piece.len() <= piece.capacity() / 4 {
            piece.shrink_to(piece.len().saturating_mul(2));
        }
        if piece.is_empty()
            && let Some(bound) = first
        {
            self.rest.remove(&bound);
        }
    }

    /// Where a key is, if it is anywhere.
    fn piece(&self, key: &K) -> &Vec<(K, V)> {
        let piece = self.rest.range(..=key).next_back();
        piece.map_or(&self.head, |(_, piece)| piece)
    }

    fn piece_mut(&mut self, key: &K) -> &mut Vec<(K, V)> {
        let piece = self.rest.range_mut(..=key).next_back();
        piece.map_or(&mut self.head, |(_, piece)| piece)
    }
}

/// Where a key is in a piece, or would be.
fn place<K: Ord, V>(piece: &[(K, V)], key: &K) -> Result<usize, usize> {
    // Mostly what is new is the last.
    match piece.last() {
        Some((last, _)) if last < key => Err(piece.len()),
        _ => piece.binary_search_by(|(known, _)| known.cmp(key)),
    }
}

/// Room for one more, without any to spare where there are few, and never more than a piece takes.
fn make_room<T>(piece: &mut Vec<T>) {
    if piece.len() == piece.capacity() {
        let more = piece
            .len()
            .clamp(1, PIECE.saturating_sub(piece.len()).max(1));
        piece.reserve_exact(more);
    }
}

impl<K: Ord + Clone> DenseSet<K> {
    pub(super) const fn new() -> Self {
        Self(DenseMap::new())
    }

    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Whether it is new.
    pub(super) fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }

    /// In their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &K> {
        self.0.keys()
    }
}

impl<K, V> Default for DenseMap<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Ord + Clone> Default for DenseSet<K> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_comes_in_order_fills_its_pieces() {
        let mut map = DenseMap::new();
        for key in 0..1_000_u32 {
            assert_eq!(map.insert(key, ()), None);
        }
        let pieces = map.rest.values().chain([&map.head]);
        let room: usize = pieces.map(Vec::capacity).sum();
        assert!(room < 1_000 + PIECE, "{room}");
    }

    #[test]
    fn a_single_entry_has_the_room_of_one() {
        let mut map = DenseMap::new();
        map.insert(7, "seven");
        assert_eq!((map.head.capacity(), map.rest.len()), (1, 0));
    }

    #[test]
    fn where_most_have_gone_the_room_is_given_back() {
        let mut map = DenseMap::new();
        for key in 0..10_000_u32 {
            map.insert(key, ());
        }
        for key in (0..10_000).filter(|key| key % 50 != 0) {
            assert_eq!(map.remove(&key), Some(()));
        }
        let pieces = map.rest.values().chain([&map.head]);
        let room: usize = pieces.map(Vec::capacity).sum();
        assert!(room <= 4 * map.len(), "{room} for {}", map.len());
        assert!(map.keys().copied().eq((0..10_000).step_by(50)));
    }

    #[derive(Clone, Debug)]
    enum Change {
        Insert(u16),
        InsertNext,
        Remove(u16),
        RemoveMany(u16),
    }

    fn change() -> impl Strategy<Value = Change> {
        prop_oneof![
            3 => any::<u16>().prop_map(Change::Insert),
            3 => Just(Change::InsertNext),
            2 => any::<u16>().prop_map(Change::Remove),
            1 => any::<u16>().prop_map(Change::RemoveMany),
        ]
    }

    proptest! {
        #[test]
        fn it_is_like_a_tree(changes in prop::collection::vec(change(), 0..1_500)) {
            let (mut map, mut tree) = (DenseMap::new(), BTreeMap::new());
            let mut next = 30_000_u16;
            for (number, change) in changes.into_iter().enumerate() {
                match change {
                    Change::Insert(key) => {
                        prop_assert_eq!(map.insert(key, number), tree.insert(key, number));
                    }
                    Change::InsertNext => {
                        next += 1;
                        prop_assert_eq!(map.insert(next, number), tree.insert(next, number));
                    }
                    Change::Remove(key) => {
                        let key = tree.range(key..).next().map_or(key, |(key, _)| *key);
                        prop_assert_eq!(map.remove(&key), tree.remove(&key));
                    }
                    Change::RemoveMany(from) => {
                        let keys: Vec<u16> = tree.range(from..).map(|(key, _)| *key).take(40).collect();
                        for key in keys {
                            prop_assert_eq!(map.remove(&key), tree.remove(&key));
                        }
                    }
                }
                prop_assert_eq!(map.len(), tree.len());
                let key = u16::try_from(number * 41 % 65_536).unwrap();
                prop_assert_eq!(map.get(&key), tree.get(&key));
                prop_assert_eq!(map.get_mut(&key), tree.get_mut(&key));
                prop_assert_eq!(map.first_from(&key), tree.range(key..).next());
            }
            prop_assert!(map.iter().eq(&tree));
            prop_assert!(map.rest.values().all(|piece| !piece.is_empty()));
            prop_assert!(map.rest.values().chain([&map.head]).all(|piece| piece.len() <= PIECE));
        }
    }
}
