//! Whether text that arrives in pieces is UTF-8 so far.

/// Checks UTF-8 as it comes, and fails at the first byte after which no continuation could make
/// the text valid.
#[derive(Debug)]
pub(super) struct Utf8Check {
    /// The bytes of whole characters so far.
    valid: usize,
    /// The beginning of a character.
    pending: [u8; 4],
    pending_len: usize,
}

impl Utf8Check {
    /// Nothing so far.
    pub(super) const fn new() -> Self {
        Self {
            valid: 0,
            pending: [0; 4],
            pending_len: 0,
        }
    }

    /// Takes the next bytes; if they are known to be ASCII, without another look at them.
    ///
    /// # Errors
    /// Where in the text the first impossible sequence begins.
    pub(super) fn push(&mut self, mut bytes: &[u8], known_ascii: bool) -> Result<(), usize> {
        while self.pending_len > 0 {
            let Some((&byte, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.push_pending(byte)?;
        }
        if known_ascii {
            self.accept(bytes.len());
            return Ok(());
        }
        let Err(error) = core::str::from_utf8(bytes) else {
            self.accept(bytes.len());
            return Ok(());
        };
        self.accept(error.valid_up_to());
        if error.error_len().is_some() {
            return Err(self.valid);
        }
        // The standard library says "unexpected end" only for what can still become a character.
        for &byte in bytes.get(error.valid_up_to()..).unwrap_or_default() {
            self.push_pending(byte)?;
        }
        Ok(())
    }

    /// Whether the text stands between two characters.
    pub(super) fn is_whole(&self) -> bool {
        self.pending_len == 0
    }

    /// The bytes of whole characters so far.
    pub(super) fn valid(&self) -> usize {
        self.valid
    }

    fn accept(&mut self, count: usize) {
        self.valid = self.valid.saturating_add(count);
    }

    fn push_pending(&mut self, byte: u8) -> Result<(), usize> {
        if let Some(slot) = self.pending.get_mut(self.pending_len) {
            *slot = byte;
            self.pending_len = self.pending_len.saturating_add(1);
        }
        let sequence = self.pending.get(..self.pending_len).unwrap_or_default();
        match core::str::from_utf8(sequence) {
            Ok(_) => {
                self.accept(self.pending_len);
                self.pending_len = 0;
                Ok(())
            }
            Err(error) if error.error_len().is_none() => Ok(()),
            Err(_) => Err(self.valid),
        }
    }
}
