//! A link that takes and gives in pieces of any size, keeps what is not flushed, and has its callers
//! wait for no reason.

use std::io;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use sente_adapters::Link;
use sente_core::TransmitBuf;
use sente_tests::world::Rng;

pub(crate) struct Jagged<L> {
    inner: L,
    rng: Rng,
    /// The most that passes at a time.
    piece: usize,
    /// The most that is kept until it is flushed; 0 for nothing.
    keeps: usize,
    /// What was read at once, and not given out yet.
    held: BytesMut,
    /// What was written, and not flushed yet.
    kept: TransmitBuf,
}

impl<L: Link> Jagged<L> {
    pub(crate) fn new(inner: L, mut rng: Rng, piece: usize) -> Self {
        let keeps = rng.pick(&[0, 0, 1, 100, 10_000]);
        Self {
            inner,
            rng,
            piece,
            keeps,
            held: BytesMut::new(),
            kept: TransmitBuf::new(),
        }
    }

    /// Whether this poll comes to nothing; there will be another.
    fn stumbles(&mut self, cx: &Context<'_>) -> bool {
        let stumbles = self.rng.one_in(4);
        if stumbles {
            cx.waker().wake_by_ref();
        }
        stumbles
    }

    fn size(&mut self, most: usize) -> usize {
        let most = most.min(self.piece);
        self.rng.between(1, most)
    }

    fn poll_pass_on(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            ready!(self.inner.poll_write(cx, &mut self.kept))?;
        }
        Poll::Ready(Ok(()))
    }
}

impl<L: Link> Link for Jagged<L> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        if self.held.is_empty() && ready!(self.inner.poll_read(cx, &mut self.held))? == 0 {
            return Poll::Ready(Ok(0));
        }
        let size = self.size(self.held.len());
        input.extend_from_slice(&self.held.split_to(size));
        Poll::Ready(Ok(size))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        if self.kept.remaining() >= self.keeps {
            ready!(self.poll_pass_on(cx))?;
        }
        let most = out.chunk().len();
        let size = self.size(most);
        let mut piece = TransmitBuf::new();
        piece.put_slice(&out.chunk()[..size]);
        let written = if self.keeps > 0 {
            self.kept.put_slice(piece.chunk());
            size
        } else {
            ready!(self.inner.poll_write(cx, &mut piece))?
        };
        out.advance(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        ready!(self.poll_pass_on(cx))?;
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.stumbles(cx) {
            return Poll::Pending;
        }
        assert!(self.kept.is_empty(), "it is flushed first");
        self.inner.poll_shutdown(cx)
    }
}
