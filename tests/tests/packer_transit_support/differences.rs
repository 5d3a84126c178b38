//! Where our Transit packers and the real ones differ, and why that is meant.

/// A captured row that comes out differently.
pub(crate) struct Difference {
    /// Its `description`.
    pub(crate) row: &'static str,
    /// What we read, as EDN; an error is `Err` and a part of what it says.
    pub(crate) read: Result<&'static str, &'static str>,
    /// Whether what we read is written as the same text again.
    pub(crate) rewritten: bool,
    /// Why.
    pub(crate) reason: &'static str,
}

const fn read(row: &'static str, read: &'static str, reason: &'static str) -> Difference {
    Difference {
        row,
        read: Ok(read),
        rewritten: true,
        reason,
    }
}

const NO_SUCH_NAME: &str =
    "EDN has no such name; what it shows as one reads as something else or not at all";
const SHOWN_AS_OBJECT: &str = "the real value is an object of Java's, shown by its address; ours \
                               keeps the tag and what stands behind it";
const UNPAIRED: &str = "an unpaired surrogate becomes U+FFFD: Rust's strings hold none";

/// Rows of `packer-transit-json.json` and `packer-transit-json-verbose.json` with a payload.
pub(crate) const PACKED: &[Difference] = &[
    read(
        "keyword invalid w/ space",
        "[#transit/tagged [\":\" \"a b\"] nil]",
        NO_SUCH_NAME,
    ),
    read(
        "keyword empty name",
        "[#transit/tagged [\":\" \"\"] nil]",
        NO_SUCH_NAME,
    ),
    read(
        "symbol nil-like",
        "[#transit/tagged [\"$\" \"nil\"] nil]",
        NO_SUCH_NAME,
    ),
    read(
        "symbol true-like",
        "[#transit/tagged [\"$\" \"true\"] nil]",
        NO_SUCH_NAME,
    ),
    read(
        "symbol invalid w/ space",
        "[#transit/tagged [\"$\" \"a b\"] nil]",
        NO_SUCH_NAME,
    ),
    read("URI", "[#r \"http://a/b?c=d\" nil]", SHOWN_AS_OBJECT),
    Difference {
        row: "char lone high surrogate",
        read: Ok("[\\\u{fffd} nil]"),
        rewritten: false,
        reason: UNPAIRED,
    },
    Difference {
        row: "char lone low surrogate",
        read: Ok("[\\\u{fffd} nil]"),
        rewritten: false,
        reason: UNPAIRED,
    },
    Difference {
        row: "string lone high surrogate",
        read: Ok("[\"a\u{fffd}b\" nil]"),
        rewritten: false,
        reason: UNPAIRED,
    },
    Difference {
        row: "string lone low surrogate",
        read: Ok("[\"a\u{fffd}b\" nil]"),
        rewritten: false,
        reason: UNPAIRED,
    },
];

/// Rows with a payload that is read as the same value, but written otherwise.
pub(crate) const REWRITTEN: &[(&str, &str)] = &[(
    "double 9.999999999999999E22",
    "the same number as 1.0E23; JDK 17 does not print the shortest",
)];

/// Rows whose `input_edn` packs to something else than the payload.
pub(crate) const INPUTS: &[(&str, &str)] = &[
    (
        "BigInteger 7",
        "a BigInteger prints as 7, which is a Long to whoever reads that",
    ),
    (
        "double 9.999999999999999E22",
        "the same number, printed shorter",
    ),
    ("char lone high surrogate", UNPAIRED),
    ("char lone low surrogate", UNPAIRED),
    ("string lone high surrogate", UNPAIRED),
    ("string lone low surrogate", UNPAIRED),
    ("keyword invalid w/ space", NO_SUCH_NAME),
    ("keyword empty name", NO_SUCH_NAME),
    ("symbol nil-like", NO_SUCH_NAME),
    ("symbol true-like", NO_SUCH_NAME),
    ("symbol invalid w/ space", NO_SUCH_NAME),
    (
        "record",
        "a record prints as a tagged map, and that tag is kept; Java's writer sees a map",
    ),
    ("URI", SHOWN_AS_OBJECT),
    ("Object", SHOWN_AS_OBJECT),
    (
        "object array",
        "`#array/class java.lang.Object [..]` is two values behind one tag, which EDN has not",
    ),
];

/// Rows that the real packer refuses to pack. They are objects of Java's that no value here is;
/// where their text is a tagged value, as of `(tagged-literal 'foo 1)`, the tag is kept.
pub(crate) const REFUSED: &[&str] = &[
    "queue",
    "java Instant nanos",
    "java Instant",
    "java LocalDate",
    "tagged-literal",
    "tagged-literal simple",
    "var",
    "fn",
    "class",
    "atom",
    "exception",
    "opaque deftype",
    "namespace",
    "reader-conditional",
];

/// Rows of `unpack-transit-json.json`.
pub(crate) const UNPACKED: &[Difference] = &[
    Difference {
        row: "[\"~#u\",[-518111216193392176,-6384672085064028170]]",
        read: Ok("#uuid \"f8cf4c98-0ca5-b1d0-a765-1690ea67eff6\""),
        rewritten: false,
        reason: "the specification has UUIDs of two integers; Java's reader trips over its own \
                 types here",
    },
    read("\"~rhttp://a/b\"", "#r \"http://a/b\"", SHOWN_AS_OBJECT),
    read("\"~:\"", "#transit/tagged [\":\" \"\"]", NO_SUCH_NAME),
    read("\"~qfoo\"", "#q \"foo\"", SHOWN_AS_OBJECT),
    read("[\"~#foo\",[1]]", "#foo [1]", SHOWN_AS_OBJECT),
    read("[\"~#foo/bar\",5]", "#foo/bar 5", SHOWN_AS_OBJECT),
    read("[\"~#ints\",[1,2]]", "#ints [1 2]", SHOWN_AS_OBJECT),
    read(
        "[\"~#link\",[\"^ \",\"href\",\"~rhttp://a\",\"rel\",\"x\",\"render\",null,\"name\",null,\
         \"prompt\",null]]",
        "#link {\"href\" #r \"http://a\", \"rel\" \"x\", \"render\" nil, \"name\" nil, \
         \"prompt\" nil}",
        SHOWN_AS_OBJECT,
    ),
    Difference {
        row: "\"~#foo\"",
        read: Err("a tag stands at the head of an array of two only"),
        rewritten: false,
        reason: "a tag without a value is none; where ours put it, a peer would take it for the \
                 tag of what follows",
    },
    Difference {
        row: "[\"~#set\"]",
        read: Err("there is nothing behind a tag"),
        rewritten: false,
        reason: "the message was cut or made up; Java's reader takes the closing bracket for the \
                 value, and loses what comes behind it",
    },
];
