//! Values into JSON.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::slice;

use sente_edn::{Map, MapIter, Value};

use crate::packer::text::{Style, write_f64, write_string};

/// What is left of a collection that is being written.
enum Rest<'v> {
    Items(slice::Iter<'v, Value>),
    Entries(MapIter<'v>),
}

/// Appends `value` as JSON.
///
/// # Errors
/// What of it cannot be: two keys of a map that are one in JSON.
pub(super) fn pack(value: &Value, out: &mut Vec<u8>) -> Result<(), String> {
    let mut around: Vec<Rest<'_>> = Vec::new();
    let Some(mut rest) = open(value, out)? else {
        return Ok(());
    };
    let mut is_first = true;
    loop {
        let next = match &mut rest {
            Rest::Items(items) => items.next().map(|item| (None, item)),
            Rest::Entries(entries) => entries.next().map(|(key, value)| (Some(key), value)),
        };
        let Some((key, value)) = next else {
            out.push(match rest {
                Rest::Items(_) => b']',
                Rest::Entries(_) => b'}',
            });
            match around.pop() {
                Some(outer) => rest = outer,
                None => return Ok(()),
            }
            is_first = false;
            continue;
        };
        if !is_first {
            out.push(b',');
        }
        if let Some(key) = key {
            write_string(&key_text(key), Style::JavaScript, out);
            out.push(b':');
        }
        is_first = false;
        if let Some(inner) = open(value, out)? {
            around.push(core::mem::replace(&mut rest, inner));
            is_first = true;
        }
    }
}

/// Writes an atom, or begins a collection.
fn open<'v>(mut value: &'v Value, out: &mut Vec<u8>) -> Result<Option<Rest<'v>>, String> {
    while let Value::Tagged(tagged) = value {
        value = tagged.value();
    }
    let items = match value {
        Value::List(list) => list.as_slice(),
        Value::Vector(vector) => vector.as_slice(),
        Value::Set(set) => {
            out.push(b'[');
            return Ok(Some(Rest::Items(set.iter())));
        }
        Value::Map(map) => {
            check_keys(map)?;
            out.push(b'{');
            return Ok(Some(Rest::Entries(map.iter())));
        }
        atom => {
            write_atom(atom, out);
            return Ok(None);
        }
    };
    out.push(b'[');
    Ok(Some(Rest::Items(items.iter())))
}

fn write_atom(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(_) => sente_edn::write(value, out),
        Value::BigInt(value) => out.extend_from_slice(value.as_str().as_bytes()),
        Value::Float(value) => write_float(*value, out),
        Value::Decimal(value) => out.extend_from_slice(value.to_string().as_bytes()),
        Value::Ratio(value) => write_float(value.to_f64(), out),
        Value::Char(value) => {
            write_string(value.encode_utf8(&mut [0; 4]), Style::JavaScript, out);
        }
        Value::String(value) => write_string(value, Style::JavaScript, out),
        Value::Keyword(value) => write_string(value.as_str(), Style::JavaScript, out),
        Value::Symbol(value) => write_string(value.as_str(), Style::JavaScript, out),
        Value::Inst(_) | Value::Uuid(_) => write_string(&text_of(value), Style::JavaScript, out),
        _ => out.extend_from_slice(b"null"),
    }
}

fn write_float(value: f64, out: &mut Vec<u8>) {
    if !write_f64(value, out) {
        out.extend_from_slice(b"null");
    }
}

/// The text that stands for an instant or a UUID.
fn text_of(value: &Value) -> String {
    match value {
        Value::Inst(inst) => {
            let text = inst.to_string();
            match text.strip_suffix("-00:00") {
                Some(local) => format!("{local}Z"),
                // The few that no date in UTC can say.
                None => text,
            }
        }
        Value::Uuid(uuid) => uuid.to_string(),
        _ => String::new(),
    }
}

/// The key of an object that a value becomes: the text it would be as a value, without quotes; of a
/// collection its EDN, because that is no text.
fn key_text(key: &Value) -> Cow<'_, str> {
    match key {
        Value::String(text) => Cow::Borrowed(text),
        Value::Keyword(keyword) => Cow::Borrowed(keyword.as_str()),
        Value::Symbol(symbol) => Cow::Borrowed(symbol.as_str()),
        Value::Char(character) => Cow::Owned(String::from(*character)),
        Value::Inst(_) | Value::Uuid(_) => Cow::Owned(text_of(key)),
        Value::List(_) | Value::Vector(_) | Value::Set(_) | Value::Map(_) | Value::Tagged(_) => {
            Cow::Owned(sente_edn::to_string(key))
        }
        atom => {
            let mut text = Vec::new();
            write_atom(atom, &mut text);
            Cow::Owned(String::from_utf8(text).unwrap_or_default())
        }
    }
}

/// Makes sure that keys that differ do so in JSON.
fn check_keys(map: &Map) -> Result<(), String> {
    let all = |is: fn(&Value) -> bool| map.keys().all(is);
    // Those of one kind do.
    if all(|key| matches!(key, Value::Keyword(_))) || all(|key| matches!(key, Value::String(_))) {
        return Ok(());
    }
    let mut texts: Vec<_> = map.keys().map(key_text).collect();
    texts.sort_unstable();
    match texts
        .windows(2)
        .find(|pair| matches!(pair, [a, b] if a == b))
    {
        Some([text, _]) => {
            let text: String = text.chars().take(100).collect();
            Err(format!("two keys of a map are both {text:?} in JSON"))
        }
        _ => Ok(()),
    }
}
