//! A Rust program that has a Python program do some of its work.
//!
//! The child, `words.py`, is forty lines of Python without a library but its own: with the packer
//! `json` each message is a line of JSON.
//!
//! ```console
//! $ cargo run -p sente-adapters --features json --example python_child
//! the child is ready: it is Python 3...
//! so much depends upon a red wheel barrow: 8 words, the longest is depends
//! a call that fails: the peer could not answer: it reported an error
//! the child ended: exit status: 0
//! on its standard error it said: words.py: cannot count 42
//! ```
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::time::Duration;

use sente_adapters::{ConnectOptions, StderrLines, connect};
use sente_core::{ConnectionEvent, Event, EventId};
use serde::Deserialize;

const PATIENCE: Duration = Duration::from_secs(10);

/// What the child answers.
#[derive(Deserialize)]
struct Counted {
    words: usize,
    longest: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/examples/python_child/words.py"
    );
    let url = format!("exec:?packer=json python3 '{script}'").parse()?;
    let mut options = ConnectOptions::default();
    // Without this, the lines of its standard error go to `tracing`.
    let (lines, said) = std::sync::mpsc::channel();
    options.child.stderr = Some(StderrLines::new(move |_pid, line| {
        // Nobody listens any more once `main` is over.
        let _ = lines.send(line.to_owned());
    }));
    let (handle, mut events) = connect(&url, &options).await?;

    // The child speaks first here. It need not: a call waits for its answer in any case.
    while let Some(event) = events.next().await {
        if let ConnectionEvent::Message(message) = event {
            let data = message.event.data.ok_or("no data")?.to_value()?;
            println!(
                "the child is ready: it is {}",
                data.as_str().unwrap_or_default()
            );
            break;
        }
    }

    let count = EventId::new("words/count")?;
    let text = "so much depends upon a red wheel barrow";
    let counted: Counted = handle.call_typed(count.clone(), &text, PATIENCE).await?;
    println!(
        "{text}: {} words, the longest is {}",
        counted.words, counted.longest
    );

    // What goes wrong in the child costs this call, and not the child.
    if let Err(failure) = handle.call(Event::new(count, 42), PATIENCE).await {
        println!("a call that fails: {failure}");
    }

    // Its input ends, and so does it; a child that does not is killed after `child.kill_grace`.
    handle.drain(PATIENCE);
    if let Some(status) = handle.ended().await.exit {
        println!("the child ended: {status}");
    }
    for line in said.try_iter() {
        println!("on its standard error it said: {line}");
    }
    Ok(())
}
