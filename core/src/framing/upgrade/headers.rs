//! The headers of a request or response: read without regard to case, checked before sending.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

use super::{HeaderProblem, UpgradeError};
use crate::TransmitBuf;

/// Header lines in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    entries: Vec<(String, String)>,
}

impl Headers {
    pub(super) fn read(parsed: &[httparse::Header<'_>]) -> Self {
        let entry = |header: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(header.value.trim_ascii());
            (header.name.to_owned(), value.into_owned())
        };
        Self {
            entries: parsed.iter().map(entry).collect(),
        }
    }

    pub(super) fn collect<'a>(headers: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let entry = |(name, value): (&str, &str)| (name.to_owned(), value.trim().to_owned());
        Self {
            entries: headers.into_iter().map(entry).collect(),
        }
    }

    /// The value of the first header of that name, whatever its case. Bytes that are not UTF-8
    /// stand as U+FFFD.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.get_all(name).next()
    }

    /// The values of all headers of that name, whatever its case, in their order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.iter()
            .filter(move |(found, _)| found.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// All headers, name and value, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many header lines there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The elements of a comma-separated list that may go over several lines.
    pub(super) fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        self.get_all(name)
            .flat_map(|value| value.split(','))
            .map(str::trim_ascii)
            .filter(|element| !element.is_empty())
    }

    pub(super) fn has_token(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(token))
    }

    /// The value of a header that is there exactly once.
    pub(super) fn only(&self, name: &str) -> Option<&str> {
        let mut all = self.get_all(name);
        let first = all.next();
        first.filter(|_| all.next().is_none())
    }
}

/// Makes sure that `headers` can be sent as they are: no name or value can end its line, and none
/// is `reserved`.
pub(super) fn check(headers: &[(&str, &str)], reserved: &[&str]) -> Result<(), UpgradeError> {
    for (name, value) in headers {
        let problem = if name.is_empty() || !name.bytes().all(is_token) {
            HeaderProblem::Name
        } else if reserved.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            HeaderProblem::Reserved
        } else if value.bytes().any(|b| b.is_ascii_control() && b != b'\t') {
            HeaderProblem::Value
        } else {
            continue;
        };
        return Err(UpgradeError::BadHeader {
            name: (*name).to_owned(),
            problem,
        });
    }
    Ok(())
}

/// Writes checked `headers` and their line ends.
pub(super) fn write(headers: &[(&str, &str)], out: &mut TransmitBuf) {
    for (name, value) in headers {
        for piece in [name, ": ", value, "\r\n"] {
            out.put_slice(piece.as_bytes());
        }
    }
}

/// Whether `byte` may be in a token (RFC 9110 section 5.6.2).
pub(super) const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}
