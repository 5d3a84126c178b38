//! How much a text may ask of the reader, and which of Clojure's two EDN readers it is read like.

/// How much one text may ask of the reader. The default is safe for texts from strangers.
///
/// `0` means none at all; without a bound is said by name, with [`Limits::UNLIMITED`].
///
/// ```
/// use sente_edn::{Limits, read_first};
///
/// let limits = Limits::default().max_depth(2);
/// assert!(read_first(b"[[1]]", &limits).is_ok());
/// assert!(read_first(b"[[[1]]]", &limits).is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    pub(crate) max_depth: usize,
    pub(crate) max_bytes: usize,
    pub(crate) max_elements: usize,
    pub(crate) dialect: Dialect,
}

impl Limits {
    /// The value that lifts a limit.
    pub const UNLIMITED: usize = usize::MAX;
    /// How long a text may be at the most, whatever the limits say: 4 GiB less one byte. Places in
    /// a text are held in 32 bits.
    pub const MOST_BYTES: usize = u32::MAX as usize;
    /// How deep a text may nest by default: 512 levels. `serde_json` stops at 128, but Clojure data
    /// nests more.
    pub const DEFAULT_MAX_DEPTH: usize = 512;
    /// How long a text may be by default: 1 MiB.
    pub const DEFAULT_MAX_BYTES: usize = 1 << 20;
    /// How many forms a text may hold by default: one million.
    pub const DEFAULT_MAX_ELEMENTS: usize = 1_000_000;

    /// Lifts every limit. For texts from a source that is trusted: they can fill the memory.
    #[must_use]
    pub const fn unlimited() -> Self {
        Self {
            max_depth: Self::UNLIMITED,
            max_bytes: Self::UNLIMITED,
            max_elements: Self::UNLIMITED,
            dialect: Dialect::Clojure,
        }
    }

    /// How many forms may be open at once: collections, tags, `#_`, metadata, and the `##` of
    /// `##NaN`. Default: 512.
    #[must_use]
    pub const fn max_depth(mut self, levels: usize) -> Self {
        self.max_depth = levels;
        self
    }

    /// How many bytes a text may have, up to [`MOST_BYTES`](Self::MOST_BYTES). Default: 1 MiB.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How many forms one text may hold, of any kind and at any level, discarded ones too.
    /// Default: one million.
    #[must_use]
    pub const fn max_elements(mut self, forms: usize) -> Self {
        self.max_elements = forms;
        self
    }

    /// Whose rules decide what is EDN. Default: [`Dialect::Clojure`].
    #[must_use]
    pub const fn dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: Self::DEFAULT_MAX_DEPTH,
            max_bytes: Self::DEFAULT_MAX_BYTES,
            max_elements: Self::DEFAULT_MAX_ELEMENTS,
            dialect: Dialect::Clojure,
        }
    }
}

/// Whose rules decide what is EDN where Clojure's two readers differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dialect {
    /// What `clojure.edn/read-string` of Clojure 1.11 reads, and nothing else.
    #[default]
    Clojure,
    /// What either `clojure.edn` or `clojure.tools.reader.edn` reads.
    ///
    /// Real Sente reads with the second, so its peers may send a little that the first refuses:
    /// names like `:user/1` and `a::b`, tags that begin with any letter, blanks between `#` and a
    /// tag, `#!` comments, and `\(a` and `1:a` for two forms each. Of what only the second reads
    /// this leaves out what no peer prints or keeps: `#::a{}`, `#:1{}`, `#'a 1`, and a set that
    /// holds `##NaN` twice.
    Either,
}

impl Dialect {
    pub(crate) const fn is_wide(self) -> bool {
        matches!(self, Self::Either)
    }
}
