//! Sente's endpoint over HTTP: WebSockets by upgrade, and Ajax long polling.
//!
//! [`SenteService`] is a `tower::Service` that answers the requests of Sente's clients, for any HTTP
//! server; [`serve()`] is a small one, and with the feature `axum` there is a `router`. It decides
//! nothing: an [`HttpHost`] lets clients in, and takes each as an [`Arrival`] with a `Handle` and
//! `Events`. The [`Server`](crate::Server) is one; [`Door`] is a host of rules and limits alone.
//!
//! [`CsrfTokens`] tells pages their CSRF token, and [`CsrfLayer`] checks it for endpoints of one's
//! own.

mod ajax;
mod body;
mod config;
mod cors;
mod csrf;
mod door;
mod host;
mod message;
#[cfg(feature = "axum")]
mod router;
mod serve;
mod server;
mod service;
mod sessions;
mod upgrade;

pub use body::SenteBody;
pub use config::{HttpConfig, HttpConfigError, Remote, RemoteAddress};
pub use csrf::{CsrfGuarded, CsrfLayer, CsrfTokens};
pub use door::{Arrivals, Door, DoorPlace};
pub use host::{Arrival, ArrivalLink, HttpHost};
#[cfg(feature = "axum")]
pub use router::router;
pub use serve::{ServeOptions, serve, serve_stream, serve_with};
pub use server::ServerPlace;
pub use service::SenteService;
