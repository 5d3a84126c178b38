//! `sente bench`: how quickly a server answers, as a client sees it.

mod histogram;
mod report;

use std::collections::VecDeque;
use std::io::{IsTerminal, stderr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sente_adapters::{CallFailure, Handle};
use sente_core::edn::{Map, Value};
use sente_core::{CallError, ConnectionEvent, Dialect, Event, EventId, SendError};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::args::BenchArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::link::{self, Link, Way};
use crate::output::{put, say};
use crate::signals::Signals;
use crate::text;

use histogram::Histogram;
use report::Report;

/// Keeps a server busy for a while, and prints what came of it.
pub(crate) async fn run(args: BenchArgs, mut signals: Signals) -> Outcome {
    if Way::of(&args.link.url) == Way::Stdio {
        return Err(Failure::usage(
            "bench prints its result on standard output, and with stdio: that is the link; \
             write exec:COMMAND to load a child",
        ));
    }
    let load = Arc::new(Load::of(&args)?);
    let links = tokio::select! {
        links = open(&args, &load) => links?,
        () = signals.asked() => return Err(Failure::other("interrupted while connecting")),
    };
    let handles: Vec<Handle> = links.iter().map(|link| link.handle.clone()).collect();
    let begun = Instant::now();
    let measured_from = begun + args.warm_up;
    let until = measured_from + args.duration;
    // A program that reads standard error wants to hear of problems only.
    if stderr().is_terminal() {
        say!(
            "measuring for {}, after a warm-up of {}; Ctrl-C ends it and prints what there is",
            humantime::format_duration(args.duration),
            humantime::format_duration(args.warm_up),
        );
    }
    let mut workers = JoinSet::new();
    for link in links {
        load.begin(link, measured_from, until, &mut workers);
    }
    let mut tally = Tally::new();
    let (mut last, mut failure) = (None, None);
    loop {
        let worked = tokio::select! {
            worked = workers.join_next() => worked,
            () = signals.asked(), if last.is_none() => {
                // What has been measured by now is worth saying; who still waits is not waited for.
                last = Some(load.end());
                continue;
            }
            () = sleep_until(last.unwrap_or(begun)), if last.is_some() => break,
        };
        match worked {
            Some(Ok((worked, problem))) => {
                tally.add(&worked);
                if let Some(problem) = problem
                    && failure.is_none()
                {
                    // So it is where a connection ends: the others are asked no more.
                    failure = Some(problem);
                    last = last.or_else(|| Some(load.end()));
                }
            }
            Some(Err(error)) => return Err(Failure::other(format!("a worker failed: {error}"))),
            None => break,
        }
    }
    let took = Instant::now()
        .saturating_duration_since(measured_from)
        .min(args.duration);
    let report = report(&args, &load, &handles, tally, took);
    workers.shutdown().await;
    for handle in &handles {
        handle.drain(Duration::ZERO);
    }
    if let Some(handle) = handles.first() {
        link::close(handle, Duration::from_millis(200)).await;
    }
    match failure {
        None => print(&args, &report),
        Some(failure) => {
            if report.latency.count() > 0 {
                print(&args, &report)?;
            }
            Err(failure)
        }
    }
}

/// What is asked, and how the answer is known.
struct Load {
    event: Event,
    answer: Option<EventId>,
    window: usize,
    timeout: Duration,
    /// Nothing more is to be asked.
    over: AtomicBool,
}

impl Load {
    fn of(args: &BenchArgs) -> Result<Self, Failure> {
        let id = |text: &str| {
            let id = EventId::new(text.strip_prefix(':').unwrap_or(text));
            id.map_err(|error| Failure::usage(format!("{text:?} names no event: {error}")))
        };
        let text = "x".repeat(args.size as usize);
        let data = Value::from(Map::from([(text::keyword("text"), Value::from(text))]));
        Ok(Self {
            event: Event::new(id(&args.event)?, data),
            answer: args.answer.as_deref().map(id).transpose()?,
            window: args.window as usize,
            timeout: args.timeout,
            over: AtomicBool::new(false),
        })
    }

    /// Has nothing more asked, and says until when answers are waited for.
    fn end(&self) -> Instant {
        self.over.store(true, Ordering::Relaxed);
        Instant::now() + LAST_ANSWERS
    }

    fn is_over(&self, now: Instant, span: Span) -> bool {
        now >= span.until || self.over.load(Ordering::Relaxed)
    }

    /// Asks once, before anything is measured. No answer in time is no failure yet.
    async fn ask_once(&self, link: &mut Link) -> Result<(), Failure> {
        let handle = link.handle.clone();
        let Some(answer) = &self.answer else {
            return match handle.call(self.event.clone(), self.timeout).await {
                Ok(_) | Err(CallFailure::Failed(CallError::Timeout | CallError::Peer)) => Ok(()),
                Err(failure) => Err(not_called(&handle, failure).await),
            };
        };
        if let Err(error) = handle.send(self.event.clone()).await {
            return Err(not_sent(&handle, error).await);
        }
        let deadline = Instant::now() + self.timeout;
        loop {
            match timeout_at(deadline, link.next()).await {
                Ok(Some(ConnectionEvent::Message(message))) if message.event.id == *answer => {
                    return Ok(());
                }
                Ok(Some(_)) => {}
                Ok(None) => return Err(ended(&handle).await),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Starts to load one connection.
    fn begin(
        self: &Arc<Self>,
        link: Link,
        measured_from: Instant,
        until: Instant,
        workers: &mut JoinSet<(Tally, Option<Failure>)>,
    ) {
        let span = Span {
            measured_from,
            until,
        };
        let load = self.clone();
        if let Some(answer) = self.answer.clone() {
            workers.spawn(async move {
                let mut tally = Tally::new();
                let failure = load.exchange(link, answer, span, &mut tally).await.err();
                (tally, failure)
            });
            return;
        }
        let handle = link.listen_only();
        for _ in 0..self.window {
            let (load, handle) = (self.clone(), handle.clone());
            workers.spawn(async move {
                let mut tally = Tally::new();
                let failure = load.call(handle, span, &mut tally).await.err();
                (tally, failure)
            });
        }
    }

    /// One call after the other.
    async fn call(&self, handle: Handle, span: Span, tally: &mut Tally) -> Result<(), Failure> {
        loop {
            let begun = Instant::now();
            if self.is_over(begun, span) {
                return Ok(());
            }
            let outcome = handle.call(self.event.clone(), self.timeout).await;
            let counts = begun >= span.measured_from;
            match outcome {
                Ok(_) if counts => tally.latency.record(begun.elapsed()),
                Err(CallFailure::Failed(CallError::Timeout)) if counts => tally.timeouts += 1,
                Err(CallFailure::Failed(CallError::Peer)) if counts => tally.errors += 1,
                Ok(_) | Err(CallFailure::Failed(CallError::Timeout | CallError::Peer)) => {}
                Err(failure) => return Err(not_called(&handle, failure).await),
            }
        }
    }

    /// Events, each answered by one of another id, in their order.
    async fn exchange(
        &self,
        mut link: Link,
        answer: EventId,
        span: Span,
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let handle = link.handle.clone();
        let mut under_way: VecDeque<Instant> = VecDeque::new();
        loop {
            let now = Instant::now();
            if self.is_over(now, span) {
                return Ok(());
            }
            while under_way.len() < self.window {
                under_way.push_back(Instant::now());
                if let Err(error) = handle.send(self.event.clone()).await {
                    return Err(not_sent(&handle, error).await);
                }
            }
            let oldest = under_way.front().copied().unwrap_or(now);
            let next = timeout_at(oldest + self.timeout, link.next());
            match next.await {
                Ok(Some(ConnectionEvent::Message(message))) if message.event.id == answer => {
                    if let Some(begun) = under_way.pop_front()
                        && begun >= span.measured_from
                    {
                        tally.latency.record(begun.elapsed());
                    }
                }
                Ok(Some(ConnectionEvent::Message(message))) => {
                    if let Some(token) = message.reply {
                        handle.forget(token);
                    }
                }
                Ok(Some(event)) => link::mention(&handle, event),
                Ok(None) => return Err(ended(&handle).await),
                Err(_) => {
                    under_way.pop_front();
                    tally.timeouts += u64::from(oldest >= span.measured_from);
                }
            }
        }
    }
}

/// When is measured.
#[derive(Clone, Copy)]
struct Span {
    measured_from: Instant,
    until: Instant,
}

/// What one worker counted, or all.
struct Tally {
    latency: Histogram,
    errors: u64,
    timeouts: u64,
}

impl Tally {
    fn new() -> Self {
        Self {
            latency: Histogram::new(),
            errors: 0,
            timeouts: 0,
        }
    }

    fn add(&mut self, other: &Self) {
        self.latency.add(&other.latency);
        self.errors += other.errors;
        self.timeouts += other.timeouts;
    }
}

/// Opens all connections, some at a time, and has each answered once: a child takes a while to start.
async fn open(args: &BenchArgs, load: &Arc<Load>) -> Result<Vec<Link>, Failure> {
    let deadline = Instant::now() + args.timeout;
    let mut opening = JoinSet::new();
    let mut links = Vec::new();
    let mut left = args.connections;
    while left > 0 || !opening.is_empty() {
        if left > 0 && opening.len() < AT_ONCE {
            let (link, load) = (args.link.clone(), load.clone());
            opening.spawn(async move {
                let mut link = Link::open(&link, deadline).await?;
                load.ask_once(&mut link).await?;
                Ok(link)
            });
            left -= 1;
        } else if let Some(opened) = opening.join_next().await {
            let opened: Result<Link, Failure> =
                opened.map_err(|error| Failure::other(format!("a worker failed: {error}")))?;
            links.push(opened?);
        }
    }
    Ok(links)
}

/// How long answers are waited for after a signal, or when a connection has ended.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// How many connections are opened at once.
const AT_ONCE: usize = 64;

fn report(
    args: &BenchArgs,
    load: &Load,
    handles: &[Handle],
    tally: Tally,
    took: Duration,
) -> Report {
    let first = handles.first();
    let (mut sent, mut received) = (0, 0);
    for handle in handles {
        let stats = handle.stats();
        sent += stats.bytes_sent;
        received += stats.bytes_received;
    }
    let dialect = match first.map(Handle::dialect) {
        Some(Dialect::SenteLite) => "sente-lite",
        _ => "sente",
    };
    Report {
        url: args.link.url.to_string(),
        dialect,
        packer: first.map_or_else(String::new, |handle| handle.packer().name().to_owned()),
        event: load.event.id.as_str().to_owned(),
        answer: load.answer.as_ref().map(|id| id.as_str().to_owned()),
        size: args.size as usize,
        connections: handles.len(),
        window: load.window,
        took,
        latency: tally.latency,
        errors: tally.errors,
        timeouts: tally.timeouts,
        sent,
        received,
    }
}

/// Prints what was measured. Where nothing was answered, that is a failure.
fn print(args: &BenchArgs, report: &Report) -> Outcome {
    if report.latency.count() == 0 {
        let id = &report.event;
        return Err(if report.errors > 0 {
            Failure::other(format!(
                "the peer answered :{id} with errors only: name an event that it answers by --event"
            ))
        } else {
            Failure::timeout(format!(
                "nothing was answered: name an event that the peer answers by --event, or by \
                 --answer the event that it answers :{id} with (sente-lite's stock server: \
                 --answer sente-lite/echo)"
            ))
        });
    }
    let text = if args.json {
        report.json()
    } else {
        report.text()
    };
    put(text.as_bytes())
        .map(|_| Exit::Success)
        .map_err(|error| Failure::other(format!("cannot print the result: {error}")))
}

async fn not_called(handle: &Handle, failure: CallFailure) -> Failure {
    match failure {
        CallFailure::Refused(error) => not_sent(handle, error).await,
        CallFailure::Failed(CallError::Closed) => ended(handle).await,
        CallFailure::Failed(error) => Failure::other(error),
    }
}

async fn not_sent(handle: &Handle, error: SendError) -> Failure {
    match error {
        SendError::NotOpen(_) => ended(handle).await,
        SendError::Full { .. } => Failure::usage(format!(
            "so many events of this size do not fit the send queue ({error}): take a smaller \
             --window or --size"
        )),
        SendError::TooLarge { .. } => Failure::usage(error),
        error => Failure::other(format!("the event is not sent: {error}")),
    }
}

async fn ended(handle: &Handle) -> Failure {
    let reason = link::why_ended(handle).await;
    Failure::closed(format!("the connection ended under the load: {reason}"))
}
