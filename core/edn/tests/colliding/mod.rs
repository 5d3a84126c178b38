//! Keys that share a fingerprint, for the tests of this crate and of what it does behind features.
#![allow(dead_code)]

/// Two integers with one fingerprint, found by search. If fingerprints ever change this must be
/// searched for again: a test of floods says so.
pub(crate) const TWINS: [i64; 2] = [3_944_079_504_031_905_691, 4_420_842_482_355_264_145];

/// Every vector of so many twins: `2^length` different keys with one fingerprint.
pub(crate) fn colliding(length: u32) -> impl Iterator<Item = String> {
    (0..1_u32 << length).map(move |bits| {
        let items = (0..length).map(|bit| TWINS[(bits >> bit & 1) as usize].to_string());
        format!("[{}]", items.collect::<Vec<_>>().join(" "))
    })
}
