//! What the driver needs of a transport: a reading half, a writing half, perhaps a child.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::deflate::Agreed;
use crate::process::Child;

pub(crate) type Reader = Box<dyn AsyncRead + Send + Unpin>;
pub(crate) type Writer = Box<dyn AsyncWrite + Send + Unpin>;

/// An open transport, type-erased: the loop over it is compiled once.
pub(crate) struct Transport {
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Bytes that were read before the engine took over, such as those behind an HTTP head.
    pub(crate) rest: BytesMut,
    pub(crate) child: Option<Child>,
    /// What the upgrade of a WebSocket agreed on.
    pub(crate) deflate: Option<Agreed>,
    /// Whether the writing half holds bytes back until it is flushed.
    pub(crate) buffers_writes: bool,
    /// What to call the other side in messages.
    pub(crate) peer: String,
}

impl Transport {
    pub(crate) fn new(
        (reader, writer): (
            impl AsyncRead + Send + Unpin + 'static,
            impl AsyncWrite + Send + Unpin + 'static,
        ),
        peer: String,
    ) -> Self {
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            rest: BytesMut::new(),
            child: None,
            deflate: None,
            buffers_writes: false,
            peer,
        }
    }
}
