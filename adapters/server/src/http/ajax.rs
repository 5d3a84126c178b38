//! Polls and posts: who asks, which session is meant, and its answer.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes};
use http::Response;
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http_body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use sente_adapters::{AjaxPort, AjaxStart, fresh_conn_id};
use sente_core::admission::{Admitted, Refusal, Request};
use sente_core::ajax::{AjaxConfig, AjaxRequest, Poll};
use sente_core::{Dialect, UserId};
use smol_str::SmolStr;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout, timeout_at};

use super::body::{LastAnswer, SenteBody};
use super::host::{Arrival, ArrivalLink, HttpHost};
use super::message::{refuse, request_of, respond, tell};
use super::service::{BODY_UNIT, Inner};
use super::sessions::Owner;

impl<H: HttpHost> Inner<H> {
    /// Answers a poll: at once, or when there is something to tell.
    pub(super) async fn poll(
        &self,
        parts: Parts,
        remote: Option<SmolStr>,
        last: Option<LastAnswer>,
    ) -> Response<SenteBody> {
        let request = request_of(&parts, remote);
        // A poll that waits holds no more than it needs.
        drop(parts);
        self.exchange(request, last)
            .await
            .unwrap_or_else(|refusal| refuse(&refusal))
    }

    /// Answers a post: at once, or when the application replies.
    pub(super) async fn post<B>(
        &self,
        parts: Parts,
        body: B,
        remote: Option<SmolStr>,
        last: Option<LastAnswer>,
    ) -> Response<SenteBody>
    where
        B: Body + Send,
        B::Data: Buf + Send,
    {
        let Some(config) = &self.config.ajax else {
            return tell(404, "There is no Ajax here");
        };
        match self.read(&parts, body, config.max_body_bytes()).await {
            // The room is held until the session has the message.
            Ok((body, _room)) => {
                let request = request_of(&parts, remote).with_body(body);
                drop(parts);
                self.exchange(request, last)
                    .await
                    .unwrap_or_else(|refusal| refuse(&refusal))
            }
            Err(response) => response,
        }
    }

    async fn exchange(
        &self,
        request: Request,
        last: Option<LastAnswer>,
    ) -> Result<Response<SenteBody>, Refusal> {
        let (port, asked) = self.session(request).await?;
        if let AjaxRequest::Post(_) = asked {
            // A post that still finds no room is answered by the session.
            let _ = timeout(self.config.behind_timeout, port.wants_post()).await;
        }
        let answer = port.answer(asked).await;
        let response = answer.response();
        let (status, headers) = (response.status, response.headers());
        let body = SenteBody::of_answer(answer, last);
        Ok(respond(status, headers, body))
    }

    /// Lets a request in, and finds the session it is for or begins one.
    async fn session(&self, request: Request) -> Result<(AjaxPort, AjaxRequest), Refusal> {
        let Some(config) = &self.config.ajax else {
            return Err(Refusal::new(404, "There is no Ajax here"));
        };
        // A new client counts before anything costly is done for it.
        let client_id = request.client_id();
        let known = client_id.is_some_and(|id| self.sessions.knows(&id));
        let remote = request.remote().map(SmolStr::new);
        let mut place = if known {
            None
        } else {
            Some(self.host.take_place(remote.as_deref())?)
        };
        let incoming = self.host.check(request, Dialect::Sente)?;
        let admitted = self.host.identify(incoming).await?;
        let Some(client_id) = admitted.client_id.clone() else {
            return Err(Refusal::new(400, "A client that polls needs a client-id"));
        };
        let asked = AjaxRequest::read(&admitted.request)
            .map_err(|_| Refusal::new(405, "This endpoint takes GET and POST"))?;
        let owner = Owner {
            client_id,
            user: admitted.identity.user.as_ref().map(UserId::from),
        };
        if let Some(port) = self.sessions.find(&owner) {
            self.greet(&port, &asked, &admitted);
            return Ok((port, asked));
        }
        let mut taken = match place.take() {
            Some(place) => place,
            None => self.host.take_place(remote.as_deref())?,
        };
        if let Some(user) = &owner.user {
            self.host.name_user(&mut taken, user)?;
        }
        let admitted_now = admitted.clone();
        let start = || self.start(config, admitted, taken, remote.as_deref());
        let (port, arrival) = self
            .sessions
            .find_or_start(owner, start)
            .map_err(|error| Refusal::new(500, &error.to_string()))?;
        match arrival {
            Some(arrival) => self.host.arrived(arrival),
            // Another request of the same client was faster.
            None => self.greet(&port, &asked, &admitted_now),
        }
        Ok((port, asked))
    }

    /// Has the handshake, if one is asked for, say what holds now.
    fn greet(&self, port: &AjaxPort, asked: &AjaxRequest, admitted: &Admitted) {
        if let AjaxRequest::Poll(Poll::Handshake) = asked {
            port.accept(self.host.handshake(port.id(), Dialect::Sente, admitted));
        }
    }

    fn start(
        &self,
        config: &Arc<AjaxConfig>,
        admitted: Admitted,
        place: H::Place,
        remote: Option<&str>,
    ) -> io::Result<(AjaxPort, Arrival<H::Place>)> {
        let id = fresh_conn_id()?;
        let accept = self.host.handshake(id, Dialect::Sente, &admitted);
        let peer = remote.map_or_else(|| "ajax".to_owned(), |remote| format!("ajax://{remote}"));
        let mut start = AjaxStart::new(config.clone(), accept, peer);
        start.id = Some(id);
        start.budget.clone_from(&self.config.recv_budget);
        let (port, handle, events) = AjaxPort::start(start)?;
        let arrival = Arrival {
            id,
            admitted,
            place,
            link: ArrivalLink::Ajax(handle, events),
        };
        Ok((port, arrival))
    }

    /// Reads a body of `limit` bytes at the most, once there is room for it.
    async fn read<B>(
        &self,
        parts: &Parts,
        body: B,
        limit: usize,
    ) -> Result<(Bytes, OwnedSemaphorePermit), Response<SenteBody>>
    where
        B: Body + Send,
        B::Data: Buf + Send,
    {
        let too_large = || tell(413, "The body is too large");
        let too_slow = || tell(408, "The body took too long");
        let declared = declared_length(parts);
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let deadline = Instant::now() + self.config.body_timeout;
        let most = self.config.max_bodies_bytes.div_ceil(BODY_UNIT).max(1);
        let wanted = declared.unwrap_or(limit).div_ceil(BODY_UNIT).min(most);
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let acquired = timeout_at(deadline, self.bodies.clone().acquire_many_owned(wanted)).await;
        let Ok(Ok(room)) = acquired else {
            let busy = Refusal::new(503, "The server reads as much as it can");
            return Err(refuse(&busy.with_header("Retry-After", "1")));
        };
        let reading = timeout_at(deadline, read_all(body, limit)).await;
        match reading {
            Err(_) => Err(too_slow()),
            Ok(Ok(bytes)) => Ok((bytes, room)),
            Ok(Err(Unread::TooLarge)) => Err(too_large()),
            Ok(Err(Unread::Broken)) => Err(tell(400, "The body ended early")),
        }
    }
}

/// Why there is no body.
enum Unread {
    Broken,
    TooLarge,
}

async fn read_all<B>(body: B, limit: usize) -> Result<Bytes, Unread>
where
    B: Body + Send,
    B::Data: Buf + Send,
{
    // What a body fails with is for its own server to log.
    let body = body.map_err(|_| io::Error::other("the body broke off"));
    let body = std::pin::pin!(body);
    match Limited::new(body, limit).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Err(_) => Err(Unread::Broken),
    }
}

/// How long the body says it is.
fn declared_length(parts: &Parts) -> Option<usize> {
    let length = parts.headers.get(CONTENT_LENGTH)?;
    length.to_str().ok()?.parse().ok()
}
