//! The captured data under `tests/vectors`.

use std::path::PathBuf;

use serde_json::Value as Json;

/// The JSON in `tests/vectors/<name>`. It may hold unpaired surrogates, as Clojure writes them, which
/// become U+FFFD.
///
/// # Panics
/// If it is not there or no JSON: the checkout is broken.
#[must_use]
pub fn load(name: &str) -> Json {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(name);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&mend(&text)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The text with U+FFFD in place of the escapes that no string of Rust can hold.
fn mend(json: &str) -> String {
    let mut mended = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (plain, escape) = rest.split_at(at);
        mended.push_str(plain);
        let paired = |low| (0xdc00..=0xdfff).contains(&low);
        let length = match unit(escape) {
            Some(0xd800..=0xdbff) if escape.get(6..).and_then(unit).is_some_and(paired) => 12,
            Some(0xd800..=0xdfff) => {
                mended.push('\u{fffd}');
                rest = escape.get(6..).unwrap_or_default();
                continue;
            }
            _ => 2,
        };
        let (escape, behind) = escape.split_at(length.min(escape.len()));
        mended.push_str(escape);
        rest = behind;
    }
    mended + rest
}

/// The UTF-16 unit that an escape stands for.
fn unit(escape: &str) -> Option<u16> {
    u16::from_str_radix(escape.strip_prefix("\\u")?.get(..4)?, 16).ok()
}

/// The names of the files in `tests/vectors/<folder>` that begin with `prefix`, in order.
///
/// # Panics
/// If the folder is not there.
#[must_use]
pub fn names(folder: &str, prefix: &str) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("vectors")
        .join(folder);
    let mut names: Vec<String> = std::fs::read_dir(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with(prefix) && name.ends_with(".json"))
        .map(|name| format!("{folder}/{name}"))
        .collect();
    names.sort();
    names
}

/// A text field of a row.
#[must_use]
pub fn field<'a>(row: &'a Json, name: &str) -> Option<&'a str> {
    row.get(name).and_then(Json::as_str)
}
