//! Lines of bytes from any reader, of a limited length, without losing count at a line too long.

use std::io::{self, BufRead, BufReader, Read};

/// One line without its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its bytes, without `\n` or `\r\n`.
    Bytes(Vec<u8>),
    /// It was longer than allowed, by so many bytes in all; they were skipped.
    TooLong(u64),
}

/// Cuts what a reader gives into lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: BufReader<R>,
    limit: usize,
}

impl<R: Read> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self {
            reader: BufReader::with_capacity(64 * 1024, reader),
            limit,
        }
    }

    /// The next line; `None` at the end. A last line needs no line break.
    ///
    /// # Errors
    /// Those of the reader.
    pub(crate) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut length = 0u64;
        let mut ended = false;
        while !ended {
            let chunk = match self.reader.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                if length == 0 {
                    return Ok(None);
                }
                break;
            }
            let at = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..at.unwrap_or(chunk.len())).unwrap_or_default();
            ended = at.is_some();
            length += part.len() as u64 + u64::from(ended);
            // One more than allowed may be a carriage return.
            let room = (self.limit + 1).saturating_sub(line.len());
            line.extend_from_slice(part.get(..room).unwrap_or(part));
            let used = part.len() + usize::from(ended);
            self.reader.consume(used);
        }
        length -= u64::from(ended);
        if line.len() as u64 == length && line.last() == Some(&b'\r') && ended {
            line.pop();
            length -= 1;
        }
        if length > self.limit as u64 {
            return Ok(Some(Line::TooLong(length)));
        }
        Ok(Some(Line::Bytes(line)))
    }

    /// Whether the next line may have to be waited for.
    pub(crate) fn may_wait(&self) -> bool {
        !self.reader.buffer().contains(&b'\n')
    }
}

/// Whether there is nothing but blanks, as EDN means it, in a line.
pub(crate) fn is_blank(line: &[u8]) -> bool {
    line.iter()
        .all(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\x0b' | b'\x0c' | b','))
}

#[cfg(test)]
mod tests {
    use super::{Line, Lines};

    fn all(text: &[u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(text, limit);
        std::iter::from_fn(|| lines.next().unwrap()).collect()
    }

    fn bytes(text: &str) -> Line {
        Line::Bytes(text.as_bytes().to_vec())
    }

    #[test]
    fn a_last_line_needs_no_line_break() {
        assert_eq!(all(b"a\n\nb", 9), [bytes("a"), bytes(""), bytes("b")]);
        assert_eq!(all(b"a\n", 9), [bytes("a")]);
        assert_eq!(all(b"", 9), []);
        assert_eq!(all(b"\n", 9), [bytes("")]);
    }

    #[test]
    fn a_carriage_return_before_the_line_break_belongs_to_it() {
        assert_eq!(all(b"abc\r\nd\r", 3), [bytes("abc"), bytes("d\r")]);
    }

    #[test]
    fn a_line_too_long_costs_only_itself() {
        assert_eq!(all(b"abcdefg\nabc\n", 3), [Line::TooLong(7), bytes("abc")]);
        assert_eq!(all(b"abcd", 3), [Line::TooLong(4)]);
    }
}
