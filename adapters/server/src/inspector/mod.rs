//! A page that shows a server from inside: who is connected, channels, rates, what waits and what is
//! dropped, the last events, and a box to send one. Off unless asked for.
//!
//! The files of an [`InspectorPage`] are served by whoever serves pages, or with the feature `http` by
//! a `tower::Service` to mount at a path. The page speaks with the server by ordinary events over its
//! WebSocket, which an [`Inspector`] answers. Who may look is for the application to say, of every
//! event. Payloads are hidden unless a [`Redaction`] shows them.
//!
//! | event | direction | data |
//! | --- | --- | --- |
//! | `:inspector/subscribe` | a call of the page | `{:events true}` to be sent the log, too; the reply is `{:version 1, :every-ms 1000, :can-send false}` |
//! | `:inspector/snapshot` | to the page, each second | what [`Snapshots::next`] makes |
//! | `:inspector/events` | to the page, where there are new ones | what [`EventLog::since`] gives |
//! | `:inspector/send` | a call of the page | `{:to {:user "ada"}, :event [:chat/notice {:text "hi"}]}`; `:to` is `:all`, or a map with `:user`, `:connection` or `:channel`. The reply is `{:connections 2, :kept 0, :waits false}`, or `{:error :no-such-connection}` |
//! | `:inspector/unsubscribe` | of the page | |
//!
//! Who may not look is answered `:chsk/error`.

mod assets;
mod log;
mod overview;
#[cfg(feature = "http")]
mod page;
mod request;
mod service;

pub use assets::{Asset, InspectorPage, sente_js};
pub use log::{EventLog, Logged, LoggedKind, Redaction, Shown};
pub use overview::{ConnectionRow, Overview, Snapshots};
#[cfg(feature = "http")]
pub use page::PageService;
pub use service::{Inspector, InspectorConfig};
