//! What is plain in a collection is read by a shorter path than everything else, and where nothing
//! is kept of it by one shorter still. All must read the same: a token alone takes the long one, as
//! does the bracket of what carries metadata, and values are never made on the shortest.
#![allow(missing_docs)]

use proptest::prelude::*;
use sente_edn::{
    Cursor, Dialect, ErrorKind, Limits, PlainCursor, Shape, Tree, Value, from_slice_with,
    read_first,
};

/// Something that might be an atom, of the characters that matter to one.
fn token() -> impl Strategy<Value = String> {
    let string = "\"([a\u{e9}]|\\\\[ntu\"\\\\]|\\\\u00e9|\\\\7|\\\\x){0,12}\"";
    prop_oneof![
        4 => "[+-]?[0-9]{1,20}([.][0-9]{0,3})?(e[+-]?[0-9]{1,2})?[MN]?",
        2 => "[-+0]?[0-9x/.:#'rae-]{1,6}",
        3 => ":?[a-c:/.#'0_\u{e9}+-]{1,5}",
        1 => ":?(nil|true|false|a/nil|nil/a)[#'/:a]?",
        2 => string,
        1 => "\"[a-z\n]{0,80}\"",
        1 => "\\\\[a-c(\u{e9}#@]{1,2}",
        1 => "#inst \"20[0-9]{2}(-[0-9]{2}){0,2}(T[0-9]{2}:00:00[.]000(Z|-00:00))?\"",
        1 => "#uuid \"[0-9a-fA-F]{8}-([0-9a-f]{4}-){3}[0-9a-g]{12}\"",
        1 => "#uuid \"1-2-3-4-[0-9a-f]{1,17}\"",
        1 => "(#inst|#uuid|#t|##) ?(\"\\\\u0032020\"|2020|Inf|NaN)",
    ]
}

/// Forms as they are written, which may hold what is repeated and lack what is needed.
#[derive(Clone, Debug)]
enum Form {
    Atom(&'static str),
    Collection(u8, Vec<Self>),
}

const BRACKETS: [(&str, &str); 4] = [("(", ")"), ("[", "]"), ("{", "}"), ("#{", "}")];

fn form() -> impl Strategy<Value = Form> {
    const ATOMS: &[&str] = &[
        "1",
        "2",
        "1N",
        "1.0",
        "01",
        "-1",
        "0",
        "-0",
        "a",
        "b",
        ":a",
        ":b",
        ":a/b",
        "\"a\"",
        "\"\\u0061\"",
        "nil",
        "true",
        "\\a",
        "+1",
        "1.0M",
        "##NaN",
        "é",
        "#inst \"2020\"",
        "#uuid \"1-2-3-4-5\"",
        "#t 1",
    ];
    let atom = proptest::sample::select(ATOMS).prop_map(Form::Atom);
    atom.prop_recursive(5, 60, 24, |inner| {
        let items = prop_oneof![
            8 => proptest::collection::vec(inner.clone(), 0..6),
            1 => proptest::collection::vec(inner, 0..24),
        ];
        (0..4_u8, items).prop_map(|(kind, items)| Form::Collection(kind, items))
    })
}

/// Writes a form, with metadata or whatever else is given before each collection.
fn write(form: &Form, before: &str, out: &mut String) {
    match form {
        Form::Atom(text) => out.push_str(text),
        Form::Collection(kind, items) => {
            let (open, close) = BRACKETS[usize::from(*kind)];
            out.push_str(before);
            out.push_str(open);
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index == 0 { "" } else { " " });
                write(item, before, out);
            }
            out.push_str(close);
        }
    }
}

/// How many forms there are, and how deep they nest.
fn measure(form: &Form) -> (usize, usize) {
    match form {
        Form::Atom(text) if text.starts_with('#') => (2, 1),
        Form::Atom(_) => (1, 0),
        Form::Collection(_, items) => items
            .iter()
            .map(measure)
            .fold((1, 1), |all, item| (all.0 + item.0, all.1.max(item.1 + 1))),
    }
}

fn read(text: &str, limits: &Limits) -> Result<Value, ErrorKind> {
    let value = from_slice_with(text.as_bytes(), limits);
    let tree = Tree::parse_with(text.as_bytes(), limits);
    let skipped = Cursor::new(text.as_bytes(), limits).skip();
    match (&value, &tree) {
        (Ok(value), Ok(tree)) => assert!(tree.root().to_value().identical(value), "{text}"),
        (Err(a), Err(b)) => assert_eq!(a, b, "{text}"),
        _ => panic!("{value:?} but {tree:?}: {text}"),
    }
    // A cursor does not look behind the first form.
    if value.is_ok() || matches!(&value, Err(error) if *error.kind() != ErrorKind::TrailingForm) {
        assert_eq!(value.is_ok(), skipped.is_ok(), "{text}");
    }
    value.map_err(|error| error.kind().clone())
}

/// What a plain cursor makes of the form that follows an id: whether it takes it, having found what
/// stands there for sure.
fn takes(form: &str, behind: &str) -> bool {
    let text = format!("[:a/b {form}{behind}");
    let mut all_take = true;
    for dialect in [Dialect::Clojure, Dialect::Either] {
        let limits = Limits::default().dialect(dialect);
        let mut plain = PlainCursor::new(text.as_bytes(), &limits).unwrap();
        plain.enter().unwrap();
        assert_eq!(plain.keyword(), Some(2..5));
        let Some((span, shape)) = plain.skip() else {
            all_take = false;
            continue;
        };
        assert_eq!(plain.offset(), span.end);
        let (value, length) = read_first(&text.as_bytes()[6..], &limits)
            .unwrap_or_else(|error| panic!("{error}: {text}"))
            .unwrap();
        assert_eq!(span.end, 6 + length, "{text}");
        assert_eq!(shape, shape_of(&value), "{text}");
        let slice = &text.as_bytes()[span.clone()];
        let alone = from_slice_with(slice, &limits).unwrap();
        assert!(alone.identical(&value), "{text}");

        let mut cursor = Cursor::new(text.as_bytes(), &limits);
        cursor.enter().unwrap();
        cursor.keyword().unwrap();
        let form = cursor.skip().unwrap();
        let found = (form.start(), form.end(), form.shape());
        assert_eq!(found, (span.start, span.end, shape));
        // As the machine sees it, by which what carries metadata is read.
        let carrying = [b"^:m ".as_slice(), slice].concat();
        if let Ok(form) = Cursor::new(&carrying, &limits).skip() {
            assert!(form.is_portable(), "{text}");
        }
    }
    all_take
}

fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Nil => Shape::Nil,
        Value::Bool(_) => Shape::Bool,
        Value::Char(_) => Shape::Char,
        Value::String(_) => Shape::String,
        Value::Keyword(_) => Shape::Keyword,
        Value::Symbol(_) => Shape::Symbol,
        Value::List(_) => Shape::List,
        Value::Vector(_) => Shape::Vector,
        Value::Set(_) => Shape::Set,
        Value::Map(_) => Shape::Map,
        Value::Inst(_) | Value::Uuid(_) | Value::Tagged(_) => Shape::Tagged,
        _ => Shape::Number,
    }
}

#[test]
fn what_programs_write_is_plain() {
    for form in [
        "nil",
        "true",
        "-42",
        "0.5",
        "\"héllo\"",
        ":user/id",
        "#{:a \"a\" a 1 -1}",
        "#inst \"2026-01-02T03:04:05.678-00:00\"",
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        r#"{:room :lobby, :from "alice", :text "at the \"station\" \u2014 six\n", :n 42, :ok true}"#,
        r#"{:id #uuid "f81d4fae-7dec-11d0-a765-00a0c91e6bf6" :rows [{:a 1.25} {:b ()}] "k" #{}}"#,
        "{:a-name-of-more-than-sixteen-letters 1 :a-name-of-more-than-sixteen-figures 2 :twelve-chars 3}",
        "{1 :a 2 :b 3 :c 4 :d 5 :e 6 :f 7 :g 8 :h 9 :i 10 :j \"11\" :k}",
        "[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
    ] {
        assert!(takes(form, "]"), "{form}");
    }
    let keys: Vec<String> = (0..23).map(|n| format!(":key-{n} {{:a 0}}")).collect();
    assert!(takes(&format!("{{{}}}", keys.join(", ")), "]"));
}

#[test]
fn what_is_not_plain_is_left_to_others() {
    let deep = format!("{}1{}", "[".repeat(17), "]".repeat(17));
    let keys: Vec<String> = (0..25).map(|n| format!(":key-{n} 0")).collect();
    let wide = format!("{{{}}}", keys.join(" "));
    for form in [
        "#_ 1 2",
        "; c\n 1",
        "^:m []",
        "#t 1",
        r"\a",
        "1/2",
        "1N",
        "1e3",
        "01",
        "{1.0 0}",
        "{[] 0}",
        r#"{"\u0061" 0}"#,
        "{:a 1 :a 2}",
        "#{1 1}",
        "{:a}",
        "[)",
        "é",
        "{-0 1}",
        "#inst \"x\"",
        "{:a 1",
        "\"",
        "\"\\",
        "a/",
        "/a",
        ":",
        "",
        "]",
        &deep,
        &wide,
    ] {
        assert!(!takes(form, "]"), "{form}");
    }
    // What ends with the text could go on.
    assert!(!takes("1", "") && !takes(":a", ""));
    // Not UTF-8, be it cut or wrong.
    for string in [&b"[\"\xff\"]"[..], b"[\"\xc3\"]"] {
        let mut plain = PlainCursor::new(string, &Limits::default()).unwrap();
        assert_eq!(plain.skip(), None);
    }
}

#[test]
fn a_plain_cursor_enters_no_deeper_than_it_says_and_leaves_what_it_entered() {
    let text = format!("{}:a/b{}", "[".repeat(17), "]".repeat(17));
    let mut cursor = PlainCursor::new(text.as_bytes(), &Limits::default()).unwrap();
    for _ in 0..16 {
        cursor.enter().unwrap();
    }
    assert_eq!(cursor.enter(), None);
    assert_eq!(cursor.offset(), 16);
    assert_eq!(cursor.leave(), None);
    assert!(cursor.skip().is_some());
    for _ in 0..16 {
        cursor.leave().unwrap();
    }
    assert!(cursor.is_at_end());
    let mut cursor = PlainCursor::new(b"]", &Limits::default()).unwrap();
    assert_eq!(cursor.leave(), None);
}

#[test]
fn a_keyword_that_is_known_is_stepped_over_whole_or_not_at_all() {
    let mut cursor = PlainCursor::new(b" :chat/say 1", &Limits::default()).unwrap();
    for other in ["chat/sa", "chat/says", "chat/say 1", "chat"] {
        assert_eq!(cursor.keyword_of(other), None);
    }
    assert_eq!(cursor.offset(), 1);
    assert_eq!(cursor.keyword_of("chat/say"), Some(()));
    assert_eq!(cursor.skip(), None);
    assert_eq!(cursor.keyword(), None);
}

#[test]
fn a_plain_cursor_leaves_low_limits_to_others() {
    let text = b"[1 2]";
    let limits = Limits::default();
    assert!(PlainCursor::new(text, &limits.max_bytes(5).max_elements(6)).is_some());
    assert!(PlainCursor::new(text, &limits.max_bytes(4)).is_none());
    assert!(PlainCursor::new(text, &limits.max_elements(5)).is_none());
    assert!(PlainCursor::new(text, &limits.max_depth(32)).is_none());
}

/// What stands between two forms.
fn blanks() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just(String::from(" ")),
        2 => Just(String::from(", ")),
        2 => "[ ,\t\r\n\u{1c}]{1,3}",
    ]
}

/// An atom as programs write it, of any length near that of a word.
fn usual_atom() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => ":[a-z]{1,9}",
        1 => ":[a-c]",
        1 => ":[a-z]{2,5}[-_0-9?/][a-z]{1,5}",
        1 => "[a-z]{1,9}",
        2 => "0|-?[1-9][0-9]{0,17}",
        2 => "\"[a-z ]{0,20}\"",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_programs_write_is_plain_however_it_is_spaced(
        kind in 0..4_usize,
        first in prop_oneof![Just(String::new()), blanks()],
        items in proptest::collection::vec((usual_atom(), blanks()), 0..12),
        close_up in any::<bool>(),
    ) {
        let (open, close) = BRACKETS[kind];
        let mut form = format!("{open}{first}");
        for (atom, blanks) in &items {
            form.push_str(atom);
            form.push_str(blanks);
        }
        if close_up {
            form.truncate(form.trim_end_matches([' ', ',', '\t', '\r', '\n', '\u{1c}']).len());
        }
        form.push_str(close);
        // What repeats or lacks a value is refused by both.
        let is_right = from_slice_with(form.as_bytes(), &Limits::default()).is_ok();
        for behind in ["]", "", " :behind 1]"] {
            prop_assert_eq!(takes(&form, behind), is_right, "{}", form);
        }
        // Nothing that is cut off is taken.
        for end in 0..form.len() {
            prop_assert!(!takes(&form[..end], ""), "{}", &form[..end]);
        }
    }

    #[test]
    fn a_token_is_read_in_a_collection_as_it_is_alone(token in token()) {
        for dialect in [Dialect::Clojure, Dialect::Either] {
            let limits = Limits::default().dialect(dialect);
            let alone = from_slice_with(format!(" {token} ").as_bytes(), &limits);
            let as_key = from_slice_with(format!("{{{token} 0}}").as_bytes(), &limits);
            for (open, close) in [("[", " ]"), ("[", "]"), ("(", ",)"), ("#{", "}"), ("[", "()]")] {
                let text = format!("{open}{token}{close}");
                let inside = from_slice_with(text.as_bytes(), &limits);
                let tree = Tree::parse_with(text.as_bytes(), &limits);
                match (&alone, &inside) {
                    // More or less than one form, which a collection may hold or need.
                    (Err(error), _)
                        if error.is_incomplete() || *error.kind() == ErrorKind::TrailingForm => {}
                    (Ok(alone), Ok(inside)) => {
                        let items = inside.as_sequence().and_then(<[_]>::first);
                        let item = items.or_else(|| inside.as_set()?.iter().next());
                        prop_assert!(item.unwrap().identical(alone), "{}", text);
                        let tree = tree.unwrap();
                        prop_assert!(tree.root().to_value().identical(inside), "{}", text);
                        let (key, _) = as_key.as_ref().unwrap().as_map().unwrap().iter().next().unwrap();
                        prop_assert!(key.identical(alone), "{}", text);
                    }
                    (Err(alone), Err(inside)) => {
                        prop_assert_eq!(alone.kind(), inside.kind(), "{}", text);
                        prop_assert_eq!(alone.offset() + open.len(), inside.offset() + 1, "{}", text);
                        prop_assert_eq!(tree.unwrap_err(), inside.clone());
                    }
                    _ => prop_assert!(false, "{alone:?} but {inside:?}: {text}"),
                }
            }
        }
    }

    #[test]
    fn a_collection_is_read_with_metadata_as_it_is_without(form in form()) {
        let [plain, carrying, discarding] = ["", "^:m ", "#_ 0 "].map(|before| {
            let mut text = String::new();
            write(&form, before, &mut text);
            text
        });
        let limits = Limits::default();
        let by_short = read(&plain, &limits);
        for text in [carrying, discarding] {
            match (&by_short, read(&text, &limits)) {
                (Ok(a), Ok(b)) => prop_assert!(a.identical(&b), "{}", text),
                (Err(a), Err(b)) => prop_assert_eq!(a, &b, "{}", text),
                (a, b) => prop_assert!(false, "{a:?} but {b:?}: {text}"),
            }
        }
    }

    #[test]
    fn what_is_plain_is_read_as_everything_is(form in form(), token in token(), more in ".{0,9}") {
        let mut text = String::new();
        write(&form, "", &mut text);
        for form in [
            text.clone(),
            token.clone(),
            format!("{{{token} {text} :a {token}}}"),
            format!("#{{{token} 1 \"{more}\"}}"),
        ] {
            let _ = takes(&form, "]") || takes(&form, &more);
        }
    }

    #[test]
    fn limits_end_where_the_forms_and_levels_do(form in form()) {
        let mut text = String::new();
        write(&form, "", &mut text);
        let (forms, levels) = measure(&form);
        let exact = Limits::default().max_elements(forms).max_depth(levels);
        let unbounded = read(&text, &Limits::unlimited());
        match (&unbounded, read(&text, &exact)) {
            (Ok(a), Ok(b)) => prop_assert!(a.identical(&b), "{}", text),
            (Err(a), Err(b)) => prop_assert_eq!(a, &b, "{}", text),
            (a, b) => prop_assert!(false, "{a:?} but {b:?}: {text}"),
        }
        if unbounded.is_ok() {
            let fewer = read(&text, &exact.max_elements(forms - 1));
            prop_assert_eq!(fewer, Err(ErrorKind::TooManyElements { limit: forms - 1 }));
            if let Some(limit) = levels.checked_sub(1) {
                prop_assert_eq!(read(&text, &exact.max_depth(limit)), Err(ErrorKind::TooDeep { limit }));
            }
        }
    }
}
