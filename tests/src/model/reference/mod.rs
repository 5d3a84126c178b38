//! The reference: maps and lists that say what may be told to an application, in which order, and
//! how its calls may end. It knows nothing of bytes, frames and timers.

mod unsent;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use sente_core::{CallError, CallId, CloseReason, ConnectionEvent, FlushId, Instant, Payload};

use super::messages::{number_in, payload_text};
use super::pace::Pace;
use super::tally::Tally;
use super::tickets::Tickets;
use crate::world::{Check, Violation};

/// What one side of a connection was asked to send and has been told.
#[derive(Debug, Default)]
pub(super) struct Side {
    /// Accepted, and neither arrived nor came back: oldest first.
    accepted: VecDeque<Item>,
    /// Where everything that is over ended.
    over: BTreeMap<u64, Over>,
    /// The calls that wait, by the engine's name for them.
    calls: BTreeMap<CallId, Call>,
    /// Calls that the application cancelled and has not been told of yet.
    cancelled: Vec<CallId>,
    /// The calls received that can still be answered: the token's number and the call's.
    pub(super) owed: Vec<(usize, u64)>,
    /// The flushes that have not settled, and the newest event before each.
    flushes: VecDeque<(FlushId, u64)>,
    /// Flushes of a connection that was over.
    late_flushes: Vec<FlushId>,
    /// The newest place that was dropped for a newer event.
    dropped_to: u64,
    /// Dropped, as later ones show, and not reported yet.
    going: Vec<u64>,
    flushed_to: u64,
    newest: u64,
    /// A send was refused as full since the last `SendReady`.
    pub(super) refused: bool,
    /// How often it was refused or told of high water, and how often it was told of room.
    pub(super) refusals: u64,
    readies: u64,
    pub(super) closed: Option<CloseReason>,
    /// Whether its peer ended its stream.
    pub(super) peer_finished: bool,
    /// Messages taken by the application.
    pub(super) taken: u64,
    /// What was accepted since the last transmit: which that was, messages and bytes.
    pub(super) since_transmit: (u64, usize, usize),
    /// It stopped to read before everything was read, as it was told to.
    pub(super) abrupt: bool,
    pub(super) tally: Tally,
    pub(super) tickets: Tickets,
    pub(super) pace: Option<Pace>,
    /// Since when something is queued and not written, and the number of transmits then.
    pub(super) held: Option<(Instant, u64)>,
    /// Pings it has written.
    pub(super) pings: u64,
    /// The events received when its allowance became nothing.
    pub(super) stopped_at: Option<u64>,
    /// Whether it drops what it has no room for, and how much it has told of.
    pub(super) sheds: bool,
    pub(super) shed_told: u64,
    /// What its peer has shed for certain.
    pub(super) shed: BTreeSet<u64>,
    /// Whether it always had room for what it received.
    pub(super) roomy: bool,
    /// Whether the extension `calls` is in force.
    pub(super) may_call: bool,
}

/// Something accepted for sending.
#[derive(Clone, Debug)]
struct Item {
    number: u64,
    what: What,
    size: usize,
    lane: Lane,
    /// Whether its policy allows that it is dropped.
    may_go: bool,
    key: Option<usize>,
    /// The number of the first event that stood here.
    place: u64,
}

/// Order is kept within each, not across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Low,
    Normal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Call,
    ErrorReply { to: u64 },
    Event,
    Reply { to: u64 },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    Arrived,
    CameBack,
    Dropped,
    Shed,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    number: u64,
    deadline: Instant,
    /// The place of the call among all of its peer.
    index: usize,
}

/// What happened to the bytes between two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wire {
    /// The last of them never arrived.
    Lossy,
    /// All that were written arrive, or will.
    Sound,
    /// Some were changed, or others put among them, so that anything may arrive.
    Tainted,
}

type Checked<T = ()> = Result<T, Violation>;

fn breach<T>(check: Check, detail: impl Into<String>) -> Checked<T> {
    Err(Violation::new(check, detail))
}

impl Side {
    pub(super) fn new(sheds: bool, pace: Option<Pace>) -> Self {
        Self {
            sheds,
            pace,
            ..Self::default()
        }
    }

    pub(super) fn accept_event(&mut self, number: u64, size: usize) {
        self.accept(number, What::Event, size);
    }

    pub(super) fn accept_call(
        &mut self,
        number: u64,
        size: usize,
        call: (CallId, usize),
        deadline: Instant,
    ) -> Checked {
        self.accept(number, What::Call, size);
        let index = call.1;
        let entry = Call {
            number,
            deadline,
            index,
        };
        match self.calls.insert(call.0, entry) {
            None => Ok(()),
            Some(_) => breach(Check::SettlesOnce, "a call has the name of another"),
        }
    }

    pub(super) fn accept_reply(&mut self, number: u64, size: usize, to: u64) {
        self.accept(number, What::Reply { to }, size);
    }

    pub(super) fn accept_error_reply(&mut self, number: u64, to: u64) {
        self.accept(number, What::ErrorReply { to }, 0);
    }

    fn accept(&mut self, number: u64, what: What, size: usize) {
        self.newest = number;
        self.accepted.push_back(Item {
            number,
            what,
            size,
            lane: Lane::Normal,
            may_go: false,
            key: None,
            place: number,
        });
    }

    /// An event that may be dropped, or waits for others to go first.
    pub(super) fn accept_with(
        &mut self,
        number: u64,
        size: usize,
        lane: Lane,
        may_go: bool,
        key: Option<usize>,
    ) {
        self.accept(number, What::Event, size);
        if let Some(item) = self.accepted.back_mut() {
            (item.lane, item.may_go, item.key) = (lane, may_go, key);
        }
    }

    /// An event that takes the place of the newest of its key.
    pub(super) fn replace(&mut self, number: u64, size: usize, key: Option<usize>) -> Checked {
        self.newest = number;
        let mut waiting = self.accepted.iter_mut().rev();
        let Some(item) = waiting.find(|item| item.key == key && key.is_some()) else {
            let detail = format!("{number} replaces what is not there");
            return breach(Check::EveryEventHasOneFate, detail);
        };
        let old = core::mem::replace(&mut item.number, number);
        item.size = size;
        self.drop_at_once(old);
        Ok(())
    }

    pub(super) fn drop_at_once(&mut self, number: u64) {
        self.over.insert(number, Over::Dropped);
        self.going.push(number);
    }

    /// Events that were dropped without a word.
    pub(super) fn unreported(&self) -> &[u64] {
        &self.going
    }

    /// A flush of a connection that is over fails, and is told of behind `Closed`.
    pub(super) fn accept_flush(&mut self, flush: FlushId, over: bool) {
        if over {
            self.late_flushes.push(flush);
            return;
        }
        match self.flushes.back_mut() {
            // Together with the one before.
            Some((newest, mark)) if *newest == flush => *mark = self.newest,
            _ => self.flushes.push_back((flush, self.newest)),
        }
    }

    /// The application cancels one of the calls that wait: its place among all.
    pub(super) fn cancel(&mut self, pick: usize) -> Option<usize> {
        let at = pick.checked_rem(self.calls.len())?;
        let (id, call) = self.calls.iter().nth(at)?;
        (!self.cancelled.contains(id)).then(|| {
            self.cancelled.push(*id);
            call.index
        })
    }

    /// Takes note that the engine had settled the call already when it was cancelled.
    pub(super) fn was_not_cancelled(&mut self) {
        self.cancelled.pop();
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.len()
    }

    /// A call that should have settled by now.
    pub(super) fn overdue(&self, now: Instant) -> usize {
        let late = |call: &&Call| call.deadline <= now;
        self.calls.values().filter(late).count()
    }

    /// Replies accepted that have not arrived, as far as is known: they count in no limit.
    pub(super) fn replies_out(&self) -> (usize, usize) {
        let replies = self.accepted.iter().filter(|item| item.is_reply());
        // A callback id and what stands around the data.
        replies.fold((0, 0), |(count, bytes), item| {
            (count + 1, bytes + item.size + 80)
        })
    }

    /// The bytes of the oldest `count` events and calls that have not arrived: what is known of
    /// what waits in the receive queue.
    pub(super) fn oldest_bytes(&self, count: usize) -> usize {
        let events = self.accepted.iter().filter(|item| !item.is_reply());
        let sizes = events
            .take(count)
            .map(|item| payload_text(item.number, item.size).len());
        sizes.sum()
    }

    /// Calls that wait although nobody has the right to answer them.
    pub(super) fn unanswered_sheds(&self) -> usize {
        let shed = |call: &&Call| self.over.get(&call.number) != Some(&Over::Arrived);
        self.calls.values().filter(shed).count()
    }

    /// The peer has no room for this call, and says so.
    fn shed_call(&mut self, number: u64) -> Checked {
        let at = self.accepted.iter().position(|item| item.number == number);
        if let Some(at) = at {
            self.accepted.remove(at);
            self.shed.insert(number);
            self.over.insert(number, Over::Shed);
        }
        match self.over.get(&number) {
            Some(Over::Shed) => Ok(()),
            fate => breach(
                Check::CallsGetTheirOwnReply,
                format!("{number} is answered with a failure: {fate:?}"),
            ),
        }
    }

    /// Events and calls that have neither arrived nor come back.
    pub(super) fn missing(&self) -> Vec<u64> {
        let events = self.accepted.iter().filter(|item| !item.is_reply());
        events.map(|item| item.number).collect()
    }

    /// Events that have neither arrived nor come back. Of calls another question is asked: whether
    /// they have settled.
    pub(super) fn lost(&self) -> Vec<u64> {
        let events = self.accepted.iter();
        let events = events.filter(|item| item.what == What::Event);
        events.map(|item| item.number).collect()
    }

    /// Replies that have not arrived although their caller `caller` still waits for them.
    pub(super) fn missing_replies(&self, caller: &Self) -> Vec<u64> {
        let waits = |to| caller.calls.values().any(|call| call.number == to);
        self.accepted
            .iter()
            .filter_map(|item| match item.what {
                What::Reply { to } | What::ErrorReply { to } if waits(to) => Some(item.number),
                _ => None,
            })
            .collect()
    }
}

impl Item {
    const fn is_reply(&self) -> bool {
        matches!(self.what, What::Reply { .. } | What::ErrorReply { .. })
    }
}

/// What `receiver` is told, held against what `sender` was asked to send.
pub(super) fn told(
    receiver: &mut Side,
    sender: &mut Side,
    wire: Wire,
    now: Instant,
    event: &ConnectionEvent,
    token: Option<usize>,
) -> Checked {
    let tainted = wire == Wire::Tainted;
    receiver.tally.count(event);
    if let ConnectionEvent::FlushFailed(flush) = event
        && let Some(at) = receiver.late_flushes.iter().position(|id| id == flush)
    {
        receiver.late_flushes.remove(at);
        return Ok(());
    }
    if receiver.closed.is_some() {
        return breach(Check::ClosedIsLast, format!("{event:?} after it"));
    }
    match event {
        ConnectionEvent::Message(message) => {
            receiver.taken += 1;
            let raw = message.event.data.as_ref().and_then(Payload::raw);
            let number = raw.and_then(|raw| number_in(raw));
            let Some(number) = number.filter(|_| message.event.id.as_str() == "m/e") else {
                return if tainted {
                    Ok(())
                } else {
                    breach(Check::NothingIsInvented, format!("{message:?}"))
                };
            };
            let wanted = |item: &Item| item.number == number && !item.is_reply();
            let Some(item) = arrive(receiver, sender, tainted, number, wanted)? else {
                return Ok(());
            };
            if raw.map(AsRef::as_ref) != Some(payload_text(number, item.size).as_bytes())
                && !tainted
            {
                return breach(Check::NothingIsInvented, format!("{message:?} was changed"));
            }
            if token.is_some() != (item.what == What::Call) && !tainted {
                return breach(
                    Check::CallsGetTheirOwnReply,
                    format!("event {number} is {:?}, its token {token:?}", item.what),
                );
            }
            if let Some(token) = token {
                receiver.owed.push((token, number));
            }
        }
        ConnectionEvent::Settled { call, result } => {
            settled(receiver, sender, tainted, now, *call, result)?;
        }
        ConnectionEvent::Undelivered(events) => receiver.came_back(events)?,
        ConnectionEvent::Dropped(dropped) if !tainted => receiver.reported(dropped)?,
        ConnectionEvent::Flushed(flush) => {
            let Some((id, mark)) = receiver.flushes.pop_front() else {
                return breach(Check::FlushesSettleOnce, format!("{flush:?} settles again"));
            };
            if id != *flush {
                return breach(Check::FlushesSettleOnce, format!("{flush:?} before {id:?}"));
            }
            receiver.flushed_to = mark;
        }
        ConnectionEvent::FlushFailed(flush) => {
            let known = receiver.flushes.iter().position(|(id, _)| id == flush);
            match known {
                Some(at) => drop(receiver.flushes.remove(at)),
                None => {
                    return breach(Check::FlushesSettleOnce, format!("{flush:?} fails again"));
                }
            }
        }
        ConnectionEvent::Granted(ticket) => receiver.tickets.granted(*ticket)?,
        ConnectionEvent::ReservationExpired(ticket) => {
            receiver.tickets.ended(*ticket, Some(now))?;
        }
        ConnectionEvent::ReservationFailed(ticket) => receiver.tickets.ended(*ticket, None)?,
        ConnectionEvent::Shed { count, .. } => {
            receiver.shed_told += count;
            if !receiver.sheds {
                return breach(Check::ShedsAreCounted, "it keeps everything");
            }
        }
        ConnectionEvent::Opened(opened) => {
            receiver.may_call = opened.extensions.calls;
            if opened.first && receiver.taken > 0 && receiver.roomy {
                let detail = format!("behind {} messages", receiver.taken);
                return breach(Check::OpenedIsFirst, detail);
            }
        }
        // The other thing that a `SendReady` follows.
        ConnectionEvent::HighWater(_) => receiver.refusals += 1,
        ConnectionEvent::SendReady => {
            // A paused application finds several of them, each after a refusal.
            receiver.readies += 1;
            receiver.refused = false;
            if receiver.readies > receiver.refusals {
                return breach(Check::SendReadyFollowsARefusal, "nothing was refused");
            }
        }
        ConnectionEvent::PeerFinished => receiver.peer_finished = true,
        ConnectionEvent::BadEvent(bad) if wire == Wire::Sound => {
            return breach(Check::NothingIsInvented, format!("{bad:?}"));
        }
        ConnectionEvent::Closed(reason) => {
            receiver.closed = Some(reason.clone());
            receiver.tickets.closed()?;
            if !receiver.calls.is_empty() {
                let waiting = receiver.calls.len();
                return breach(Check::SettlesOnce, format!("{waiting} calls never settle"));
            }
            if !receiver.flushes.is_empty() {
                let waiting = receiver.flushes.len();
                return breach(
                    Check::FlushesSettleOnce,
                    format!("{waiting} flushes never settle"),
                );
            }
        }
        _ => {}
    }
    Ok(())
}

/// Takes what arrives out of the sender's list. Everything accepted before it has arrived, but for
/// replies that nobody waits for any more.
fn arrive(
    receiver: &Side,
    sender: &mut Side,
    tainted: bool,
    number: u64,
    wanted: impl Fn(&Item) -> bool,
) -> Checked<Option<Item>> {
    let Some(at) = sender.accepted.iter().position(wanted) else {
        return match sender.over.get(&number) {
            _ if tainted => Ok(None),
            Some(Over::Arrived) => breach(Check::DeliveredOnce, format!("{number} comes again")),
            Some(fate) => breach(
                Check::EveryEventHasOneFate,
                format!("{number} arrives: {fate:?}"),
            ),
            None => breach(Check::NothingIsInvented, format!("nobody sent {number}")),
        };
    };
    let waits = |to: u64| receiver.calls.values().any(|call| call.number == to);
    let mut behind = sender.accepted.split_off(at);
    let item = behind.pop_front();
    let lane = item.as_ref().map(|item| item.lane);
    let passed = core::mem::take(&mut sender.accepted);
    for passed in passed {
        let excused = match passed.what {
            What::Reply { to } | What::ErrorReply { to } => !waits(to),
            What::Call | What::Event => passed.may_go || receiver.sheds,
        };
        let reply = passed.is_reply();
        if Some(passed.lane) != lane {
            sender.accepted.push_back(passed);
        } else if passed.may_go {
            sender.drop_at_once(passed.number);
        } else if !excused && !tainted {
            return breach(
                Check::DeliveredInOrder,
                format!("{number} arrives, and {} before it did not", passed.number),
            );
        } else if !reply && !tainted {
            sender.shed.insert(passed.number);
            sender.over.insert(passed.number, Over::Shed);
        }
    }
    sender.accepted.append(&mut behind);
    sender.over.insert(number, Over::Arrived);
    Ok(item)
}

fn settled(
    receiver: &mut Side,
    sender: &mut Side,
    tainted: bool,
    now: Instant,
    call: CallId,
    result: &Result<Payload, CallError>,
) -> Checked {
    let Some(entry) = receiver.calls.get(&call).copied() else {
        return breach(Check::SettlesOnce, format!("{call:?} settles again"));
    };
    let number = entry.number;
    let was_cancelled = receiver.cancelled.contains(&call);
    match result {
        Ok(payload) => {
            let answer = payload.raw().and_then(|raw| number_in(raw));
            let is_answer = |item: &Item| item.what == What::Reply { to: number };
            let item = arrive(receiver, sender, tainted, answer.unwrap_or(0), is_answer)?;
            if item.map(|item| item.number) != answer && !tainted {
                return breach(
                    Check::CallsGetTheirOwnReply,
                    format!("{number} got {answer:?}"),
                );
            }
        }
        Err(CallError::Peer) => {
            let is_answer = |item: &Item| item.what == What::ErrorReply { to: number };
            if sender.sheds && !tainted && !sender.accepted.iter().any(is_answer) {
                receiver.shed_call(number)?;
            } else {
                arrive(receiver, sender, tainted, number, is_answer)?;
            }
        }
        Err(CallError::Timeout) if now < entry.deadline => {
            return breach(Check::SettlesOnce, format!("{number} timed out too early"));
        }
        Err(CallError::Cancelled) if !was_cancelled => {
            return breach(Check::SettlesOnce, format!("nobody cancelled {number}"));
        }
        Err(_) => {}
    }
    receiver.calls.remove(&call);
    receiver.cancelled.retain(|cancelled| *cancelled != call);
    Ok(())
}
