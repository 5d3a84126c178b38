//! `sente call` and `sente send`: one event to a peer, with and without a reply.

use std::time::Duration;

use sente_adapters::{CallFailure, Handle};
use sente_core::{CallError, Event, SendError};
use tokio::time::{Instant, timeout_at};

use crate::args::{EventArgs, LinkArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::link::{self, Link, Way};
use crate::output::{put, say};
use crate::signals::Signals;
use crate::text::{read_event, show_payload};

/// Calls a peer and prints its reply.
pub(crate) async fn call(args: EventArgs, mut signals: Signals) -> Outcome {
    let event = event(&args.event)?;
    call_once(&args, event, &mut signals).await
}

/// Sends a peer one event.
pub(crate) async fn send(args: EventArgs, mut signals: Signals) -> Outcome {
    let event = event(&args.event)?;
    send_once(&args, event, &mut signals).await
}

async fn call_once(args: &EventArgs, event: Event, signals: &mut Signals) -> Outcome {
    let interrupted = || Failure::other("interrupted before the reply came");
    let deadline = Instant::now() + args.timeout;
    let handle = tokio::select! {
        link = Link::open(&args.link, deadline) => link?.listen_only(),
        () = signals.asked() => return Err(interrupted()),
    };
    let left = deadline.saturating_duration_since(Instant::now());
    let answered = tokio::select! {
        answered = handle.call(event, left) => answered,
        () = signals.asked() => {
            link::close(&handle, PATIENCE).await;
            return Err(interrupted());
        }
    };
    let reply = match answered {
        Ok(reply) => reply,
        Err(failure) => {
            let failure = call_failure(&handle, failure, args.timeout).await;
            link::close(&handle, Duration::ZERO).await;
            return Err(failure);
        }
    };
    let shown = show_payload(&reply).map_err(Failure::other)?;
    print(&args.link, &shown)?;
    link::close(&handle, PATIENCE).await;
    Ok(Exit::Success)
}

async fn send_once(args: &EventArgs, event: Event, signals: &mut Signals) -> Outcome {
    let interrupted = || Failure::other("interrupted before the event was written");
    let deadline = Instant::now() + args.timeout;
    let handle = tokio::select! {
        link = Link::open(&args.link, deadline) => link?.listen_only(),
        () = signals.asked() => return Err(interrupted()),
    };
    let written = async {
        match handle.send(event).await {
            Ok(()) => {}
            Err(SendError::NotOpen(_)) => return Err(not_written(&handle).await),
            Err(error) => return Err(Failure::other(format!("the event is not sent: {error}"))),
        }
        match handle.flush().await {
            Ok(()) => Ok(()),
            Err(_) => Err(not_written(&handle).await),
        }
    };
    let written = tokio::select! {
        written = timeout_at(deadline, written) => written,
        () = signals.asked() => Ok(Err(interrupted())),
    };
    let outcome = match written {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::timeout(format!(
            "the event could not be written within {}",
            humantime::format_duration(args.timeout)
        ))),
    };
    let patience = if outcome.is_ok() {
        PATIENCE
    } else {
        Duration::ZERO
    };
    link::close(&handle, patience).await;
    outcome.map(|()| Exit::Success)
}

/// The event of the command line.
fn event(text: &str) -> Result<Event, Failure> {
    match read_event(text.as_bytes()) {
        Ok(Some(event)) => Ok(event),
        Ok(None) => Err(Failure::usage(
            "the event is empty; write one such as '[:test/echo {:a 1}]'",
        )),
        Err(message) => Err(Failure::usage(format!("the event is no event: {message}"))),
    }
}

async fn call_failure(handle: &Handle, failure: CallFailure, timeout: Duration) -> Failure {
    match failure {
        CallFailure::Failed(CallError::Timeout) => Failure::timeout(format!(
            "no reply within {}",
            humantime::format_duration(timeout)
        )),
        CallFailure::Failed(CallError::Closed) | CallFailure::Refused(SendError::NotOpen(_)) => {
            let reason = link::why_ended(handle).await;
            Failure::closed(format!("the connection ended before the reply: {reason}"))
        }
        CallFailure::Failed(error) => Failure::other(error),
        CallFailure::Refused(error) => Failure::other(format!("the event is not sent: {error}")),
    }
}

async fn not_written(handle: &Handle) -> Failure {
    let reason = link::why_closed(handle).await;
    Failure::closed(format!(
        "the connection ended before the event was written: {reason}"
    ))
}

/// Prints a reply: on standard output, unless that is the link itself.
fn print(args: &LinkArgs, text: &str) -> Result<(), Failure> {
    if Way::of(&args.url) == Way::Stdio {
        say!("{text}");
        return Ok(());
    }
    put(format!("{text}\n").as_bytes())
        .map(|_| ())
        .map_err(|error| Failure::other(format!("cannot print the reply: {error}")))
}

/// How long the peer may take to see the end of the link.
const PATIENCE: Duration = Duration::from_secs(1);
