//! What an HTTP endpoint asks of whoever owns it, and what it hands over.

use std::future::Future;

use sente_adapters::{AjaxEvents, AjaxHandle, Events, Handle};
use sente_core::admission::{Admitted, Incoming, Refusal, Request};
use sente_core::{Accept, ConnId, Dialect, UserId};

/// Who decides about the requests of a [`SenteService`](super::SenteService), and takes the
/// connections that come of them. A [`Door`](super::Door) is one that stands alone.
///
/// Of a request that wants a new connection the order is: [`take_place`](Self::take_place),
/// [`check`](Self::check), [`identify`](Self::identify), [`name_user`](Self::name_user),
/// [`handshake`](Self::handshake), [`arrived`](Self::arrived). Of the polls and posts of an Ajax
/// session that is there, only `check` and `identify`.
pub trait HttpHost: Send + Sync + 'static {
    /// The place of one connection in the count. Dropped, it is free again.
    type Place: Send + 'static;

    /// Counts one more connection from `remote`.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    fn take_place(&self, remote: Option<&str>) -> Result<Self::Place, Refusal>;

    /// Applies the rules to a request, without waiting.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with, as it is.
    fn check(&self, request: Request, dialect: Dialect) -> Result<Incoming, Refusal>;

    /// Says who it is that passed the rules. It may take its time.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    fn identify(
        &self,
        incoming: Incoming,
    ) -> impl Future<Output = Result<Admitted, Refusal>> + Send;

    /// Counts the connection for its user, if somebody is known.
    ///
    /// # Errors
    /// The [`Refusal`] to answer with.
    fn name_user(&self, place: &mut Self::Place, user: &UserId) -> Result<(), Refusal>;

    /// What the client is told first. Default: what was [admitted](Admitted::handshake).
    fn handshake(&self, id: ConnId, dialect: Dialect, admitted: &Admitted) -> Accept {
        let _ = (id, dialect);
        admitted.handshake()
    }

    /// Takes a new connection. Dropped, it is closed.
    fn arrived(&self, arrival: Arrival<Self::Place>);
}

/// A new connection: who it is, and what to speak with.
#[derive(Debug)]
#[non_exhaustive]
#[must_use = "dropped, the connection closes"]
pub struct Arrival<P> {
    /// Its id.
    pub id: ConnId,
    /// Who was let in, with which request: for Ajax the one that began the session.
    pub admitted: Admitted,
    /// Its place in the count, to be kept as long as it lives.
    pub place: P,
    /// How it came.
    pub link: ArrivalLink,
}

/// What to speak with on a new connection.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "Sente's clients know these two")]
pub enum ArrivalLink {
    /// By Ajax. Polls that come later go to the same session.
    Ajax(AjaxHandle, AjaxEvents),
    /// By WebSocket.
    WebSocket(Handle, Events),
}
