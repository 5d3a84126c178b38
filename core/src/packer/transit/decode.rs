//! What a tag and the string behind it mean, and how what EDN has no form for is kept.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use sente_edn::{
    BigInt, Decimal, Dialect, Inst, Keyword, Limits as EdnLimits, Ratio, Symbol, Tagged, Uuid,
    Value, from_slice_with,
};

use super::handlers::TransitHandlers;
use crate::packer::Shape;

/// The tag of bytes in EDN, before their base64.
pub(super) const BYTES: &str = "bytes/b64";
/// The tag of what EDN cannot say otherwise: Transit's tag and what stands behind it.
pub(super) const KEPT: &str = "transit/tagged";

/// Bytes are also read without padding and in the alphabet for URLs, as commons-codec does.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT_CONFIG);
const LENIENT_URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT_CONFIG);
const LENIENT_CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Whether Transit gives the tag a meaning for which there is a value of its own.
pub(super) fn is_own(tag: &str) -> bool {
    matches!(
        tag,
        "_" | "?"
            | "i"
            | "n"
            | "d"
            | "f"
            | "c"
            | ":"
            | "$"
            | "z"
            | "'"
            | "m"
            | "t"
            | "u"
            | "b"
            | "set"
            | "list"
            | "cmap"
            | "ratio"
            | "with-meta"
    )
}

/// Whether strings of the kind `~Xrest` can have this tag.
pub(super) fn is_letter(tag: &str) -> bool {
    let mut chars = tag.chars();
    chars.next().is_some_and(|first| first.len_utf16() == 1)
        && chars.next().is_none()
        && !matches!(tag, "~" | "^" | "`" | "#")
}

/// The shape of the value that `~` with this tag and text means.
pub(super) fn shape(tag: char, text: &str) -> Shape {
    match tag {
        ':' if keyword(text).is_some() => Shape::Keyword,
        '$' if symbol(text).is_some() => Shape::Symbol,
        'i' | 'n' | 'f' | 'd' | 'z' => Shape::Number,
        'c' => Shape::Char,
        '\'' => Shape::String,
        _ => Shape::Tagged,
    }
}

/// Proves that [`scalar`] reads it, but for the handlers.
pub(super) fn check(tag: char, text: &str) -> Result<(), &'static str> {
    match tag {
        'i' | 'n' | 'f' | 'd' | 'z' | 'c' | 'm' | 't' | 'u' => own(tag, text).map(drop),
        'b' => bytes(text).map(drop),
        // Names and tags that EDN has no form for are kept.
        _ => Ok(()),
    }
}

/// The value that `~` with this tag and text means.
pub(super) fn scalar(
    tag: char,
    text: Cow<'_, str>,
    handlers: &TransitHandlers,
) -> Result<Value, String> {
    match tag {
        '\'' => Ok(Value::String(text.into_owned())),
        ':' | '$' | 'i' | 'n' | 'f' | 'd' | 'z' | 'c' | 'm' | 't' | 'u' | 'b' => {
            own(tag, &text).map_err(String::from)
        }
        _ => {
            let mut tag_bytes = [0; 4];
            tagged(
                tag.encode_utf8(&mut tag_bytes),
                Value::String(text.into_owned()),
                handlers,
            )
        }
    }
}

/// The value behind one of Transit's own letters.
fn own(tag: char, text: &str) -> Result<Value, &'static str> {
    let keep = |tag: &str| kept(tag, Value::from(text));
    Ok(match tag {
        ':' => keyword(text).map_or_else(|| keep(":"), Value::Keyword),
        '$' => symbol(text).map_or_else(|| keep("$"), Value::Symbol),
        'i' => match text.parse() {
            Ok(value) => Value::Int(value),
            // transit-js has one kind of number, and writes any of them so where it is a key.
            Err(_) if text.contains(['.', 'e']) => Value::Float(float(text).ok_or("not a number")?),
            Err(_) => return Err("not an integer of 64 bits"),
        },
        'n' => Value::BigInt(BigInt::new(text).map_err(|_| "not an integer")?),
        'f' => Value::Decimal(Decimal::new(text).map_err(|_| "not a decimal number")?),
        'd' => Value::Float(float(text).ok_or("not a number")?),
        'z' => Value::Float(match text {
            "NaN" => f64::NAN,
            "INF" => f64::INFINITY,
            "-INF" => f64::NEG_INFINITY,
            _ => return Err("expected NaN, INF or -INF"),
        }),
        'c' => Value::Char(text.chars().next().ok_or("a character is missing")?),
        'm' => {
            let millis: i64 = text.parse().map_err(|_| "not a time in milliseconds")?;
            Inst::from_millis(millis).map_or_else(|_| keep("m"), Value::Inst)
        }
        't' => {
            let millis = rfc3339(text).ok_or("not a date")?;
            Inst::from_millis(millis).map_or_else(
                |_| kept("m", Value::String(format!("{millis}"))),
                Value::Inst,
            )
        }
        'u' => Value::Uuid(Uuid::parse(text).map_err(|_| "not a UUID")?),
        _ => {
            let text = bytes(text)?;
            // The tag is a name, and no other kind of value's.
            let tag = Symbol::new(BYTES).map(|tag| Tagged::new(tag, text.into_owned()));
            match tag {
                Ok(Ok(tagged)) => Value::Tagged(tagged),
                _ => return Err("not bytes"),
            }
        }
    })
}

/// The value behind a tag that is not Transit's own.
pub(super) fn tagged(tag: &str, rep: Value, handlers: &TransitHandlers) -> Result<Value, String> {
    if let Some(read) = handlers.reader(tag) {
        return read(rep).map_err(|message| format!("{tag}: {message}"));
    }
    match edn_tag(tag) {
        Some(name) => Tagged::new(name, rep)
            .map(Value::Tagged)
            .map_err(|error| format!("{error}")),
        None => Ok(kept(tag, rep)),
    }
}

/// The tag in EDN, if it has that one.
fn edn_tag(tag: &str) -> Option<Symbol> {
    symbol(tag).filter(|name| Tagged::new(name.clone(), Value::Nil).is_ok())
}

/// Whether a tag and what is behind it are read as `#transit/tagged`, because EDN has no form for
/// them.
pub(super) fn is_kept(tag: &str, rep: &Value) -> bool {
    match rep {
        Value::String(text) if matches!(tag, ":" | "$" | "m") => {
            let letter = tag.chars().next().unwrap_or_default();
            matches!(own(letter, text), Ok(Value::Tagged(_)))
        }
        _ => !is_own(tag) && edn_tag(tag).is_none(),
    }
}

/// `#transit/tagged [tag rep]`
fn kept(tag: &str, rep: Value) -> Value {
    let pair = Value::from(alloc::vec![Value::from(tag), rep]);
    // The tag is a name, and no other kind of value's.
    match Symbol::new(KEPT) {
        Ok(name) => Tagged::new(name, pair).map_or(Value::Nil, Value::Tagged),
        Err(_) => Value::Nil,
    }
}

/// The ratio of two integers.
pub(super) fn ratio(above: &BigInt, below: &BigInt) -> Result<Value, &'static str> {
    Ratio::divide(above, below).map_err(|_| "not a ratio: nothing divides by zero")
}

/// The UUID of its upper and its lower 64 bits.
pub(super) fn uuid(high: i64, low: i64) -> Value {
    let high = u128::from(high.cast_unsigned());
    let low = u128::from(low.cast_unsigned());
    Value::Uuid(Uuid::from_u128((high << 64) | low))
}

/// A keyword that either of Clojure's readers reads back.
pub(super) fn keyword(text: &str) -> Option<Keyword> {
    if let Ok(keyword) = Keyword::new(text) {
        return Some(keyword);
    }
    match read_widely(&format!(":{text}"))? {
        Value::Keyword(keyword) if keyword.as_str() == text => Some(keyword),
        _ => None,
    }
}

fn symbol(text: &str) -> Option<Symbol> {
    if let Ok(symbol) = Symbol::new(text) {
        return Some(symbol);
    }
    match read_widely(text)? {
        Value::Symbol(symbol) if symbol.as_str() == text => Some(symbol),
        _ => None,
    }
}

/// The EDN packer reads names that only one of Clojure's readers takes, so they are to be had here
/// as well.
fn read_widely(text: &str) -> Option<Value> {
    let limits = EdnLimits::default()
        .dialect(Dialect::Either)
        .max_depth(1)
        .max_elements(1);
    from_slice_with(text.as_bytes(), &limits).ok()
}

fn float(text: &str) -> Option<f64> {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    let named = matches!(text, "NaN" | "Infinity" | "-Infinity");
    if named || text.bytes().all(plain) {
        text.parse().ok()
    } else {
        None
    }
}

/// Base64 as we write it, if that is what the text means.
pub(super) fn bytes(text: &str) -> Result<Cow<'_, str>, &'static str> {
    if BASE64_STANDARD.decode(text).is_ok() {
        return Ok(Cow::Borrowed(text));
    }
    let decoded = LENIENT
        .decode(text)
        .or_else(|_| LENIENT_URL.decode(text))
        .map_err(|_| "not base64")?;
    Ok(Cow::Owned(BASE64_STANDARD.encode(decoded)))
}

/// How long the Gregorian calendar takes to turn, in years and in milliseconds.
const TURN: i64 = 400;
const TURN_MILLIS: i64 = 146_097 * 86_400_000;

/// A date as in `~t`, in milliseconds. Its calendar is Gregorian at all times, as transit-java and
/// transit-js read it; that of `#inst` is not before 1582. The year may have one to six digits:
/// JavaScript writes `+010000`, transit-js `365` and `10000`.
fn rfc3339(text: &str) -> Option<i64> {
    let sign = usize::from(text.starts_with(['+', '-']));
    let digits = text.get(sign..)?;
    let length = digits.find('-').unwrap_or(digits.len());
    let (year, rest) = text.split_at_checked(sign.checked_add(length)?)?;
    if length > 6
        || !digits
            .get(..length)?
            .bytes()
            .all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    // The date in the turn that began with 2000.
    let year: i64 = year.parse().ok()?;
    let turns = year.checked_sub(2000)?.checked_div_euclid(TURN)?;
    let near = year.checked_sub(turns.checked_mul(TURN)?)?;
    let date = Inst::parse(&format!("{near}{rest}")).ok()?;
    date.as_millis()
        .checked_add(turns.checked_mul(TURN_MILLIS)?)
}

/// The milliseconds from which on `#inst` and RFC 3339 print the same: 1583.
const GREGORIAN_MILLIS: i64 = -12_212_553_600_000;
/// The year 10000.
const LAST_MILLIS: i64 = 253_402_300_800_000;

/// A date as in `~t`, if all readers take it for the same time.
pub(super) fn to_rfc3339(inst: Inst) -> Option<String> {
    if !(GREGORIAN_MILLIS..LAST_MILLIS).contains(&inst.as_millis()) {
        return None;
    }
    let text = format!("{inst}");
    Some(format!("{}Z", text.strip_suffix("-00:00")?))
}
