//! Writing MessagePack, the way Sente does: every number and length in its shortest form.

use alloc::vec::Vec;
use core::ops::Range;

/// Appends packed values to some bytes.
///
/// What stands before the content of a set, or of a collection of unknown length, depends on how
/// long that turns out to be. Room is left for the longest head, and what was too much is closed up
/// in one go at the end, so that sets in sets do not move what is in them again and again.
#[derive(Debug)]
pub(super) struct Out<'o> {
    bytes: &'o mut Vec<u8>,
    /// The heads for which room was left, in the order in which they stand.
    late: Vec<Late>,
    /// By how many bytes the heads that are known are shorter than the room left for them.
    saved: usize,
    too_long: bool,
}

/// A head for which room was left.
#[derive(Debug)]
struct Late {
    /// Where the room begins.
    at: usize,
    head: Head,
    /// What was saved before it.
    saved: usize,
}

/// Which head was left open.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub(super) struct Open(usize);

/// More than the 32 bits of a length can say.
#[derive(Debug)]
pub(super) struct TooLong;

impl<'o> Out<'o> {
    pub(super) const fn new(bytes: &'o mut Vec<u8>) -> Self {
        Self {
            bytes,
            late: Vec::new(),
            saved: 0,
            too_long: false,
        }
    }

    /// How many bytes there are, and will be when what is too much has been closed up.
    pub(super) fn len(&self) -> usize {
        self.bytes.len().saturating_sub(self.saved)
    }

    #[inline]
    pub(super) fn nil(&mut self) {
        self.bytes.push(0xc0);
    }

    #[inline]
    pub(super) fn bool(&mut self, value: bool) {
        self.bytes.push(if value { 0xc3 } else { 0xc2 });
    }

    #[inline]
    pub(super) fn int(&mut self, value: i64) {
        match u8::try_from(value) {
            Ok(value @ 0..0x80) => self.bytes.push(value),
            _ => self.longer_int(value),
        }
    }

    fn longer_int(&mut self, value: i64) {
        if let Ok(value) = u64::try_from(value) {
            self.natural(value);
        } else if let Ok(value) = i8::try_from(value) {
            let [byte] = value.to_be_bytes();
            if value >= -32 {
                self.bytes.push(byte);
            } else {
                self.raw(&[0xd0, byte]);
            }
        } else if let Ok(value) = i16::try_from(value) {
            let [a, b] = value.to_be_bytes();
            self.raw(&[0xd1, a, b]);
        } else if let Ok(value) = i32::try_from(value) {
            let [a, b, c, d] = value.to_be_bytes();
            self.raw(&[0xd2, a, b, c, d]);
        } else {
            self.long(value);
        }
    }

    #[inline]
    fn natural(&mut self, value: u64) {
        if let Ok(value) = u8::try_from(value) {
            if value < 0x80 {
                self.bytes.push(value);
            } else {
                self.raw(&[0xcc, value]);
            }
        } else if let Ok(value) = u16::try_from(value) {
            let [a, b] = value.to_be_bytes();
            self.raw(&[0xcd, a, b]);
        } else if let Ok(value) = u32::try_from(value) {
            let [a, b, c, d] = value.to_be_bytes();
            self.raw(&[0xce, a, b, c, d]);
        } else {
            // Not `uint64`: ClojureScript refuses it.
            self.long(i64::try_from(value).unwrap_or(i64::MAX));
        }
    }

    fn long(&mut self, value: i64) {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        self.raw(&[0xd3, a, b, c, d, e, f, g, h]);
    }

    #[inline]
    pub(super) fn double(&mut self, value: f64) {
        // Java writes one NaN for all.
        let value = if value.is_nan() { f64::NAN } else { value };
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        self.raw(&[0xcb, a, b, c, d, e, f, g, h]);
    }

    #[inline]
    pub(super) fn float(&mut self, value: f32) {
        let value = if value.is_nan() { f32::NAN } else { value };
        let [a, b, c, d] = value.to_be_bytes();
        self.raw(&[0xca, a, b, c, d]);
    }

    #[inline]
    pub(super) fn str(&mut self, text: &str) {
        match u8::try_from(text.len()) {
            Ok(length @ 0..=0x1f) => self.bytes.push(0xa0 | length),
            Ok(length) => self.raw(&[0xd9, length]),
            Err(_) => self.head(Head::wide(text.len(), 0xda, 0xdb), text.len()),
        }
        self.raw(text.as_bytes());
    }

    pub(super) fn bin(&mut self, bytes: &[u8]) {
        match u8::try_from(bytes.len()) {
            Ok(length) => self.raw(&[0xc4, length]),
            Err(_) => self.head(Head::wide(bytes.len(), 0xc5, 0xc6), bytes.len()),
        }
        self.raw(bytes);
    }

    #[inline]
    pub(super) fn array(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count @ 0..=0x0f) => self.bytes.push(0x90 | count),
            _ => self.head(Head::array(count), count),
        }
    }

    #[inline]
    pub(super) fn map(&mut self, count: usize) {
        match u8::try_from(count) {
            Ok(count @ 0..=0x0f) => self.bytes.push(0x80 | count),
            _ => self.head(Head::map(count), count),
        }
    }

    #[inline(always)]
    pub(super) fn ext(&mut self, id: i8, content: &[u8]) {
        self.ext_head(id, content.len());
        self.raw(content);
    }

    #[inline(always)]
    pub(super) fn ext_head(&mut self, id: i8, length: usize) {
        let [id] = id.to_be_bytes();
        match length {
            1 => self.raw(&[0xd4, id]),
            2 => self.raw(&[0xd5, id]),
            4 => self.raw(&[0xd6, id]),
            8 => self.raw(&[0xd7, id]),
            16 => self.raw(&[0xd8, id]),
            _ => match u8::try_from(length) {
                Ok(length) => self.raw(&[0xc7, length, id]),
                Err(_) => self.head(Head::ext(i8::from_be_bytes([id]), length), length),
            },
        }
    }

    /// Appends bytes as they are.
    #[inline]
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    #[cold]
    fn head(&mut self, head: Head, length: usize) {
        self.too_long |= u32::try_from(length).is_err();
        self.raw(head.as_slice());
    }

    /// Leaves room for a head that is not known yet.
    pub(super) fn open(&mut self) -> Open {
        let index = self.late.len();
        self.late.push(Late {
            at: self.bytes.len(),
            head: Head::NONE,
            saved: self.saved,
        });
        self.raw(&[0; ROOM]);
        Open(index)
    }

    /// What was written since is an array of so many items.
    pub(super) fn close_array(&mut self, open: Open, count: usize) {
        self.close(open, Head::array(count), count);
    }

    /// What was written since is a map of so many entries.
    pub(super) fn close_map(&mut self, open: Open, count: usize) {
        self.close(open, Head::map(count), count);
    }

    /// What was written since is the content of an extension.
    pub(super) fn close_ext(&mut self, open: Open, id: i8) {
        let Some(late) = self.late.get(open.0) else {
            return;
        };
        let written = self.bytes.len().saturating_sub(late.at);
        let saved = self.saved.saturating_sub(late.saved);
        let length = written.saturating_sub(ROOM).saturating_sub(saved);
        self.close(open, Head::ext(id, length), length);
    }

    fn close(&mut self, open: Open, head: Head, length: usize) {
        self.too_long |= u32::try_from(length).is_err();
        self.saved = self.saved.saturating_add(ROOM.saturating_sub(head.length));
        if let Some(late) = self.late.get_mut(open.0) {
            late.head = head;
        }
    }

    /// Closes up the room that was too much; every head has been closed by now.
    pub(super) fn finish(self) -> Result<(), TooLong> {
        let (mut from, mut to) = match self.late.first() {
            Some(first) => (first.at, first.at),
            None if self.too_long => return Err(TooLong),
            None => return Ok(()),
        };
        for late in &self.late {
            to = move_up(self.bytes, from..late.at, to);
            let end = to.saturating_add(late.head.length);
            // A head is never longer than its room, so it stands before what is still to move.
            if let Some(place) = self.bytes.get_mut(to..end) {
                place.copy_from_slice(late.head.as_slice());
            }
            to = end;
            from = late.at.saturating_add(ROOM);
        }
        let end = self.bytes.len();
        to = move_up(self.bytes, from..end, to);
        self.bytes.truncate(to);
        if self.too_long { Err(TooLong) } else { Ok(()) }
    }
}

/// Moves bytes towards the front, and says where they end.
fn move_up(bytes: &mut [u8], range: Range<usize>, to: usize) -> usize {
    let length = range.len();
    if to != range.start {
        bytes.copy_within(range, to);
    }
    to.saturating_add(length)
}

/// The most bytes a head has.
pub(super) const ROOM: usize = 6;

/// The bytes before what is in a value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    bytes: [u8; ROOM],
    length: usize,
}

impl Head {
    const NONE: Self = Self {
        bytes: [0; ROOM],
        length: 0,
    };

    /// That of an array; no length is more than 32 bits can say.
    pub(super) fn array(count: usize) -> Self {
        match u8::try_from(count) {
            Ok(count @ 0..=0x0f) => Self::one(0x90 | count),
            _ => Self::wide(count, 0xdc, 0xdd),
        }
    }

    /// That of a map of so many entries.
    pub(super) fn map(count: usize) -> Self {
        match u8::try_from(count) {
            Ok(count @ 0..=0x0f) => Self::one(0x80 | count),
            _ => Self::wide(count, 0xde, 0xdf),
        }
    }

    /// That of an extension with so many bytes in it.
    fn ext(id: i8, length: usize) -> Self {
        let [id] = id.to_be_bytes();
        let fixed = |first| Self {
            bytes: [first, id, 0, 0, 0, 0],
            length: 2,
        };
        match length {
            1 => fixed(0xd4),
            2 => fixed(0xd5),
            4 => fixed(0xd6),
            8 => fixed(0xd7),
            16 => fixed(0xd8),
            _ => match u8::try_from(length) {
                Ok(length) => Self {
                    bytes: [0xc7, length, id, 0, 0, 0],
                    length: 3,
                },
                Err(_) => Self::wide(length, 0xc8, 0xc9).then(id),
            },
        }
    }

    const fn one(byte: u8) -> Self {
        Self {
            bytes: [byte, 0, 0, 0, 0, 0],
            length: 1,
        }
    }

    fn wide(length: usize, two: u8, four: u8) -> Self {
        if let Ok(length) = u16::try_from(length) {
            let [a, b] = length.to_be_bytes();
            return Self {
                bytes: [two, a, b, 0, 0, 0],
                length: 3,
            };
        }
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let [a, b, c, d] = length.to_be_bytes();
        Self {
            bytes: [four, a, b, c, d, 0],
            length: 5,
        }
    }

    fn then(mut self, byte: u8) -> Self {
        if let Some(place) = self.bytes.get_mut(self.length) {
            *place = byte;
            self.length = self.length.saturating_add(1);
        }
        self
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}
