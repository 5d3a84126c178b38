//! The documents that are read: the same data as EDN, JSON and MessagePack.
//!
//! What JSON has no form for is a string there: keywords without their colon, UUIDs, instants. Sets
//! are arrays. Both texts have their entries in the same order, and are printed as densely as each
//! format's usual printer prints: EDN as `pr-str` does, JSON without blanks.

use std::fmt::Write as _;

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the benchmarks' own, matched in full"
)]
pub enum Document {
    /// A frame as sente-lite sends it: 39 bytes.
    Small,
    /// A chat message of about one kilobyte, with UUID, instant, set, floats, escapes and UTF-8.
    Medium,
    /// A megabyte: a vector of such messages, no two alike.
    Large,
}

/// Which format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the benchmarks' own, matched in full"
)]
pub enum Format {
    /// EDN.
    Edn,
    /// JSON.
    Json,
    /// MessagePack; made from the JSON.
    MessagePack,
}

impl Document {
    /// All of them, the smallest first.
    pub const ALL: [Self; 3] = [Self::Small, Self::Medium, Self::Large];

    /// How cases name it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Small => "small",
            Self::Medium => "medium",
            Self::Large => "large",
        }
    }

    /// The document in a format.
    ///
    /// # Panics
    ///
    /// For MessagePack when the feature `peers` is off.
    #[must_use]
    pub fn bytes(self, format: Format) -> Vec<u8> {
        match format {
            Format::Edn => self.edn().into_bytes(),
            Format::Json => self.json().into_bytes(),
            Format::MessagePack => message_pack(&self.json()),
        }
    }

    /// The document as EDN.
    #[must_use]
    pub fn edn(self) -> String {
        let mut out = String::new();
        match self {
            // As sente-lite's own printer writes it, without commas.
            Self::Small => out.push_str(r#"[[:my/event {:a 1 :b "str"}] "cb-uuid"]"#),
            Self::Medium => message(&mut Random(1)).write_edn(&mut out),
            Self::Large => history().write_edn(&mut out),
        }
        out
    }

    /// The document as JSON.
    #[must_use]
    pub fn json(self) -> String {
        let mut out = String::new();
        match self {
            Self::Small => out.push_str(r#"[["my/event",{"a":1,"b":"str"}],"cb-uuid"]"#),
            Self::Medium => message(&mut Random(1)).write_json(&mut out),
            Self::Large => history().write_json(&mut out),
        }
        out
    }
}

#[cfg(feature = "peers")]
fn message_pack(json: &str) -> Vec<u8> {
    let value: serde_json::Value = serde_json::from_str(json).expect("the document is JSON");
    rmp_serde::to_vec(&value).expect("a JSON value fits in MessagePack")
}

#[cfg(not(feature = "peers"))]
fn message_pack(_json: &str) -> Vec<u8> {
    panic!("MessagePack needs the feature `peers`")
}

/// What the documents are made of.
enum Datum {
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Keyword(String),
    Uuid(String),
    Inst(String),
    Vector(Vec<Self>),
    Set(Vec<Self>),
    /// Keys are keywords.
    Map(Vec<(&'static str, Self)>),
}

impl Datum {
    // Calls itself for each level; the documents have five.
    fn write_edn(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("nil"),
            Self::Keyword(name) => out.extend([":", name]),
            Self::Uuid(text) => out.extend(["#uuid \"", text, "\""]),
            Self::Inst(text) => out.extend(["#inst \"", text, "\""]),
            Self::Vector(items) => list(out, ("[", " ", "]"), items, Self::write_edn),
            Self::Set(items) => list(out, ("#{", " ", "}"), items, Self::write_edn),
            Self::Map(entries) => list(out, ("{", ", ", "}"), entries, |(key, value), out| {
                out.extend([":", key, " "]);
                value.write_edn(out);
            }),
            atom => atom.write_atom(out),
        }
    }

    fn write_json(&self, out: &mut String) {
        match self {
            Self::Nil => out.push_str("null"),
            Self::Keyword(text) | Self::Uuid(text) | Self::Inst(text) => {
                out.extend(["\"", text, "\""]);
            }
            Self::Vector(items) | Self::Set(items) => {
                list(out, ("[", ",", "]"), items, Self::write_json);
            }
            Self::Map(entries) => list(out, ("{", ",", "}"), entries, |(key, value), out| {
                out.extend(["\"", key, "\":"]);
                value.write_json(out);
            }),
            atom => atom.write_atom(out),
        }
    }

    /// What both formats write alike.
    fn write_atom(&self, out: &mut String) {
        let written = match self {
            Self::Bool(value) => write!(out, "{value}"),
            Self::Int(value) => write!(out, "{value}"),
            Self::Float(value) => write!(out, "{value:?}"),
            Self::Text(text) => {
                out.push('"');
                for character in text.chars() {
                    match character {
                        '"' => out.push_str("\\\""),
                        '\\' => out.push_str("\\\\"),
                        '\n' => out.push_str("\\n"),
                        '\t' => out.push_str("\\t"),
                        other => out.push(other),
                    }
                }
                out.push('"');
                Ok(())
            }
            _ => unreachable!("not an atom that both formats write alike"),
        };
        written.expect("a string takes everything");
    }
}

fn list<T>(
    out: &mut String,
    (open, between, close): (&str, &str, &str),
    items: &[T],
    write: impl Fn(&T, &mut String),
) {
    out.push_str(open);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push_str(between);
        }
        write(item, out);
    }
    out.push_str(close);
}

/// Numbers that look random and are the same in every run (Knuth's MMIX generator).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn int(&mut self, bound: u32) -> i64 {
        self.below(u64::from(bound)).cast_signed()
    }

    /// A coordinate: six decimals.
    fn float(&mut self, bound: u32) -> f64 {
        let (whole, part) = (self.below(u64::from(bound)), self.below(1_000_000));
        let text = format!("{whole}.{part:06}");
        text.parse().expect("such a text is a float")
    }

    fn pick(&mut self, from: &[&str]) -> String {
        let index = self.below(from.len() as u64);
        from[usize::try_from(index).expect("an index")].to_owned()
    }

    fn uuid(&mut self) -> Datum {
        let [a, b, c, d] = [(); 4].map(|()| self.below(1 << 16));
        let [e, f] = [(); 2].map(|()| self.below(1 << 31));
        Datum::Uuid(format!(
            "{e:08x}-{a:04x}-7{:03x}-8{:03x}-{f:08x}{d:04x}",
            b >> 4,
            c >> 4
        ))
    }
}

const TEXTS: [&str; 4] = [
    "Grüße aus Köln! She said \"see you\"\n\tat 9 — naïve café, 東京 ok 🎉",
    "The build is green again, so the release can go out after lunch. Who writes the notes?",
    "C:\\temp\\log.txt shows the same thing:\n  timeout after 30 s, then a retry, then \"ok\"",
    "Привет, команда! Новая версия готова, проверьте пожалуйста.",
];
const NAMES: [&str; 4] = [
    "Zoë Müller",
    "Ada \"Countess\" Lovelace",
    "Grace Hopper",
    "李小龍",
];
const TAGS: [&str; 6] = [
    "urgent",
    "team/core",
    "release",
    "question",
    "ops/alert",
    "fun",
];

/// One chat message. What is fixed and what varies is chosen so that it has about a kilobyte.
fn message(random: &mut Random) -> Datum {
    let text = |text: &str| Datum::Text(text.to_owned());
    let first = usize::try_from(random.below(4)).expect("below four");
    let tags = TAGS[first..first + 3].iter();
    let tags = tags.map(|tag| Datum::Keyword((*tag).to_owned())).collect();
    let (minute, second, milli) = (random.below(60), random.below(60), random.below(1000));
    let at = format!("2026-11-20T12:{minute:02}:{second:02}.{milli:03}-00:00");
    let reactions = [("👍", 3), ("❤", 2), (":shipit:", 1)].map(|(emoji, count)| {
        let users = (0..count).map(|_| Datum::Int(random.int(100_000)));
        Datum::Map(vec![
            ("emoji", text(emoji)),
            ("count", Datum::Int(count)),
            ("users", Datum::Vector(users.collect())),
        ])
    });
    let attachment = |name: &str, kind: &str, random: &mut Random| {
        Datum::Map(vec![
            ("name", text(name)),
            ("type", text(kind)),
            ("bytes", Datum::Int(random.int(10_000_000))),
            ("width", Datum::Int(random.int(4000))),
            ("ratio", Datum::Float(random.float(2))),
        ])
    };
    let author = Datum::Map(vec![
        ("user/id", Datum::Int(random.int(100_000))),
        ("user/name", Datum::Text(random.pick(&NAMES))),
        ("user/admin?", Datum::Bool(random.below(2) == 0)),
        (
            "user/status",
            Datum::Keyword(random.pick(&["online", "away", "status/busy"])),
        ),
        ("user/balance", Datum::Float(-random.float(1000))),
        (
            "user/place",
            Datum::Map(vec![
                ("lat", Datum::Float(random.float(90))),
                ("lon", Datum::Float(random.float(180))),
                ("label", text("office\tleft")),
            ]),
        ),
    ]);
    Datum::Map(vec![
        ("message/id", random.uuid()),
        ("message/at", Datum::Inst(at)),
        ("message/room", Datum::Keyword("room/general".to_owned())),
        ("message/text", Datum::Text(random.pick(&TEXTS))),
        ("message/tags", Datum::Set(tags)),
        ("message/author", author),
        ("message/reactions", Datum::Vector(reactions.into())),
        (
            "message/attachments",
            Datum::Vector(vec![
                attachment("plan.pdf", "application/pdf", random),
                attachment("Übersicht.png", "image/png", random),
            ]),
        ),
        ("message/edited?", Datum::Bool(false)),
        ("message/reply-to", Datum::Nil),
        ("message/weight", Datum::Float(1.0)),
        ("message/version", Datum::Int(7)),
    ])
}

/// As many messages as fit into a megabyte of EDN, which is where the readers' default limit is.
fn history() -> Datum {
    let mut random = Random(2);
    let (mut messages, mut size) = (Vec::new(), 0);
    loop {
        let message = message(&mut random);
        let mut text = String::new();
        message.write_edn(&mut text);
        size += text.len() + 1;
        if size > 1_000_000 {
            return Datum::Vector(messages);
        }
        messages.push(message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_have_the_sizes_that_the_results_name() {
        let size = |document: Document| (document.edn().len(), document.json().len());
        assert_eq!(size(Document::Small), (39, 42));
        let (edn, json) = size(Document::Medium);
        assert!(
            (900..=1200).contains(&edn) && (900..=1200).contains(&json),
            "{edn}, {json}"
        );
        let (edn, json) = size(Document::Large);
        assert!((990_000..=1_000_001).contains(&edn), "{edn}");
        assert!((900_000..=1_100_000).contains(&json), "{json}");
    }

    #[test]
    fn both_formats_hold_the_same_message() {
        use crate::message::{EdnMessageRef, PlainMessageRef};

        for document in [Document::Medium, Document::Large] {
            let (edn, json) = (document.edn(), document.json());
            let (edn, json) = if document == Document::Medium {
                (format!("[{edn}]"), format!("[{json}]"))
            } else {
                (edn, json)
            };
            let edn: Vec<EdnMessageRef<'_>> = sente_edn::serde::from_str(&edn).unwrap();
            let json: Vec<PlainMessageRef<'_>> = serde_json::from_str(&json).unwrap();
            // Keywords keep their colon in JSON, so all colons that follow a quote are left out.
            let [edn, json] = [serde_json::to_string(&edn), serde_json::to_string(&json)]
                .map(|text| text.unwrap().replace("\":", "\""));
            assert!(edn == json, "{document:?} differs");
        }
    }
}
