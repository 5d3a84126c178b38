//! Where the head of an HTTP message ends in bytes that arrive piecemeal.

use alloc::vec;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};
use memchr::memchr;

use super::headers::is_token;
use super::{UpgradeError, UpgradeLimits};
use crate::framing::input::Input;

/// Collects bytes until an empty line ends the head.
///
/// The parser sees a head only when all of it is there, so that every byte is parsed once, however
/// it arrives.
#[derive(Debug)]
pub(super) struct HeadReader {
    input: Input,
    /// How far `input` was searched for the ends of lines.
    searched: usize,
    /// Where in `input` the line begins that `searched` is in.
    line_at: usize,
    /// How many bytes of empty lines and earlier heads are gone; they count against the limit.
    passed: usize,
    pub(super) eof: bool,
    pub(super) limits: UpgradeLimits,
}

impl HeadReader {
    pub(super) fn new(limits: UpgradeLimits) -> Self {
        Self {
            input: Input::default(),
            searched: 0,
            line_at: 0,
            passed: 0,
            eof: false,
            limits,
        }
    }

    pub(super) fn push(&mut self, input: &mut BytesMut) {
        self.input.push(input);
    }

    /// The bytes of the next head, to be parsed; `None` means that more are needed.
    pub(super) fn poll(&mut self) -> Option<Result<Bytes, UpgradeError>> {
        self.skip_empty_lines();
        let begins_well = match self.input.as_slice() {
            [] | [b'\r'] => true,
            [first, ..] => is_token(*first),
        };
        if !begins_well {
            // A peer of another protocol may never send an empty line: TLS begins with 0x16, EDN
            // with a bracket.
            return Some(Err(UpgradeError::BadHead {
                reason: "it begins with a character that no http message begins with",
            }));
        }
        let end = self.find_end();
        let length = end.unwrap_or(self.input.len());
        if length.saturating_add(self.passed) > self.limits.max_head_bytes {
            return Some(Err(UpgradeError::HeadTooLong {
                limit: self.limits.max_head_bytes,
            }));
        }
        let Some(end) = end else {
            if self.eof {
                return Some(Err(UpgradeError::Ended {
                    received: self.input.len(),
                }));
            }
            self.input.settle();
            return None;
        };
        self.searched = 0;
        self.line_at = 0;
        self.passed = self.passed.saturating_add(end);
        Some(Ok(self.input.take(end)))
    }

    /// The bytes after the heads that were polled.
    pub(super) fn input(&mut self) -> &mut Input {
        &mut self.input
    }

    /// Empty lines before a message are ignored (RFC 9112 section 2.2).
    fn skip_empty_lines(&mut self) {
        let mut rest = self.input.as_slice();
        while let Some(next) = rest
            .strip_prefix(b"\r\n")
            .or_else(|| rest.strip_prefix(b"\n"))
        {
            rest = next;
        }
        let skipped = self.input.len().saturating_sub(rest.len());
        if skipped == 0 {
            return;
        }
        self.input.skip(skipped);
        self.searched = 0;
        self.line_at = 0;
        self.passed = self.passed.saturating_add(skipped);
    }

    /// Where the empty line ends. No byte is searched twice.
    fn find_end(&mut self) -> Option<usize> {
        loop {
            let unsearched = self.input.as_slice().get(self.searched..).unwrap_or(&[]);
            let Some(newline) = memchr(b'\n', unsearched) else {
                self.searched = self.input.len();
                return None;
            };
            let end = self.searched.saturating_add(newline);
            let line = self.input.as_slice().get(self.line_at..end);
            self.searched = end.saturating_add(1);
            self.line_at = self.searched;
            if matches!(line, Some([] | [b'\r'])) {
                return Some(self.searched);
            }
        }
    }
}

/// Room for the parser's headers.
pub(super) fn slots<'a>(limits: &UpgradeLimits) -> Vec<httparse::Header<'a>> {
    vec![httparse::EMPTY_HEADER; limits.max_headers]
}

/// What the parser says about a head that has its empty line.
pub(super) fn parse_error(
    outcome: httparse::Result<usize>,
    limits: &UpgradeLimits,
) -> Result<(), UpgradeError> {
    match outcome {
        Ok(httparse::Status::Complete(_)) => Ok(()),
        Ok(httparse::Status::Partial) => Err(UpgradeError::BadHead {
            reason: "its empty line is not the end",
        }),
        Err(httparse::Error::TooManyHeaders) => Err(UpgradeError::TooManyHeaders {
            limit: limits.max_headers,
        }),
        Err(error) => Err(UpgradeError::BadHead {
            reason: match error {
                httparse::Error::HeaderName => "invalid header name",
                httparse::Error::HeaderValue => "invalid header value",
                httparse::Error::NewLine => "invalid end of a line",
                httparse::Error::Status => "invalid status",
                httparse::Error::Token => "invalid request line",
                _ => "invalid version",
            },
        }),
    }
}
