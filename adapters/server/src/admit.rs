//! Who may come in: what is asked of a request, and in which order.

use sente_core::admission::{Incoming, Refusal, Request};
use sente_core::{ConnId, Dialect, UserId};
use smol_str::SmolStr;

use crate::event::ServerEvent;
use crate::line::lock;
use crate::server::Server;
use crate::terms::{Entry, Place};
use crate::trace;

impl Server {
    /// Applies the rules to a request without counting it: for what belongs to a session that is
    /// there, as the polls and posts of Ajax do.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub fn check(&self, request: Request, dialect: Dialect) -> Result<Incoming, Refusal> {
        let remote = request.remote().map(SmolStr::new);
        let checked = self.inner.hooks.rules.check(request, dialect);
        checked.inspect_err(|refusal| self.tell_refusal(remote, refusal))
    }

    /// Decides on a request that wants a connection: how many there are and how often its address
    /// connects, the rules, the application's word, how many its user has. What comes of it is to
    /// [`join`](Self::join) with the terms of the entry.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    pub async fn admit(&self, request: Request, dialect: Dialect) -> Result<Entry, Refusal> {
        let remote = request.remote().map(SmolStr::new);
        let admitted = self.decide(request, dialect).await;
        admitted.inspect_err(|refusal| self.tell_refusal(remote, refusal))
    }

    async fn decide(&self, request: Request, dialect: Dialect) -> Result<Entry, Refusal> {
        let inner = &self.inner;
        let mut place = self.take_place(request.remote())?;
        let asked = inner.hooks.rules.check(request, dialect)?;
        let admitted = inner.hooks.admit(asked).await?;
        if let Some(user) = &admitted.identity.user {
            self.name_user(&mut place, &UserId::from(user))?;
        }
        Ok(Entry {
            admitted,
            place,
            keeps_request: inner.config.keep_requests,
        })
    }

    pub(crate) fn take_place(&self, remote: Option<&str>) -> Result<Place, Refusal> {
        let pass = lock(&self.inner.gate).enter(self.now(), remote)?;
        Ok(Place::new(&self.inner, pass))
    }

    pub(crate) fn name_user(&self, place: &mut Place, user: &UserId) -> Result<(), Refusal> {
        match place.pass_mut() {
            Some(pass) => lock(&self.inner.gate).name_user(pass, user),
            None => Ok(()),
        }
    }

    /// Who a connection is that joins on these terms: what its handshake should say.
    #[must_use]
    pub fn handshake_user(&self, id: ConnId, dialect: Dialect, user: Option<UserId>) -> UserId {
        self.inner.config.hub.user_of(id, dialect, user)
    }

    pub(crate) fn tell_refusal(&self, remote: Option<SmolStr>, refusal: &Refusal) {
        let (reason, status) = (refusal.reason, refusal.status);
        self.inner.counts.turned_away(reason);
        trace::turned_away(remote.as_deref(), refusal);
        self.tell(ServerEvent::TurnedAway {
            remote,
            reason,
            status,
        });
    }
}
