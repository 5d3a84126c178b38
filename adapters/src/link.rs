//! What the driver needs of a transport: a stream of bytes both ways.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll};

use bytes::BytesMut;
use sente_core::TransmitBuf;

use crate::deflate::Agreed;
use crate::process::Child;
use crate::runtime::Descriptor;

/// A stream of bytes both ways, behind one pointer: whatever carries a connection.
///
/// All methods are polled by one task, reading and writing in turns, and none is told that its
/// caller has stopped waiting: what was begun stays begun until the next poll. So reads that run
/// elsewhere, on a thread for one, lose nothing.
pub trait Link: Send {
    /// Appends what has come to `input` and says how much; 0 is the end. About 64 KiB at a time are
    /// enough.
    ///
    /// While nothing comes, no buffer should be held for it: that is what an idle connection costs.
    ///
    /// # Errors
    /// The transport failed.
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>>;

    /// Writes from the front of `out`, which is not empty, steps over what was written
    /// ([`Buf::advance`](bytes::Buf::advance)) and says how much.
    ///
    /// # Errors
    /// The peer takes no more.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>>;

    /// Passes on what was written and held back.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write).
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends the writing side, so that the peer reads its end. Reading goes on. Nothing is written
    /// any more.
    ///
    /// # Errors
    /// As [`poll_write`](Self::poll_write).
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether each message of either side stands behind the header of
    /// [`LengthPrefixed`](sente_core::framing::LengthPrefixed), whatever the packer. Default no: the
    /// packer decides how frames are cut.
    fn is_message_based(&self) -> bool {
        false
    }

    /// The connected stream socket it is, if all that is written goes to that as it is, at once: then
    /// [`Handle::write_now`](crate::Handle::write_now) may write there, too, while no write of the
    /// driver is under way. Whoever has the socket does not keep it open. Default: none, and all is
    /// written by [`poll_write`](Self::poll_write).
    fn socket(&self) -> Option<Weak<dyn Descriptor>> {
        None
    }
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        (**self).poll_read(cx, input)
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        (**self).poll_write(cx, out)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (**self).poll_shutdown(cx)
    }

    fn is_message_based(&self) -> bool {
        (**self).is_message_based()
    }

    fn socket(&self) -> Option<Weak<dyn Descriptor>> {
        (**self).socket()
    }
}

/// Puts something around each link as soon as it is open, before anything is said on it: to count,
/// to slow down, to record, to break on purpose.
#[derive(Clone)]
pub struct LinkLayer(Arc<Layer>);

type Layer = dyn Fn(Box<dyn Link>) -> Box<dyn Link> + Send + Sync;

impl LinkLayer {
    /// A layer that gives back what stands in the place of a link.
    pub fn new(layer: impl Fn(Box<dyn Link>) -> Box<dyn Link> + Send + Sync + 'static) -> Self {
        Self(Arc::new(layer))
    }

    /// `link` within the layer, if there is one.
    pub(crate) fn around(layer: Option<&Self>, link: Box<dyn Link>) -> Box<dyn Link> {
        match layer {
            Some(Self(layer)) => layer(link),
            None => link,
        }
    }
}

impl fmt::Debug for LinkLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkLayer").finish_non_exhaustive()
    }
}

/// A link that nobody reads or writes yet: whoever waits with it may be looked at from two threads,
/// though a link itself need not be.
pub(crate) struct Held(Mutex<Box<dyn Link>>);

impl Held {
    pub(crate) fn new(link: Box<dyn Link>) -> Self {
        Self(Mutex::new(link))
    }

    pub(crate) fn into_inner(self) -> Box<dyn Link> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open link, and what is known of it.
pub(crate) struct Transport<L: ?Sized = dyn Link> {
    pub(crate) link: Box<L>,
    /// Bytes that were read before the engine took over, such as those behind an HTTP head.
    pub(crate) rest: BytesMut,
    pub(crate) child: Option<Box<Child>>,
    /// What the upgrade of a WebSocket agreed on.
    pub(crate) deflate: Option<Agreed>,
    /// What to call the other side in messages.
    pub(crate) peer: String,
}

impl Transport {
    pub(crate) fn new(link: Box<dyn Link>, peer: String) -> Self {
        Self::over(link, peer)
    }
}

impl<L: Link + ?Sized> Transport<L> {
    /// Over a link whose type may be known.
    pub(crate) fn over(link: Box<L>, peer: String) -> Self {
        Self {
            link,
            rest: BytesMut::new(),
            child: None,
            deflate: None,
            peer,
        }
    }

    /// The stream, what was read of it already, and the child at its other end.
    #[expect(
        clippy::boxed_local,
        reason = "the box ends here, and not with whoever had it"
    )]
    pub(crate) fn into_parts(self: Box<Self>) -> (Box<L>, BytesMut, Option<Box<Child>>) {
        let Self {
            link, rest, child, ..
        } = *self;
        (link, rest, child)
    }
}

/// Reads once; 0 is the end.
pub(crate) async fn read(link: &mut dyn Link, input: &mut BytesMut) -> io::Result<usize> {
    poll_fn(|cx| link.poll_read(cx, input)).await
}

/// Writes and flushes all of `out`.
pub(crate) async fn write_all(link: &mut dyn Link, out: &mut TransmitBuf) -> io::Result<()> {
    while !out.is_empty() {
        if poll_fn(|cx| link.poll_write(cx, out)).await? == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
    }
    poll_fn(|cx| link.poll_flush(cx)).await
}

/// Ends the writing side.
pub(crate) async fn shutdown(link: &mut dyn Link) -> io::Result<()> {
    poll_fn(|cx| link.poll_shutdown(cx)).await
}
