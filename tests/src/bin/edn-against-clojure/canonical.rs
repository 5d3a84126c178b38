//! A text for every value that is the same for values `clojure.edn` could not tell apart, and for
//! no others. `tests/peers/edn_oracle.clj` writes it in the same way.

use sente_edn::{Decimal, Value};

pub(crate) fn canonical(value: &Value) -> String {
    match value {
        Value::Nil => "nil".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => format!("L{value}"),
        Value::BigInt(value) => format!("N{}", value.as_str()),
        Value::Float(value) if value.is_nan() => "D7ff8000000000000".to_owned(),
        Value::Float(value) => format!("D{:016x}", value.to_bits()),
        Value::Decimal(value) => decimal(value),
        Value::Ratio(value) => {
            format!(
                "R{}/{}",
                value.numerator().as_str(),
                value.denominator().as_str()
            )
        }
        Value::Char(value) => format!("C{}", quoted(&value.to_string())),
        Value::String(value) => format!("S{}", quoted(value)),
        Value::Keyword(value) => format!("K{}", name(value.namespace(), value.name())),
        Value::Symbol(value) => format!("Y{}", name(value.namespace(), value.name())),
        Value::Inst(value) => format!("I{}", value.as_millis()),
        Value::Uuid(value) => format!("U{:032x}", value.as_u128()),
        Value::Tagged(tagged) => {
            let tag = name(tagged.tag().namespace(), tagged.tag().name());
            format!("#Y{tag} {}", canonical(tagged.value()))
        }
        Value::List(items) => format!("({})", in_order(items)),
        Value::Vector(items) => format!("[{}]", in_order(items)),
        Value::Set(items) => format!("#{{{}}}", sorted(items.iter().map(canonical))),
        Value::Map(map) => {
            let entry = |(key, value): (&_, &_)| format!("{} {}", canonical(key), canonical(value));
            format!("{{{}}}", sorted(map.iter().map(entry)))
        }
        other => panic!("a kind of value that Clojure was not asked about: {other}"),
    }
}

fn in_order(items: &[Value]) -> String {
    let items: Vec<String> = items.iter().map(canonical).collect();
    items.join(" ")
}

fn sorted(texts: impl Iterator<Item = String>) -> String {
    let mut texts: Vec<String> = texts.collect();
    texts.sort_unstable();
    texts.join(" ")
}

/// Shows where the namespace ends, since names may have slashes of their own.
fn name(namespace: Option<&str>, name: &str) -> String {
    let name = quoted(name);
    let Some(namespace) = namespace else {
        return name;
    };
    let mut full = quoted(namespace);
    full.pop();
    format!("{full}\\/{}", &name[1..])
}

/// A text in ASCII, with anything else as its UTF-16 units.
fn quoted(text: &str) -> String {
    let mut out = "\"".to_owned();
    for unit in text.encode_utf16() {
        match char::from_u32(u32::from(unit)) {
            Some(c @ ' '..='~') if c != '"' && c != '\\' => out.push(c),
            _ => out.push_str(&format!("\\{unit:04x}")),
        }
    }
    out.push('"');
    out
}

/// All digits, and the power of ten they count.
fn decimal(value: &Decimal) -> String {
    let text = value.to_string();
    let (sign, text) = match text.strip_prefix('-') {
        Some(text) => ("-", text),
        None => ("", text.as_str()),
    };
    let (mantissa, exponent) = text.split_once('E').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let exponent: i64 = exponent.parse().expect("a decimal prints with an exponent");
    let behind = i64::try_from(fraction.len()).expect("a decimal's length");
    format!("M{sign}{digits}e{}", exponent - behind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> String {
        canonical(&sente_edn::from_str(text).unwrap())
    }

    #[test]
    fn what_clojure_tells_apart_differs() {
        let texts = [
            "1", "1N", "1.0", "1M", "1.0M", "10e-1M", "-0.0", "0.0", "0M", "0.0M", "[1]", "(1)",
            "#{1}", "#t [1]", "#t/u [1]", "\\1", "\"1\"", ":a/b", "a/b", ":a", "a", "1/2", "nil",
            "\"nil\"",
        ];
        for (index, text) in texts.iter().enumerate() {
            for (other_index, other) in texts.iter().enumerate() {
                // Both are ten tenths.
                let tenths = ["1.0M", "10e-1M"];
                let same = index == other_index || tenths.contains(text) && tenths.contains(other);
                assert_eq!(of(text) == of(other), same, "{text} {other}");
            }
        }
    }

    #[test]
    fn order_and_kind_of_writing_do_not_show() {
        assert_eq!(of("{:a #{1 2}, :b 0x1F}"), of("{:b 31 :a #{2 1}}"));
        assert_eq!(of("1E+5M"), "M1e5");
        assert_eq!(of("-12.50M"), "M-1250e-2");
        assert_eq!(of("\"é\\\"😀\""), "S\"\\00e9\\0022\\d83d\\de00\"");
    }
}
