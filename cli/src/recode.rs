//! `sente recode`: packed messages, one a line, read and written again.

use std::io::{self, BufWriter, IsTerminal, Read, Write};

use sente_core::edn::{self, Limits};

use crate::args::{PackerName, RecodeArgs};
use crate::exit::{Exit, Failure, Outcome};
use crate::lines::{Line, Lines, is_blank};
use crate::output::say;

/// Recodes standard input to standard output.
pub(crate) fn run(args: &RecodeArgs) -> Outcome {
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
            Line::Bytes(line) if args.jsonl => recode_json(args, &line),
            Line::Bytes(line) => recode_text(args, &line),
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

/// One message, recoded.
fn recode_text(args: &RecodeArgs, text: &[u8]) -> Result<Vec<u8>, String> {
    let value = match args.from {
        PackerName::Edn => {
            // A line that was taken is read whole: it can not hold more forms than bytes.
            let limits = Limits::default()
                .max_bytes(text.len())
                .max_elements(text.len().max(1));
            match edn::read_first(text, &limits) {
                Ok(Some((value, _))) => value,
                Ok(None) => return Err(format!("no form in it at byte {}", text.len())),
                Err(error) => return Err(error.to_string()),
            }
        }
    };
    match args.to {
        PackerName::Edn => Ok(edn::to_vec(&value)),
    }
}

/// One message in a JSON string, recoded.
fn recode_json(args: &RecodeArgs, line: &[u8]) -> Result<Vec<u8>, String> {
    let text: String = serde_json::from_slice(line).map_err(|error| {
        // Columns are counted in bytes, from 1; the end of the line has column 0 or its length.
        let offset = error.column().saturating_sub(1);
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("not a JSON string: {message} at byte {offset}")
    })?;
    let recoded = recode_text(args, text.as_bytes())?;
    let recoded = String::from_utf8_lossy(&recoded);
    serde_json::to_vec(&recoded).map_err(|error| error.to_string())
}
