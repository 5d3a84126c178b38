//! Clients: which connections one has, whether it is away, and who is connected by that.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Deref;

use sente_edn::{Map, Set, Value};
use smol_str::SmolStr;

use crate::connection::keyword;
use crate::id::ConnId;
use crate::packer::Packer;
use crate::time::Instant;

use super::dense::{DenseMap, DenseSet};
use super::inbox::Inbox;
use super::member::TransportKind;
use super::user::UserId;

/// Which users are connected, by transport: Sente's `connected-uids`.
///
/// A user counts from the first connection to the end of the grace of the last one. Each change is
/// a new version, told as `HubEvent::UidsChanged`; whoever missed one compares versions and looks
/// again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectedUids {
    version: u64,
    any: BTreeSet<UserId>,
    ajax: BTreeSet<UserId>,
    stream: BTreeSet<UserId>,
    web_socket: BTreeSet<UserId>,
}

impl ConnectedUids {
    /// How many changes there were.
    #[must_use]
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// Those who are connected by whatever transport.
    #[must_use]
    pub const fn any(&self) -> &BTreeSet<UserId> {
        &self.any
    }

    /// Those who are connected by this transport.
    #[must_use]
    pub const fn by(&self, transport: TransportKind) -> &BTreeSet<UserId> {
        match transport {
            TransportKind::Ajax => &self.ajax,
            TransportKind::Stream => &self.stream,
            TransportKind::WebSocket => &self.web_socket,
        }
    }

    /// As Sente's value: `{:ws #{..} :ajax #{..} :any #{..}}`, and `:stream`, which Sente does not
    /// have.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let set = |users: &BTreeSet<UserId>| {
            let mut set = Set::new();
            for user in users {
                set.insert(user.to_value());
            }
            Value::Set(set)
        };
        let mut map = Map::new();
        map.insert(keyword("ws"), set(&self.web_socket));
        map.insert(keyword("ajax"), set(&self.ajax));
        map.insert(keyword("stream"), set(&self.stream));
        map.insert(keyword("any"), set(&self.any));
        Value::Map(map)
    }

    fn by_mut(&mut self, transport: TransportKind) -> &mut BTreeSet<UserId> {
        match transport {
            TransportKind::Ajax => &mut self.ajax,
            TransportKind::Stream => &mut self.stream,
            TransportKind::WebSocket => &mut self.web_socket,
        }
    }
}

/// One client of one user: what a connection belongs to, and what comes back after it ended. Clones are
/// one piece of memory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SlotKey(Arc<Whose>);

/// What a [`SlotKey`] says.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Whose {
    pub(super) user: UserId,
    pub(super) transport: TransportKind,
    pub(super) client: Client,
}

impl SlotKey {
    pub(super) fn new(user: UserId, transport: TransportKind, client: Client) -> Self {
        Self(Arc::new(Whose {
            user,
            transport,
            client,
        }))
    }
}

impl Deref for SlotKey {
    type Target = Whose;

    fn deref(&self) -> &Whose {
        &self.0
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    /// By its own label.
    Named(SmolStr),
    /// One that gave none, by the connection it first had.
    Unnamed(ConnId),
}

impl Client {
    pub(super) fn label(&self) -> Option<SmolStr> {
        match self {
            Self::Named(label) => Some(label.clone()),
            Self::Unnamed(_) => None,
        }
    }
}

/// The connections of a client, or what is kept for it while it has none.
#[derive(Debug)]
pub(super) enum Slot {
    Away(Box<Away>),
    /// One, as most have.
    One(ConnId),
    /// More, or none any more. The oldest first.
    Many(Vec<ConnId>),
}

impl Slot {
    /// The newest connection that is here.
    fn newest(&self) -> Option<ConnId> {
        match self {
            Self::Away(_) => None,
            Self::One(connection) => Some(*connection),
            Self::Many(connections) => connections.last().copied(),
        }
    }
}

/// A client in its grace.
#[derive(Debug)]
pub(super) struct Away {
    /// When its grace ends.
    pub(super) until: Instant,
    /// When what is kept is given up.
    pub(super) keep_until: Instant,
    pub(super) kept: Inbox,
    /// What it is packed with.
    pub(super) packer: Arc<dyn Packer>,
}

/// A change of who is connected.
#[derive(Clone, Debug)]
pub(super) struct Change {
    pub(super) user: UserId,
    pub(super) transport: TransportKind,
    pub(super) connected: bool,
    pub(super) version: u64,
    /// Whether the user has come or gone altogether.
    pub(super) any: bool,
}

/// All clients, and who is connected by them.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: DenseMap<SlotKey, Slot>,
    /// The keys of those that are away.
    away: BTreeSet<SlotKey>,
    users: DenseMap<UserId, DenseSet<ConnId>>,
    uids: ConnectedUids,
}

impl Slots {
    pub(super) const fn uids(&self) -> &ConnectedUids {
        &self.uids
    }

    pub(super) fn away(&self) -> impl Iterator<Item = &SlotKey> {
        self.away.iter()
    }

    pub(super) fn away_count(&self) -> usize {
        self.away.len()
    }

    pub(super) fn away_of<'s>(
        &'s self,
        user: &UserId,
    ) -> impl Iterator<Item = &'s SlotKey> + use<'s> {
        let first = first_key(user, TransportKind::FIRST);
        let user = user.clone();
        self.away
            .range(first..)
            .take_while(move |key| key.user == user)
    }

    /// The client without a label, of this user and transport, that is away for longest.
    pub(super) fn unnamed_away(&self, user: &UserId, transport: TransportKind) -> Option<SlotKey> {
        let first = Client::Unnamed(ConnId::LEAST);
        let first = SlotKey::new(user.clone(), transport, first);
        let key = self.away.range(first..).next()?;
        (key.user == *user && key.transport == transport).then(|| key.clone())
    }

    /// The connections of a user, also those that were taken over, in the order of their ids.
    pub(super) fn connections_of(&self, user: &UserId) -> impl Iterator<Item = ConnId> + '_ {
        let connections = self.users.get(user).into_iter();
        connections.flat_map(DenseSet::iter).copied()
    }

    pub(super) fn count_of(&self, user: &UserId) -> usize {
        self.users.get(user).map_or(0, DenseSet::len)
    }

    /// The same key, as those have it who are known already.
    pub(super) fn shared(&self, key: SlotKey) -> SlotKey {
        match self.slots.first_from(&key) {
            Some((known, _)) if *known == key => known.clone(),
            _ => key,
        }
    }

    pub(super) fn away_mut(&mut self, key: &SlotKey) -> Option<&mut Away> {
        match self.slots.get_mut(key)? {
            Slot::Away(away) => Some(away),
            Slot::One(_) | Slot::Many(_) => None,
        }
    }

    /// The newest connection of a client that is here.
    pub(super) fn newest(&self, key: &SlotKey) -> Option<ConnId> {
        self.slots.get(key)?.newest()
    }

    /// Lets a connection in: what was kept if its client was away, the newest of its others, and
    /// whether that changes who is connected.
    pub(super) fn enter(
        &mut self,
        key: &SlotKey,
        connection: ConnId,
    ) -> (Option<Away>, Option<ConnId>, Option<Change>) {
        match self.users.get_mut(&key.user) {
            Some(connections) => {
                connections.insert(connection);
            }
            None => {
                let mut connections = DenseSet::new();
                connections.insert(connection);
                self.users.insert(key.user.clone(), connections);
            }
        }
        match self.slots.get_mut(key) {
            Some(Slot::Many(connections)) => {
                let newest = connections.last().copied();
                connections.push(connection);
                return (None, newest, None);
            }
            Some(here @ Slot::One(_)) => {
                let newest = here.newest();
                let both = newest.into_iter().chain([connection]);
                *here = Slot::Many(both.collect());
                return (None, newest, None);
            }
            Some(Slot::Away(_)) | None => {}
        }
        self.away.remove(key);
        match self.slots.insert(key.clone(), Slot::One(connection)) {
            Some(Slot::Away(away)) => (Some(*away), None, None),
            _ => (None, None, self.appear(key)),
        }
    }

    /// Lets a connection go. Whether it was the last of its client; then the client is gone unless
    /// `away` says what is kept for it.
    pub(super) fn exit(&mut self, key: &SlotKey, connection: ConnId) -> bool {
        if let Some(connections) = self.users.get_mut(&key.user) {
            connections.remove(&connection);
            if connections.is_empty() {
                self.users.remove(&key.user);
            }
        }
        match self.slots.get_mut(key) {
            Some(Slot::Many(connections)) => {
                connections.retain(|known| *known != connection);
                connections.is_empty()
            }
            Some(here) if here.newest() == Some(connection) => {
                *here = Slot::Many(Vec::new());
                true
            }
            _ => false,
        }
    }

    /// Begins the grace of a client whose last connection went.
    pub(super) fn wait_for(&mut self, key: SlotKey, away: Away) {
        self.away.insert(key.clone());
        self.slots.insert(key, Slot::Away(Box::new(away)));
    }

    /// Forgets a client that has no connection: what was kept, and whether that changes who is
    /// connected.
    pub(super) fn forget(&mut self, key: &SlotKey) -> (Option<Away>, Option<Change>) {
        let away = match self.slots.remove(key) {
            None => return (None, None),
            Some(Slot::Away(away)) => Some(*away),
            Some(Slot::One(_) | Slot::Many(_)) => None,
        };
        self.away.remove(key);
        (away, self.disappear(key))
    }

    fn appear(&mut self, key: &SlotKey) -> Option<Change> {
        if !self.uids.by_mut(key.transport).insert(key.user.clone()) {
            return None;
        }
        let any = self.uids.any.insert(key.user.clone());
        Some(self.changed(key, true, any))
    }

    fn disappear(&mut self, key: &SlotKey) -> Option<Change> {
        let first = first_key(&key.user, key.transport);
        let next = self.slots.first_from(&first);
        let stays = next
            .is_some_and(|(other, _)| other.user == key.user && other.transport == key.transport);
        if stays || !self.uids.by_mut(key.transport).remove(&key.user) {
            return None;
        }
        let any = TransportKind::ALL
            .iter()
            .all(|transport| !self.uids.by(*transport).contains(&key.user))
            && self.uids.any.remove(&key.user);
        Some(self.changed(key, false, any))
    }

    fn changed(&mut self, key: &SlotKey, connected: bool, any: bool) -> Change {
        self.uids.version = self.uids.version.saturating_add(1);
        Change {
            user: key.user.clone(),
            transport: key.transport,
            connected,
            version: self.uids.version,
            any,
        }
    }
}

/// Before all clients of this user and transport, and of the transports behind it.
fn first_key(user: &UserId, transport: TransportKind) -> SlotKey {
    let first = Client::Named(SmolStr::new_static(""));
    SlotKey::new(user.clone(), transport, first)
}
