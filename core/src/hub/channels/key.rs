//! When two channel ids name the same channel: a key in bytes for any EDN value.

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use sente_edn::Value;

/// The same bytes for equal ids: Clojure's `=`, but for what is behind a tag, where `1` and `1N`
/// are one here and two there. So a list and a vector of equal items name one channel, `1` and
/// `1.0` two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::hub) struct ChannelKey(Arc<[u8]>);

impl ChannelKey {
    pub(in crate::hub) fn of(id: &Value) -> Self {
        Self(Arc::from(key_of(id)))
    }
}

/// A collection some of whose children are keyed.
struct Open<'v> {
    kind: Kind,
    children: alloc::vec::IntoIter<&'v Value>,
    keyed: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Map,
    Sequence,
    Set,
    Tagged,
}

/// However deep the id nests, this takes no more stack; it is short, as the hub sees to.
fn key_of(id: &Value) -> Vec<u8> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = id;
    loop {
        let mut done = match opened(next) {
            Some(collection) => {
                open.push(collection);
                None
            }
            None => Some(atom(next)),
        };
        loop {
            let Some(top) = open.last_mut() else {
                return done.unwrap_or_default();
            };
            top.keyed.extend(done.take());
            if let Some(child) = top.children.next() {
                next = child;
                break;
            }
            done = open.pop().map(Open::finish);
        }
    }
}

fn opened(value: &Value) -> Option<Open<'_>> {
    let (kind, children): (Kind, Vec<&Value>) = match value {
        Value::List(items) => (Kind::Sequence, items.iter().collect()),
        Value::Vector(items) => (Kind::Sequence, items.iter().collect()),
        Value::Set(items) => (Kind::Set, items.iter().collect()),
        Value::Map(entries) => (
            Kind::Map,
            entries.iter().flat_map(|(key, it)| [key, it]).collect(),
        ),
        Value::Tagged(tagged) => (Kind::Tagged, Vec::from([tagged.value()])),
        _ => return None,
    };
    let mut keyed = Vec::new();
    if let Value::Tagged(tagged) = value {
        keyed.push(tagged.tag().as_str().as_bytes().to_vec());
    }
    Some(Open {
        kind,
        children: children.into_iter(),
        keyed,
    })
}

impl Open<'_> {
    fn finish(self) -> Vec<u8> {
        let (kind, mut parts) = match self.kind {
            Kind::Sequence => (b'(', self.keyed),
            Kind::Tagged => (b'#', self.keyed),
            Kind::Set => (b'$', self.keyed),
            Kind::Map => {
                let entries = self.keyed.chunks_exact(2);
                (b'{', entries.map(|entry| joined(b':', entry)).collect())
            }
        };
        if matches!(self.kind, Kind::Map | Kind::Set) {
            parts.sort_unstable();
        }
        joined(kind, &parts)
    }
}

/// The parts with their lengths, so that no two lists of parts look alike.
fn joined(kind: u8, parts: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::from([kind]);
    let length = |out: &mut Vec<u8>, length: usize| {
        out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX).to_be_bytes());
    };
    length(&mut out, parts.len());
    for part in parts {
        length(&mut out, part.len());
        out.extend_from_slice(part);
    }
    out
}

fn atom(value: &Value) -> Vec<u8> {
    let keyed = |kind: u8, text: &str| {
        let mut out = Vec::with_capacity(text.len().saturating_add(1));
        out.push(kind);
        out.extend_from_slice(text.as_bytes());
        out
    };
    match value {
        Value::String(text) => keyed(b's', text),
        Value::Keyword(name) => keyed(b'k', name.as_str()),
        Value::Int(number) => keyed(b'i', &number.to_string()),
        Value::BigInt(number) => keyed(b'i', number.as_str()),
        // Both zeros are one, and so are all that are no number.
        Value::Float(number) if *number == 0.0 => keyed(b'f', "0"),
        Value::Float(number) if number.is_nan() => keyed(b'f', "NaN"),
        Value::Float(number) => keyed(b'f', &number.to_bits().to_string()),
        Value::Decimal(number) => keyed(b'd', &scientific(&number.to_string())),
        Value::Inst(at) => keyed(b't', &at.as_millis().to_string()),
        // What is left prints alike where it is equal.
        other => keyed(b'=', &other.to_string()),
    }
}

/// A decimal number as its digits without zeros at either end, and a power of ten: `1.0M` and
/// `1.00M` are equal.
fn scientific(text: &str) -> alloc::string::String {
    let text = text.trim_end_matches('M');
    let (mantissa, power) = text.split_once(['E', 'e']).unwrap_or((text, "0"));
    let (sign, digits) = match mantissa.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", mantissa.trim_start_matches('+')),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = alloc::format!("{whole}{fraction}");
    let all = all.trim_start_matches('0');
    let significant = all.trim_end_matches('0');
    if significant.is_empty() {
        return alloc::string::String::from("0");
    }
    let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
    let power = power.trim_start_matches('+').parse::<i64>();
    let power = power
        .unwrap_or(0)
        .saturating_sub(count(fraction))
        .saturating_add(count(all).saturating_sub(count(significant)));
    alloc::format!("{sign}{significant}e{power}")
}
