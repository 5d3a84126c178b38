//! What is plain in a collection is read by a shorter path than everything else. Both must read
//! the same: a token alone takes the long one, as does the bracket of what carries metadata.
#![allow(missing_docs)]

use proptest::prelude::*;
use sente_edn::{Cursor, Dialect, ErrorKind, Limits, Tree, Value, from_slice_with};

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

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

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
