//! WebSockets: the answer to an upgrade, and the connection that follows it.

use bytes::BytesMut;
use http::request::Parts;
use http::{Extensions, Response};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sente_adapters::{TokioLink, WebSocketStart, fresh_conn_id};
use sente_core::UserId;
use sente_core::admission::Refusal;
use sente_core::framing::upgrade::{NotUpgradable, UpgradeRequest};
use smol_str::SmolStr;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::body::SenteBody;
use super::host::{Arrival, ArrivalLink, HttpHost};
use super::message::{not_upgradable, refuse, request_of, respond, tell};
use super::service::Inner;

/// How what is upgraded is taken out of the HTTP server again, so that nothing of it is kept for an
/// idle connection: an extension of the requests on a socket.
#[derive(Clone, Copy)]
pub(super) struct Unwrap(fn(Upgraded) -> (Stream, BytesMut));

pub(super) type Stream = Box<dyn Duplex>;

/// Bytes both ways.
pub(super) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

impl Unwrap {
    /// For a server that speaks on streams of this type.
    pub(super) const fn of<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>() -> Self {
        Self(unwrap::<S>)
    }
}

fn unwrap<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(
    upgraded: Upgraded,
) -> (Stream, BytesMut) {
    match upgraded.downcast::<TokioIo<S>>() {
        Ok(parts) => (
            Box::new(parts.io.into_inner()),
            BytesMut::from(&parts.read_buf[..]),
        ),
        Err(upgraded) => (Box::new(TokioIo::new(upgraded)), BytesMut::new()),
    }
}

impl<H: HttpHost> Inner<H> {
    /// Answers an upgrade. The connection arrives once the client has the answer.
    pub(super) async fn upgrade(
        &self,
        mut parts: Parts,
        upgrade: &UpgradeRequest,
        remote: Option<SmolStr>,
    ) -> Response<SenteBody> {
        if let Err(problem) = upgrade.upgradable {
            return not_upgradable(problem);
        }
        let Some(config) = self.config.websocket.clone() else {
            return tell(404, "There are no WebSockets here");
        };
        #[cfg(feature = "deflate")]
        let agreed = match config.deflate() {
            Some(deflate) => upgrade.agree_deflate(deflate),
            None => upgrade.agree().map(|headers| (headers, None)),
        };
        #[cfg(not(feature = "deflate"))]
        let agreed = upgrade.agree().map(|headers| (headers, ()));
        let (headers, deflate) = match agreed {
            Ok(agreed) => agreed,
            Err(problem) => return not_upgradable(problem),
        };
        let admitted = match self.admit(&parts, remote.clone()).await {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse(&refusal),
        };
        let (admitted, place) = admitted;
        let Some(upgraded) = parts.extensions.remove::<OnUpgrade>() else {
            return not_upgradable(NotUpgradable::HttpVersion);
        };
        let Ok(id) = fresh_conn_id() else {
            return tell(500, "The system has no random bytes");
        };
        let accept = self.host.handshake(id, config.dialect(), &admitted);
        let peer = remote.map_or_else(|| "ws".to_owned(), |remote| format!("ws://{remote}"));
        let mut start = WebSocketStart::new(config, accept, peer);
        start.id = Some(id);
        start.budget.clone_from(&self.config.recv_budget);
        start.record.clone_from(&self.config.record);
        #[cfg(feature = "deflate")]
        {
            start.deflate = deflate;
        }
        #[cfg(not(feature = "deflate"))]
        let () = deflate;
        let unwrap = unwrap_of(&parts.extensions);
        let patience = self.config.upgrade_timeout;
        let host = self.host.clone();
        tokio::spawn(async move {
            let upgraded = match timeout(patience, upgraded).await {
                Ok(Ok(upgraded)) => upgraded,
                Ok(Err(error)) => return tracing::debug!(%error, "an upgrade failed"),
                Err(_) => return tracing::debug!("an upgrade took too long"),
            };
            let (stream, rest) = (unwrap.0)(upgraded);
            start.rest = rest;
            match start.start(Box::new(TokioLink::new(stream))) {
                Ok((handle, events)) => host.arrived(Arrival {
                    id,
                    admitted,
                    place,
                    link: ArrivalLink::WebSocket(handle, events),
                }),
                Err(error) => tracing::warn!(%error, "a connection cannot be started"),
            }
        });
        respond(101, headers, SenteBody::default())
    }

    async fn admit(
        &self,
        parts: &Parts,
        remote: Option<SmolStr>,
    ) -> Result<(sente_core::admission::Admitted, H::Place), Refusal> {
        let mut place = self.host.take_place(remote.as_deref())?;
        let request = request_of(parts, remote);
        let incoming = self.host.check(request, self.config.dialect())?;
        let admitted = self.host.identify(incoming).await?;
        if let Some(user) = &admitted.identity.user {
            self.host.name_user(&mut place, &UserId::from(user))?;
        }
        Ok((admitted, place))
    }
}

fn unwrap_of(extensions: &Extensions) -> Unwrap {
    let known = extensions.get::<Unwrap>().copied();
    known.unwrap_or(const { Unwrap::of::<TcpStream>() })
}
