//! The names by which `sente-edn`'s types tell a serializer what they are.

/// What all of them begin with.
pub(super) const PREFIX: &str = "$sente_edn::";
pub(super) const VALUE: &str = "$sente_edn::Value";
pub(super) const KEYWORD: &str = "$sente_edn::Keyword";
pub(super) const SYMBOL: &str = "$sente_edn::Symbol";
pub(super) const BIG_INT: &str = "$sente_edn::BigInt";
pub(super) const DECIMAL: &str = "$sente_edn::Decimal";
pub(super) const RATIO: &str = "$sente_edn::Ratio";
pub(super) const INST: &str = "$sente_edn::Inst";
pub(super) const UUID: &str = "$sente_edn::Uuid";
pub(super) const LIST: &str = "$sente_edn::List";
pub(super) const VECTOR: &str = "$sente_edn::Vector";
pub(super) const SET: &str = "$sente_edn::Set";
pub(super) const MAP: &str = "$sente_edn::Map";
pub(super) const TAGGED: &str = "$sente_edn::Tagged";
pub(super) const RAW: &str = "$sente_edn::RawEdn";

/// What a value is that serde has no word for, by the number that `sente-edn` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Keyword = 0,
    Symbol = 1,
    BigInt = 2,
    Ratio = 4,
    Inst = 5,
    Uuid = 6,
    Set = 8,
    Tagged = 9,
}
