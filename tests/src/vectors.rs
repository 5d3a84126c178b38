//! The captured data under `tests/vectors`.

use std::path::PathBuf;

use serde_json::Value as Json;

/// The JSON in `tests/vectors/<name>`.
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
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
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
