//! A layer that gives and takes one byte at a time.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use sente_adapters::{Link, LinkLayer};
use sente_core::TransmitBuf;

pub(crate) fn one_byte_at_a_time() -> LinkLayer {
    LinkLayer::new(|inner| {
        Box::new(OneByte {
            inner,
            held: BytesMut::new(),
        })
    })
}

struct OneByte {
    inner: Box<dyn Link>,
    /// What was read at once, and not given out yet.
    held: BytesMut,
}

impl Link for OneByte {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.held.is_empty() && ready!(self.inner.poll_read(cx, &mut self.held))? == 0 {
            return Poll::Ready(Ok(0));
        }
        input.extend_from_slice(&self.held.split_to(1));
        Poll::Ready(Ok(1))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        let mut one = TransmitBuf::new();
        one.put_slice(&out.chunk()[..1]);
        let written = ready!(self.inner.poll_write(cx, &mut one))?;
        out.advance(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }
}
