//! Ajax long polling, both sides, without I/O: where a WebSocket does not get through.
//!
//! A server keeps one [`AjaxSession`] for each user and client id. Every admitted request is an
//! [`AjaxRequest`]: a poll or a post, handed to the session under the name of an [`Exchange`], and
//! answered by exactly one [`Respond`] unless the client gives it up first. The application sees the
//! same events as of a [`Connection`](crate::Connection), and sends and replies in the same way.
//!
//! An [`AjaxClient`] is the other side, one link of a client: it says which requests to make and
//! takes the responses. When it is closed, waiting and beginning anew is for whoever made it.
//!
//! The bodies are frames of the same packers as over WebSocket:
//!
//! | request | answer |
//! | --- | --- |
//! | `GET ?client-id=a&handshake%3F=1` | `[[:chsk/handshake [uid nil data]] nil]` at once |
//! | `GET ?client-id=a` | `[[event ..] nil]`, or `[:chsk/timeout nil]` after 20 s |
//! | `POST` of `[event nil]` | `[:chsk/dummy-cb-200 nil]` at once |
//! | `POST` of `[event :ajax]` | `[reply nil]`, or `[:chsk/timeout nil]` after 20 s |
//!
//! ```
//! use sente_core::admission::{Admission, CsrfCheck, Request};
//! use sente_core::ajax::{AjaxConfig, AjaxRequest, AjaxSession};
//! use sente_core::{ConnectionEvent, Instant};
//!
//! let admission = Admission::new(CsrfCheck::skip());
//! let now = Instant::EPOCH;
//! let post = Request::new("POST", "/chsk")
//!     .with_header("Content-Type", "application/x-www-form-urlencoded")
//!     .with_body("client-id=a&ppstr=%5B%5B%3Achat%2Fask%201%5D%20%3Aajax%5D".into());
//! let admitted = admission.admit(post).unwrap();
//!
//! let config = AjaxConfig::builder().build()?;
//! let mut session = AjaxSession::new(config, admitted.handshake(), [1; 32], now);
//! let exchange = session.handle(now, AjaxRequest::read(&admitted.request)?);
//! while let Some(event) = session.poll_event() {
//!     if let ConnectionEvent::Message(message) = event
//!         && let Some(token) = message.reply
//!     {
//!         session.reply(now, token, "ada")?;
//!     }
//! }
//! let respond = session.poll_respond().unwrap();
//! assert_eq!((respond.exchange, respond.response.status), (exchange, 200));
//! assert_eq!(&respond.response.body[..], b"[\"ada\" nil]");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backlog;
mod client;
mod config;
mod frames;
mod inbox;
mod post;
mod request;
mod reserve;
mod send;
mod session;
mod waiting;

pub use client::{AjaxClient, AjaxClientConfig, AjaxClientConfigBuilder, AjaxSend};
pub use config::{AjaxConfig, AjaxConfigBuilder, AjaxConfigError};
pub use request::{AjaxRequest, BadMethod, Exchange, Poll, Respond, Response};
pub use session::AjaxSession;
