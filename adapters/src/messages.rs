//! Links over what carries whole messages: another library's WebSocket, a channel, a queue.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use sente_core::TransmitBuf;
use sente_core::framing::{Kind, LengthPrefixed};

use crate::link::Link;

/// How long the header before a message is: its kind and its length.
const HEADER_BYTES: usize = 5;

/// A [`Link`] over a channel of messages, one frame in each: a stream of those that come, which is
/// also the sink for those that go.
///
/// The channel keeps them whole and in order. It ends with its stream; that the peer ended it says
/// nothing of messages that went the other way.
#[derive(Debug)]
pub struct MessageLink<C> {
    channel: C,
    kind: Kind,
    /// The beginning of the next message to send, its header included.
    partial: BytesMut,
}

impl<C> MessageLink<C>
where
    C: Stream<Item = io::Result<Bytes>> + Sink<Bytes, Error = io::Error> + Send + Unpin,
{
    /// A link over `channel`, whose messages are text or binary as the packer is.
    #[must_use]
    pub fn new(channel: C, kind: Kind) -> Self {
        Self {
            channel,
            kind,
            partial: BytesMut::new(),
        }
    }

    /// How many bytes the next message is short of.
    fn missing(&self) -> usize {
        let whole = match self.partial.get(1..HEADER_BYTES) {
            Some(&[a, b, c, d]) => {
                let length = u32::from_be_bytes([a, b, c, d]);
                HEADER_BYTES.saturating_add(usize::try_from(length).unwrap_or(usize::MAX))
            }
            _ => HEADER_BYTES,
        };
        whole.saturating_sub(self.partial.len())
    }
}

impl<C> Link for MessageLink<C>
where
    C: Stream<Item = io::Result<Bytes>> + Sink<Bytes, Error = io::Error> + Send + Unpin,
{
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        let Some(message) = ready!(Pin::new(&mut self.channel).poll_next(cx)) else {
            return Poll::Ready(Ok(0));
        };
        let message = message?;
        let header = LengthPrefixed::header(self.kind, message.len())
            .ok_or_else(|| io::Error::other("a message is longer than 4 GiB"))?;
        input.extend_from_slice(&header);
        input.extend_from_slice(&message);
        Poll::Ready(Ok(header.len().saturating_add(message.len())))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        ready!(Pin::new(&mut self.channel).poll_ready(cx))?;
        let mut taken: usize = 0;
        while !out.is_empty() {
            let more = self.missing().min(out.chunk().len());
            self.partial
                .extend_from_slice(out.chunk().get(..more).unwrap_or_default());
            out.advance(more);
            taken = taken.saturating_add(more);
            if self.missing() == 0 {
                let mut message = std::mem::take(&mut self.partial);
                message.advance(HEADER_BYTES);
                Pin::new(&mut self.channel).start_send(message.freeze())?;
                break;
            }
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.channel).poll_close(cx)
    }

    fn is_message_based(&self) -> bool {
        true
    }
}
