//! The model tests: random operations on connections in a [`World`](crate::world::World), and a
//! reference of maps and lists that says what may come of them.
//!
//! [`run`] does one seed. The first breach of a [`Check`] ends it; [`shrink`]
//! then leaves out every operation that it does not need.
//!
//! # Extending it
//! * A new operation: a variant of [`Op`] and its share in [`Op::random`], an arm in `run.rs` that
//!   has the world do it and tells the reference (`Side`) what was accepted.
//! * A send policy: its share in `op::options`. `Side::accept_with` says in which lane the event
//!   waits and whether it may be dropped; every drop must then be reported once by `Dropped`.
//! * A receive queue that sheds: an item of the sender that is passed over in `arrive` is excused
//!   where the receiver sheds, and their number is held against what it reports (`room.rs`, where
//!   reservations, the send rate and the flush window are, too).
//! * Of every four seeds one is the run of a client that comes back (`client.rs`), by the same
//!   operations and [`Op::Life`]. A new machine: a third kind of `Runs`.
//! * A new invariant: a name in [`Check`], and the place where it is broken.

mod checks;
mod client;
mod client_checks;
mod frames;
mod garbage;
mod messages;
mod op;
mod pace;
mod reference;
mod room;
mod run;
mod tally;
mod tickets;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

pub use op::Op;
pub use tally::Tally;

use crate::world::{Check, Recording, Rng, Violation};
use client::ClientRun;
use garbage::garbage;
use run::{Checked, Run};

/// The operations that belong to `seed`.
#[must_use]
pub fn plan(seed: u64, ops: usize) -> Vec<Op> {
    let mut rng = Rng::new(!seed);
    let random = if is_client(seed) {
        Op::random_of_a_client
    } else {
        Op::random
    };
    (0..ops).map(|_| random(&mut rng)).collect()
}

/// Runs `ops` on the connections that belong to `seed`, and everything that is checked at the end.
///
/// # Errors
/// The first thing that did not hold; a panic is one, too.
pub fn run(seed: u64, ops: &[Op]) -> Result<Tally, Violation> {
    guarded(seed, ops, false).map(|(tally, _)| tally)
}

/// Runs `ops` twice: both runs and the replay of the first must be the same to the byte.
///
/// # Errors
/// As [`run`], and what differs.
pub fn run_twice(seed: u64, ops: &[Op]) -> Result<Tally, Violation> {
    let (tally, first) = guarded(seed, ops, true)?;
    let (_, second) = guarded(seed, ops, true)?;
    let differs = |detail: String| Err(Violation::new(Check::RunsRepeat, detail));
    if first != second {
        return differs("two runs of one seed are not the same".to_owned());
    }
    first.replay().map(|_| tally).or_else(differs)
}

/// The operations without those that the breach does not need.
#[must_use]
pub fn shrink(seed: u64, ops: &[Op], check: Check) -> Vec<Op> {
    let breaks = |ops: &[Op]| run(seed, ops).is_err_and(|violation| violation.check == check);
    let mut ops = ops.to_vec();
    let mut length = ops.len().div_ceil(2);
    while length > 0 {
        let mut at = 0;
        while at < ops.len() {
            let mut fewer = ops.clone();
            fewer.drain(at..(at + length).min(ops.len()));
            if breaks(&fewer) {
                ops = fewer;
            } else {
                at += length;
            }
        }
        length /= 2;
    }
    ops
}

/// All there is to say of a breach: the operations it needs, how to repeat it, and where its
/// recording is.
#[must_use]
pub fn report(seed: u64, ops: usize, violation: &Violation) -> String {
    let needed = shrink(seed, &plan(seed, ops), violation.check);
    let mut text = format!("seed {seed}: {violation}\n");
    for op in &needed {
        text.push_str(&format!("    {op:?}\n"));
    }
    if let Some(file) = keep_recording(seed, &needed) {
        text.push_str(&format!("recording: {}\n", file.display()));
    }
    text.push_str(&format!(
        "repeat: cargo xtask test --deep --seed {seed} --ops {ops}"
    ));
    text
}

/// Writes what went into the machines to a file in the directory for temporary ones.
fn keep_recording(seed: u64, ops: &[Op]) -> Option<PathBuf> {
    let mut run = start(seed, true);
    let _ = catch_unwind(AssertUnwindSafe(|| drive(&mut *run, ops)));
    let directory = std::env::temp_dir().join("sente-world");
    std::fs::create_dir_all(&directory).ok()?;
    let file = directory.join(format!("seed-{seed}.log"));
    std::fs::write(&file, run.recording()?.as_str()).ok()?;
    Some(file)
}

fn guarded(seed: u64, ops: &[Op], record: bool) -> Result<(Tally, Recording), Violation> {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut run = start(seed, record);
        drive(&mut *run, ops)?;
        let recording = run.recording().cloned().unwrap_or_default();
        Ok((run.tally(), recording))
    }));
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(Violation::new(
            Check::NoPanic,
            text.unwrap_or("no text").to_owned(),
        ))
    })
}

/// A world and what is known of it, to which operations are applied.
trait Runs {
    /// Applies `op`, and checks what must hold then.
    fn apply(&mut self, op: &Op) -> Checked;

    /// The end of every run, and what must hold behind it.
    fn finish(&mut self) -> Checked;

    /// What happened.
    fn tally(&self) -> Tally;

    fn recording(&self) -> Option<&Recording>;
}

/// Whether the run of this seed is that of a client that comes back.
const fn is_client(seed: u64) -> bool {
    seed % 4 == 1
}

fn start(seed: u64, record: bool) -> Box<dyn Runs> {
    if is_client(seed) {
        Box::new(ClientRun::new(seed, record))
    } else {
        Box::new(Run::new(seed, record))
    }
}

fn drive(run: &mut dyn Runs, ops: &[Op]) -> Result<(), Violation> {
    for (index, op) in ops.iter().enumerate() {
        run.apply(op).map_err(|mut violation| {
            violation.detail = format!("after {index} ({op:?}): {}", violation.detail);
            violation
        })?;
    }
    run.finish()
}
