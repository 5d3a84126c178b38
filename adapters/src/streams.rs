//! Links over what others call an asynchronous stream: tokio's traits, and those of futures-io.

use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use sente_core::TransmitBuf;

use crate::link::Link;

/// How much one read takes at most. It goes over the stack, so that a link that waits holds no
/// buffer.
const READ_BYTES: usize = 16 * 1024;

/// How many pieces one write gathers.
const PIECES: usize = 64;

/// A [`Link`] over tokio's traits: what `tokio-rustls`, `hyper` upgrades, `tokio::io::duplex` or a
/// serial port give.
///
/// ```
/// use sente_adapters::{Link, TokioLink};
///
/// let (ours, theirs) = tokio::io::duplex(64 * 1024);
/// let link: Box<dyn Link> = Box::new(TokioLink::new(ours));
/// # drop((link, theirs));
/// ```
#[derive(Debug)]
pub struct TokioLink<S>(S);

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> TokioLink<S> {
    /// A link over `stream`. What is not `Unpin` is boxed and pinned before.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Send + Unpin> Link for TokioLink<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut scratch = [MaybeUninit::uninit(); READ_BYTES];
        let mut buffer = tokio::io::ReadBuf::uninit(&mut scratch);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buffer))?;
        input.extend_from_slice(buffer.filled());
        Poll::Ready(Ok(buffer.filled().len()))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        let written = if stream.is_write_vectored() {
            gathered(out, |pieces| stream.poll_write_vectored(cx, pieces))
        } else {
            stream.poll_write(cx, out.chunk())
        };
        stepped_over(out, written)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// A [`Link`] over the traits of futures-io: what `smol`, `async-std` and `futures` give.
///
/// `async_io::Async` and with it the sockets of async-std only flush when they are closed, so the peer
/// would not hear of the end of the writing side: wrap them, and shut them down in `poll_close`.
/// Addresses ([`connect`](crate::connect)) need no such care on any runtime.
#[derive(Debug)]
pub struct FuturesLink<S>(S);

impl<S: futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin> FuturesLink<S> {
    /// A link over `stream`. What is not `Unpin` is boxed and pinned before.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin> Link for FuturesLink<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let mut scratch = [0; READ_BYTES];
        let read = ready!(Pin::new(&mut self.0).poll_read(cx, &mut scratch))?;
        input.extend_from_slice(scratch.get(..read).unwrap_or_default());
        Poll::Ready(Ok(read))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        let stream = Pin::new(&mut self.0);
        let written = gathered(out, |pieces| stream.poll_write_vectored(cx, pieces));
        stepped_over(out, written)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }
}

/// Writes the pieces at the front of `out`.
fn gathered(
    out: &TransmitBuf,
    write: impl FnOnce(&[IoSlice<'_>]) -> Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    let mut pieces = [IoSlice::new(&[]); PIECES];
    let filled = out.chunks_vectored(&mut pieces);
    write(pieces.get(..filled).unwrap_or_default())
}

fn stepped_over(
    out: &mut TransmitBuf,
    written: Poll<io::Result<usize>>,
) -> Poll<io::Result<usize>> {
    if let Poll::Ready(Ok(written)) = &written {
        out.advance(*written);
    }
    written
}
