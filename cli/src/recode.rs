//! `sente recode`: packed messages, one a line, read and written again.

use std::io::{self, BufWriter, IsTerminal, Read, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use sente_core::Limits;
use sente_core::edn::{self, Value};
use sente_core::framing::Kind;

use crate::args::{PackerName, RecodeArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::lines::{Line, Lines, is_blank};
use crate::output::say;

/// The longest message that a line may inflate to, unless the line itself is longer.
const MAX_OPENED_BYTES: usize = 64 * 1024 * 1024;

/// Recodes standard input to standard output.
pub(crate) fn run(args: &RecodeArgs) -> Outcome {
    for (option, packer) in [("--from", &args.from), ("--to", &args.to)] {
        if packer.kind() == Kind::Binary && !args.base64 {
            return Err(Failure::usage(format!(
                "{option} {0}: the messages of {0} are binary and do not go into lines; add \
                 --base64",
                packer.name()
            )));
        }
    }
    let out = io::stdout().lock();
    let each_line = out.is_terminal();
    let mut out = BufWriter::with_capacity(64 * 1024, out);
    match recode(args, io::stdin().lock(), &mut out, each_line) {
        Ok(0) => Ok(Exit::Success),
        Ok(_) => Ok(Exit::Failure),
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is left in the buffer must not be tried again.
            let _ = out.into_parts();
            Ok(Exit::Success)
        }
        Err(error) => Err(Failure::other(format!("cannot go on: {error}"))),
    }
}

/// How many lines were unreadable.
fn recode(
    args: &RecodeArgs,
    input: impl Read,
    out: &mut impl Write,
    each_line: bool,
) -> io::Result<u64> {
    let max_line = usize::try_from(args.max_line).unwrap_or(usize::MAX);
    let mut lines = Lines::new(input, max_line);
    let mut number = 0u64;
    let mut bad = 0u64;
    loop {
        // A pipe that pauses has seen everything up to the pause.
        if each_line || lines.may_wait() {
            out.flush()?;
        }
        let Some(line) = lines.next()? else {
            break;
        };
        number += 1;
        let recoded = match line {
            Line::TooLong(length) => Err(format!(
                "the line has {length} bytes, more than the {max_line} allowed at byte {max_line}"
            )),
            Line::Bytes(line) if is_blank(&line) => Ok(Vec::new()),
            Line::Bytes(line) => recode_line(args, &line),
        };
        match recoded {
            Ok(text) => out.write_all(&text)?,
            Err(message) => {
                bad += 1;
                say!("line {number}: {message}");
            }
        }
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(bad)
}

/// One line, recoded.
fn recode_line(args: &RecodeArgs, line: &[u8]) -> Result<Vec<u8>, String> {
    let message = unwrapped(args, line)?;
    let value = unpack(&args.from, message)?;
    let mut packed = Vec::new();
    if args.to.name() == "edn" {
        packed = edn::to_vec(&value);
    } else {
        args.to
            .pack_message(&value, &mut packed)
            .map_err(|error| error.to_string())?;
    }
    wrapped(args, packed)
}

fn unpack(from: &PackerName, message: Vec<u8>) -> Result<Value, String> {
    // A line that was taken is read whole: it can not hold more forms than bytes.
    let elements = message.len().max(1);
    if from.name() == "edn" {
        let limits = edn::Limits::default()
            .max_bytes(message.len())
            .max_elements(elements);
        return match edn::read_first(&message, &limits) {
            Ok(Some((value, _))) => Ok(value),
            Ok(None) => Err(format!("no form in it at byte {}", message.len())),
            Err(error) => Err(error.to_string()),
        };
    }
    let mut limits = Limits::default();
    limits.max_frame_bytes = message.len();
    limits.max_opened_bytes = MAX_OPENED_BYTES.max(message.len());
    limits.max_elements = limits.max_opened_bytes;
    from.unpack_message(&message.into(), &limits)
        .map_err(|error| error.to_string())
}

/// The message in a line.
fn unwrapped(args: &RecodeArgs, line: &[u8]) -> Result<Vec<u8>, String> {
    if args.from.kind() == Kind::Binary {
        return BASE64
            .decode(line.trim_ascii())
            .map_err(|error| format!("not base64: {error}"));
    }
    if !args.jsonl {
        return Ok(line.to_vec());
    }
    let text: String = serde_json::from_slice(line).map_err(|error| {
        // Columns are counted in bytes, from 1; the end of the line has column 0 or its length.
        let offset = error.column().saturating_sub(1);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("not a JSON string: {message} at byte {offset}")
    })?;
    Ok(text.into_bytes())
}

/// The line for a message.
fn wrapped(args: &RecodeArgs, message: Vec<u8>) -> Result<Vec<u8>, String> {
    if args.to.kind() == Kind::Binary {
        return Ok(BASE64.encode(message).into_bytes());
    }
    if !args.jsonl {
        return Ok(message);
    }
    serde_json::to_vec(&String::from_utf8_lossy(&message)).map_err(|error| error.to_string())
}
