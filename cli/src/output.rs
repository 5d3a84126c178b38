//! Where words go: data to standard output, talk to standard error, and no panic if either is gone.

use std::io::{self, Write};

/// Says one line on standard error. Nobody listening is no reason to stop.
macro_rules! say {
    ($($arg:tt)*) => {{
        use std::io::Write as _;
        let _ = writeln!(std::io::stderr().lock(), $($arg)*);
    }};
}
pub(crate) use say;

/// Writes `bytes` to standard output and flushes. `false` if the reader is gone.
///
/// # Errors
/// Any other error of writing.
pub(crate) fn put(bytes: &[u8]) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}

/// At most `limit` bytes of what a peer sent, safe to show on a terminal.
pub(crate) fn escape(bytes: &[u8], limit: usize) -> String {
    let shown = bytes.get(..limit).unwrap_or(bytes);
    String::from_utf8_lossy(shown).escape_debug().to_string()
}

/// `text` cut to at most `width` characters, the cut marked by `…`.
pub(crate) fn shorten(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::{escape, shorten};

    #[test]
    fn what_a_peer_sent_can_not_move_the_cursor() {
        assert_eq!(escape(b"a\x1b[2J\nb", 200), "a\\u{1b}[2J\\nb");
        assert_eq!(escape(b"abc", 2), "ab");
        assert_eq!(escape(b"\xff", 2), "\u{fffd}");
    }

    #[test]
    fn a_cut_is_marked() {
        assert_eq!(shorten("abcdef", 6), "abcdef");
        assert_eq!(shorten("abcdefg", 6), "abcde…");
    }
}
