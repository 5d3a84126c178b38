//! What the server says to `tracing`: every event and span by name, under one target. The names are
//! kept; `docs/operations.md` lists them.

use sente_adapters::HandlerFailure;
use sente_core::admission::Refusal;
use sente_core::{
    BadReason, CloseReason, ConnId, EventId, EventRefusal, HubEvent, Peer, TransportKind,
};
use tracing::{Span, debug, error, info, warn};

/// A handler at work.
pub(crate) fn handling(peer: &Peer, event: &EventId) -> Span {
    tracing::debug_span!(
        target: "sente_server",
        "sente.handle",
        connection = %peer.connection,
        user = ?peer.user,
        %event,
    )
}

pub(crate) fn joined(peer: &Peer, transport: TransportKind, from: &str) {
    debug!(
        name: "sente.joined",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        ?transport,
        from,
        "a connection joined",
    );
}

pub(crate) fn left(peer: &Peer, reason: &CloseReason, from: &str) {
    debug!(
        name: "sente.left",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        %reason,
        from,
        "a connection left",
    );
}

/// A client that sends ids which are not its to send tries something; other bad frames are bugs.
pub(crate) fn bad_event(peer: &Peer, reason: &BadReason) {
    let connection = peer.connection;
    if let BadReason::Reserved(id) = reason {
        warn!(
            name: "sente.reserved_id",
            target: "sente_server",
            %connection,
            user = ?peer.user,
            id,
            "a client sent a reserved id",
        );
    } else {
        debug!(
            name: "sente.bad_event",
            target: "sente_server",
            %connection,
            user = ?peer.user,
            %reason,
            "a frame could not be read",
        );
    }
}

pub(crate) fn refused_events(peer: &Peer, id: &EventId, why: &EventRefusal, count: u64) {
    warn!(
        name: "sente.refused_events",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        event = %id,
        %why,
        count,
        "events of a client were refused",
    );
}

/// Refused for its origin, its token, its rate or whatever else: the reason says.
pub(crate) fn turned_away(remote: Option<&str>, refusal: &Refusal) {
    warn!(
        name: "sente.turned_away",
        target: "sente_server",
        remote,
        reason = %refusal.reason,
        status = refusal.status,
        "a request was not let in",
    );
}

pub(crate) fn no_room(connection: ConnId, from: &str, error: &dyn std::fmt::Display) {
    warn!(
        name: "sente.no_room",
        target: "sente_server",
        %connection,
        from,
        %error,
        "there is no room for a connection",
    );
}

pub(crate) fn lost(connection: ConnId, error: &std::io::Error) {
    debug!(
        name: "sente.lost",
        target: "sente_server",
        %connection,
        %error,
        "a client was gone before its handshake",
    );
}

pub(crate) fn cannot_accept(url: &str, error: &dyn std::fmt::Display) {
    error!(
        name: "sente.cannot_accept",
        target: "sente_server",
        url,
        %error,
        "the next client cannot be taken",
    );
}

pub(crate) fn identity_over(peer: &Peer) {
    info!(
        name: "sente.identity_over",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        "an identity is over",
    );
}

pub(crate) fn no_handler(peer: &Peer, id: &EventId) {
    debug!(
        name: "sente.no_handler",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        event = %id,
        "nobody handles an event",
    );
}

pub(crate) fn handler_failed(peer: &Peer, failure: &HandlerFailure) {
    error!(
        name: "sente.handler_failed",
        target: "sente_server",
        connection = %peer.connection,
        user = ?peer.user,
        event = %failure.event,
        panicked = failure.panicked,
        message = failure.message,
    );
}

/// Presence, and those who do not keep up.
pub(crate) fn hub(event: &HubEvent) {
    match event {
        HubEvent::UidportOpen(user) => info!(
            name: "sente.user_open",
            target: "sente_server",
            %user,
            "a user is connected",
        ),
        HubEvent::UidportClose(user) => info!(
            name: "sente.user_close",
            target: "sente_server",
            %user,
            "a user is not connected any more",
        ),
        HubEvent::SlowConsumer {
            connection,
            user,
            messages,
            bytes,
            lost,
            closed,
        } => warn!(
            name: "sente.slow_consumer",
            target: "sente_server",
            %connection,
            %user,
            messages,
            bytes,
            lost = lost.count,
            closed,
            "a connection does not take what is sent to it",
        ),
        _ => {}
    }
}
