//! A link within a link: rustls between them.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::Connection;
use rustls::pki_types::CertificateDer;
use sente_core::TransmitBuf;

use crate::link::Link;

/// How much plaintext is taken at a time: one record of TLS.
const RECORD_BYTES: usize = 16 * 1024;

/// How much that is encrypted may wait to be written before no more is taken.
const PENDING_BYTES: usize = 64 * 1024;

/// A link on which TLS is spoken.
pub(super) struct TlsLink {
    inner: Box<dyn Link>,
    session: Connection,
    /// What was read and not decrypted yet. Without capacity while nothing comes.
    raw: BytesMut,
    /// What was encrypted and not written yet.
    pending: TransmitBuf,
    /// The end of the inner link was read.
    is_ended: bool,
    /// The peer was told that nothing more comes.
    has_said_goodbye: bool,
}

impl TlsLink {
    /// Agrees with the peer over `inner`.
    pub(super) async fn handshake(inner: Box<dyn Link>, session: Connection) -> io::Result<Self> {
        let mut link = Self {
            inner,
            session,
            raw: BytesMut::new(),
            pending: TransmitBuf::new(),
            is_ended: false,
            has_said_goodbye: false,
        };
        poll_fn(|cx| link.poll_handshake(cx)).await?;
        Ok(link)
    }

    /// The certificates the peer showed, its own first.
    pub(super) fn peer_certificates(&self) -> Vec<CertificateDer<'static>> {
        let shown = self.session.peer_certificates().unwrap_or_default();
        shown.iter().map(|one| one.clone().into_owned()).collect()
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(self.poll_push(cx))?;
            if !self.session.is_handshaking() {
                return self.inner.poll_flush(cx);
            }
            if ready!(self.poll_pull(cx))? == 0 {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer ended the connection during the TLS handshake",
                )));
            }
        }
    }

    /// Writes what is encrypted.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while self.session.wants_write() && self.pending.len() < PENDING_BYTES {
                self.session.write_tls(&mut Into(&mut self.pending))?;
            }
            if self.pending.is_empty() {
                return Poll::Ready(Ok(()));
            }
            if ready!(self.inner.poll_write(cx, &mut self.pending))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
    }

    /// Reads and decrypts some more; 0 is the end of the inner link.
    fn poll_pull(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.raw.is_empty() && !self.is_ended {
            let read = self.inner.poll_read(cx, &mut self.raw);
            if read.is_pending() {
                self.raw = BytesMut::new();
            }
            self.is_ended = ready!(read)? == 0;
        }
        let taken = self.session.read_tls(&mut (&self.raw[..]))?;
        self.raw.advance(taken);
        if let Err(error) = self.session.process_new_packets() {
            // The peer is told why, if it still listens.
            let _ = self.poll_push(cx);
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        }
        Poll::Ready(Ok(taken))
    }
}

impl Link for TlsLink {
    /// An end that TLS did not announce is an error: somebody else may have cut the connection.
    fn poll_read(&mut self, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
        loop {
            let mut record = [0; RECORD_BYTES];
            match self.session.reader().read(&mut record) {
                Ok(read) => {
                    input.extend_from_slice(record.get(..read).unwrap_or_default());
                    return Poll::Ready(Ok(read));
                }
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                Err(_) => {}
            }
            // Answers of TLS itself to what was read, such as new keys.
            if let Poll::Ready(Err(error)) = self.poll_push(cx) {
                return Poll::Ready(Err(error));
            }
            ready!(self.poll_pull(cx))?;
        }
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut TransmitBuf,
    ) -> Poll<io::Result<usize>> {
        if self.session.wants_write() || self.pending.len() >= PENDING_BYTES {
            ready!(self.poll_push(cx))?;
        }
        let piece = out.chunk();
        let piece = piece.get(..RECORD_BYTES).unwrap_or(piece);
        let taken = self.session.writer().write(piece)?;
        out.advance(taken);
        if let Poll::Ready(Err(error)) = self.poll_push(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_push(cx))?;
        self.inner.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.has_said_goodbye {
            self.session.send_close_notify();
            self.has_said_goodbye = true;
        }
        ready!(self.poll_push(cx))?;
        self.inner.poll_shutdown(cx)
    }

    fn is_message_based(&self) -> bool {
        false
    }
}

/// Where rustls writes what it has encrypted.
struct Into<'a>(&'a mut TransmitBuf);

impl Write for Into<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.put_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
