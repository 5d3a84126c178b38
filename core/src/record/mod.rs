//! Recording everything that goes into a connection, so that what happened in the field happens
//! again at the desk: same bytes, same times, same commands, same random numbers.

mod config;
mod entry;
mod fields;
mod replay;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use sente_edn::{Value, WriteOptions};

use crate::connection::{ConnectionConfig, ConnectionEvent};
use crate::time::Instant;

pub(crate) use entry::Entry;
pub use replay::{Replay, ReplayError, Replayed};

/// Takes a recording, line by line. Give it to [`Connection::recorded`](crate::Connection::recorded) or
/// [`Client::record_links`](crate::Client::record_links).
///
/// # What is in it
///
/// The first line is a map: the version of the format, the configuration, and the seed. Each line
/// after it is a vector, `[nanoseconds :what {..}]`: one call of the connection, with its arguments.
/// Of what was polled it says what came out, as a kind and a hash, so that a [`Replay`] notices
/// where it takes another course. The text is EDN; bytes that are no text are in Base64.
///
/// **A recording holds whatever the peers said, tokens included, and the seed of the callback ids.**
/// Keep it as you keep the data itself.
///
/// # Costs
/// Without a recorder, one comparison for each call. With one, formatting a line for each: it is a
/// tool for finding faults.
pub trait Recorder: fmt::Debug + Send {
    /// Takes the next line, which ends without a line break and holds none. What cannot be kept is
    /// the recorder's to count and report.
    fn line(&mut self, line: &str);
}

/// Collects the lines: for tests.
impl Recorder for Vec<String> {
    fn line(&mut self, line: &str) {
        self.push(String::from(line));
    }
}

/// What makes the recorder of each link of a client: it is given the number of the link, counted
/// from 0.
pub(crate) struct LinkRecorders {
    make: Box<Make>,
    links: u64,
}

type Make = dyn FnMut(u64) -> Option<Box<dyn Recorder>> + Send;

impl LinkRecorders {
    pub(crate) const fn new(make: Box<Make>) -> Self {
        Self { make, links: 0 }
    }

    pub(crate) fn next(&mut self) -> Option<Box<dyn Recorder>> {
        let number = self.links;
        self.links = self.links.wrapping_add(1);
        (self.make)(number)
    }
}

impl fmt::Debug for LinkRecorders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkRecorders")
            .field("links", &self.links)
            .finish_non_exhaustive()
    }
}

/// A recorder, and what it needs to be told.
#[derive(Debug)]
pub(crate) struct Tape(Box<dyn Recorder>);

impl Tape {
    /// Writes the first line.
    pub(crate) fn start(
        mut recorder: Box<dyn Recorder>,
        config: &Arc<ConnectionConfig>,
        seed: &[u8; 32],
        now: Instant,
    ) -> Self {
        recorder.line(&one_line(&config::header(config, seed, now)));
        Self(recorder)
    }

    /// Out of the way of those who do not record.
    #[cold]
    #[inline(never)]
    pub(crate) fn note(&mut self, at: Instant, entry: impl FnOnce() -> Entry) {
        self.0.line(&one_line(&entry().to_value(at)));
    }
}

fn one_line(value: &Value) -> String {
    // What cannot be printed the strict way, such as a name with a blank in it, is printed as it is.
    let strict = WriteOptions::default().to_string(value);
    let text = strict.unwrap_or_else(|_| sente_edn::to_string(value));
    if text.contains(['\n', '\r']) {
        return text.replace(['\n', '\r'], " ");
    }
    text
}

/// What a poll gave out, in short: enough to see whether a replay gives the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) kind: String,
    pub(crate) hash: u64,
}

impl Outcome {
    pub(crate) fn of_event(event: &ConnectionEvent) -> Self {
        let mut hash = Fnv::default();
        let mut kind = Kind(String::new());
        // Neither can fail.
        let _ = fmt::write(&mut hash, format_args!("{event:?}"));
        let _ = fmt::write(&mut kind, format_args!("{event:?}"));
        Self {
            kind: kind.0,
            hash: hash.0,
        }
    }

    pub(crate) fn of_bytes(chunks: &crate::transmit::TransmitBuf) -> Self {
        let mut hash = Fnv::default();
        chunks.each_chunk(|chunk| hash.add(chunk));
        Self {
            kind: alloc::format!("{}", chunks.len()),
            hash: hash.0,
        }
    }
}

/// The hash FNV-1a: good against accidents, which is all it is for.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl fmt::Write for Fnv {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.add(text.as_bytes());
        Ok(())
    }
}

/// The first word of what is written: the name of a variant.
struct Kind(String);

impl fmt::Write for Kind {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for letter in text.chars() {
            if !letter.is_ascii_alphanumeric() {
                // The rest does not matter.
                return Err(fmt::Error);
            }
            self.0.push(letter);
        }
        Ok(())
    }
}
