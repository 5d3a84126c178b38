//! What can be changed of a server while it runs: for whoever comes later.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use sente_core::admission::{Admission, GateLimits, Identity, Incoming, Refusal, Request};
use sente_core::{Dialect, EventGate, Guard, InboxLimits, RecvRates};

use crate::clock::Clock;
use crate::line::lock;
use crate::server::Server;

impl Server {
    /// Lets requests in by other rules from now on: other origins, other tokens. Who is connected
    /// stays; the polls and posts of Ajax are asked by the new rules, as every request is.
    pub fn set_admission(&self, admission: Admission) {
        self.inner.hooks.rules.set(admission);
    }

    /// Holds to other limits of connecting from now on. Who is connected stays, also above a lower
    /// limit.
    pub fn set_gate_limits(&self, limits: GateLimits) {
        lock(&self.inner.gate).set_limits(limits);
    }

    /// Has connections that join from now on wait in inboxes of these limits, with what their send
    /// queues have no room for.
    pub fn set_inbox_limits(&self, limits: InboxLimits) {
        self.inner
            .new_connections
            .change(|terms| terms.inbox = limits);
    }

    /// Has connections that join from now on send as much as these rates say of one connection.
    /// What they say of a user is not changed: users have begun to use it.
    pub fn set_connection_rates(&self, rates: &RecvRates) {
        self.inner.new_connections.change(|terms| {
            terms.rates.connection_bytes = rates.connection_bytes;
            terms.rates.connection_messages = rates.connection_messages;
        });
    }
}

/// The rules for requests that are in force.
pub(crate) struct Rules(RwLock<Arc<ByDialect>>);

struct ByDialect {
    sente: Admission,
    /// The same for sente-lite's clients, which name no client id.
    sente_lite: Admission,
}

impl Rules {
    pub(crate) fn new(admission: Admission) -> Self {
        Self(RwLock::new(Arc::new(ByDialect::new(admission))))
    }

    pub(crate) fn check(&self, request: Request, dialect: Dialect) -> Result<Incoming, Refusal> {
        let rules = self.in_force();
        match dialect {
            Dialect::Sente => rules.sente.check(request),
            Dialect::SenteLite => rules.sente_lite.check(request),
        }
    }

    pub(crate) fn identify(&self, incoming: &Incoming) -> Identity {
        self.in_force().sente.identify(incoming)
    }

    fn set(&self, admission: Admission) {
        let rules = Arc::new(ByDialect::new(admission));
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = rules;
    }

    /// The application's hooks are called without the lock.
    fn in_force(&self) -> Arc<ByDialect> {
        let rules = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&rules)
    }
}

impl ByDialect {
    fn new(admission: Admission) -> Self {
        Self {
            sente_lite: admission.clone().client_id_optional(),
            sente: admission,
        }
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_force().sente.fmt(f)
    }
}

/// What holds for connections that join.
#[derive(Debug)]
pub(crate) struct NewConnections(RwLock<Arc<Bounds>>);

/// The bounds of one connection, and the server's clock that they go by: one for all that join until
/// a bound is changed.
#[derive(Clone, Debug)]
pub(crate) struct Bounds {
    pub(crate) inbox: InboxLimits,
    pub(crate) rates: RecvRates,
    pub(crate) clock: Clock,
}

impl Bounds {
    /// What events of a connection have to pass; nothing, where nothing is asked for.
    pub(crate) fn gate(&self, guard: Option<Arc<dyn Guard>>) -> Option<Box<Mutex<EventGate>>> {
        let passes_all = guard.is_none() && self.rates == RecvRates::default();
        (!passes_all).then(|| Box::new(Mutex::new(EventGate::new(&self.rates, guard))))
    }
}

impl NewConnections {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self(RwLock::new(Arc::new(bounds)))
    }

    pub(crate) fn bounds(&self) -> Arc<Bounds> {
        let bounds = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&bounds)
    }

    fn change(&self, f: impl FnOnce(&mut Bounds)) {
        let mut bounds = self.0.write().unwrap_or_else(PoisonError::into_inner);
        f(Arc::make_mut(&mut bounds));
    }
}
