//! The names by which this crate's types and its serializer recognise each other.

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

/// What a form is that serde has no word for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Keyword,
    Symbol,
    BigInt,
    Decimal,
    Ratio,
    Inst,
    Uuid,
    List,
    Set,
    Tagged,
}

impl Kind {
    pub(super) const ALL: [Self; 10] = [
        Self::Keyword,
        Self::Symbol,
        Self::BigInt,
        Self::Decimal,
        Self::Ratio,
        Self::Inst,
        Self::Uuid,
        Self::List,
        Self::Set,
        Self::Tagged,
    ];
}
