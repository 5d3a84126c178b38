//! A transport of one's own: a stream of bytes over Unix datagrams, in four methods.
//!
//! ```console
//! $ cargo run -p sente-adapters --example custom_transport
//! 100000 characters came back over datagrams of 8192 bytes at most
//! the server has heard the end
//! ```
//!
//! What has tokio's traits or those of futures-io needs none of this:
//! [`TokioLink`](sente_adapters::TokioLink) and [`FuturesLink`](sente_adapters::FuturesLink) are
//! links already, and [`MessageLink`](sente_adapters::MessageLink) is one around any channel of
//! whole messages.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::io;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use sente_adapters::{Acceptor, ConnectOptions, Data, Link, ListenOptions, Router, connect_over};
use sente_core::{Accept, Event, EventId, TransmitBuf};
use tokio::io::ReadBuf;
use tokio::net::UnixDatagram;

/// The most one datagram carries.
const MOST: usize = 8192;

/// Unix datagrams come whole and in order, and whoever sends too many waits: all that a link needs.
/// They have no end, so an empty one is it.
struct Datagrams(UnixDatagram);

impl Link for Datagrams {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut room = [0; MOST];
        let mut datagram = ReadBuf::new(&mut room);
        ready!(self.0.poll_recv(cx, &mut datagram))?;
        input.extend_from_slice(datagram.filled());
        Poll::Ready(Ok(datagram.filled().len()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        // `out` is made of pieces; each call may take as much of the first as it likes.
        let piece = out.chunk();
        let sent = ready!(self.0.poll_send(cx, &piece[..piece.len().min(MOST)]))?;
        out.advance(sent);
        Poll::Ready(Ok(sent))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Nothing is held back.
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_send(cx, &[]).map_ok(drop)
    }
}

async fn echo(Data(text): Data<String>) -> String {
    text
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (ours, theirs) = UnixDatagram::pair()?;
    // It says what is spoken over the link; nobody is dialled.
    let url = "tcp://a.neighbour:1".parse()?;

    let acceptor = Acceptor::new(&url, ListenOptions::default())?;
    let incoming = acceptor.take(Datagrams(theirs), "a neighbour").await?;
    let incoming = incoming.ok_or("it went away")?;
    let (_handle, events) = incoming.accept(Accept::new("guest")).await?;
    let serving = tokio::spawn(Router::new().on("test/echo", echo)?.serve(events).run());

    let options = ConnectOptions::default();
    let (handle, _events) = connect_over(&url, Datagrams(ours), &options).await?;
    let text = "x".repeat(100_000);
    let event = Event::new(EventId::new("test/echo")?, text.as_str());
    let answer = handle
        .call(event, Duration::from_secs(10))
        .await?
        .to_value()?;
    if answer.as_str() == Some(&text) {
        let length = text.len();
        println!("{length} characters came back over datagrams of {MOST} bytes at most");
    }
    handle.drain(Duration::from_secs(10));
    handle.ended().await;
    serving.await?;
    println!("the server has heard the end");
    Ok(())
}
