//! What can happen in a run, and how a seed chooses it.

use std::time::Duration;

use sente_core::{Carrier, Dialect, Extensions, Keepalive, Policy, Priority, Role, SendOptions};

use crate::world::{Ended, Quality, Reconnects, Rng, Spec};

/// One thing that happens. Peers and other names are taken modulo how many there are (of peers,
/// those that are not closed), so that any list of operations can be run, also one with some left
/// out.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Op {
    /// Time passes.
    Advance(Duration),
    /// This many bytes may wait to be read by the application.
    Allowance(usize, usize),
    /// A call with this much data, to be answered in this time.
    Call(usize, usize, Duration),
    /// One of the pending calls is cancelled.
    Cancel(usize, usize),
    /// A peer closes.
    Close(usize),
    /// Another connection to the same application.
    Connect,
    /// A byte on its way from this peer changes.
    Corrupt(usize),
    /// The transport breaks, with or without what is on its way.
    Cut(usize, Ended, bool),
    /// Everything that may be called at any time is called.
    Disturb(usize),
    /// A peer closes in order, within this time.
    Drain(usize, Duration),
    /// A flush.
    Flush(usize),
    /// One of the calls received will not be answered.
    Forget(usize, usize),
    /// The direction out of this peer ends, with or without what is on its way.
    HalfClose(usize, bool),
    /// Bytes that this peer did not write arrive at the other.
    Inject(usize, u64),
    /// The clock jumps.
    Jump(Duration),
    /// Something happens in the life of a client that comes back, by chance.
    Life(u64),
    /// A peer is told a time that is over.
    LookBack(usize, Duration),
    /// The application stops to take what it is told.
    Pause(usize),
    /// The wire out of this peer changes its ways.
    Quality(usize, u64),
    /// One of the reservations is given up.
    Release(usize, usize),
    /// One of the calls received is answered with this much data.
    Reply(usize, usize, usize),
    /// One of the calls received is answered with a failure.
    ReplyError(usize, usize),
    /// Room for so many bytes is asked for, and waited for this long.
    Reserve(usize, usize, Option<Duration>),
    /// The application takes what it is told again.
    Resume(usize),
    /// An event with this much data, packed before or not.
    Send(usize, usize, bool),
    /// An event with this much data in the room of one of the reservations.
    SendReserved(usize, usize, usize),
    /// An event with this much data that may be dropped, or goes behind others, by chance.
    SendWith(usize, usize, u64),
    /// What this peer writes vanishes.
    Sever(usize),
    /// Whether what this peer wrote arrives.
    Stall(usize, bool),
    /// The application takes one event.
    TakeOne(usize),
    /// Whether this peer can write.
    Unwritable(usize, bool),
}

impl Op {
    /// What happens next to a client that comes back, by chance.
    #[must_use]
    pub fn random_of_a_client(rng: &mut Rng) -> Self {
        match rng.below(10) {
            0 | 1 => Self::Life(rng.next()),
            2 => Self::Advance(Duration::from_millis(rng.pick(&[50, 600, 6_000, 20_000]))),
            _ => Self::random(rng),
        }
    }

    /// What happens next, by chance.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        let peer = rng.below(8);
        let pick = rng.below(8);
        match rng.below(100) {
            0..18 => Self::Send(peer, size(rng), rng.one_in(4)),
            18..24 => Self::SendWith(peer, size(rng), rng.next()),
            24..32 => Self::Call(peer, size(rng), patience(rng)),
            32..40 => Self::Reply(peer, pick, size(rng)),
            40 => Self::ReplyError(peer, pick),
            41 => Self::Forget(peer, pick),
            42..44 => Self::Cancel(peer, pick),
            44..47 => Self::Flush(peer),
            47..65 => Self::Advance(time(rng)),
            65..69 => Self::Pause(peer),
            69..73 => Self::Resume(peer),
            73..76 => Self::TakeOne(peer),
            76..79 => Self::Unwritable(peer, rng.one_in(2)),
            79..82 => Self::Stall(peer, rng.one_in(2)),
            82..86 => Self::Quality(peer, rng.next()),
            86 => Self::Disturb(peer),
            87 => Self::LookBack(peer, time(rng)),
            88 => match rng.below(4) {
                0 => Self::Jump(Duration::from_secs(rng.next() % 60)),
                _ => Self::Connect,
            },
            89 => Self::Send(peer, 0, false),
            90..92 => Self::SendWith(peer, size(rng), rng.next()),
            92 => Self::Allowance(peer, rng.pick(&[0, 0, 10, 100, usize::MAX, usize::MAX])),
            93 => Self::Reserve(peer, room(rng), rng.one_in(2).then(|| time(rng))),
            94 => Self::SendReserved(peer, pick, size(rng)),
            95 => match rng.below(3) {
                0 => Self::Release(peer, pick),
                1 => Self::SendReserved(peer, pick, size(rng)),
                _ => Self::Reserve(peer, room(rng), rng.one_in(2).then(|| time(rng))),
            },
            96 => match rng.below(3) {
                0 => Self::Close(peer),
                _ => Self::Drain(peer, time(rng)),
            },
            97 => match rng.below(6) {
                0 => Self::Cut(peer, Ended::Eof, rng.one_in(2)),
                1 => Self::Cut(peer, Ended::Failed, rng.one_in(2)),
                2 => Self::HalfClose(peer, rng.one_in(2)),
                3 => Self::Sever(peer),
                4 => Self::Corrupt(peer),
                _ => Self::Inject(peer, rng.next()),
            },
            98 => Self::Advance(Duration::ZERO),
            _ => Self::Advance(Duration::from_secs(2)),
        }
    }
}

/// Mostly small, now and then over any limit.
fn size(rng: &mut Rng) -> usize {
    match rng.below(20) {
        0 => rng.between(200, 3_000),
        1..4 => rng.between(50, 200),
        _ => rng.below(20),
    }
}

/// The bytes of an event, mostly.
fn room(rng: &mut Rng) -> usize {
    size(rng) + 13
}

/// How long a call waits: often long enough.
fn patience(rng: &mut Rng) -> Duration {
    match rng.below(3) {
        0 => time(rng),
        1 => Duration::from_secs(1),
        _ => Duration::from_secs(30),
    }
}

fn time(rng: &mut Rng) -> Duration {
    let millis = match rng.below(6) {
        0 => 0,
        1..4 => rng.below(50),
        4 => rng.below(500),
        _ => rng.below(5_000),
    };
    Duration::from_millis(millis as u64)
}

/// How an event is sent, by chance, and the key where the newest of a key replaces the others.
pub(super) fn options(rng: &mut Rng) -> (SendOptions, Option<usize>) {
    let key = rng.below(2);
    let (policy, key) = match rng.below(5) {
        0 | 1 => (Policy::DropOldest, None),
        2 => (Policy::Volatile, None),
        3 => (Policy::Latest(format!("k{key}").into()), Some(key)),
        _ => (Policy::Reject, None),
    };
    let low = rng.one_in(3);
    let priority = if low { Priority::Low } else { Priority::Normal };
    let options = SendOptions::new().policy(policy).priority(priority);
    (options.flush(rng.one_in(4)), key)
}

/// How a client comes back, by chance.
pub(super) fn reconnects(rng: &mut Rng) -> Reconnects {
    Reconnects {
        keeps: rng.pick(&[0, 2, 20]),
        attempts: rng.pick(&[0, 0, 1, 4]),
    }
}

/// How a wire is, by chance.
pub(super) fn quality(rng: &mut Rng) -> Quality {
    Quality {
        latency: Duration::from_millis(rng.pick(&[0, 0, 1, 20, 300])),
        chunk: rng.pick(&[1, 3, 17, 64, 1000, usize::MAX]),
        random_chunks: rng.one_in(2),
        pace: Duration::from_millis(rng.pick(&[0, 0, 0, 1])),
        window: rng.pick(&[1, 64, 500, 1 << 16]),
        ..Quality::default()
    }
}

/// The two sides of a connection, by chance: what they speak, and limits so small that they matter.
pub(super) fn specs(rng: &mut Rng) -> (Spec, Spec) {
    let (dialect, carrier, hello) = rng.pick(&[
        (Dialect::Sente, Carrier::WebSocket, false),
        (Dialect::Sente, Carrier::WebSocket, false),
        (Dialect::SenteLite, Carrier::WebSocket, false),
        (Dialect::SenteLite, Carrier::Lines, false),
        (Dialect::SenteLite, Carrier::Lines, true),
        (Dialect::Sente, Carrier::Lines, true),
        (Dialect::Sente, Carrier::LengthPrefixed, true),
        (Dialect::SenteLite, Carrier::LengthPrefixed, false),
    ]);
    let mut client = spec(rng, Role::Client, dialect, carrier);
    client.hello = hello;
    client.extensions = rng.pick(&[
        None,
        None,
        Some(Extensions::ALL),
        Some(Extensions::NONE.with_batch()),
        Some(Extensions::NONE.with_calls()),
    ]);
    // A server begins as a sente-lite peer on a byte stream; the hello asks for more.
    let begins = if hello { Dialect::SenteLite } else { dialect };
    let mut server = spec(rng, Role::Server, begins, carrier);
    // A frame that one may send and the other may not take is a bad event, and no news.
    server.limits.max_frame_bytes = client.limits.max_frame_bytes;
    (client, server)
}

fn spec(rng: &mut Rng, role: Role, dialect: Dialect, carrier: Carrier) -> Spec {
    let mut spec = Spec::new(role, dialect, carrier);
    spec.seed = rng.seed();
    spec.close_timeout = Duration::from_millis(rng.pick(&[50, 1_000, 5_000]));
    spec.keepalive = rng.pick(&[
        None,
        Some(Keepalive::new(
            Duration::from_millis(200),
            Duration::from_millis(900),
        )),
        Some(Keepalive::new(
            Duration::from_millis(1_500),
            Duration::from_millis(700),
        )),
        Some(Keepalive::default_for(role, dialect)),
    ]);
    let millis = Duration::from_millis;
    spec.flush_window = rng.pick(&[
        None,
        None,
        Some(millis(10)),
        Some(millis(100)),
        Some(millis(1_500)),
    ]);
    spec.send_rate = rng.pick(&[
        None,
        None,
        None,
        Some((1, millis(7), 3)),
        Some((10, millis(1_000), 3)),
        Some((10, millis(333), 5)),
    ]);
    spec.sheds = rng.one_in(4);
    let limits = &mut spec.limits;
    limits.max_flushes = rng.pick(&[1, 2, 100]);
    limits.max_reservations = rng.pick(&[1, 3, 100]);
    limits.max_frame_bytes = rng.pick(&[500, 2_000]);
    limits.max_send_messages = rng.pick(&[1, 2, 5, 20]);
    limits.max_send_bytes = rng.pick(&[100, 600, 4_000]);
    limits.max_recv_messages = rng.pick(&[1, 2, 5, 100]);
    limits.max_recv_bytes = rng.pick(&[60, 600, 10_000]);
    limits.max_batch_bytes = rng.pick(&[40, 200, 1_000]);
    limits.max_batch_events = rng.pick(&[1, 2, 5, 50]);
    limits.max_pending_calls = rng.pick(&[1, 3, 50]);
    limits.max_transmit_bytes = rng.pick(&[1, 100, 1_000, 60_000]);
    spec
}
