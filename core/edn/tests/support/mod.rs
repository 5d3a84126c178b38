//! What several tests need: the captured vectors as JSON.
#![allow(dead_code)]

use serde_json::Value;

/// Reads captured vectors. JSON as Clojure writes it may hold unpaired surrogates, which become
/// U+FFFD, as they do in this crate.
pub(crate) fn vectors(json: &str) -> Vec<Value> {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        mended.push_str(plain);
        let length = match unit(escape) {
            Some(high @ 0xd800..=0xdbff) => match escape.get(6..).and_then(unit) {
                Some(low @ 0xdc00..=0xdfff) => {
                    mended.push(char::decode_utf16([high, low]).next().unwrap().unwrap());
                    12
                }
                _ => replace(&mut mended),
            },
            Some(0xdc00..=0xdfff) => replace(&mut mended),
            _ => {
                mended.push_str(&escape[..2]);
                2
            }
        };
        rest = &escape[length..];
    }
    mended.push_str(rest);
    serde_json::from_str(&mended).unwrap()
}

fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

fn replace(mended: &mut String) -> usize {
    mended.push('\u{fffd}');
    6
}
