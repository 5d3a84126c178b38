//! How many may be connected, and how often one address may connect.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use smol_str::SmolStr;

use super::address::AddressKey;
use super::{Refusal, RefusalReason};
use crate::queue::{Rate, RateLimiter};
use crate::time::Instant;

/// What a [`Gate`] holds to. `Some(0)` lets nobody in.
///
/// Only the number of all connections is limited by default: behind a proxy, or a router of a whole
/// office, many people have one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GateLimits {
    /// Connections in all, those that are still being admitted included; `None` for no limit.
    /// Default 100,000.
    pub max_connections: Option<usize>,
    /// Connections of one address, or of one IPv6 network of 64 bits; `None` for no limit. Default
    /// none.
    pub max_per_address: Option<usize>,
    /// Connections of one user; `None` for no limit. Default none.
    pub max_per_user: Option<usize>,
    /// How often one address may connect; `None` for no limit. Default none.
    pub connect_rate: Option<Rate>,
    /// How many addresses without a connection are remembered for the sake of their rate. The one
    /// that tried longest ago is forgotten first. Default 10,000, which is about 1 MiB.
    pub max_idle_addresses: usize,
}

impl Default for GateLimits {
    fn default() -> Self {
        Self {
            max_connections: Some(100_000),
            max_per_address: None,
            max_per_user: None,
            connect_rate: None,
            max_idle_addresses: 10_000,
        }
    }
}

/// Counts connections and holds addresses to a rate. Every operation is O(log n), but
/// [`set_limits`](Self::set_limits), which is O(n).
///
/// Ask it before anything costly is done for a request, and give each [`Pass`] back when the
/// connection is over or was refused after all. For Ajax a session is a connection; its polls and
/// posts are not.
///
/// ```
/// use sente_core::Instant;
/// use sente_core::admission::{Gate, GateLimits};
///
/// let mut limits = GateLimits::default();
/// limits.max_per_address = Some(1);
/// let mut gate = Gate::new(limits);
/// let pass = gate.enter(Instant::EPOCH, Some("192.0.2.7")).unwrap();
/// let refusal = gate.enter(Instant::EPOCH, Some("192.0.2.7")).unwrap_err();
/// assert_eq!(refusal.status, 429);
/// gate.leave(pass);
/// ```
#[derive(Debug)]
pub struct Gate {
    limits: GateLimits,
    connections: usize,
    addresses: BTreeMap<AddressKey, Address>,
    /// Those without a connection, by when they last tried.
    idle: BTreeSet<(Instant, AddressKey)>,
    users: BTreeMap<SmolStr, usize>,
}

#[derive(Debug)]
struct Address {
    connections: usize,
    limiter: Option<RateLimiter>,
    /// When it last tried to enter.
    last: Instant,
}

/// The place of one connection in the count. It cannot be copied: [`Gate::leave`] takes it back.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a pass that is dropped is counted for ever"]
pub struct Pass {
    address: Option<AddressKey>,
    user: Option<SmolStr>,
}

impl Gate {
    /// A gate nobody has passed yet.
    #[must_use]
    pub const fn new(limits: GateLimits) -> Self {
        Self {
            limits,
            connections: 0,
            addresses: BTreeMap::new(),
            idle: BTreeSet::new(),
            users: BTreeMap::new(),
        }
    }

    /// Lets one more connection in from `address`, as text without a port. Where no address is known
    /// only the number of all connections counts. An attempt that is refused does not count for the
    /// rate: whoever tries too often gets in as often as the rate allows.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with: 503 if the server is full, 429 for the address.
    pub fn enter(&mut self, now: Instant, address: Option<&str>) -> Result<Pass, Refusal> {
        if is_full(self.limits.max_connections, self.connections) {
            let told = "The server has as many connections as it takes";
            return Err(
                Refusal::because(RefusalReason::ServerFull, 503, told).retry_after(Self::FULL_FOR)
            );
        }
        let address = address.map(AddressKey::new);
        if let Some(key) = &address {
            self.count_address(now, key)?;
        }
        self.connections = self.connections.saturating_add(1);
        Ok(Pass {
            address,
            user: None,
        })
    }

    /// Counts the connection of `pass` for `user`, once it is known whose it is. Counted again for
    /// another user it moves there; nobody known is nobody's connection, and is not to be named here.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with, 429: give the pass back then.
    pub fn name_user(&mut self, pass: &mut Pass, user: &str) -> Result<(), Refusal> {
        if pass.user.as_deref() == Some(user) {
            return Ok(());
        }
        let connections = self.users.get(user).copied().unwrap_or(0);
        if is_full(self.limits.max_per_user, connections) {
            let told = "This user has as many connections as one user may have";
            return Err(
                Refusal::because(RefusalReason::PerUser, 429, told).retry_after(Self::FULL_FOR)
            );
        }
        self.forget_user(pass);
        let user = SmolStr::new(user);
        self.users
            .insert(user.clone(), connections.saturating_add(1));
        pass.user = Some(user);
        Ok(())
    }

    /// Takes a connection out of the count.
    pub fn leave(&mut self, mut pass: Pass) {
        self.connections = self.connections.saturating_sub(1);
        self.forget_user(&mut pass);
        let Some(key) = pass.address else {
            return;
        };
        let Some(address) = self.addresses.get_mut(&key) else {
            return;
        };
        address.connections = address.connections.saturating_sub(1);
        if address.connections > 0 {
            return;
        }
        if address.limiter.is_none() {
            self.addresses.remove(&key);
            return;
        }
        self.idle.insert((address.last, key));
        self.forget_idle();
    }

    /// Holds to other limits from now on. Who has passed stays, also above a lower limit. Where the
    /// rate of connecting is another than before, every address begins anew with a whole burst.
    pub fn set_limits(&mut self, limits: GateLimits) {
        if limits.connect_rate != self.limits.connect_rate {
            // Those without a connection are remembered for the sake of their rate only.
            for (_, key) in core::mem::take(&mut self.idle) {
                self.addresses.remove(&key);
            }
            for address in self.addresses.values_mut() {
                address.limiter = limits.connect_rate.map(RateLimiter::new);
            }
        }
        self.limits = limits;
        self.forget_idle();
    }

    /// Connections in all.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.connections
    }

    /// Connections of an address.
    #[must_use]
    pub fn connections_of_address(&self, address: &str) -> usize {
        let address = self.addresses.get(&AddressKey::new(address));
        address.map_or(0, |address| address.connections)
    }

    /// Connections of a user.
    #[must_use]
    pub fn connections_of_user(&self, user: &str) -> usize {
        self.users.get(user).copied().unwrap_or(0)
    }

    /// How many addresses are remembered, with a connection or without.
    #[must_use]
    pub fn addresses(&self) -> usize {
        self.addresses.len()
    }

    /// How long somebody is asked to wait for others to leave.
    const FULL_FOR: Duration = Duration::from_secs(5);

    fn count_address(&mut self, now: Instant, key: &AddressKey) -> Result<(), Refusal> {
        let limits = &self.limits;
        let known = self.addresses.get(key);
        let connections = known.map_or(0, |address| address.connections);
        if is_full(limits.max_per_address, connections) {
            let told = "This address has as many connections as one address may have";
            return Err(
                Refusal::because(RefusalReason::PerAddress, 429, told).retry_after(Self::FULL_FOR)
            );
        }
        let mut limiter = match known {
            Some(address) => address.limiter,
            None => limits.connect_rate.map(RateLimiter::new),
        };
        if let Some(limiter) = &mut limiter {
            if let Err(retry_at) = limiter.check(now) {
                self.remember_try(now, key);
                let told = "This address connects too often";
                let refusal = Refusal::because(RefusalReason::RateLimited, 429, told);
                return Err(refusal.retry_after(retry_at - now));
            }
            limiter.take(now);
        }
        if let Some(address) = known
            && connections == 0
        {
            self.idle.remove(&(address.last, key.clone()));
        }
        let counted = Address {
            connections: connections.saturating_add(1),
            limiter,
            last: now,
        };
        self.addresses.insert(key.clone(), counted);
        Ok(())
    }

    /// Whoever keeps trying is not forgotten, and so does not get another burst.
    fn remember_try(&mut self, now: Instant, key: &AddressKey) {
        if let Some(address) = self.addresses.get_mut(key) {
            let last = core::mem::replace(&mut address.last, now);
            if self.idle.remove(&(last, key.clone())) {
                self.idle.insert((now, key.clone()));
            }
        }
    }

    /// Of those without a connection only so many are remembered.
    fn forget_idle(&mut self) {
        while self.idle.len() > self.limits.max_idle_addresses {
            let Some((_, forgotten)) = self.idle.pop_first() else {
                return;
            };
            self.addresses.remove(&forgotten);
        }
    }

    fn forget_user(&mut self, pass: &mut Pass) {
        let Some(user) = pass.user.take() else {
            return;
        };
        if let Some(connections) = self.users.get_mut(&user) {
            *connections = connections.saturating_sub(1);
            if *connections == 0 {
                self.users.remove(&user);
            }
        }
    }
}

fn is_full(limit: Option<usize>, count: usize) -> bool {
    limit.is_some_and(|limit| count >= limit)
}
