//! Who joins, leaves, is away and comes back.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;

use smol_str::SmolStr;

use crate::id::ConnId;
use crate::packed::PackedEvent;
use crate::profile::Dialect;
use crate::queue::SendOptions;
use crate::time::Instant;

use super::Hub;
use super::channels::Subscriptions;
use super::config::{TAKEN_OVER, Takeover};
use super::event::{HubEvent, NotKept};
use super::fanout::HubOutput;
use super::inbox::{Inbox, Parcel};
use super::kept;
use super::member::{ConnectionInfo, Entry, JoinError, Joined, Left, Member};
use super::slots::{Away, Change, Client, SlotKey};
use super::target::Target;
use super::user::UserId;

impl Hub {
    /// Takes a connection in, once its handshake is on its way. If its client was away, what was
    /// kept for it is delivered now, in order and before anything else.
    ///
    /// A connection that is in already begins anew, as if it had left for good before.
    ///
    /// # Errors
    /// [`JoinError`]: it is not in, and should be closed.
    pub fn join(
        &mut self,
        now: Instant,
        connection: ConnId,
        member: Member,
    ) -> Result<Joined, JoinError> {
        self.tick(now);
        let user = self
            .config
            .user_of(connection, member.dialect, member.user.clone());
        if let Err(error) = self.may_join(connection, &member, &user) {
            self.stats.refused_joins = self.stats.refused_joins.saturating_add(1);
            return Err(error);
        }
        self.remove(connection, None);
        let anonymous = member.user.as_ref().is_none_or(|it| *it == UserId::NOBODY);
        // Nobody can come back as a connection, and one nobody without a label is like another.
        let returns = !anonymous || (user == UserId::NOBODY && member.client_id.is_some());
        let key = self.slot_of(connection, &user, &member, returns);
        let wraps = self.config.wrap_pushes && member.dialect == Dialect::SenteLite;
        self.joined = self.joined.saturating_add(1);
        self.stats.joins = self.stats.joins.saturating_add(1);
        let entry = Entry {
            slot: key.clone(),
            packer: member.packer,
            dialect: member.dialect,
            anonymous,
            returns,
            wraps,
            receives: true,
            since: self.now,
            order: self.joined,
            suspended: None,
            subscriptions: Subscriptions::default(),
        };
        self.members.insert(connection, entry);
        let (away, older, change) = self.slots.enter(&key, connection);
        let opened = change.as_ref().is_some_and(|change| change.any);
        self.tell_change(change);
        self.take_over(connection, &user, older);
        let returned = away.is_some();
        if let Some(away) = away {
            self.timers.end(&key, &away);
            self.hand_over(connection, &key, away);
        }
        Ok(Joined {
            user,
            opened,
            returned,
        })
    }

    /// Says what a connection speaks from now on (`Connection::dialect`), which a byte stream's hello
    /// may change. `false` if it is not in.
    pub fn set_dialect(&mut self, connection: ConnId, dialect: Dialect) -> bool {
        let Some(member) = self.members.get_mut(&connection) else {
            return false;
        };
        member.dialect = dialect;
        member.wraps = self.config.wrap_pushes && dialect == Dialect::SenteLite;
        true
    }

    /// Lets a connection go that has ended: it leaves its channels, and the grace of its client
    /// begins. `None` if it was not in.
    pub fn leave(&mut self, now: Instant, connection: ConnId) -> Option<Left> {
        self.leave_with(now, connection, Vec::new())
    }

    /// The same, and keeps what was pushed to its user and not written
    /// ([`Inbox::take_unsent`]), so that it comes first when the client is back. Where another
    /// connection of the client takes its place, that one gets it; where nothing can come of it, it
    /// is told as `HubEvent::Undelivered`.
    pub fn leave_with(
        &mut self,
        now: Instant,
        connection: ConnId,
        unsent: Vec<PackedEvent>,
    ) -> Option<Left> {
        self.tick(now);
        self.remove(connection, Some(unsent))
    }

    /// Lets a connection go for good: its client has no grace. For what has kept a grace of its own,
    /// as a session of Ajax does.
    pub fn leave_at_once(&mut self, now: Instant, connection: ConnId) -> Option<Left> {
        self.tick(now);
        self.remove(connection, None)
    }

    /// Says that a connection can be reached no more for the moment, as between two polls of Ajax:
    /// its grace begins, but it stays in, with its subscriptions and what is delivered to it.
    /// `false` if it is not in, or has no grace: then it should leave.
    pub fn suspend(&mut self, now: Instant, connection: ConnId) -> bool {
        self.tick(now);
        let Some(member) = self.members.get_mut(&connection) else {
            return false;
        };
        let grace = self.config.grace.of(member.slot.transport);
        if grace.is_zero() {
            return false;
        }
        let until = self.now + grace;
        if let Some(before) = member.suspended.replace(until) {
            self.timers.suspended.remove(&(before, connection));
        }
        self.timers.suspended.insert((until, connection));
        true
    }

    /// Says that a suspended connection is back. Whether it was suspended.
    pub fn resume(&mut self, now: Instant, connection: ConnId) -> bool {
        self.tick(now);
        let member = self.members.get_mut(&connection);
        let Some(until) = member.and_then(|member| member.suspended.take()) else {
            return false;
        };
        self.timers.suspended.remove(&(until, connection));
        true
    }

    /// Has all connections closed that `target` means, also those that were taken over: Sente's
    /// `[:chsk/close]`, which uses code 1000 and no reason. How many; each leaves when it has ended.
    pub fn disconnect(&mut self, now: Instant, target: &Target, code: u16, reason: &str) -> usize {
        self.tick(now);
        let connections: Vec<ConnId> = match target {
            Target::User(user) if *user != UserId::ALL_WITHOUT_UID => {
                self.slots.connections_of(user).collect()
            }
            Target::Users(users) => {
                let users: BTreeSet<&UserId> = users.iter().collect();
                users
                    .into_iter()
                    .flat_map(|user| self.slots.connections_of(user))
                    .collect()
            }
            Target::All => self.members.keys().copied().collect(),
            Target::AllBut(but) => {
                let others = self.members.keys().copied();
                others.filter(|connection| connection != but).collect()
            }
            Target::AllButUser(but) => {
                let others = self.members.iter();
                others
                    .filter(|(_, member)| member.slot.user != *but)
                    .map(|(connection, _)| *connection)
                    .collect()
            }
            other => self.resolve(other),
        };
        let reason = SmolStr::new(reason);
        for connection in &connections {
            self.output(HubOutput::Close {
                connection: *connection,
                code,
                reason: reason.clone(),
            });
        }
        connections.len()
    }

    /// What there is to say of all connections, the newest first. O(n log n).
    pub fn connections(&self) -> impl Iterator<Item = ConnectionInfo> + '_ {
        let mut newest_first: Vec<_> = self.members.iter().collect();
        newest_first.sort_unstable_by_key(|(_, member)| Reverse(member.order));
        let infos = newest_first.into_iter();
        infos.map(|(connection, member)| member.info(*connection))
    }

    /// What there is to say of one connection.
    #[must_use]
    pub fn connection(&self, connection: ConnId) -> Option<ConnectionInfo> {
        let member = self.members.get(&connection)?;
        Some(member.info(connection))
    }

    /// The connections of a user, also those that were taken over, in the order of their ids.
    pub fn connections_of(&self, user: &UserId) -> impl Iterator<Item = ConnId> + '_ {
        self.slots.connections_of(user)
    }

    fn may_join(
        &self,
        connection: ConnId,
        member: &Member,
        user: &UserId,
    ) -> Result<(), JoinError> {
        let limits = &self.config.limits;
        let label = member.client_id.as_ref().map_or(0, SmolStr::len);
        if label > limits.max_client_id_bytes {
            return Err(JoinError::ClientIdTooLong {
                bytes: label,
                limit: limits.max_client_id_bytes,
            });
        }
        let known = self.members.get(&connection);
        if known.is_none() && self.members.len() >= limits.max_connections {
            return Err(JoinError::Full {
                limit: limits.max_connections,
            });
        }
        let is_theirs = known.is_some_and(|known| known.slot.user == *user);
        if !is_theirs && self.slots.count_of(user) >= limits.max_user_connections {
            return Err(JoinError::UserFull {
                limit: limits.max_user_connections,
            });
        }
        Ok(())
    }

    /// The client a connection is one of.
    fn slot_of(
        &self,
        connection: ConnId,
        user: &UserId,
        member: &Member,
        returns: bool,
    ) -> SlotKey {
        let unnamed = || {
            let back = returns.then(|| self.slots.unnamed_away(user, member.transport));
            let lost = back.flatten().map(|key| key.client.clone());
            lost.unwrap_or(Client::Unnamed(connection))
        };
        let client = match &member.client_id {
            Some(label) => Client::Named(label.clone()),
            None => unnamed(),
        };
        let key = SlotKey::new(user.clone(), member.transport, client);
        self.slots.shared(key)
    }

    fn take_over(&mut self, by: ConnId, user: &UserId, older: Option<ConnId>) {
        if self.config.takeover == Takeover::All {
            return;
        }
        let Some(older) = older else { return };
        if let Some(member) = self.members.get_mut(&older) {
            member.receives = false;
        }
        self.tell(HubEvent::TakenOver {
            connection: older,
            by,
            user: user.clone(),
        });
        if self.config.takeover == Takeover::NewestClosesOthers {
            // The ones before it have been told when it came.
            self.output(HubOutput::Close {
                connection: older,
                code: 1000,
                reason: TAKEN_OVER,
            });
        }
    }

    /// Takes a connection out. With `unsent`, the grace of its client begins if that has no other.
    pub(super) fn remove(
        &mut self,
        connection: ConnId,
        unsent: Option<Vec<PackedEvent>>,
    ) -> Option<Left> {
        let member = self.members.remove(&connection)?;
        self.stats.leaves = self.stats.leaves.saturating_add(1);
        if let Some(until) = member.suspended {
            self.timers.suspended.remove(&(until, connection));
        }
        self.channels.leave(connection, &member.subscriptions);
        self.requests.leave(connection);
        let mut left = Left {
            user: member.slot.user.clone(),
            grace_until: None,
            closed: false,
        };
        if !self.slots.exit(&member.slot, connection) {
            self.give_place(&member, unsent.unwrap_or_default());
            return Some(left);
        }
        let grace = self.config.grace.of(member.slot.transport);
        match unsent {
            Some(unsent) if member.returns && !grace.is_zero() => {
                let until = self.now + grace;
                let keep_until = self.now + grace.min(self.config.limits.keep_for);
                self.begin_grace(&member, until, keep_until, unsent);
                left.grace_until = Some(until);
            }
            unsent => {
                let (_, change) = self.slots.forget(&member.slot);
                let unsent = unsent.unwrap_or_default();
                self.tell_undelivered(&member.slot, unsent, NotKept::TimeIsUp);
                left.closed = change.as_ref().is_some_and(|change| change.any);
                self.tell_change(change);
            }
        }
        Some(left)
    }

    /// A connection went whose client has others: the newest of them takes its place, and what was
    /// not written, if the pushes went to it.
    fn give_place(&mut self, member: &Entry, unsent: Vec<PackedEvent>) {
        let newest = self.slots.newest(&member.slot);
        let next = newest.and_then(|next| Some((next, self.members.get_mut(&next)?)));
        let Some((connection, next)) = next else {
            return;
        };
        next.receives = true;
        if self.config.takeover == Takeover::All {
            // The others have got the same.
            return;
        }
        if !member.receives {
            // Whoever took its place has got what came later.
            self.tell_undelivered(&member.slot, unsent, NotKept::TakenOver);
            return;
        }
        let packer = next.packer.clone();
        let mut unpackable = Vec::new();
        for event in unsent {
            match kept::repack(&event, &*member.packer, &*packer) {
                Ok(event) => self.deliver_to(connection, event, SendOptions::new(), true),
                Err(_) => unpackable.push(event),
            }
        }
        self.tell_undelivered(&member.slot, unpackable, NotKept::Unpackable);
    }

    fn begin_grace(
        &mut self,
        member: &Entry,
        until: Instant,
        keep_until: Instant,
        unsent: Vec<PackedEvent>,
    ) {
        let key = member.slot.clone();
        let away = Away {
            until,
            keep_until,
            kept: Inbox::new(self.config.limits.kept.clone()),
            packer: member.packer.clone(),
        };
        self.timers.begin(&key, &away);
        self.slots.wait_for(key.clone(), away);
        let mut refused = Vec::new();
        for event in unsent {
            let parcel = Parcel {
                event,
                options: SendOptions::new(),
                keeps: true,
                wraps: false,
            };
            refused.extend(self.keep(&key, parcel).err());
        }
        self.tell_undelivered(&key, refused, NotKept::Full);
        while self.slots.away_count() > self.config.limits.max_away {
            let Some((_, soonest)) = self.timers.grace.first().cloned() else {
                break;
            };
            self.end_grace(&soonest);
        }
    }

    /// Keeps an event for a client that is away. What there is no room for comes back.
    pub(super) fn keep(&mut self, key: &SlotKey, parcel: Parcel) -> Result<(), PackedEvent> {
        let size = parcel.event.bytes().len();
        let event = parcel.event.clone();
        let room = self
            .config
            .limits
            .max_kept_bytes
            .saturating_sub(self.kept_bytes);
        let now = self.now;
        let Some(away) = self.slots.away_mut(key) else {
            return Err(event);
        };
        if away.keep_until <= now || size > room {
            return Err(event);
        }
        let before = away.kept.bytes();
        let pushed = away.kept.push_parcel(now, parcel);
        self.kept_bytes = self
            .kept_bytes
            .saturating_sub(before)
            .saturating_add(away.kept.bytes());
        pushed.map(|_| ()).map_err(|_| event)
    }

    /// Delivers to a client that is back what was kept for it.
    fn hand_over(&mut self, connection: ConnId, key: &SlotKey, mut away: Away) {
        self.kept_bytes = self.kept_bytes.saturating_sub(away.kept.bytes());
        let Some(member) = self.members.get(&connection) else {
            return;
        };
        let (packer, wraps) = (member.packer.clone(), member.wraps);
        let mut unpackable = Vec::new();
        while let Some(parcel) = away.kept.pop_parcel() {
            let packed = kept::repack(&parcel.event, &*away.packer, &*packer).and_then(|event| {
                match parcel.wraps && wraps {
                    true => kept::wrap(&event, &*packer),
                    false => Ok(event),
                }
            });
            match packed {
                Ok(event) => self.deliver_to(connection, event, parcel.options, true),
                Err(_) => unpackable.push(parcel.event),
            }
        }
        self.tell_undelivered(key, unpackable, NotKept::Unpackable);
    }

    /// Ends the grace of a client that did not come back.
    pub(super) fn end_grace(&mut self, key: &SlotKey) {
        let (away, change) = self.slots.forget(key);
        if let Some(away) = away {
            self.timers.end(key, &away);
            self.give_up(key, away.kept);
        }
        self.tell_change(change);
    }

    /// The time is up for what was kept for a client.
    pub(super) fn end_keeping(&mut self, key: &SlotKey) {
        let limits = self.config.limits.kept.clone();
        if let Some(away) = self.slots.away_mut(key) {
            let kept = core::mem::replace(&mut away.kept, Inbox::new(limits));
            self.give_up(key, kept);
        }
    }

    fn give_up(&mut self, key: &SlotKey, mut kept: Inbox) {
        self.kept_bytes = self.kept_bytes.saturating_sub(kept.bytes());
        let parcels = core::iter::from_fn(|| kept.pop_parcel());
        let events = parcels.map(|parcel| parcel.event).collect();
        self.tell_undelivered(key, events, NotKept::TimeIsUp);
    }

    pub(super) fn tell_undelivered(
        &mut self,
        key: &SlotKey,
        events: Vec<PackedEvent>,
        why: NotKept,
    ) {
        if events.is_empty() {
            return;
        }
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        self.stats.undelivered = self.stats.undelivered.saturating_add(count);
        // At most one report's worth more than is kept at most.
        let holds = self.kept_bytes <= self.config.limits.max_kept_bytes;
        let events = if holds { events } else { Vec::new() };
        let bytes = kept::bytes_of(&events);
        let told = self.tell(HubEvent::Undelivered {
            user: key.user.clone(),
            client_id: key.client.label(),
            count,
            events,
            why,
        });
        if told {
            // Until the application has taken them they are held.
            self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        }
    }

    pub(super) fn tell_change(&mut self, change: Option<Change>) {
        let Some(change) = change else { return };
        let (user, opens) = (change.user.clone(), change.connected);
        self.tell(HubEvent::UidsChanged {
            version: change.version,
            user: change.user,
            transport: change.transport,
            connected: change.connected,
        });
        if change.any {
            self.tell(match opens {
                true => HubEvent::UidportOpen(user),
                false => HubEvent::UidportClose(user),
            });
        }
    }
}
