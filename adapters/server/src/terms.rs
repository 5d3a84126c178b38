//! The terms on which a connection joins, and how a request gets them.

use std::fmt;
use std::sync::{Arc, PoisonError};

use sente_core::admission::{Admitted, Pass, Request};
use sente_core::{Accept, Instant, TransportKind, UserId};
use smol_str::SmolStr;

use crate::server::Inner;

/// The terms on which a connection joins a [`Server`](crate::Server): whose it is, and what is known
/// of it. The default is nobody in particular.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Terms {
    /// The user, as the application established. Default nobody: see
    /// [`Nobody`](sente_core::Nobody).
    pub user: Option<UserId>,
    /// The label the client gave itself, Sente's `client-id`. Default none.
    pub client_id: Option<SmolStr>,
    /// By what presence counts it. Default: as it is carried.
    pub transport: Option<TransportKind>,
    /// When the identity ends, and the connection with it, by the server's clock
    /// ([`Server::now`](crate::Server::now)). Default never.
    pub expires: Option<Instant>,
    /// The request it came with, for its handlers. Default none.
    pub request: Option<Arc<Request>>,
    /// Its place in the count of connections.
    pub(crate) place: Option<Place>,
}

impl Terms {
    /// The terms of nobody in particular.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The terms of this user.
    #[must_use]
    pub fn user(mut self, user: impl Into<UserId>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// The label the client gave itself.
    #[must_use]
    pub fn client_id(mut self, label: impl Into<SmolStr>) -> Self {
        self.client_id = Some(label.into());
        self
    }

    /// When the identity ends.
    #[must_use]
    pub const fn until(mut self, expires: Instant) -> Self {
        self.expires = Some(expires);
        self
    }

    /// By what presence counts it.
    #[must_use]
    pub const fn transport(mut self, transport: TransportKind) -> Self {
        self.transport = Some(transport);
        self
    }
}

/// A request that was let in, and has its place in the count: from
/// [`Server::admit`](crate::Server::admit). Dropped, the place is free again.
#[derive(Debug)]
#[must_use = "whoever was let in waits for a connection"]
pub struct Entry {
    pub(crate) admitted: Admitted,
    pub(crate) place: Place,
    pub(crate) keeps_request: bool,
}

impl Entry {
    /// Who was let in, and with which request.
    pub const fn admitted(&self) -> &Admitted {
        &self.admitted
    }

    /// The terms to join with.
    #[must_use]
    pub fn into_terms(self) -> Terms {
        let Self {
            admitted,
            place,
            keeps_request,
        } = self;
        Terms {
            user: admitted.identity.user.as_ref().map(UserId::from),
            client_id: admitted.client_id,
            transport: None,
            expires: admitted.identity.expires,
            request: keeps_request.then(|| Arc::new(admitted.request)),
            place: Some(place),
        }
    }

    pub(crate) fn handshake(&self) -> Accept {
        self.admitted.handshake()
    }
}

/// The place of one connection in the count of its server, which it gives back when it is dropped.
pub(crate) struct Place {
    server: std::sync::Weak<Inner>,
    pass: Option<Pass>,
}

impl Place {
    pub(crate) fn new(server: &Arc<Inner>, pass: Pass) -> Self {
        Self {
            server: Arc::downgrade(server),
            pass: Some(pass),
        }
    }

    pub(crate) const fn pass_mut(&mut self) -> Option<&mut Pass> {
        self.pass.as_mut()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(server), Some(pass)) = (self.server.upgrade(), self.pass.take()) {
            let gate = server.gate.lock();
            gate.unwrap_or_else(PoisonError::into_inner).leave(pass);
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.pass).finish()
    }
}
