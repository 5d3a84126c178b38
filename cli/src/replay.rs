//! `sente replay`: a recorded connection, step by step.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};

use sente_core::record::{Replay, ReplayError};

use crate::args::ReplayArgs;
use crate::exit::{Exit, Failure, Outcome};
use crate::output::say;

/// Plays the recording and prints what happens.
pub(crate) fn run(args: &ReplayArgs) -> Outcome {
    let file = args.file.display();
    let cannot_read = |error: io::Error| Failure::usage(format!("cannot read {file}: {error}"));
    let input = BufReader::new(File::open(&args.file).map_err(cannot_read)?);
    if args.file.is_dir() {
        return Err(Failure::usage(format!(
            "{file} is a directory: name one of the recordings in it"
        )));
    }
    let mut lines = input.lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()));
    let unusable = |error: ReplayError| Failure::usage(format!("{file}: {error}"));
    let mut replay = Replay::new(&first.map_err(cannot_read)?).map_err(unusable)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut lines = lines.peekable();
    while let Some(line) = lines.next() {
        let line = line.map_err(cannot_read)?;
        let replayed = match replay.step(&line) {
            Ok(replayed) => replayed,
            // A process that was killed while it wrote leaves half a line.
            Err(ReplayError::Unreadable { line, .. }) if lines.peek().is_none() => {
                finish(&mut out)?;
                say!("{file}: the last line, {line}, is not whole");
                return Ok(Exit::Success);
            }
            Err(error @ ReplayError::Diverged { .. }) => {
                finish(&mut out)?;
                return Err(Failure::new(Exit::Failure, format!("{file}: {error}")));
            }
            Err(error) => {
                finish(&mut out)?;
                return Err(unusable(error));
            }
        };
        let shown = !args.events || replayed.event.is_some();
        if shown && let Err(error) = writeln!(out, "{replayed}") {
            return ended(error);
        }
    }
    match out.flush() {
        Ok(()) => Ok(Exit::Success),
        Err(error) => ended(error),
    }
}

fn finish(out: &mut impl Write) -> Result<(), Failure> {
    out.flush()
        .map_err(|error| Failure::other(format!("cannot go on: {error}")))
}

/// Whoever read the output has seen enough, or it cannot be written.
fn ended(error: io::Error) -> Outcome {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(Exit::Success);
    }
    Err(Failure::other(format!("cannot go on: {error}")))
}
