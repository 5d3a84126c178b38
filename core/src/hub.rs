//! The server's index over its connections: who is connected, and which connections a target
//! means. It owns no connection and no socket.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use smol_str::SmolStr;

use crate::event::Event;
use crate::id::ConnId;
use crate::packed::PackedEvent;
use crate::packer::{PackError, Packer, identity};
use crate::profile::{Dialect, Role};

/// Users and their connections.
///
/// Given an event and a [`Target`], it answers which connections get which shared bytes; the
/// caller hands them to the connections. Ordinary events, calls and replies never touch it.
#[derive(Debug, Default)]
pub struct Hub {
    members: BTreeMap<ConnId, Member>,
    users: BTreeMap<SmolStr, BTreeSet<ConnId>>,
}

#[derive(Debug)]
struct Member {
    user: SmolStr,
    packer: Arc<dyn Packer>,
    dialect: Option<Dialect>,
}

/// Whom an event is for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Every connection.
    All,
    /// Every connection but this one.
    AllBut(ConnId),
    /// One connection.
    Connection(ConnId),
    /// Every connection of a user.
    User(SmolStr),
}

/// What one fan-out comes to.
#[derive(Debug)]
#[non_exhaustive]
pub struct Fanout {
    /// Which connection gets which packed event. The bytes are shared.
    pub deliveries: Vec<(ConnId, PackedEvent)>,
    /// How often the event was packed: once for each packed format among the connections.
    pub packings: usize,
    /// How often it was sealed: once for each packer that seals and dialect of several connections.
    pub sealings: usize,
}

impl Hub {
    /// A hub without connections.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a connection of `user` up. One that is known already moves to `user`. Whether it is
    /// the user's first.
    pub fn join(
        &mut self,
        connection: ConnId,
        user: impl Into<SmolStr>,
        packer: Arc<dyn Packer>,
    ) -> bool {
        self.leave(connection);
        let user = user.into();
        let connections = self.users.entry(user.clone()).or_default();
        connections.insert(connection);
        let first = connections.len() == 1;
        let member = Member {
            user,
            packer,
            dialect: None,
        };
        self.members.insert(connection, member);
        first
    }

    /// Says what a connection speaks (`Connection::dialect`), which a byte stream's hello may
    /// change. Only packers that [seal](Packer::seals) care: where it is known, a broadcast is
    /// sealed once for all connections of one packer and dialect, elsewhere once for each. `false`
    /// if the connection is not known.
    pub fn set_dialect(&mut self, connection: ConnId, dialect: Dialect) -> bool {
        let member = self.members.get_mut(&connection);
        member.is_some_and(|member| {
            member.dialect = Some(dialect);
            true
        })
    }

    /// Lets a connection go; one that is not known does nothing. Its user, if it was the last of
    /// that user's connections.
    pub fn leave(&mut self, connection: ConnId) -> Option<SmolStr> {
        let member = self.members.remove(&connection)?;
        let connections = self.users.get_mut(&member.user)?;
        connections.remove(&connection);
        if connections.is_empty() {
            self.users.remove(&member.user);
            return Some(member.user);
        }
        None
    }

    /// The connections `target` means, in the order of their ids.
    #[must_use]
    pub fn resolve(&self, target: &Target) -> Vec<ConnId> {
        match target {
            Target::All => self.members.keys().copied().collect(),
            Target::AllBut(except) => self
                .members
                .keys()
                .copied()
                .filter(|connection| connection != except)
                .collect(),
            Target::Connection(connection) => self
                .members
                .contains_key(connection)
                .then_some(*connection)
                .into_iter()
                .collect(),
            Target::User(user) => self
                .users
                .get(user)
                .into_iter()
                .flatten()
                .copied()
                .collect(),
        }
    }

    /// Packs `event` once for each packed format in use, seals it once where several share a packer
    /// that seals, and says who gets it.
    ///
    /// # Errors
    /// [`PackError`] if one of the packers cannot express the data: then nobody gets it.
    pub fn fan_out(&self, target: &Target, event: &Event) -> Result<Fanout, PackError> {
        let members: Vec<(ConnId, &Member)> = self
            .resolve(target)
            .into_iter()
            .filter_map(|connection| Some((connection, self.members.get(&connection)?)))
            .collect();
        let mut packed: Vec<PackedEvent> = Vec::new();
        for (_, member) in &members {
            if !packed.iter().any(|one| member.reads(one)) {
                packed.push(PackedEvent::pack(event, &*member.packer)?);
            }
        }
        let mut envelopes = envelopes(members.iter().map(|(_, member)| *member));
        // For one alone its connection seals it, and only if it does not leave in a batch.
        envelopes.retain(|envelope| envelope.count > 1);
        for Envelope { of, dialect, .. } in &envelopes {
            for one in packed.iter_mut().filter(|one| of.reads(one)) {
                one.seal_for(Role::Server, *dialect, &of.packer)?;
            }
        }
        let deliveries = members
            .iter()
            .filter_map(|(connection, member)| {
                let one = packed.iter().find(|one| member.reads(one))?;
                Some((*connection, one.clone()))
            })
            .collect();
        Ok(Fanout {
            deliveries,
            packings: packed.len(),
            sealings: envelopes.len(),
        })
    }

    /// The users with at least one connection, in order.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.users.keys().map(SmolStr::as_str)
    }

    /// The user of a connection.
    #[must_use]
    pub fn user_of(&self, connection: ConnId) -> Option<&str> {
        self.members
            .get(&connection)
            .map(|member| member.user.as_str())
    }

    /// How many connections there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

impl Member {
    fn reads(&self, packed: &PackedEvent) -> bool {
        packed.format() == self.packer.format()
    }
}

/// The frame in which an event leaves alone, and how many connections it is for.
struct Envelope<'a> {
    /// One of them.
    of: &'a Member,
    dialect: Dialect,
    count: usize,
}

/// The different frames for those members whose packers seal.
fn envelopes<'a>(members: impl Iterator<Item = &'a Member>) -> Vec<Envelope<'a>> {
    let mut envelopes: BTreeMap<(usize, bool), Envelope<'a>> = BTreeMap::new();
    for member in members.filter(|member| member.packer.seals()) {
        let Some(dialect) = member.dialect else {
            continue;
        };
        let key = (identity(&member.packer), dialect == Dialect::Sente);
        let envelope = envelopes.entry(key).or_insert(Envelope {
            of: member,
            dialect,
            count: 0,
        });
        envelope.count = envelope.count.saturating_add(1);
    }
    envelopes.into_values().collect()
}
