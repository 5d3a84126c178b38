//! The bodies of answers, and what is known of those that were not written.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use sente_adapters::AjaxAnswer;

/// The body of an answer: complete, in one piece.
///
/// If it is the answer to a poll and is dropped before it was taken, or its socket fails while it is
/// written, the events in it are told again.
#[derive(Debug, Default)]
pub struct SenteBody {
    bytes: Bytes,
    answer: Option<AjaxAnswer>,
    /// Where an answer waits for what becomes of its socket, if that is known.
    last: Option<LastAnswer>,
}

impl SenteBody {
    pub(super) fn of_answer(mut answer: AjaxAnswer, last: Option<LastAnswer>) -> Self {
        Self {
            bytes: answer.take_body(),
            answer: Some(answer),
            last,
        }
    }
}

impl From<String> for SenteBody {
    fn from(text: String) -> Self {
        Self::from(Bytes::from(text))
    }
}

impl From<Bytes> for SenteBody {
    fn from(bytes: Bytes) -> Self {
        Self {
            bytes,
            answer: None,
            last: None,
        }
    }
}

impl Body for SenteBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let bytes = std::mem::take(&mut self.bytes);
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}

impl Drop for SenteBody {
    fn drop(&mut self) {
        let Some(answer) = self.answer.take() else {
            return;
        };
        if !self.bytes.is_empty() {
            // Nobody has taken it.
            return;
        }
        match &self.last {
            Some(last) => last.put(answer),
            None => answer.written(),
        }
    }
}

/// The last answer of one socket, which may be on its way yet: an extension of its requests. Dropped
/// with an answer in it, that counts as lost.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAnswer(Arc<Mutex<Option<AjaxAnswer>>>);

impl LastAnswer {
    /// The client has read it: it asks for more, or has ended in order.
    pub(super) fn was_written(&self) {
        if let Some(answer) = self.take() {
            answer.written();
        }
    }

    /// The socket failed.
    pub(super) fn was_lost(&self) {
        drop(self.take());
    }

    fn put(&self, answer: AjaxAnswer) {
        let older = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .replace(answer);
        if let Some(older) = older {
            older.written();
        }
    }

    fn take(&self) -> Option<AjaxAnswer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
