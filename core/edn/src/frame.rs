//! What is open while forms are read, and what is known of it so far.

use crate::error::Inside;
use crate::fingerprint::Group;
use crate::lex::Lexer;
use crate::machine::NEAR_KEYS;
use crate::stack::Numbers;

/// What is open and waits for forms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Nothing: the form that is read is complete by itself.
    Nothing,
    List,
    Map,
    Set,
    Vector,
    Discard,
    /// A map whose keys get a namespace.
    MapOf,
    /// After `^`, waiting for the metadata.
    Meta,
    /// After `#:`, waiting for the namespace.
    Namespace,
    /// After `##`.
    Symbolic,
    Tag,
    /// After the metadata, waiting for what carries it.
    Target,
}

impl Kind {
    pub(crate) fn inside(self) -> Inside {
        match self {
            Self::Nothing => Inside::Text,
            Self::Discard => Inside::Discard,
            Self::List => Inside::List,
            Self::Map | Self::MapOf => Inside::Map,
            Self::Meta | Self::Target => Inside::Metadata,
            Self::Namespace => Inside::NamespacedMap,
            Self::Set => Inside::Set,
            Self::Symbolic => Inside::Symbolic,
            Self::Tag => Inside::Tag,
            Self::Vector => Inside::Vector,
        }
    }

    /// The bracket that closes it; 0 if none does.
    const fn closing(self) -> u8 {
        match self {
            Self::List => b')',
            Self::Vector => b']',
            Self::Set | Self::Map | Self::MapOf => b'}',
            _ => 0,
        }
    }

    /// Whether it takes forms as they come.
    #[inline]
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self, Self::List | Self::Map | Self::Set | Self::Vector)
    }

    /// Which forms in it are keys or elements: the bits are for even and for odd places.
    const fn key_places(self) -> u8 {
        match self {
            Self::Set => 0b11,
            Self::Map | Self::MapOf => 0b01,
            _ => 0,
        }
    }
}

/// What is open, innermost, and what is known of it so far.
#[derive(Clone, Copy)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// What is open around it.
    pub(crate) around: Kind,
    /// Whether its fingerprint is wanted, because it is, or is in, a key or an element.
    pub(crate) keyed: bool,
    key_places: u8,
    /// The bracket that closes it, or 0.
    pub(crate) closing: u8,
    start: u32,
    /// How many forms are in it.
    pub(crate) count: u32,
    /// Where its own keys' fingerprints begin.
    first_key: u32,
    /// The tag or namespace, as the place where it stands in the text.
    name: (u32, u32),
    group: Group,
}

/// A place or number in a text, of which none is longer than 4 GiB.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "`read::open` lets no longer text through"
)]
pub(crate) const fn narrow(place: usize) -> u32 {
    place as u32
}

/// The place that was made [`narrow`].
#[inline]
pub(crate) const fn wide(place: u32) -> usize {
    place as usize
}

impl Frame {
    pub(crate) const NOTHING: Self = Self {
        kind: Kind::Nothing,
        around: Kind::Nothing,
        keyed: false,
        key_places: 0,
        closing: 0,
        start: 0,
        count: 0,
        first_key: 0,
        name: (0, 0),
        group: Group::nothing(),
    };

    #[inline]
    pub(crate) const fn new(kind: Kind, outer: &Self, start: usize, first_key: usize) -> Self {
        let group = match kind {
            Kind::List | Kind::Vector => Group::sequence(),
            Kind::Set => Group::set(),
            Kind::Map | Kind::Namespace => Group::map(),
            _ => Group::nothing(),
        };
        Self {
            kind,
            around: outer.kind,
            keyed: outer.keys_next(),
            key_places: kind.key_places(),
            closing: kind.closing(),
            start: narrow(start),
            count: 0,
            first_key: narrow(first_key),
            name: (0, 0),
            group,
        }
    }

    pub(crate) const fn become_map_of(&mut self, start: usize, end: usize) {
        self.kind = Kind::MapOf;
        self.key_places = Kind::MapOf.key_places();
        self.closing = Kind::MapOf.closing();
        self.set_name(start, end);
    }

    pub(crate) const fn set_name(&mut self, start: usize, end: usize) {
        self.name = (narrow(start), narrow(end));
    }

    #[inline]
    pub(crate) const fn name_start(&self) -> usize {
        wide(self.name.0)
    }

    pub(crate) fn name<'a>(&self, lexer: &Lexer<'a>) -> &'a str {
        lexer.slice(wide(self.name.0), wide(self.name.1))
    }

    #[inline]
    pub(crate) const fn start(&self) -> usize {
        wide(self.start)
    }

    #[inline]
    pub(crate) const fn first_key(&self) -> usize {
        wide(self.first_key)
    }

    /// Whether the next form in it is one of its own keys or elements.
    #[inline]
    pub(crate) const fn is_key_next(&self) -> bool {
        (self.key_places >> (self.count & 1)) & 1 != 0
    }

    /// Whether the fingerprint of the next form in it is wanted.
    #[inline]
    pub(crate) const fn keys_next(&self) -> bool {
        self.keyed || self.is_key_next()
    }

    /// Takes in a form of that fingerprint.
    #[inline(always)]
    pub(crate) fn add(&mut self, fingerprint: u64, suspects: bool, keys: &mut Numbers<NEAR_KEYS>) {
        if self.is_key_next() && suspects {
            keys.push(fingerprint);
        }
        if self.keyed {
            self.add_to_group(fingerprint);
        }
        self.count = self.count.wrapping_add(1);
    }

    fn add_to_group(&mut self, fingerprint: u64) {
        match self.kind {
            Kind::Set => self.group.push_element(fingerprint),
            Kind::Map | Kind::MapOf => self.group.push_entry(self.count, fingerprint),
            _ => self.group.push_item(fingerprint),
        }
    }

    /// Its own fingerprint, once it is complete.
    pub(crate) fn finish(&self) -> u64 {
        self.group.finish(self.count)
    }
}
