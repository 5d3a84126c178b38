//! Values as packed bytes.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::slice;

use sente_edn::{BigInt, Inst, MapIter, Ratio, Tagged, Uuid, Value};

use super::Endian;
use super::ext;
use super::machine::{Atom, Budget, Kind, Machine, Place, Sink};
use super::out::{Open, Out};
use super::tagged;

/// The largest integer that ClojureScript's numbers tell from the next.
const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;

/// What the packer's options say about writing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Style {
    pub(super) endian: Endian,
    pub(super) safe_integers: bool,
}

/// Appends `value`, without key references.
///
/// # Errors
/// What of it MessagePack, or Sente, has no form for.
pub(super) fn pack(value: &Value, style: Style, out: &mut Vec<u8>) -> Result<(), String> {
    let mut out = Out::new(out);
    write(value, style, &mut out)?;
    out.finish().map_err(|_| too_long())
}

pub(super) fn too_long() -> String {
    String::from("something in it is longer than 32 bits can say")
}

/// A collection whose items are being written.
enum Items<'v> {
    Array(slice::Iter<'v, Value>),
    /// The same, and the set's extension around them.
    Set(slice::Iter<'v, Value>, Open),
    /// And the value of the key that was written last.
    Map(MapIter<'v>, Option<&'v Value>),
}

impl<'v> Items<'v> {
    fn next(&mut self) -> Option<&'v Value> {
        match self {
            Self::Array(items) | Self::Set(items, _) => items.next(),
            Self::Map(entries, value) => value.take().or_else(|| {
                let (key, next) = entries.next()?;
                *value = Some(next);
                Some(key)
            }),
        }
    }
}

/// Appends a value to what is being written.
pub(super) fn write(value: &Value, style: Style, out: &mut Out<'_>) -> Result<(), String> {
    let mut next = value;
    let mut open: Vec<Items<'_>> = Vec::new();
    loop {
        match next {
            Value::List(items) => {
                out.array(items.len());
                open.push(Items::Array(items.iter()));
            }
            Value::Vector(items) => {
                out.array(items.len());
                open.push(Items::Array(items.iter()));
            }
            Value::Set(items) => {
                let set = out.open();
                out.array(items.len());
                open.push(Items::Set(items.iter(), set));
            }
            Value::Map(entries) => {
                out.map(entries.len());
                open.push(Items::Map(entries.iter(), None));
            }
            atom => write_atom(atom, style, out)?,
        }
        next = loop {
            let Some(items) = open.last_mut() else {
                return Ok(());
            };
            if let Some(next) = items.next() {
                break next;
            }
            if let Some(Items::Set(_, set)) = open.pop() {
                out.close_ext(set, ext::SET);
            }
        };
    }
}

fn write_atom(value: &Value, style: Style, out: &mut Out<'_>) -> Result<(), String> {
    match value {
        Value::Nil => out.nil(),
        Value::Bool(value) => out.bool(*value),
        Value::Int(value) => integer(*value, style, out)?,
        Value::BigInt(value) => integer(long(value)?, style, out)?,
        Value::Float(value) => out.double(*value),
        Value::Decimal(value) => out.double(value.to_f64()),
        Value::Ratio(value) => ratio(value, style, out)?,
        Value::Char(value) => char(*value, out),
        Value::String(text) => out.str(text),
        Value::Keyword(keyword) => out.ext(ext::KEYWORD, keyword.as_str().as_bytes()),
        Value::Symbol(symbol) => out.ext(ext::SYMBOL, symbol.as_str().as_bytes()),
        Value::Inst(value) => instant(*value, out),
        Value::Uuid(value) => uuid(*value, out),
        Value::Tagged(value) => tagged(value, style, out)?,
        other => return Err(format!("MessagePack has no form for {other}")),
    }
    Ok(())
}

pub(super) fn integer(value: i64, style: Style, out: &mut Out<'_>) -> Result<(), String> {
    if style.safe_integers && value.unsigned_abs() > MAX_SAFE_INTEGER {
        return Err(format!(
            "ClojureScript cannot tell {value} from its neighbours"
        ));
    }
    out.int(value);
    Ok(())
}

/// Sente's peers read no integer of more than 64 bits, and write none.
pub(super) fn long(value: &BigInt) -> Result<i64, String> {
    let fits = value.to_i64();
    fits.ok_or_else(|| String::from("an integer of more than 64 bits"))
}

pub(super) fn ratio(value: &Ratio, style: Style, out: &mut Out<'_>) -> Result<(), String> {
    let mut content = Vec::new();
    let mut inner = Out::new(&mut content);
    integer(long(value.numerator())?, style, &mut inner)?;
    integer(long(value.denominator())?, style, &mut inner)?;
    out.ext(ext::RATIO, &content);
    Ok(())
}

/// Clojure has no characters beyond 16 bits; what is written is a string.
pub(super) fn char(value: char, out: &mut Out<'_>) {
    let mut bytes = [0; 4];
    let text = value.encode_utf8(&mut bytes);
    match u16::try_from(value) {
        Ok(_) => out.ext(ext::CHAR, text.as_bytes()),
        Err(_) => out.str(text),
    }
}

pub(super) fn instant(value: Inst, out: &mut Out<'_>) {
    let millis = value.as_millis();
    let seconds = millis.div_euclid(1000);
    let nanos = u32::try_from(millis.rem_euclid(1000).saturating_mul(1_000_000));
    out.ext_head(ext::INSTANT, 12);
    out.raw(&nanos.unwrap_or_default().to_be_bytes());
    out.raw(&seconds.to_be_bytes());
}

pub(super) fn uuid(value: Uuid, out: &mut Out<'_>) {
    let mut text = [b'-'; 36];
    let mut places = text.iter_mut().enumerate();
    let digits = value
        .as_u128()
        .to_be_bytes()
        .into_iter()
        .flat_map(|byte| [byte >> 4, byte & 0x0f]);
    for digit in digits {
        let place = places.find(|(at, _)| !matches!(at, 8 | 13 | 18 | 23));
        if let Some((_, place)) = place {
            *place = char::from_digit(u32::from(digit), 16)
                .map_or(b'0', |digit| u8::try_from(digit).unwrap_or_default());
        }
    }
    out.ext(ext::UUID, &text);
}

fn tagged(value: &Tagged, style: Style, out: &mut Out<'_>) -> Result<(), String> {
    let tag = value.tag().as_str();
    let inner = value.value();
    let done = match tag {
        tagged::BYTES => inner
            .as_str()
            .and_then(tagged::decode)
            .map(|bytes| out.bin(&bytes)),
        tagged::INTS => array(inner, ext::INTS, out, |value| {
            let value = i32::try_from(value.as_i64()?).ok()?;
            Some(match style.endian {
                Endian::Big => value.to_be_bytes(),
                Endian::Little => value.to_le_bytes(),
            })
        }),
        tagged::FLOATS => array(inner, ext::FLOATS, out, |value| {
            #[expect(clippy::cast_possible_truncation, reason = "the tag asks for it")]
            let value = value.as_f64()? as f32;
            Some(match style.endian {
                Endian::Big => value.to_be_bytes(),
                Endian::Little => value.to_le_bytes(),
            })
        }),
        tagged::DOUBLES => array(inner, ext::DOUBLES, out, |value| {
            let value = value.as_f64()?;
            Some(match style.endian {
                Endian::Big => value.to_be_bytes(),
                Endian::Little => value.to_le_bytes(),
            })
        }),
        tagged::EXT => opaque(inner, out),
        _ => return Err(format!("Sente's MessagePack has no form for #{tag}")),
    };
    done.ok_or_else(|| format!("what is tagged #{tag} is not what the tag says"))
}

fn array<const N: usize>(
    items: &Value,
    id: i8,
    out: &mut Out<'_>,
    bytes: impl Fn(&Value) -> Option<[u8; N]>,
) -> Option<()> {
    let items = items.as_sequence()?;
    let mut content = Vec::with_capacity(items.len().saturating_mul(N));
    for item in items {
        content.extend_from_slice(&bytes(item)?);
    }
    out.ext(id, &content);
    Some(())
}

/// An extension that was kept as it is; nothing is written that could not be read.
fn opaque(inner: &Value, out: &mut Out<'_>) -> Option<()> {
    let [id, text] = inner.as_sequence()? else {
        return None;
    };
    let id = i8::try_from(id.as_i64()?).ok()?;
    let mut packed = Vec::new();
    let mut alone = Out::new(&mut packed);
    alone.ext(id, &tagged::decode(text.as_str()?)?);
    alone.finish().ok()?;
    Machine::new(&packed, Budget::UNLIMITED)
        .value(&mut Check)
        .ok()?;
    out.raw(&packed);
    Some(())
}

/// Takes whatever can be read.
struct Check;

impl<'a> Sink<'a> for Check {
    fn sees_all(&self) -> bool {
        false
    }

    fn atom(&mut self, _: Atom<'a>, _: Place) {}

    fn open(&mut self, _: Kind, _: usize, _: Place) {}

    fn close(&mut self, _: Kind, _: usize) {}
}
