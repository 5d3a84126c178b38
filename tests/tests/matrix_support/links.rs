//! Streams and channels that are made by hand.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::{Sink, Stream};

/// async-std's sockets do nothing when they are closed; this shuts them down, as others do.
pub(crate) struct Closing(pub(crate) async_std::os::unix::net::UnixStream);

impl futures_util::AsyncRead for Closing {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl futures_util::AsyncWrite for Closing {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.shutdown(std::net::Shutdown::Write))
    }
}

/// A channel of messages both ways.
pub(crate) struct Channel {
    from: Pin<Box<smol::channel::Receiver<Bytes>>>,
    to: Option<smol::channel::Sender<Bytes>>,
    sending: Option<Pin<Box<dyn Future<Output = io::Result<()>> + Send>>>,
}

impl Channel {
    pub(crate) fn pair() -> (Self, Self) {
        let (there, from_here) = smol::channel::bounded(4);
        let (back, from_there) = smol::channel::bounded(4);
        let end = |from, to| Self {
            from: Box::pin(from),
            to: Some(to),
            sending: None,
        };
        (end(from_there, there), end(from_here, back))
    }
}

impl Stream for Channel {
    type Item = io::Result<Bytes>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        self.from
            .as_mut()
            .poll_next(cx)
            .map(|message| message.map(Ok))
    }
}

impl Sink<Bytes> for Channel {
    type Error = io::Error;

    fn poll_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Bytes) -> io::Result<()> {
        let to = self.to.clone().ok_or(io::ErrorKind::BrokenPipe)?;
        self.sending = Some(Box::pin(async move {
            to.send(message)
                .await
                .map_err(|_| io::ErrorKind::BrokenPipe.into())
        }));
        Ok(())
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(sending) = &mut self.sending {
            let sent = ready!(sending.as_mut().poll(cx));
            self.sending = None;
            sent?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.to = None;
        Poll::Ready(Ok(()))
    }
}
