//! Where this crate differs from `clojure.edn` and means to: the list on the front page of
//! `sente-edn`, each as narrow as it can be told.

use sente_edn::{Error, ErrorKind, Limits, List, Map, Set, Value, read_first};

use crate::canonical::canonical;
use crate::oracle::Answer;

/// A difference that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Known {
    UnpairedSurrogate,
    UnreadableKey,
    TooManyDigits,
    LongNamespace,
    NanInKeys,
    EqualBehindTag,
    SlashInName,
}

impl Known {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::UnpairedSurrogate => "an unpaired surrogate, which became U+FFFD",
            Self::UnreadableKey => "a key nobody could read back under its map's namespace",
            Self::TooManyDigits => "a ratio, or a number that is not decimal, of over 4096 digits",
            Self::LongNamespace => "a map whose namespace has over 256 bytes",
            Self::NanInKeys => "two maps that are equal but for ##NaN, if that equals itself",
            Self::EqualBehindTag => "two values that are equal but for what Java finds by hash",
            Self::SlashInName => "a key that prints the same, but ends its namespace elsewhere",
        }
    }

    /// Which of them is why we refuse what Clojure reads, if one is.
    pub(crate) fn refusal(text: &str, ours: &Error, theirs: &Answer) -> Option<Self> {
        let Answer::Reads(theirs) = theirs else {
            return None;
        };
        match ours.kind() {
            ErrorKind::UnreadableKey => Some(Self::UnreadableKey),
            ErrorKind::TooManyDigits { .. } => Some(Self::TooManyDigits),
            ErrorKind::LongNamespace { .. } => Some(Self::LongNamespace),
            ErrorKind::RepeatedKey | ErrorKind::RepeatedElement => {
                if holds_unpaired_surrogate(theirs) {
                    // Two strings may have become the same.
                    Some(Self::UnpairedSurrogate)
                } else {
                    is_read_with_other_nans(text).then_some(Self::NanInKeys)
                }
            }
            _ => None,
        }
    }

    /// Which of them is why we read another value than Clojure, or one that it refuses.
    pub(crate) fn reading(text: &str, ours: &Value, theirs: &Answer) -> Option<Self> {
        match theirs {
            Answer::Reads(theirs) if holds_unpaired_surrogate(theirs) => {
                Some(Self::UnpairedSurrogate)
            }
            Answer::Refuses(why)
                if why.starts_with("Duplicate key: ")
                    && (without_tags(ours).is_none() || drops_equal_keys(text)) =>
            {
                Some(Self::EqualBehindTag)
            }
            // As in `#:a{:_/b/c 1}`: to Clojure the whole of `b/c` is the name.
            Answer::Reads(theirs) if unsplit(theirs) == unsplit(&canonical(ours)) => {
                Some(Self::SlashInName)
            }
            _ => None,
        }
    }
}

/// A canonical form that does not say where namespaces end.
fn unsplit(canonical: &str) -> String {
    canonical.replace("\\/", "/")
}

/// Whether we read a text when each `##NaN` in it is another symbol.
///
/// To Clojure a NaN equals itself where maps of more than eight entries and sets look for it, and
/// differs from itself where smaller maps do.
fn is_read_with_other_nans(text: &str) -> bool {
    let mut pieces = text.split("NaN");
    let mut changed = pieces.next().unwrap_or_default().to_owned();
    for (index, piece) in pieces.enumerate() {
        match changed.trim_end().strip_suffix("##") {
            Some(before) => changed = format!("{before}nan{index}{piece}"),
            None => changed.extend(["NaN", piece]),
        }
    }
    changed != text && read_first(changed.as_bytes(), &Limits::default()).is_ok()
}

/// Whether a form that a text discards, or has as metadata, has equal keys without its tags.
fn drops_equal_keys(text: &str) -> bool {
    let starts = text.match_indices("#_").chain(text.match_indices('^'));
    starts.into_iter().any(|(at, sign)| {
        let rest = text.as_bytes().get(at + sign.len()..).unwrap_or_default();
        let form = read_first(rest, &Limits::default());
        matches!(form, Ok(Some((value, _))) if without_tags(&value).is_none())
    })
}

/// The value with its tags as first items of vectors, if it has no equal keys or elements then.
///
/// Behind a tag Java's `equals` and `hashCode` decide. Where these disagree, as they do on sets with
/// `1.0M` and `1.00M` in them, the order of bits in a hash decides whether Clojure notices.
fn without_tags(value: &Value) -> Option<Value> {
    let all = |items: &[Value]| items.iter().map(without_tags).collect::<Option<Vec<_>>>();
    Some(match value {
        Value::Tagged(tagged) => {
            let tag = Value::from(tagged.tag().clone());
            Value::from(vec![tag, without_tags(tagged.value())?])
        }
        Value::List(items) => Value::from(List::from(all(items)?)),
        Value::Vector(items) => Value::from(all(items)?),
        Value::Set(items) => {
            let set: Set = items.iter().map(without_tags).collect::<Option<_>>()?;
            Value::from(Some(set).filter(|set| set.len() == items.len())?)
        }
        Value::Map(entries) => {
            let map: Map = entries
                .iter()
                .map(|(key, value)| Some((without_tags(key)?, without_tags(value)?)))
                .collect::<Option<_>>()?;
            Value::from(Some(map).filter(|map| map.len() == entries.len())?)
        }
        atom => atom.clone(),
    })
}

/// Whether a canonical form has one half of a character beyond 16 bits without the other.
fn holds_unpaired_surrogate(canonical: &str) -> bool {
    let mut first_half = false;
    for piece in canonical.split('\\').skip(1) {
        let unit = piece.get(..4).map(|hex| u16::from_str_radix(hex, 16));
        let unit = unit.and_then(Result::ok).unwrap_or_default();
        if (0xdc00..=0xdfff).contains(&unit) != first_half {
            return true;
        }
        first_half = (0xd800..=0xdbff).contains(&unit);
        if first_half && piece.len() > 4 {
            return true;
        }
    }
    first_half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_half_a_surrogate_pair_is_unpaired() {
        for paired in [
            r#"S"\d83d\de00""#,
            r#"S"\d7ff\e000""#,
            r#"K"\d83d\de00\/\d83d\de00""#,
        ] {
            assert!(!holds_unpaired_surrogate(paired), "{paired}");
        }
        for unpaired in [
            r#"S"\d83d""#,
            r#"S"\de00""#,
            r#"S"\d83da\de00""#,
            r#"S"\d83d\0041""#,
            r#"S"\de00\d83d""#,
            r#"S"\d83d\d83d\de00""#,
        ] {
            assert!(holds_unpaired_surrogate(unpaired), "{unpaired}");
        }
    }

    #[test]
    fn other_nans_make_equal_maps_different_and_nothing_else() {
        assert!(is_read_with_other_nans("#{{##NaN 1} {##NaN 1}}"));
        assert!(is_read_with_other_nans("#{{##NaN 1} {##NaN 1} a##NaN}"));
        assert!(!is_read_with_other_nans("#{{##NaN 1} 2 2}"));
        assert!(!is_read_with_other_nans("#{{1 1} {1 1}}"));
    }

    #[test]
    fn tags_hide_that_values_are_equal() {
        let hides = |text: &str| without_tags(&sente_edn::from_str(text).unwrap()).is_none();
        assert!(hides("#{#t #{1M} #t #{1.0M}}"));
        assert!(hides("[{#t [1] 1 #t [1N] 2}]"));
        assert!(!hides("{#t 1 1, #u 1 2, #t 2 3}"));
        assert!(drops_equal_keys("[#_ {#t [1] 1 #t [1N] 2}]"));
        assert!(!drops_equal_keys("[#_ {#t [1] 1 #t [2] 2}]"));
    }
}
