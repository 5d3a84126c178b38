//! Where text goes: one trait, so that each kind of buffer gets a writer of its own.

use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

/// Takes text. It is private, and every writer is compiled for each buffer.
pub(crate) trait Out {
    /// Why it may not take any.
    type Error;

    fn push_str(&mut self, text: &str) -> Result<(), Self::Error>;

    /// Takes one ASCII character.
    fn push_byte(&mut self, byte: u8) -> Result<(), Self::Error>;

    /// Takes ASCII characters.
    fn push_ascii(&mut self, bytes: &[u8]) -> Result<(), Self::Error> {
        // Only ASCII gets here, so nothing is ever left out.
        self.push_str(core::str::from_utf8(bytes).unwrap_or_default())
    }
}

impl Out for Vec<u8> {
    type Error = Infallible;

    #[inline]
    fn push_str(&mut self, text: &str) -> Result<(), Infallible> {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }

    #[inline]
    fn push_byte(&mut self, byte: u8) -> Result<(), Infallible> {
        self.push(byte);
        Ok(())
    }

    #[inline]
    fn push_ascii(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(feature = "bytes")]
impl Out for bytes::BytesMut {
    type Error = Infallible;

    #[inline]
    fn push_str(&mut self, text: &str) -> Result<(), Infallible> {
        self.extend_from_slice(text.as_bytes());
        Ok(())
    }

    #[inline]
    fn push_byte(&mut self, byte: u8) -> Result<(), Infallible> {
        self.extend_from_slice(&[byte]);
        Ok(())
    }

    #[inline]
    fn push_ascii(&mut self, bytes: &[u8]) -> Result<(), Infallible> {
        self.extend_from_slice(bytes);
        Ok(())
    }
}

/// Anything that `core::fmt` can write to.
pub(crate) struct Fmt<'w, W: ?Sized>(pub(crate) &'w mut W);

impl<W: fmt::Write + ?Sized> Out for Fmt<'_, W> {
    type Error = fmt::Error;

    #[inline]
    fn push_str(&mut self, text: &str) -> fmt::Result {
        self.0.write_str(text)
    }

    #[inline]
    fn push_byte(&mut self, byte: u8) -> fmt::Result {
        self.0.write_char(char::from(byte))
    }
}

/// Takes nothing but the length, in units of UTF-16 as Java counts.
#[derive(Default)]
pub(crate) struct Count(usize);

impl Count {
    pub(crate) const fn units(&self) -> usize {
        self.0
    }
}

impl Out for Count {
    type Error = Infallible;

    fn push_str(&mut self, text: &str) -> Result<(), Infallible> {
        // One for each byte that begins a character, two for those beyond 16 bits.
        let units = text.bytes().fold(0_usize, |units, byte| {
            units
                .wrapping_add(usize::from(byte & 0xc0 != 0x80))
                .wrapping_add(usize::from(byte >= 0xf0))
        });
        self.0 = self.0.saturating_add(units);
        Ok(())
    }

    fn push_byte(&mut self, _: u8) -> Result<(), Infallible> {
        self.0 = self.0.saturating_add(1);
        Ok(())
    }
}

/// The other way round: what `core::fmt` can write to, of an [`Out`].
struct Bridge<'o, O: Out> {
    out: &'o mut O,
    result: Result<(), O::Error>,
}

impl<O: Out> fmt::Write for Bridge<'_, O> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.result = self.out.push_str(text);
        self.result.as_ref().map_err(|_| fmt::Error).copied()
    }
}

/// Writes what `core::fmt` knows how to, which is slow.
pub(crate) fn push_fmt<O: Out>(out: &mut O, what: fmt::Arguments<'_>) -> Result<(), O::Error> {
    let mut bridge = Bridge {
        out,
        result: Ok(()),
    };
    // Its only cause is in the bridge.
    let _ = fmt::Write::write_fmt(&mut bridge, what);
    bridge.result
}
