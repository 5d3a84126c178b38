//! What went into every machine, one line each, and the exact repetition of it.
//!
//! A line is `nanoseconds peer verb arguments`. The verbs of the driver (`bytes`, `eof`, `failed`,
//! `timeout`, `transmitted`) and of the application (`send`, `call`, …) are what went in. What came
//! out stands there, too (`>` for a transmit, `?` for an event), and the replay compares it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_core::{
    ConnectFailure, Event, Input, Instant, Payload, Policy, Priority, SendOptions, Transmit,
    TransmitBuf,
};

use super::machine::Heard;
use super::peer::{Command, Peer};
use super::spec::Spec;

/// The lines of one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    text: String,
}

impl Recording {
    /// The lines as a file holds them.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The recording a file holds.
    #[must_use]
    pub fn from_text(text: String) -> Self {
        Self { text }
    }

    pub(super) fn line(&mut self, now: Instant, peer: usize, words: &str) {
        let nanos = now.as_nanos();
        for (index, part) in words.split('\n').enumerate() {
            // A payload may hold raw line breaks; a line of the recording may not.
            let _ = if index == 0 {
                write!(self.text, "{nanos} {peer} {part}")
            } else {
                write!(self.text, "\\n{part}")
            };
        }
        self.text.push('\n');
    }

    /// Feeds fresh machines with exactly what these were fed, in the same order at the same times,
    /// and compares everything that comes out. The number of lines.
    ///
    /// # Errors
    /// The first line that cannot be understood or came out differently.
    pub fn replay(&self) -> Result<usize, String> {
        let mut peers: BTreeMap<usize, Peer> = BTreeMap::new();
        for (index, line) in self.text.lines().enumerate() {
            replay_line(&mut peers, line)
                .map_err(|problem| format!("line {}: {problem}: {line}", index + 1))?;
        }
        Ok(self.text.lines().count())
    }
}

fn replay_line(peers: &mut BTreeMap<usize, Peer>, line: &str) -> Result<(), String> {
    let mut words = line.splitn(4, ' ');
    let mut word = || words.next().unwrap_or_default();
    let nanos: u64 = word().parse().map_err(|_| "no time")?;
    let now = Instant::from_nanos(nanos);
    let number: usize = word().parse().map_err(|_| "no peer")?;
    let (verb, rest) = (word(), word());
    if verb == "new" {
        peers.insert(number, Peer::new(Spec::from_line(rest)?, now));
        return Ok(());
    }
    let peer = peers.get_mut(&number).ok_or("a peer that is not there")?;
    let same = |ours: String| {
        (ours == rest)
            .then_some(())
            .ok_or_else(|| format!("now it is {ours}"))
    };
    // Of a client's transports each has its number.
    let (verb, attempt) = verb.split_once('@').unwrap_or((verb, "0"));
    let attempt: u64 = attempt.parse().map_err(|_| "no attempt")?;
    match verb {
        "dial" => {
            return match peer.machine.poll_connect() {
                Some(_) => Ok(()),
                None => Err("now it does not dial".to_owned()),
            };
        }
        "connected" => {
            let attempt = rest.parse().map_err(|_| "no attempt")?;
            peer.machine.dialled(now, attempt, None);
        }
        "connect-failed" => {
            let (attempt, text) = rest.split_once(' ').ok_or("no failure")?;
            let failure = match text {
                "never" => ConnectFailure::Final(text.to_owned()),
                _ => ConnectFailure::Retry(text.to_owned()),
            };
            let attempt = attempt.parse().map_err(|_| "no attempt")?;
            peer.machine.dialled(now, attempt, Some(failure));
        }
        "bytes" => {
            let bytes = unhex(rest).ok_or("no bytes")?;
            peer.bytes(now, attempt, &mut BytesMut::from(&*bytes));
        }
        "eof" => peer.machine.handle_input(now, attempt, Input::Eof),
        "failed" => {
            let input = Input::Failed(rest.to_owned());
            peer.machine.handle_input(now, attempt, input);
        }
        "timeout" => peer.machine.handle_timeout(now),
        "transmitted" => peer.machine.handle_transmitted(now, attempt),
        ">" => {
            let mut out = TransmitBuf::new();
            let transmit = peer.machine.poll_transmit(&mut out);
            let bytes = out.copy_to_bytes(out.remaining());
            return same(transmit_words(transmit, &bytes));
        }
        "?" => {
            let event = peer.poll_event();
            return same(event_words(&event));
        }
        _ => {
            let command = parse_command(verb, rest)?;
            // Refusals are part of the recorded run: what follows shows whether they repeat.
            let _ = peer.command(now, command);
        }
    }
    Ok(())
}

pub(super) fn transmit_words(transmit: Option<Transmit>, bytes: &[u8]) -> String {
    match transmit {
        Some(Transmit::Data) => format!("data {} {:016x}", bytes.len(), fingerprint(bytes)),
        Some(Transmit::Shutdown) => "shutdown".to_owned(),
        _ => "none".to_owned(),
    }
}

pub(super) fn event_words(event: &Option<(Heard, Option<usize>)>) -> String {
    match event {
        Some((event, Some(token))) => format!("{event:?} token {token}"),
        Some((event, None)) => format!("{event:?}"),
        None => "none".to_owned(),
    }
    .replace('\n', "\\n")
}

/// The words of a command, which [`parse_command`] reads back.
pub(super) fn command_words(command: &Command) -> String {
    let event = |event: &Event| match event.to_value() {
        Ok(value) => sente_edn::to_string(&value),
        Err(_) => "nil".to_owned(),
    };
    match command {
        Command::Accept => "accept".to_owned(),
        Command::AutoReconnect(on) => format!("auto-reconnect {}", u8::from(*on)),
        Command::Break => "break".to_owned(),
        Command::Connect => "connect".to_owned(),
        Command::Reconnect => "reconnect".to_owned(),
        Command::Allowance(bytes) => format!("allowance {bytes}"),
        Command::Cancel(number) => format!("cancel {number}"),
        Command::Call(data, timeout) => format!("call {} {}", timeout.as_nanos(), event(data)),
        Command::Close => "close".to_owned(),
        Command::Drain(deadline) => format!("drain {}", deadline.as_nanos()),
        Command::Flush => "flush".to_owned(),
        Command::Forget(number) => format!("forget {number}"),
        Command::Release(number) => format!("release {number}"),
        Command::Reply(number, payload) => {
            let value = payload.to_value().map(|value| sente_edn::to_string(&value));
            format!("reply {number} {}", value.unwrap_or_default())
        }
        Command::ReplyError(number) => format!("reply-error {number}"),
        Command::Reserve(bytes, None) => format!("reserve {bytes}"),
        Command::Reserve(bytes, Some(until)) => format!("reserve {bytes} {}", until.as_nanos()),
        Command::SendReserved(number, data) => format!("send-reserved {number} {}", event(data)),
        Command::Send(data) => format!("send {}", event(data)),
        Command::SendPacked(data) => format!("send-packed {}", event(data)),
        Command::SendWith(data, options) => {
            format!("send-with {} {}", options_word(options), event(data))
        }
    }
}

fn parse_command(verb: &str, rest: &str) -> Result<Command, String> {
    let event = |text: &str| {
        let value = sente_edn::from_str(text).map_err(|error| error.to_string())?;
        Event::from_value(value).map_err(|error| error.to_string())
    };
    let (first, second) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = || first.parse::<u64>().map_err(|_| "no number".to_owned());
    let index = || usize::try_from(number()?).map_err(|_| "no number".to_owned());
    Ok(match verb {
        "accept" => Command::Accept,
        "auto-reconnect" => Command::AutoReconnect(number()? == 1),
        "break" => Command::Break,
        "connect" => Command::Connect,
        "reconnect" => Command::Reconnect,
        "allowance" => Command::Allowance(index()?),
        "cancel" => Command::Cancel(index()?),
        "call" => Command::Call(event(second)?, Duration::from_nanos(number()?)),
        "close" => Command::Close,
        "drain" => Command::Drain(Instant::from_nanos(number()?)),
        "flush" => Command::Flush,
        "forget" => Command::Forget(index()?),
        "release" => Command::Release(index()?),
        "reply" => {
            let value = sente_edn::from_str(second).map_err(|error| error.to_string())?;
            Command::Reply(index()?, Payload::from(value))
        }
        "reply-error" => Command::ReplyError(index()?),
        "reserve" => {
            let until = second.parse().ok().map(Instant::from_nanos);
            Command::Reserve(index()?, until)
        }
        "send" => Command::Send(event(rest)?),
        "send-reserved" => Command::SendReserved(index()?, event(second)?),
        "send-packed" => Command::SendPacked(event(rest)?),
        "send-with" => Command::SendWith(event(second)?, parse_options(first)?),
        _ => return Err("no such verb".to_owned()),
    })
}

/// `policy,priority,flush`
fn options_word(options: &SendOptions) -> String {
    let policy = match &options.policy {
        Policy::DropOldest => "drop-oldest".to_owned(),
        Policy::Latest(key) => format!("latest:{key}"),
        Policy::Volatile => "volatile".to_owned(),
        _ => "reject".to_owned(),
    };
    format!("{policy},{:?},{}", options.priority, options.flush)
}

fn parse_options(word: &str) -> Result<SendOptions, String> {
    let words: Vec<&str> = word.split(',').collect();
    let [policy, priority, flush] = words[..] else {
        return Err("no options".to_owned());
    };
    let policy = match policy.split_once(':') {
        Some((_, key)) => Policy::Latest(key.into()),
        None if policy == "drop-oldest" => Policy::DropOldest,
        None if policy == "volatile" => Policy::Volatile,
        None => Policy::Reject,
    };
    let priority = match priority {
        "Low" => Priority::Low,
        _ => Priority::Normal,
    };
    let options = SendOptions::new().policy(policy).priority(priority);
    Ok(options.flush(flush == "true"))
}

/// FNV-1a: enough to notice a difference.
fn fingerprint(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

pub(super) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    let pairs = digits.chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    pairs.map(byte).collect()
}
