//! The same texts read by this crate and by `edn-rs`, `edn-format` and `clojure-reader`.
//!
//! Each of the others is only given what it reads rightly; what that is, and what it gets wrong, is
//! said at its grammar. None is given deep texts, for they end the process. Printing is not compared:
//! all three print `1.0` as `1`.

use clojure_reader::edn as clojure;
use proptest::prelude::*;
use sente_edn::{
    BigInt, Decimal, Inst, Keyword, List, Map, Ratio, Set, Symbol, Tagged, Uuid, Value, from_str,
};

/// What the grammar of a crate has beyond what all have.
#[derive(Clone, Copy, Debug, Default)]
struct Grammar {
    /// `7N`, `1.5M`, and integers of more than 64 bits.
    exact: bool,
    /// `1/3`
    ratios: bool,
    /// `0x1f`, `2r101`
    radixes: bool,
    /// `#inst`, `#uuid`
    dates: bool,
    /// `\u00e9` and `"\u00e9"`
    codes: bool,
    /// Collections as keys.
    deep_keys: bool,
}

/// Not the characters that edn-rs and edn-format take for the start of a name or code.
fn name() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9*+!_?<>=.-]{0,5}(/[a-z][a-z0-9*!_?-]{0,3})?"
}

fn symbol() -> impl Strategy<Value = Symbol> {
    name().prop_filter_map("nil, true and false", |name| Symbol::new(&name).ok())
}

fn keyword() -> impl Strategy<Value = Value> {
    name().prop_map(|name| Value::from(Keyword::new(&name).unwrap()))
}

/// Without the control characters that take escapes which only some know.
fn string() -> impl Strategy<Value = Value> {
    "[a-zA-Z0-9 \t\r\n\"\\\\,;:#(){}é€😀]{0,8}".prop_map(Value::from)
}

fn key() -> impl Strategy<Value = Value> {
    prop_oneof![
        keyword(),
        string(),
        symbol().prop_map(Value::from),
        any::<i64>().prop_map(Value::from)
    ]
}

fn atom(grammar: Grammar) -> impl Strategy<Value = Value> {
    let exact = if grammar.exact {
        prop_oneof![
            any::<i128>().prop_map(|value| Value::from(BigInt::from(value))),
            "-?[0-9]{1,25}\\.[0-9]{1,25}"
                .prop_map(|text| Value::from(Decimal::new(&text).unwrap())),
        ]
        .boxed()
    } else {
        Just(Value::Nil).boxed()
    };
    let ratio = if grammar.ratios {
        (any::<i64>(), 1..i64::MAX)
            .prop_map(|(a, b)| Ratio::divide(&BigInt::from(a), &BigInt::from(b)).unwrap())
            .boxed()
    } else {
        Just(Value::Nil).boxed()
    };
    let date = if grammar.dates {
        prop_oneof![
            // What is before 1582 is another day to them.
            (-12_000_000_000_000..253_000_000_000_000_i64)
                .prop_map(|millis| Value::from(Inst::from_millis(millis).unwrap())),
            any::<u128>().prop_map(|bits| Value::from(Uuid::from_u128(bits))),
        ]
        .boxed()
    } else {
        Just(Value::Nil).boxed()
    };
    prop_oneof![
        3 => key(),
        1 => Just(Value::Nil),
        1 => any::<bool>().prop_map(Value::from),
        1 => prop_oneof![
            any::<f64>().prop_filter("##NaN and ##Inf", |value| value.is_finite()),
            (-5..5_i32).prop_map(f64::from),
        ]
        // edn-rs keeps one zero of two in a set.
        .prop_map(|value| Value::from(if value == 0.0 { 0.0 } else { value })),
        // `\u` and `\o` begin codes.
        1 => "[a-np-tv-zA-Z0-9+*é€ \n\r\t]".prop_map(|c| Value::from(c.chars().next().unwrap())),
        2 => exact,
        1 => ratio,
        1 => date,
    ]
}

fn document(grammar: Grammar) -> impl Strategy<Value = Value> {
    atom(grammar).prop_recursive(4, 40, 6, move |inner| {
        let items = || proptest::collection::vec(inner.clone(), 0..6);
        let key = if grammar.deep_keys {
            prop_oneof![3 => key(), 1 => inner.clone()].boxed()
        } else {
            key().boxed()
        };
        prop_oneof![
            items().prop_map(Value::from),
            items().prop_map(|items| Value::from(List::from(items))),
            items().prop_map(|items| Value::from(Set::from_iter(items))),
            proptest::collection::vec((key, inner.clone()), 0..6)
                .prop_map(|entries| Value::from(Map::from_iter(entries))),
            (symbol(), inner.clone())
                .prop_map(|(tag, inner)| Value::from(Tagged::new(tag, inner).ok())),
        ]
    })
}

/// Writes a value in one of the many ways in which it can be written.
struct Writer<'s> {
    grammar: Grammar,
    style: std::iter::Cycle<std::slice::Iter<'s, u8>>,
    out: String,
}

impl Writer<'_> {
    fn style(&mut self, ways: u8) -> u8 {
        self.style.next().unwrap() % ways
    }

    fn blank(&mut self) {
        let blanks = [
            " ",
            ", ",
            "\n",
            "\t ",
            ",,",
            " ; [ \"\n",
            " #_ x ",
            " #_[:y \"]\"] ",
        ];
        let way = self.style(24);
        self.out
            .push_str(blanks.get(usize::from(way)).unwrap_or(&" "));
    }

    /// A blank before the end of a collection, where not all take a discarded form.
    fn end(&mut self, end: char) {
        let blanks = ["", " ", ",", "\n"];
        let way = self.style(4);
        self.out.push_str(blanks[usize::from(way)]);
        self.out.push(end);
    }

    fn items<'v>(&mut self, start: &str, items: impl Iterator<Item = &'v Value>, end: char) {
        self.out.push_str(start);
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.blank();
            }
            self.write(item);
        }
        self.end(end);
    }

    fn write(&mut self, value: &Value) {
        match value {
            Value::List(list) => self.items("(", list.iter(), ')'),
            Value::Vector(vector) => self.items("[", vector.iter(), ']'),
            Value::Set(set) => self.items("#{", set.iter(), '}'),
            Value::Map(map) => {
                // No discarded forms here: not all count keys and values rightly then.
                self.out.push('{');
                for (key, value) in map {
                    self.write(key);
                    self.out.push(' ');
                    self.write(value);
                    self.out.push_str(", ");
                }
                self.out.push('}');
            }
            Value::Tagged(tagged) => {
                self.out.push_str(&format!("#{} ", tagged.tag()));
                self.write(tagged.value());
            }
            Value::Int(value) if self.grammar.radixes && self.style(2) == 0 => {
                let sign = if *value < 0 { "-" } else { "" };
                let hex = format!("{:x}", value.unsigned_abs());
                let text = match self.style(3) {
                    // To edn-rs `0x1e5` is a float.
                    0 if !hex.contains('e') => format!("{sign}0x{hex}"),
                    1 if !hex.contains('e') => format!("{sign}0X{}", hex.to_uppercase()),
                    _ => format!("{sign}2r{:b}", value.unsigned_abs()),
                };
                self.out.push_str(&text);
            }
            Value::Int(value) if *value >= 0 && self.style(8) == 0 => {
                self.out.push_str(&format!("+{value}"));
            }
            Value::Char(c) if self.grammar.codes && self.style(2) == 0 => {
                self.out.push_str(&format!("\\u{:04x}", u32::from(*c)));
            }
            Value::String(text) if self.grammar.codes && self.style(2) == 0 && text.is_ascii() => {
                let codes = text.chars().map(|c| format!("\\u{:04x}", u32::from(c)));
                let codes: String = codes.collect();
                self.out.push_str(&format!("\"{codes}\""));
            }
            atom => self.out.push_str(&atom.to_string()),
        }
    }
}

fn text(grammar: Grammar) -> impl Strategy<Value = String> {
    (
        document(grammar),
        proptest::collection::vec(any::<u8>(), 1..40),
    )
        .prop_map(move |(value, style)| {
            let mut writer = Writer {
                grammar,
                style: style.iter().cycle(),
                out: String::new(),
            };
            writer.write(&value);
            // edn-rs wants something behind a symbol of one letter.
            writer.out + "\n"
        })
}

/// edn-rs 0.19 gets wrong: `N` and `M`, `##Inf`, octal numbers, most escapes and codes, `\formfeed`,
/// tags without a blank behind them, metadata, repeated keys, and keys that are floats or hold any.
const EDN_RS: Grammar = Grammar {
    exact: false,
    ratios: true,
    radixes: true,
    dates: true,
    codes: false,
    deep_keys: false,
};

/// edn-format 3.3 gets wrong: ratios, radixes, octal numbers, `##Inf`, `\formfeed`, names with `'`
/// or several slashes, and discarded forms at the end of a collection.
const EDN_FORMAT: Grammar = Grammar {
    exact: true,
    ratios: false,
    radixes: false,
    dates: true,
    codes: true,
    deep_keys: true,
};

/// clojure-reader 0.7 gets wrong: ratios of more than 64 bits, octal numbers, `##Inf`, codes,
/// `\formfeed` and metadata. Dates it leaves as they are.
const CLOJURE_READER: Grammar = Grammar {
    exact: true,
    ratios: true,
    radixes: true,
    dates: true,
    codes: false,
    deep_keys: true,
};

fn of_edn_format(value: &edn_format::Value) -> Value {
    use edn_format::Value as There;
    match value {
        There::Nil => Value::Nil,
        There::Boolean(value) => Value::from(*value),
        There::Character(value) => Value::from(*value),
        There::String(value) => Value::from(value.as_str()),
        There::Symbol(value) => Value::from(Symbol::new(&value.to_string()).unwrap()),
        There::Keyword(value) => Value::keyword(&value.to_string()[1..]).unwrap(),
        There::Integer(value) => Value::from(*value),
        There::Float(value) => Value::from(value.into_inner()),
        There::BigInt(value) => Value::from(BigInt::new(&value.to_string()).unwrap()),
        There::BigDec(value) => {
            let (digits, scale) = value.as_bigint_and_exponent();
            Value::from(Decimal::new(&format!("{digits}e{}", -scale)).unwrap())
        }
        There::List(items) => Value::from(items.iter().map(of_edn_format).collect::<List>()),
        There::Vector(items) => items.iter().map(of_edn_format).collect(),
        There::Set(items) => Value::from(items.iter().map(of_edn_format).collect::<Set>()),
        There::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (of_edn_format(key), of_edn_format(value)));
            Value::from(entries.collect::<Map>())
        }
        There::Inst(value) => Value::from(Inst::from_millis(value.timestamp_millis()).unwrap()),
        There::Uuid(value) => Value::from(Uuid::parse(&value.to_string()).unwrap()),
        There::TaggedElement(tag, inner) => {
            let tag = Symbol::new(&tag.to_string()).unwrap();
            Value::from(Tagged::new(tag, of_edn_format(inner)).unwrap())
        }
    }
}

fn of_clojure_reader(value: &clojure::Edn<'_>) -> Value {
    use clojure::Edn as There;
    match value {
        There::Nil => Value::Nil,
        There::Bool(value) => Value::from(*value),
        There::Char(value) => Value::from(*value),
        There::Str(value) => Value::from(&**value),
        There::Symbol(value) => Value::from(Symbol::new(value).unwrap()),
        There::Key(value) => Value::keyword(value).unwrap(),
        There::Int(value) => Value::from(*value),
        There::Double(value) => Value::from(value.into_inner()),
        There::Rational((above, below)) => {
            Ratio::divide(&BigInt::from(*above), &BigInt::from(*below)).unwrap()
        }
        There::BigInt(value) => Value::from(value.clone()),
        There::BigDec(value) => Value::try_from(value.clone()).unwrap(),
        There::List(items) => Value::from(items.iter().map(of_clojure_reader).collect::<List>()),
        There::Vector(items) => items.iter().map(of_clojure_reader).collect(),
        There::Set(items) => Value::from(items.iter().map(of_clojure_reader).collect::<Set>()),
        There::Map(entries) => {
            let entries = entries
                .iter()
                .map(|(key, value)| (of_clojure_reader(key), of_clojure_reader(value)));
            Value::from(entries.collect::<Map>())
        }
        There::Tagged(tag, inner) => match (&**tag, &**inner) {
            ("inst", There::Str(text)) => Value::from(Inst::parse(text).unwrap()),
            ("uuid", There::Str(text)) => Value::from(Uuid::parse(text).unwrap()),
            (tag, inner) => {
                let tag = Symbol::new(tag).unwrap();
                Value::from(Tagged::new(tag, of_clojure_reader(inner)).unwrap())
            }
        },
        other => panic!("a form unknown to this test: {other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn edn_rs_reads_the_same_value(text in text(EDN_RS)) {
        let theirs: edn_rs::Edn = text.parse().unwrap();
        let theirs = Value::try_from(&theirs).unwrap();
        let ours = from_str(&text).unwrap();
        prop_assert!(ours.identical(&theirs), "{}: {} and {}", text, ours, theirs);
    }

    #[test]
    fn edn_format_reads_the_same_value(text in text(EDN_FORMAT)) {
        let theirs = of_edn_format(&edn_format::parse_str(&text).unwrap());
        let ours = from_str(&text).unwrap();
        prop_assert!(ours.identical(&theirs), "{}: {} and {}", text, ours, theirs);
    }

    #[test]
    fn clojure_reader_reads_the_same_value(text in text(CLOJURE_READER)) {
        let theirs = of_clojure_reader(&clojure::read_string(&text).unwrap());
        let ours = from_str(&text).unwrap();
        prop_assert!(ours.identical(&theirs), "{}: {} and {}", text, ours, theirs);
    }
}
