//! Where we mean to differ from what real Sente was captured doing, and why.

/// What real Sente reads as something else.
pub(crate) struct Read {
    /// The row of the captured data.
    pub(crate) description: &'static str,
    /// What it is to us: EDN, or an error.
    pub(crate) ours: Result<&'static str, &'static str>,
    pub(crate) reason: &'static str,
}

/// What we write in other bytes, when it was read or when it is written in EDN.
pub(crate) struct Written {
    /// The row of the captured data.
    pub(crate) description: &'static str,
    pub(crate) reason: &'static str,
}

const DISPLAY: &str = "EDN has no such name, so what was captured displays something else; it is \
                       kept as the extension it was, and written back";
const OPAQUE: &str = "Java's object is displayed; ours keeps the same number and bytes";
const BETTER: &str =
    "MessagePack's own form, which other libraries write; Java's reader fails on it";
const BROKEN: &str = "nobody writes it; Java takes the low bits of whatever is there for a length";
const REFERENCE: &str = "nobody writes it; Java shows an object of its own, that it cannot write";
const HALF: &str =
    "half of a surrogate pair, which no string here can hold; ClojureScript reads ours";

/// Differences in reading.
pub(crate) const READ: &[Read] = &[
    Read {
        description: "keyword invalid w/ space",
        ours: Ok("[#msgpack/ext [0 \"YSBi\"] nil]"),
        reason: DISPLAY,
    },
    Read {
        description: "keyword empty name",
        ours: Ok("[#msgpack/ext [0 \"\"] nil]"),
        reason: DISPLAY,
    },
    Read {
        description: "symbol nil-like",
        ours: Ok("[#msgpack/ext [1 \"bmls\"] nil]"),
        reason: DISPLAY,
    },
    Read {
        description: "symbol true-like",
        ours: Ok("[#msgpack/ext [1 \"dHJ1ZQ==\"] nil]"),
        reason: DISPLAY,
    },
    Read {
        description: "symbol invalid w/ space",
        ours: Ok("[#msgpack/ext [1 \"YSBi\"] nil]"),
        reason: DISPLAY,
    },
    Read {
        description: "ext0 empty",
        ours: Ok("#msgpack/ext [0 \"\"]"),
        reason: DISPLAY,
    },
    Read {
        description: "str cesu8 surrogate",
        ours: Ok("\"\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}\""),
        reason: "one U+FFFD for each byte, as browsers have it; Java has one for three bytes",
    },
    Read {
        description: "ext2 astral char",
        ours: Ok("\"😀\""),
        reason: HALF,
    },
    Read {
        description: "ext4 set w/ map header",
        ours: Err("a set without an array in it at byte 0"),
        reason: BROKEN,
    },
    Read {
        description: "ext4 set w/ str first byte a2",
        ours: Err("a set without an array in it at byte 0"),
        reason: BROKEN,
    },
    Read {
        description: "ext8 as value",
        ours: Err("a key reference where no key stands at byte 0"),
        reason: REFERENCE,
    },
    Read {
        description: "ext8 as value in array",
        ours: Err("a key reference where no key stands at byte 3"),
        reason: REFERENCE,
    },
    Read {
        description: "ext9 uuid binary16",
        ours: Ok("#uuid \"00112233-4455-6677-8899-aabbccddeeff\""),
        reason: BETTER,
    },
    Read {
        description: "ext-1 ts32",
        ours: Ok("#inst \"2020-01-02T03:06:13.000-00:00\""),
        reason: BETTER,
    },
    Read {
        description: "ext-1 ts64",
        ours: Ok("#inst \"1970-01-01T00:00:01.000-00:00\""),
        reason: BETTER,
    },
    Read {
        description: "ext unknown 10",
        ours: Ok("#msgpack/ext [10 \"AQ==\"]"),
        reason: OPAQUE,
    },
    Read {
        description: "ext unknown 127",
        ours: Ok("#msgpack/ext [127 \"AQ==\"]"),
        reason: OPAQUE,
    },
    Read {
        description: "ext unknown -2",
        ours: Ok("#msgpack/ext [-2 \"AQ==\"]"),
        reason: OPAQUE,
    },
];

/// What is the same, but displayed as something else in the captured sessions.
pub(crate) struct Shown {
    /// What ours has in it, as EDN.
    pub(crate) ours: &'static str,
    pub(crate) reason: &'static str,
}

/// Differences in what is displayed.
pub(crate) const SHOWN: &[Shown] = &[
    Shown {
        ours: "#msgpack/ext [",
        reason: DISPLAY,
    },
    Shown {
        ours: "#inst \"0001-01-01T00:00:00.000-00:00\"",
        reason: "Java displays an Instant before 1582 in the Gregorian calendar, and an #inst, as \
                 Clojure does, in the Julian one; the millisecond is the same",
    },
];

const DOUBLE: &str = "EDN's floats have 64 bits; the number is the same";
const MILLIS: &str = "an #inst has milliseconds";

/// Values that were read, and are written in other bytes than they were read from.
pub(crate) const REWRITTEN: &[Written] = &[
    Written {
        description: "float 1.5",
        reason: DOUBLE,
    },
    Written {
        description: "float 0.1",
        reason: DOUBLE,
    },
    Written {
        description: "float Inf",
        reason: DOUBLE,
    },
    Written {
        description: "sql Timestamp nanos",
        reason: MILLIS,
    },
    Written {
        description: "java Instant nanos",
        reason: MILLIS,
    },
];

const NOT_ITSELF: &str = "its text in EDN reads as something else";
const JAVA: &str = "an object of Java's, whose text in EDN is behind a tag that has no form";

/// Texts of EDN for which Sente has other bytes, or an error.
pub(crate) const WRITTEN: &[Written] = &[
    Written {
        description: "float 1.5",
        reason: DOUBLE,
    },
    Written {
        description: "float 0.1",
        reason: DOUBLE,
    },
    Written {
        description: "float Inf",
        reason: DOUBLE,
    },
    Written {
        description: "char lone high surrogate",
        reason: HALF,
    },
    Written {
        description: "char lone low surrogate",
        reason: HALF,
    },
    Written {
        description: "string lone high surrogate",
        reason: HALF,
    },
    Written {
        description: "string lone low surrogate",
        reason: HALF,
    },
    Written {
        description: "keyword invalid w/ space",
        reason: NOT_ITSELF,
    },
    Written {
        description: "symbol nil-like",
        reason: NOT_ITSELF,
    },
    Written {
        description: "symbol true-like",
        reason: NOT_ITSELF,
    },
    Written {
        description: "symbol invalid w/ space",
        reason: NOT_ITSELF,
    },
    Written {
        description: "class",
        reason: NOT_ITSELF,
    },
    Written {
        description: "java HashSet",
        reason: NOT_ITSELF,
    },
    Written {
        description: "queue",
        reason: JAVA,
    },
    Written {
        description: "record",
        reason: JAVA,
    },
    Written {
        description: "java Instant",
        reason: JAVA,
    },
    Written {
        description: "java Instant nanos",
        reason: JAVA,
    },
    Written {
        description: "sql Timestamp nanos",
        reason: MILLIS,
    },
];
