//! Whom an event is for, and which connections that means now.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use sente_edn::Value;
use smol_str::SmolStr;

use crate::id::ConnId;
use crate::packer::{Packer, identity};
use crate::profile::Dialect;

use super::Hub;
use super::channels::ChannelKey;
use super::member::Entry;
use super::slots::SlotKey;
use super::user::UserId;

/// Whom an event is for.
///
/// A user and everybody mean those connections of a client that receive: the newest one, where a
/// client is connected more than once (see [`Takeover`](crate::Takeover)), and clients whose grace
/// runs, for which it is kept. A connection and a channel mean exactly the connections they say.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// Every connection.
    All,
    /// Every connection but this one.
    AllBut(ConnId),
    /// Every connection of every user but this one.
    AllButUser(UserId),
    /// The subscribers of a channel.
    Channel(Value),
    /// One connection.
    Connection(ConnId),
    /// Every connection of a user.
    User(UserId),
    /// Every connection of several users; a user named twice counts once.
    Users(Vec<UserId>),
}

impl Target {
    /// Whether it is a broadcast: to more than the users or the connection it names.
    pub(super) const fn is_broadcast(&self) -> bool {
        matches!(
            self,
            Self::All | Self::AllBut(_) | Self::AllButUser(_) | Self::Channel(_)
        )
    }

    /// Whether it reaches users, and so is kept for those that are away.
    pub(super) const fn is_kept(&self) -> bool {
        !matches!(self, Self::Channel(_) | Self::Connection(_))
    }
}

/// Whom a target means now.
#[derive(Debug, Default)]
pub(super) struct Recipients {
    /// Those that are there, by what their frames have in common.
    pub(super) groups: Vec<Group>,
    places: BTreeMap<Alike, usize>,
    /// Where the last one went: the next is mostly like it.
    last: Option<(Kin, usize)>,
    /// Clients in their grace.
    pub(super) away: Vec<SlotKey>,
}

/// Connections that get the same bytes, in the same frames.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) packer: Arc<dyn Packer>,
    /// That of all of them, if the packer seals.
    pub(super) dialect: Dialect,
    /// Whether broadcasts are wrapped for them.
    pub(super) wraps: bool,
    pub(super) to: Vec<ConnId>,
}

/// Where fewer than one in so many connections are subscribed to a channel, they are looked up one by
/// one.
const FEW: usize = 8;

/// Of so many subscribers on it is remembered who they are: events for a channel often come one behind
/// the other, and the next is for the same.
const MANY: usize = 4;

/// Whom a channel means as long as nothing has changed.
#[derive(Debug)]
pub(super) struct Known {
    key: ChannelKey,
    changes: u64,
    groups: Vec<Group>,
}

/// What connections have in common whose frames are the same.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    format: SmolStr,
    wraps: bool,
    /// Where the packer compresses or encrypts whole frames: which packer, and whether the dialect
    /// is Sente's. Two packers of one name may have two keys.
    sealed: Option<(usize, bool)>,
}

impl Alike {
    fn of(member: &Entry) -> Self {
        let is_sente = member.dialect == Dialect::Sente;
        Self {
            format: SmolStr::new(member.packer.format()),
            wraps: member.wraps,
            sealed: (member.packer.seals()).then(|| (identity(&member.packer), is_sente)),
        }
    }
}

/// What tells at a glance that a connection is like another: the packer itself, the dialect, and
/// whether broadcasts are wrapped.
type Kin = (usize, Dialect, bool);

impl Recipients {
    fn add(&mut self, hub: &Hub, connection: ConnId) {
        if let Some(member) = hub.members.get(&connection) {
            self.add_member(connection, member);
        }
    }

    fn add_member(&mut self, connection: ConnId, member: &Entry) {
        let kin = (identity(&member.packer), member.dialect, member.wraps);
        if let Some((last, place)) = self.last
            && last == kin
            && let Some(group) = self.groups.get_mut(place)
        {
            group.to.push(connection);
            return;
        }
        let next = self.groups.len();
        let place = *self.places.entry(Alike::of(member)).or_insert(next);
        self.last = Some((kin, place));
        match self.groups.get_mut(place) {
            Some(group) => group.to.push(connection),
            None => self.groups.push(Group {
                packer: member.packer.clone(),
                dialect: member.dialect,
                wraps: member.wraps,
                to: Vec::from([connection]),
            }),
        }
    }

    /// How many connections.
    pub(super) fn count(&self) -> usize {
        let counts = self.groups.iter().map(|group| group.to.len());
        counts.fold(0, usize::saturating_add)
    }
}

impl Hub {
    /// The connections that `target` means now, in the order of their ids. Clients whose grace runs
    /// have none.
    #[must_use]
    pub fn resolve(&self, target: &Target) -> Vec<ConnId> {
        let groups = self.recipients(target).groups;
        let mut all: Vec<ConnId> = groups.into_iter().flat_map(|group| group.to).collect();
        all.sort_unstable();
        all
    }

    /// The same by group, and those who are away, for whoever is about to tell them something.
    pub(super) fn recipients_to_tell(&mut self, target: &Target) -> Recipients {
        match target {
            Target::Channel(id) => self.channel_to_tell(&ChannelKey::of(id)),
            other => self.recipients(other),
        }
    }

    /// The subscribers of a channel, by group, for whoever is about to tell them something.
    pub(super) fn channel_to_tell(&mut self, key: &ChannelKey) -> Recipients {
        let changes = self.members.changes();
        let known = self.known.as_ref();
        if let Some(known) = known.filter(|it| it.changes == changes && it.key == *key) {
            return Recipients {
                groups: known.groups.clone(),
                ..Recipients::default()
            };
        }
        let found = self.channel_recipients(key, None);
        self.known = (found.count() >= MANY).then(|| {
            Box::new(Known {
                key: key.clone(),
                changes,
                groups: found.groups.clone(),
            })
        });
        found
    }

    /// The same by group, and those who are away.
    pub(super) fn recipients(&self, target: &Target) -> Recipients {
        let mut found = Recipients::default();
        match target {
            Target::All => self.add_all(None, None, &mut found),
            Target::AllBut(connection) => {
                self.add_all(Some(*connection), None, &mut found);
            }
            Target::AllButUser(user) => self.add_all(None, Some(user), &mut found),
            Target::Channel(id) => return self.channel_recipients(&ChannelKey::of(id), None),
            Target::Connection(connection) => found.add(self, *connection),
            Target::User(user) => self.add_user(user, &mut found),
            Target::Users(users) => {
                let users: BTreeSet<&UserId> = users.iter().collect();
                for user in users {
                    self.add_user(user, &mut found);
                }
            }
        }
        found
    }

    /// The subscribers of a channel without `except`, by group.
    pub(super) fn channel_recipients(
        &self,
        key: &ChannelKey,
        except: Option<ConnId>,
    ) -> Recipients {
        let mut found = Recipients::default();
        let subscribers = self.channels.subscribers(key);
        let subscribers = subscribers.filter(|connection| Some(*connection) != except);
        if self.channels.count_of(key) < self.members.len() / FEW {
            for connection in subscribers {
                found.add(self, connection);
            }
            return found;
        }
        // Where many are subscribed, both are walked through in their one order.
        let mut members = self.members.iter().peekable();
        for connection in subscribers {
            while members.next_if(|(known, _)| **known < connection).is_some() {}
            if let Some((_, member)) = members.next_if(|(known, _)| **known == connection) {
                found.add_member(connection, member);
            }
        }
        found
    }

    fn add_all(&self, except: Option<ConnId>, but: Option<&UserId>, found: &mut Recipients) {
        for (connection, member) in self.members.iter() {
            let meant = Some(*connection) != except && Some(&member.slot.user) != but;
            if meant && member.receives {
                found.add_member(*connection, member);
            }
        }
        let away = self.slots.away();
        found
            .away
            .extend(away.filter(|key| Some(&key.user) != but).cloned());
    }

    fn add_user(&self, user: &UserId, found: &mut Recipients) {
        if *user == UserId::ALL_WITHOUT_UID {
            for (connection, member) in self.members.iter() {
                if member.anonymous && member.receives {
                    found.add_member(*connection, member);
                }
            }
            let away = self.slots.away_of(&UserId::NOBODY);
            found.away.extend(away.cloned());
            return;
        }
        for connection in self.slots.connections_of(user) {
            let receives = self.members.get(&connection).is_some_and(|it| it.receives);
            if receives {
                found.add(self, connection);
            }
        }
        found.away.extend(self.slots.away_of(user).cloned());
    }
}
