//! Counts what comes back, however it is cut into reads.

use std::sync::Arc;

use memchr::memchr_iter;
use peer_shapes::{MARK, frame};

use crate::protocol::{Framing, Requests};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Messages, but for those that are too short to be replies.
    Messages,
    /// Events, of which one message may hold several: by their marks.
    Events,
}

/// Reads the replies of one connection.
#[derive(Debug)]
pub(crate) struct Counter {
    requests: Arc<Requests>,
    what: What,
    /// Of the message that is being read.
    header: Vec<u8>,
    payload: usize,
    left: usize,
    marks: usize,
    in_payload: bool,
    /// Messages that were no replies, since this was last taken.
    pub(crate) pings: usize,
}

impl Counter {
    pub(crate) fn new(requests: Arc<Requests>, what: What) -> Self {
        Self {
            requests,
            what,
            header: Vec::new(),
            payload: 0,
            left: 0,
            marks: 0,
            in_payload: false,
            pings: 0,
        }
    }

    /// How many replies end in these bytes.
    ///
    /// # Panics
    /// If the server closes the WebSocket.
    pub(crate) fn count(&mut self, bytes: &[u8]) -> usize {
        match self.requests.framing {
            Framing::Fixed(size) => {
                self.left += bytes.len();
                let whole = self.left / size;
                self.left %= size;
                whole
            }
            Framing::Lines => self.lines(bytes),
            _ => self.framed(bytes),
        }
    }

    fn lines(&mut self, bytes: &[u8]) -> usize {
        let (mut counted, mut start) = (0, 0);
        for end in memchr_iter(b'\n', bytes) {
            let length = self.left + end - start;
            (self.left, start) = (0, end + 1);
            if length > self.requests.ignored {
                counted += 1;
            } else {
                self.pings += 1;
            }
        }
        self.left += bytes.len() - start;
        counted
    }

    fn framed(&mut self, mut bytes: &[u8]) -> usize {
        let mut counted = 0;
        loop {
            if !self.in_payload {
                bytes = match self.begin(bytes) {
                    Some(rest) => rest,
                    None => return counted,
                };
            }
            let (here, rest) = bytes.split_at(self.left.min(bytes.len()));
            if self.what == What::Events {
                self.marks += memchr_iter(MARK, here).count();
            }
            self.left -= here.len();
            bytes = rest;
            if self.left > 0 {
                return counted;
            }
            counted += self.end();
        }
    }

    /// Reads a header to its end, and gives what is behind it.
    fn begin<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        // Nearly always it is all there.
        if self.header.is_empty()
            && let Some((header, payload)) = header(self.requests.framing, bytes)
        {
            self.header.extend_from_slice(&bytes[..header.min(2)]);
            self.start(payload);
            return Some(&bytes[header..]);
        }
        for (at, byte) in bytes.iter().enumerate() {
            self.header.push(*byte);
            if let Some((_, payload)) = header(self.requests.framing, &self.header) {
                self.start(payload);
                return Some(&bytes[at + 1..]);
            }
        }
        None
    }

    fn start(&mut self, payload: usize) {
        (self.payload, self.left, self.marks) = (payload, payload, 0);
        self.in_payload = true;
    }

    /// What a message that is whole counts for.
    fn end(&mut self) -> usize {
        self.in_payload = false;
        let opcode = self.header.first().map_or(0, |first| first & 0x0f);
        self.header.clear();
        if self.requests.framing == Framing::WebSocket {
            assert_ne!(opcode, 8, "the server closed the WebSocket");
            if opcode > 8 {
                return 0;
            }
        }
        if self.payload <= self.requests.ignored {
            self.pings += 1;
            return 0;
        }
        match self.what {
            What::Messages => 1,
            What::Events => self.marks,
        }
    }
}

/// The lengths of the header at the start of `bytes`, and of what it announces.
fn header(framing: Framing, bytes: &[u8]) -> Option<(usize, usize)> {
    match framing {
        Framing::LengthPrefixed => {
            let length = bytes.first_chunk()?;
            Some((4, u32::from_be_bytes(*length) as usize))
        }
        Framing::FlaggedLength => {
            let length = bytes.get(1..)?.first_chunk()?;
            Some((5, u32::from_be_bytes(*length) as usize))
        }
        Framing::ContentLength => {
            let end = memchr::memmem::find(bytes, b"\r\n\r\n")?;
            let text = std::str::from_utf8(&bytes[..end]).ok()?;
            let length = text
                .lines()
                .find_map(|line| line.strip_prefix("Content-Length: "));
            Some((end + 4, length?.trim().parse().ok()?))
        }
        _ => {
            let header = frame::header(bytes)?;
            Some((header.bytes, header.payload))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Protocol;

    fn counter(protocol: Protocol, what: What) -> Counter {
        let requests = Requests::calls(protocol, 100, 1).unwrap();
        Counter::new(Arc::new(requests), what)
    }

    #[test]
    fn replies_are_counted_however_they_are_cut() {
        let mut replies = frame::frame(frame::TEXT, b"~ one of some length", None);
        replies.extend(frame::frame(frame::TEXT, &[b'~'; 300], None));
        replies.extend(frame::frame(9, b"ping", None));
        let mut whole = counter(Protocol::Echo, What::Messages);
        assert_eq!(whole.count(&replies), 2);
        let mut bytes = counter(Protocol::Echo, What::Messages);
        assert_eq!(
            replies
                .chunks(1)
                .map(|byte| bytes.count(byte))
                .sum::<usize>(),
            2
        );
        let mut marks = counter(Protocol::Echo, What::Events);
        assert_eq!(
            replies
                .chunks(7)
                .map(|part| marks.count(part))
                .sum::<usize>(),
            301
        );
    }

    #[test]
    fn headers_of_the_language_server_protocol_are_read() {
        let framing = Protocol::JsonRpc(Framing::ContentLength);
        let mut counter = counter(framing, What::Messages);
        assert_eq!(counter.count(b"Content-Length: 2\r\n\r\n{}Content-Le"), 1);
        assert_eq!(counter.count(b"ngth: 2\r\n\r\n{}"), 1);
    }

    #[test]
    fn short_lines_are_pings() {
        let mut counter = counter(Protocol::of("ours/tcp/edn"), What::Messages);
        let line = [&[b'x'; 100][..], b"\n[[:chsk/ws-ping] nil]\n"].concat();
        let counted: usize = line.chunks(9).map(|part| counter.count(part)).sum();
        assert_eq!((counted, counter.pings), (1, 1));
    }

    #[test]
    fn what_is_too_short_is_a_ping() {
        let mut counter = counter(Protocol::SocketIo, What::Messages);
        assert_eq!(counter.count(&frame::frame(frame::TEXT, b"2", None)), 0);
        assert_eq!(counter.pings, 1);
    }
}
