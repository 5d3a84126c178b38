//! A link as hyper reads and writes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use hyper::rt::{Read, ReadBufCursor, Write};
use sente_core::TransmitBuf;

use crate::link::Link;

/// Holds what a link gave in one read until hyper takes it, and what hyper wrote until the link
/// does.
pub(super) struct LinkStream {
    link: Box<dyn Link>,
    input: BytesMut,
    out: TransmitBuf,
}

impl LinkStream {
    pub(super) fn new(link: Box<dyn Link>) -> Self {
        Self {
            link,
            input: BytesMut::new(),
            out: TransmitBuf::new(),
        }
    }

    /// Writes what is held.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.out.is_empty() {
            if ready!(self.link.poll_write(cx, &mut self.out))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Read for LinkStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.input.is_empty() {
            // Idle, it holds no buffer.
            this.input = BytesMut::new();
            if ready!(this.link.poll_read(cx, &mut this.input))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let length = buffer.remaining().min(this.input.len());
        buffer.put_slice(this.input.get(..length).unwrap_or_default());
        this.input.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl Write for LinkStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        // No more than one write is held.
        ready!(self.poll_drain(cx))?;
        self.out.put_slice(bytes);
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            _ => Poll::Ready(Ok(bytes.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        self.link.poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        self.link.poll_shutdown(cx)
    }
}
