//! What symbols and keywords may be called, and the two types that hold such names.

use alloc::borrow::Cow;
use alloc::format;
use core::borrow::Borrow;
use core::fmt;

use smol_str::SmolStr;

use crate::class;
use crate::lex;
use crate::limits::Dialect;

/// A keyword such as `:user/id`, held without its colon.
///
/// Every keyword that exists is one `clojure.edn` reads, except those read with
/// [`Dialect::Either`], which at least `clojure.tools.reader.edn` reads.
///
/// ```
/// use sente_edn::Keyword;
///
/// let id = Keyword::new("user/id").unwrap();
/// assert_eq!((id.namespace(), id.name()), (Some("user"), "id"));
/// assert_eq!(id.to_string(), ":user/id");
/// assert!(Keyword::new("a b").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Keyword(SmolStr);

impl Keyword {
    /// Takes a name without the colon.
    ///
    /// # Errors
    ///
    /// If Clojure could not read the keyword back.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        let is_plain = lex::is_plain_name(text.as_bytes());
        if is_plain || (is_token(text) && is_keyword(text, Dialect::Clojure)) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(()))
        }
    }

    /// Takes a name the reader has found valid.
    pub(crate) fn from_valid(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole name without the colon: `user/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first slash: `user`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        split(&self.0).0
    }

    /// The part after the first slash, or the whole name: `id`.
    #[must_use]
    pub fn name(&self) -> &str {
        split(&self.0).1
    }
}

impl fmt::Display for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}", self.0)
    }
}

impl fmt::Debug for Keyword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ":{}", self.0)
    }
}

impl AsRef<str> for Keyword {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Keyword {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A symbol such as `clojure.core/map`.
///
/// Every symbol that exists is one `clojure.edn` reads as that symbol, except those read with
/// [`Dialect::Either`], which at least `clojure.tools.reader.edn` reads.
///
/// ```
/// use sente_edn::Symbol;
///
/// assert_eq!(Symbol::new("my.app/run!").unwrap().namespace(), Some("my.app"));
/// // These read as something else, or not at all.
/// assert!(Symbol::new("nil").is_err() && Symbol::new("1a").is_err());
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Symbol(SmolStr);

impl Symbol {
    /// Takes a name.
    ///
    /// # Errors
    ///
    /// If Clojure could not read the symbol back, or would read something else: `nil`, `-1`, `:a`.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if is_token(text) && !reads_otherwise(text) && is_symbol(text, Dialect::Clojure) {
            Ok(Self(text.into()))
        } else {
            Err(InvalidName(()))
        }
    }

    /// Takes a name the reader has found valid.
    pub(crate) fn from_valid(text: &str) -> Self {
        Self(text.into())
    }

    /// The whole name: `clojure.core/map`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part before the first slash: `clojure.core`.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        split(&self.0).0
    }

    /// The part after the first slash, or the whole name: `map`.
    #[must_use]
    pub fn name(&self) -> &str {
        split(&self.0).1
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for Symbol {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Symbol {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// A name that Clojure could not read back as the symbol or keyword it was meant to be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name that Clojure reads back")]
#[non_exhaustive]
pub struct InvalidName(());

/// Splits at the first slash, as `Symbol.intern` does; a lone slash is a name.
fn split(text: &str) -> (Option<&str>, &str) {
    if text == "/" {
        return (None, text);
    }
    // Quicker than to search for a character in so short a text.
    let slash = text.bytes().position(|byte| byte == b'/');
    match slash.and_then(|at| text.split_at_checked(at)) {
        Some((namespace, name)) => (Some(namespace), name.get(1..).unwrap_or_default()),
        None => (None, text),
    }
}

/// Whether a token without its colon is a keyword.
pub(crate) fn is_keyword(text: &str, dialect: Dialect) -> bool {
    if text.starts_with(':') || is_doubtful(text, dialect) {
        return false;
    }
    let Some((namespace, name)) = halves(text, dialect) else {
        return false;
    };
    if name.ends_with(':') {
        return false;
    }
    match namespace {
        None => !name.is_empty(),
        Some(namespace) => {
            let well_formed = starts_namespace(namespace) && is_one_line(skip_first(namespace));
            // Clojure's pattern may also take the colon itself as the namespace's first character.
            (well_formed || (is_one_line(namespace) && !namespace.is_empty()))
                && !namespace.ends_with(':')
        }
    }
}

/// Whether a token that does not start with a colon is a symbol.
pub(crate) fn is_symbol(text: &str, dialect: Dialect) -> bool {
    if is_doubtful(text, dialect) {
        return false;
    }
    let Some((namespace, name)) = halves(text, dialect) else {
        return false;
    };
    if name.ends_with(':') {
        return false;
    }
    match namespace {
        None => name
            .bytes()
            .next()
            .is_some_and(|first| !first.is_ascii_digit()),
        Some(namespace) => {
            starts_namespace(namespace)
                && is_one_line(skip_first(namespace))
                && !namespace.ends_with(':')
        }
    }
}

/// Whether a token that ends the text, and is no name, could become one with more behind it.
pub(crate) fn may_become_name(token: &str, dialect: Dialect) -> bool {
    ["a", "/a"]
        .iter()
        .any(|more| match token.strip_prefix(':') {
            Some(name) => is_keyword(&format!("{name}{more}"), dialect),
            None => is_symbol(&format!("{token}{more}"), dialect),
        })
}

/// The name a key gets in a map of `namespace`; `None` if it stays as it is.
pub(crate) fn in_namespace<'n>(namespace: &str, key: &'n str) -> Option<Cow<'n, str>> {
    match split(key) {
        (None, name) => Some(Cow::Owned(format!("{namespace}/{name}"))),
        (Some("_"), name) => Some(Cow::Borrowed(name)),
        (Some(_), _) => None,
    }
}

/// Whether a name that was put together reads back as a keyword.
pub(crate) fn is_readable_keyword(text: &str, dialect: Dialect) -> bool {
    is_keyword(text, dialect)
}

/// Whether a name that was put together reads back as a symbol.
pub(crate) fn is_readable_symbol(text: &str, dialect: Dialect) -> bool {
    !reads_otherwise(text) && is_symbol(text, dialect)
}

/// Splits into namespace and name the way Clojure's pattern does: at the last slash.
fn halves(text: &str, dialect: Dialect) -> Option<(Option<&str>, &str)> {
    if text == "/" {
        return Some((None, text));
    }
    if let Some(namespace) = text.strip_suffix("//") {
        return Some((Some(namespace), "/"));
    }
    let Some((namespace, name)) = text.rsplit_once('/') else {
        return Some((None, text));
    };
    let first = name.bytes().next()?;
    let fits = !first.is_ascii_digit() || (dialect.is_wide() && !namespace.contains('/'));
    fits.then_some((Some(namespace), name))
}

fn starts_namespace(namespace: &str) -> bool {
    namespace
        .bytes()
        .next()
        .is_some_and(|first| !first.is_ascii_digit() && first != b'/')
}

fn skip_first(text: &str) -> &str {
    let mut chars = text.chars();
    chars.next();
    chars.as_str()
}

/// Clojure's pattern does not match across a line end, and of those a token may hold U+0085.
fn is_one_line(text: &str) -> bool {
    !text.contains('\u{85}')
}

fn is_doubtful(text: &str, dialect: Dialect) -> bool {
    !dialect.is_wide() && text.contains("::")
}

/// Whether a name has only characters that can stand in a token.
pub(crate) fn is_token(text: &str) -> bool {
    let fits = |c: char| {
        c == '#'
            || !(class::is_whitespace(c) || class::is_macro_char(c) || matches!(c, '@' | '`' | '~'))
    };
    !text.is_empty() && text.chars().all(fits)
}

/// Whether a token that would pass for a symbol is read as something else.
pub(crate) fn reads_otherwise(text: &str) -> bool {
    let mut chars = text.chars();
    match chars.next() {
        Some('+' | '-') => chars.next().is_some_and(class::is_digit),
        Some(':' | '#') | None => true,
        Some(first) => class::is_digit(first) || matches!(text, "nil" | "true" | "false"),
    }
}
