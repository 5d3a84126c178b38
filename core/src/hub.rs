//! The server's index over its connections: who is connected, and which connections a target
//! means. It owns no connection and no socket.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use smol_str::SmolStr;

use crate::event::Event;
use crate::id::ConnId;
use crate::packed::PackedEvent;
use crate::packer::{PackError, Packer};

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
    packer: alloc::sync::Arc<dyn Packer>,
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
        packer: alloc::sync::Arc<dyn Packer>,
    ) -> bool {
        self.leave(connection);
        let user = user.into();
        let connections = self.users.entry(user.clone()).or_default();
        connections.insert(connection);
        let first = connections.len() == 1;
        self.members.insert(connection, Member { user, packer });
        first
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

    /// Packs `event` once for each packed format in use and says who gets it.
    ///
    /// # Errors
    /// [`PackError`] if one of the packers cannot express the data: then nobody gets it.
    pub fn fan_out(&self, target: &Target, event: &Event) -> Result<Fanout, PackError> {
        let mut packed: Vec<PackedEvent> = Vec::new();
        let mut deliveries = Vec::new();
        for connection in self.resolve(target) {
            let Some(member) = self.members.get(&connection) else {
                continue;
            };
            let format = member.packer.format();
            let known = packed.iter().find(|one| one.format() == format).cloned();
            let one = match known {
                Some(one) => one,
                None => {
                    let one = PackedEvent::pack(event, &*member.packer)?;
                    packed.push(one.clone());
                    one
                }
            };
            deliveries.push((connection, one));
        }
        Ok(Fanout {
            deliveries,
            packings: packed.len(),
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
