//! `sente connect --reconnect`: a talk that outlives its links.

use std::time::Duration;

use sente_adapters::{ClientEvents, ClientHandle, ClientOptions, Endpoint, Url, keep_connected_to};
use sente_core::{
    ClientEvent, ClientState, CloseReason, ConnectionEvent, Event, SendError, StateChange,
    state::ClientPhase,
};

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::args::ConnectArgs;
use crate::connect::{BATCH, Sink, now, print, read_stdin, send_lines};
use crate::exit::{Exit, Failure, Outcome};
use crate::link::{self, Way, mention_of};
use crate::output::say;
use crate::signals::{DRAIN, Signals};
use crate::text::show_event;

/// Talks to a peer, over one link after the other, until the input has ended.
pub(crate) async fn run(args: ConnectArgs, signals: Signals) -> Outcome {
    let ConnectArgs {
        link: target,
        linger,
        timeout,
        fallback,
        ..
    } = args;
    let urls: Vec<Url> = std::iter::once(target.url.clone())
        .chain(fallback)
        .collect();
    let mut options = ClientOptions::default();
    let mut endpoints = Vec::with_capacity(urls.len());
    for (nth, url) in urls.iter().enumerate() {
        if matches!(Way::of(url), Way::Child | Way::Stdio) {
            return Err(Failure::usage(format!(
                "--reconnect needs a server that can be reached again: ws://, tcp:// or unix:, not {url}"
            )));
        }
        let mut link_options = match nth {
            0 => link::options(&target, Instant::now())?,
            _ => link::options_at(&target, url, Instant::now())?,
        };
        link_options.connect_timeout = Some(timeout);
        let record = link_options.record.take();
        options.record = options.record.or(record);
        endpoints.push(Endpoint::new(url.clone(), link_options));
    }
    let (client, events) = keep_connected_to(options, endpoints).map_err(Failure::other)?;
    let sender = tokio::spawn(send_lines(Patient(client.clone()), read_stdin()));
    let way = Way::of(&target.url);
    let talk = Talk {
        client,
        events,
        way,
        peer: target.url.to_string(),
        urls,
        next: None,
        sender,
        linger: linger.unwrap_or_else(|| way.linger()),
        signals,
        lost: false,
        said_calls: false,
    };
    talk.run().await
}

/// Sends on whatever link there is, and waits for one where there is none.
struct Patient(ClientHandle);

impl Sink for Patient {
    async fn send(&self, event: Event) -> Result<Result<(), String>, Failure> {
        let mut event = event;
        let mut states = self.0.states();
        loop {
            states.mark_unchanged();
            self.0.opened().await.map_err(ended)?;
            match self.0.send(event).await {
                Ok(()) => return Ok(Ok(())),
                Err(SendError::NotOpen(back)) => event = *back,
                Err(error) => return Ok(Err(error.to_string())),
            }
            // A link that takes no more may still count as open for a while.
            if states.changed().await.is_err() {
                return Err(ended(CloseReason::Requested));
            }
        }
    }

    async fn flush(&self) -> Result<(), Failure> {
        let mut states = self.0.states();
        loop {
            states.mark_unchanged();
            self.0.opened().await.map_err(ended)?;
            // What a lost link had not written is told when it comes back.
            if self.0.flush().await.is_ok() {
                return Ok(());
            }
            if states.changed().await.is_err() {
                return Err(ended(CloseReason::Requested));
            }
        }
    }
}

/// The receiving side of a talk, and its end.
struct Talk {
    client: ClientHandle,
    events: ClientEvents,
    peer: String,
    /// Where to connect to, in this order.
    urls: Vec<Url>,
    /// Where the next attempt goes to, if that is elsewhere.
    next: Option<usize>,
    /// Sends the lines; ends at the end of the input with whether a line was bad.
    sender: JoinHandle<Result<bool, Failure>>,
    way: Way,
    linger: Duration,
    signals: Signals,
    /// Whether something was not delivered.
    lost: bool,
    said_calls: bool,
}

impl Talk {
    async fn run(mut self) -> Outcome {
        let mut signals = self.signals.clone();
        let mut asked = false;
        let mut sent = None;
        // When the link is drained, and when it is cut.
        let mut drain_at = None;
        let mut cut_at = None;
        let reason = loop {
            let until = drain_at.or(cut_at);
            tokio::select! {
                event = self.events.next() => {
                    let Some(event) = event else { break CloseReason::Requested };
                    let mut batch = String::new();
                    let mut end = self.take(event, &mut batch);
                    while end.is_none() && batch.len() < BATCH {
                        let Some(Some(event)) = now(self.events.next()) else { break };
                        end = self.take(event, &mut batch);
                    }
                    if !print(&batch)? {
                        // Nobody reads the output any more.
                        self.client.disconnect();
                        return Ok(Exit::Success);
                    }
                    if let Some(reason) = end {
                        break reason;
                    }
                }
                joined = &mut self.sender, if sent.is_none() => {
                    sent = Some(joined.unwrap_or_else(|error| Err(Failure::other(error))));
                    // There is nothing more to come back for.
                    self.client.set_auto_reconnect(false);
                    if self.way == Way::WebSocket {
                        drain_at = Some(Instant::now() + self.linger);
                    } else {
                        // The half-close tells the peer; this side reads on.
                        self.client.drain(self.linger + DRAIN);
                        cut_at = Some(Instant::now() + self.linger);
                    }
                }
                () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                    if drain_at.take().is_none() {
                        self.client.disconnect();
                        break CloseReason::Requested;
                    }
                    self.client.drain(DRAIN);
                    cut_at = Some(Instant::now() + DRAIN);
                }
                () = signals.asked(), if !asked => {
                    asked = true;
                    self.sender.abort();
                    sent.get_or_insert(Ok(false));
                    self.client.drain(DRAIN);
                    drain_at = None;
                    cut_at = Some(Instant::now() + DRAIN);
                }
            }
        };
        match sent {
            _ if !reason.is_clean() => Err(Failure::closed(format!("{}: {reason}", self.peer))),
            Some(Err(failure)) => Err(failure),
            _ if self.lost => Err(Failure::closed("not everything was delivered")),
            Some(Ok(true)) => Ok(Exit::Usage),
            Some(Ok(false)) | None => Ok(Exit::Success),
        }
    }

    /// Takes one thing that happened; what is to be printed is appended to `batch`. Why the client
    /// is closed, once it is.
    fn take(&mut self, event: ClientEvent, batch: &mut String) -> Option<CloseReason> {
        match event {
            ClientEvent::Link(ConnectionEvent::Message(message)) => {
                batch.push_str(&show_event(&message.event));
                batch.push('\n');
                if let Some(token) = message.reply {
                    self.client.forget(token);
                    if !std::mem::replace(&mut self.said_calls, true) {
                        say!("the peer asks for replies; they are printed and not answered");
                    }
                }
            }
            ClientEvent::Link(event) => {
                self.lost |= matches!(event, ConnectionEvent::Undelivered(_));
                mention_of(&self.peer, event, |token| self.client.reply_error(token));
            }
            ClientEvent::Reopened(_) => say!("connected to {} again", self.peer),
            ClientEvent::EndpointChanged(change) => {
                self.next = Some(change.new);
                if change.reason.is_none() {
                    say!("leaving {} for {}", change.old_name, change.new_name);
                    self.move_on();
                }
            }
            ClientEvent::StateChanged(change) => {
                self.say_wait(&change);
                if let ClientState::Closed(reason) = change.new {
                    return Some(reason);
                }
            }
            other => tracing::debug!(peer = %self.peer, event = ?other),
        }
        None
    }

    /// Says that a link was lost or could not be had, and when the next attempt is due.
    fn say_wait(&mut self, change: &StateChange) {
        if change.new.phase() != ClientPhase::Waiting {
            return;
        }
        let next = match self.client.next_attempt_in() {
            Some(wait) if wait > SHORTEST => {
                let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                let wait = humantime::format_duration(Duration::from_millis(millis));
                format!("next attempt in {wait}")
            }
            _ => "next attempt at once".to_owned(),
        };
        let left = self.peer.clone();
        let next = match self.move_on() {
            true => format!("{next}, at {}", self.peer),
            false => next,
        };
        match &change.reason {
            Some(reason @ CloseReason::ConnectFailed(_)) => say!("{reason}; {next}"),
            Some(reason) => say!("lost {left}: {reason}; {next}"),
            None => say!("lost {left}; {next}"),
        }
    }

    /// Goes where the next attempt goes to, if that is elsewhere. Whether it is.
    fn move_on(&mut self) -> bool {
        let Some(url) = self.next.take().and_then(|next| self.urls.get(next)) else {
            return false;
        };
        self.way = Way::of(url);
        self.peer = url.to_string();
        true
    }
}

fn ended(reason: CloseReason) -> Failure {
    Failure::closed(format!(
        "the connection ended before everything was written: {reason}"
    ))
}

/// A wait not worth a number.
const SHORTEST: Duration = Duration::from_millis(1);
