//! No runtime at all: the bare engine in a loop around `poll(2)`, a server and a client on a thread
//! each.
//!
//! ```console
//! $ cargo run -p sente-adapters --example poll_loop
//! 41 and one are 42
//! ```
//!
//! Of this package it uses nothing; sockets, threads and the time are those of `std`, which has no
//! `poll`, so that this one call is `rustix`'s.
#![allow(clippy::print_stdout)]

use std::error::Error;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::{Buf, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sente_core::{
    Accept, Carrier, Connection, ConnectionConfig, ConnectionEvent, Dialect, Event, EventId, Input,
    Instant, Role, Transmit, TransmitBuf,
};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome<()> {
    println!("41 and one are {}", ask(41)?.ok_or("no number")?);
    Ok(())
}

/// Asks a server for one more than `number`.
fn ask(number: i64) -> Outcome<Option<i64>> {
    let (ours, theirs) = UnixStream::pair()?;
    let serving = std::thread::spawn(move || serve(theirs));
    let mut answer = None;
    let client = new_connection(Role::Client, 1)?;
    run(client, ours, |now, connection, event| {
        match event {
            ConnectionEvent::Opened(_) => {
                let question = Event::new(EventId::new("test/add-one")?, number);
                connection.call(now, question, Duration::from_secs(5))?;
            }
            ConnectionEvent::Settled { result, .. } => {
                answer = result?.to_value()?.as_i64();
                connection.drain(now, now + Duration::from_secs(5));
            }
            _ => {}
        }
        Ok(())
    })?;
    match serving.join() {
        Ok(served) => served?,
        Err(_) => return Err("the server panicked".into()),
    }
    Ok(answer)
}

fn serve(stream: UnixStream) -> Outcome<()> {
    let mut server = new_connection(Role::Server, 2)?;
    server.accept(Instant::EPOCH, Accept::new("ada"));
    run(server, stream, |now, connection, event| {
        match event {
            ConnectionEvent::Message(message) => {
                let number = message.event.data.map(|data| data.to_value()).transpose()?;
                let number = number
                    .and_then(|number| number.as_i64())
                    .unwrap_or_default();
                if let Some(token) = message.reply {
                    connection.reply(now, token, number + 1)?;
                }
            }
            ConnectionEvent::PeerFinished => {
                connection.drain(now, now + Duration::from_secs(5));
            }
            _ => {}
        }
        Ok(())
    })
}

/// The seed is to be random where others are not to guess what the connection draws from it.
fn new_connection(role: Role, seed: u8) -> Outcome<Connection> {
    let config = ConnectionConfig::builder(role, Dialect::SenteLite, Carrier::Lines).build()?;
    Ok(Connection::new(config, [seed; 32], Instant::EPOCH))
}

/// Drives `connection` over `stream` to its end, and shows `on_event` what happens.
fn run(
    mut connection: Connection,
    mut stream: UnixStream,
    mut on_event: impl FnMut(Instant, &mut Connection, ConnectionEvent) -> Outcome<()>,
) -> Outcome<()> {
    stream.set_nonblocking(true)?;
    let began = std::time::Instant::now();
    let now = || Instant::EPOCH + began.elapsed();
    let (mut out, mut is_ended) = (TransmitBuf::new(), false);
    let mut chunk = vec![0; 64 * 1024];
    while !connection.is_finished() {
        while let Some(event) = connection.poll_event() {
            on_event(now(), &mut connection, event)?;
        }
        if out.is_empty() && connection.poll_transmit(&mut out) == Some(Transmit::Shutdown) {
            // The peer may be gone already.
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        let reads = connection.wants_read() && !is_ended;
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::IN, reads);
        wanted.set(PollFlags::OUT, !out.is_empty());
        let within = connection
            .poll_timeout()
            .map(|due| due.saturating_duration_since(now()));
        wait(&stream, wanted, within)?;
        if !out.is_empty() {
            match stream.write(out.chunk()) {
                Ok(written) => out.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => connection.handle_input(now(), Input::Failed(error.to_string())),
            }
            if out.is_empty() {
                connection.handle_transmitted(now());
            }
        }
        if reads {
            match stream.read(&mut chunk) {
                Ok(0) => {
                    is_ended = true;
                    connection.handle_input(now(), Input::Eof);
                }
                Ok(read) => {
                    let mut bytes = BytesMut::from(&chunk[..read]);
                    connection.handle_input(now(), Input::Bytes(&mut bytes));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => connection.handle_input(now(), Input::Failed(error.to_string())),
            }
        }
        connection.handle_timeout(now());
    }
    while let Some(event) = connection.poll_event() {
        on_event(now(), &mut connection, event)?;
    }
    Ok(())
}

/// Waits until what is `wanted` of `stream` can be done, or time is up.
fn wait(stream: &UnixStream, wanted: PollFlags, within: Option<Duration>) -> io::Result<()> {
    let within = within.map(|within| Timespec {
        tv_sec: within.as_secs().try_into().unwrap_or(i64::MAX),
        tv_nsec: within.subsec_nanos().into(),
    });
    match poll(&mut [PollFd::new(stream, wanted)], within.as_ref()) {
        Err(rustix::io::Errno::INTR) | Ok(_) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_without_a_runtime() {
        assert_eq!(ask(41).unwrap(), Some(42));
    }
}
