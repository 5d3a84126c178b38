//! The way to a peer: which flags fit which URL, connecting, and what is said about a link on
//! standard error.

use std::collections::VecDeque;
use std::time::Duration;

use sente_adapters::{
    Address, ChildOptions, ConnectError, ConnectOptions, End, Events, Handle, Recordings, Security,
    Url, connect,
};
use sente_core::{BadEvent, CloseReason, ConnectionEvent, Dialect, ReplyError, ReplyToken};
use tokio::time::{Instant, timeout, timeout_at};

use crate::args::{LinkArgs, PackerName, TlsArgs};
use crate::exit::{Exit, Failure};
use crate::output::{escape, say};
use crate::tls;

/// What kind of way a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// A child process on pipes.
    Child,
    /// One's own standard input and output.
    Stdio,
    /// A socket that carries lines.
    Stream,
    /// A WebSocket.
    WebSocket,
}

impl Way {
    /// The way `url` names.
    pub(crate) fn of(url: &Url) -> Self {
        match url.address {
            Address::Exec(_) => Self::Child,
            Address::Stdio => Self::Stdio,
            Address::Ws(_) => Self::WebSocket,
            _ => Self::Stream,
        }
    }

    /// How long the peer is waited for after the end of input, unless told otherwise.
    pub(crate) const fn linger(self) -> Duration {
        match self {
            // It may not have started yet, and it ends when it has read everything.
            Self::Child => Duration::from_secs(10),
            Self::Stdio | Self::Stream | Self::WebSocket => Duration::from_secs(1),
        }
    }
}

/// An open connection of this process to a peer.
#[derive(Debug)]
pub(crate) struct Link {
    /// What is sent goes here.
    pub(crate) handle: Handle,
    events: Events,
    /// What came before the link was open.
    early: VecDeque<ConnectionEvent>,
}

impl Link {
    /// Connects and waits until events can be sent.
    ///
    /// # Errors
    /// A failure with its exit code: usage for flags that do not fit the URL, timeout, or closed.
    pub(crate) async fn open(args: &LinkArgs, deadline: Instant) -> Result<Self, Failure> {
        let options = options(args, deadline)?;
        let url = &args.url;
        let late = || Failure::timeout(format!("no connection to {url} in time"));
        let (handle, events) = match connect(url, &options).await {
            Ok(link) => link,
            Err(ConnectError::Timeout(_)) => return Err(late()),
            Err(error) => return Err(refused(url, &error)),
        };
        let mut link = Self {
            handle,
            events,
            early: VecDeque::new(),
        };
        match timeout_at(deadline, link.wait_until_open()).await {
            Ok(Ok(())) => Ok(link),
            Ok(Err(reason)) => Err(link.ended(&reason).await),
            Err(_) => {
                link.handle.close();
                Err(late())
            }
        }
    }

    /// The next thing that happened; `None` after the end.
    ///
    /// # Cancel safety
    /// Safe: nothing is lost.
    pub(crate) async fn next(&mut self) -> Option<ConnectionEvent> {
        match self.early.pop_front() {
            Some(event) => Some(event),
            None => self.events.next().await,
        }
    }

    /// Reads on in the background, so that replies come through; what is no reply is only
    /// mentioned.
    pub(crate) fn listen_only(mut self) -> Handle {
        let handle = self.handle.clone();
        tokio::spawn(async move {
            while let Some(event) = self.next().await {
                if let ConnectionEvent::Message(message) = event {
                    tracing::info!(event = %message.event.id, "an event nobody asked for");
                    if let Some(token) = message.reply {
                        self.handle.forget(token);
                    }
                } else {
                    mention(&self.handle, event);
                }
            }
        });
        handle
    }

    async fn wait_until_open(&mut self) -> Result<(), CloseReason> {
        while self.handle.opened().is_none() {
            match self.events.next().await {
                Some(ConnectionEvent::Opened(_)) => return Ok(()),
                Some(ConnectionEvent::Closed(reason)) => return Err(reason),
                Some(event) => self.early.push_back(event),
                None => return Err(CloseReason::Eof),
            }
        }
        Ok(())
    }

    async fn ended(&mut self, reason: &CloseReason) -> Failure {
        for event in std::mem::take(&mut self.early) {
            mention(&self.handle, event);
        }
        let end = timeout(LAST_WORDS, self.handle.ended()).await.ok();
        let status = end.as_ref().and_then(exit_status).unwrap_or_default();
        let exit = match reason {
            CloseReason::HandshakeTimeout => Exit::Timeout,
            _ => Exit::Closed,
        };
        let peer = self.handle.peer();
        Failure::new(
            exit,
            format!("{peer} ended before the handshake: {reason}{status}"),
        )
    }
}

/// Ends a link in order: writes what is queued, lets a child or stream finish, then cuts.
pub(crate) async fn close(handle: &Handle, patience: Duration) -> Option<End> {
    handle.drain(patience);
    let to_end = match handle.pid() {
        Some(_) => patience + ChildOptions::default().kill_grace,
        None => patience,
    };
    match timeout(to_end + LAST_WORDS, handle.ended()).await {
        Ok(end) => Some(end),
        Err(_) => {
            // A child that ignores the end of its input is killed, and waited for all the same.
            handle.kill();
            timeout(LAST_WORDS, handle.ended()).await.ok()
        }
    }
}

/// Why a connection that should be open is not any more.
pub(crate) async fn why_closed(handle: &Handle) -> String {
    match timeout(LAST_WORDS, handle.ended()).await {
        Ok(end) => {
            let status = exit_status(&end).unwrap_or_default();
            format!("{}{status}", end.reason)
        }
        Err(_) => "it is closing".to_owned(),
    }
}

/// Why nothing more will come. A peer that has ended its side, a child above all, may wait for the
/// end of this one before it is gone: it gets that.
pub(crate) async fn why_ended(handle: &Handle) -> String {
    handle.drain(Duration::ZERO);
    let end = timeout(LAST_WORDS, handle.ended()).await.ok();
    let status = end.as_ref().and_then(exit_status).unwrap_or_default();
    match end {
        Some(end) if end.reason != CloseReason::Requested => format!("{}{status}", end.reason),
        _ => format!("{}{status}", CloseReason::Eof),
    }
}

/// How a child ended, if there was one and it did not end well.
pub(crate) fn exit_status(end: &End) -> Option<String> {
    let status = end.exit?;
    (!status.success()).then(|| format!(" ({status})"))
}

/// Says on standard error what an operator should know of; answers what waits in vain.
pub(crate) fn mention(handle: &Handle, event: ConnectionEvent) {
    mention_of(handle.peer(), event, |token| handle.reply_error(token));
}

/// The same of a peer for which there is another way to answer that there is no reply.
pub(crate) fn mention_of(
    peer: &str,
    event: ConnectionEvent,
    refuse: impl FnOnce(ReplyToken) -> Result<(), ReplyError>,
) {
    match event {
        ConnectionEvent::BadEvent(bad) => {
            let BadEvent {
                reason,
                excerpt,
                frame_len,
                reply,
                ..
            } = *bad;
            let shown = escape(&excerpt, EXCERPT);
            if shown.is_empty() {
                say!("bad frame from {peer}: {reason}");
            } else {
                say!("bad frame from {peer}: {reason} ({frame_len} bytes): {shown}");
            }
            if let Some(Err(error)) = reply.map(refuse) {
                tracing::debug!("{peer} has left: {error}");
            }
        }
        ConnectionEvent::BadEventsSuppressed(count) => {
            say!("{count} more bad frames from {peer}");
        }
        ConnectionEvent::Undelivered(events) => {
            say!("{} events were not delivered to {peer}", events.len());
        }
        ConnectionEvent::LargeFrame { size, received } => {
            let which = if received { "from" } else { "to" };
            tracing::warn!("a large frame {which} {peer}: {size} bytes");
        }
        other => tracing::debug!(%peer, event = ?other),
    }
}

/// The options for connecting, if the flags fit the URL.
pub(crate) fn options(args: &LinkArgs, deadline: Instant) -> Result<ConnectOptions, Failure> {
    let way = Way::of(&args.url);
    if way != Way::WebSocket {
        let misplaced = [
            ("--csrf-token", args.csrf_token.is_some()),
            ("--param", !args.param.is_empty()),
            ("--header", !args.header.is_empty()),
        ];
        if let Some((flag, _)) = misplaced.iter().find(|(_, given)| *given) {
            return Err(Failure::usage(format!(
                "{flag} belongs to the upgrade request of a WebSocket: it works with ws:// URLs \
                 only, not with {}",
                args.url
            )));
        }
    }
    if way == Way::Child && args.client_id.is_some() {
        return Err(Failure::usage(
            "--client-id is what a client calls itself, and with exec: the child is the client",
        ));
    }
    let mut options = ConnectOptions::default();
    options.record = args.record.clone().map(Recordings::new);
    // A client-id parameter means Sente, wherever it comes from.
    let implied = (way == Way::WebSocket && args.client_id.is_some()).then_some(Dialect::Sente);
    options.dialect = args.dialect.map(Dialect::from).or(implied);
    options.packer = args.packer.clone().map(PackerName::into_packer);
    options.client_id.clone_from(&args.client_id);
    options.csrf_token.clone_from(&args.csrf_token);
    options.params.clone_from(&args.param);
    let dialect = options
        .dialect
        .unwrap_or_else(|| args.url.default_dialect());
    if let (Dialect::SenteLite, Some(token)) = (dialect, &args.csrf_token) {
        // sente-lite has no such parameter of its own; a server that asks for it finds it.
        options
            .params
            .push(("csrf-token".to_owned(), token.clone()));
    }
    options.headers.clone_from(&args.header);
    #[cfg(feature = "tls")]
    {
        options.tls = tls::of_client(&args.url, &args.tls)?;
    }
    #[cfg(not(feature = "tls"))]
    tls::of_client(&args.url, &args.tls)?;
    options.connect_timeout = Some(deadline.saturating_duration_since(Instant::now()));
    Ok(options)
}

/// The options for connecting to `url` where `args` name another: with the flags that fit it.
pub(crate) fn options_at(
    args: &LinkArgs,
    url: &Url,
    deadline: Instant,
) -> Result<ConnectOptions, Failure> {
    let mut args = args.clone();
    args.url = url.clone();
    if Way::of(url) != Way::WebSocket {
        args.csrf_token = None;
        args.param.clear();
        args.header.clear();
    }
    let is_secure = match &url.address {
        Address::Tls { .. } => true,
        Address::Ws(at) => at.security == Security::Tls,
        _ => false,
    };
    if !is_secure {
        args.tls = TlsArgs::default();
    }
    options(&args, deadline)
}

fn refused(url: &Url, error: &ConnectError) -> Failure {
    let exit = match error {
        ConnectError::Config(_) => Exit::Usage,
        ConnectError::NoHandshake { .. } | ConnectError::Timeout(_) => Exit::Timeout,
        _ => Exit::Closed,
    };
    let message = format!("cannot connect to {url}: {error}");
    let hint = tls::hint(&message);
    Failure::new(exit, message + hint)
}

/// How many bytes of a bad frame are shown.
const EXCERPT: usize = 200;

/// How long a closed link may take to say why, an ended child to be collected.
const LAST_WORDS: Duration = Duration::from_millis(500);
