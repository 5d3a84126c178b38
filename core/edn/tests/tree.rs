//! Trees that borrow from their text: what they hold, refuse and cost.
#![allow(missing_docs)]

mod support;

use std::borrow::Cow;

use sente_edn::{ErrorKind, Limits, Shape, Tree, Value, from_slice};

#[test]
fn every_captured_text_is_the_same_as_a_tree() {
    let text = include_str!("../../../tests/vectors/edn/clojure-edn.json");
    for row in &support::vectors(text) {
        let input = row["input"].as_str().unwrap().as_bytes();
        match (from_slice(input), Tree::parse(input)) {
            (Ok(value), Ok(tree)) => {
                assert!(tree.root().to_value().identical(&value), "{row}");
                assert_eq!(tree.to_string(), value.to_string());
            }
            (Err(a), Err(b)) => assert_eq!(a, b, "{row}"),
            (value, tree) => panic!("{value:?} but {tree:?}: {row}"),
        }
    }
}

#[test]
fn strings_and_names_are_borrowed_unless_they_cannot_be() {
    let text = br#"["plain" "esc\naped" :a/key sym #:ns{:k 1}]"#;
    let tree = Tree::parse(text).unwrap();
    let nodes: Vec<_> = tree.root().items().collect();
    assert!(matches!(nodes[0].as_str(), Some(Cow::Borrowed("plain"))));
    assert_eq!(nodes[1].as_str().as_deref(), Some("esc\naped"));
    assert_eq!(nodes[2].as_keyword(), Some("a/key"));
    assert_eq!(nodes[3].as_symbol(), Some("sym"));
    let (key, value) = nodes[4].entries().next().unwrap();
    assert_eq!((key.as_keyword(), key.text()), (Some("ns/k"), ":k"));
    assert_eq!(value.as_i64(), Some(1));
    let found = nodes[4].get_keyword("ns/k").unwrap();
    assert_eq!(&text[found.start()..found.end()], b"1");
    assert_eq!(found.end() + 2, text.len());
}

#[test]
fn what_is_discarded_or_only_describes_is_not_there() {
    let text =
        b" #_ [1 #_ 2] ^{:doc \"x\"} [#_#_ a b ^:m [] #_ #foo {:k 1} 7 #inst \"2026\" #t 8] #_ 9 ";
    let tree = Tree::parse(text).unwrap();
    assert_eq!(
        tree.to_string(),
        "[[] 7 #inst \"2026-01-01T00:00:00.000-00:00\" #t 8]"
    );
    assert_eq!(tree.form_count(), 6);
    let last = tree.root().items().last().unwrap();
    assert_eq!((last.text(), last.shape()), ("#t 8", Shape::Tagged));
    let (tag, inner) = last.as_tagged().unwrap();
    assert_eq!((tag, inner.as_i64()), ("t", Some(8)));
}

#[test]
fn what_stands_between_uuid_and_its_string_does_not_matter() {
    let usual = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    for between in [
        "",
        " ",
        "; \"c\"\n",
        "#_ \"a\" ",
        "#_ #uuid \"1-2-3-4-5\"",
        "\u{2028}",
    ] {
        let text = format!("[#uuid {between}\"{usual}\" #uuid {between}\"\\u0031-2-3-4-5\"]");
        let value = from_slice(text.as_bytes()).unwrap();
        let tree = Tree::parse(text.as_bytes()).unwrap();
        assert!(tree.root().to_value().identical(&value), "{text}");
        let first = tree.root().items().next().unwrap();
        assert_eq!(first.as_uuid().unwrap().to_string(), usual, "{text}");
    }
}

#[test]
fn a_repeated_key_or_element_is_an_error_at_its_place() {
    for (text, offset) in [
        ("[{:a 1 :b 2 :a 3}]", 12),
        ("#{1 2 1N}", 6),
        ("{[1] 1 (1) 2}", 7),
        ("[#:a{:b 1 :a/b 2}]", 10),
    ] {
        let error = Tree::parse(text.as_bytes()).unwrap_err();
        assert_eq!(error.offset(), offset, "{text}: {error}");
        let kinds = [ErrorKind::RepeatedKey, ErrorKind::RepeatedElement];
        assert!(kinds.contains(error.kind()), "{text}: {error}");
    }
}

/// What was read before a suspicion is not kept when the text is read again.
#[test]
fn keys_that_only_look_alike_are_all_there() {
    let (a, b) = (3_944_079_504_031_905_691_i64, 4_420_842_482_355_264_145_i64);
    let text = format!("#_[1] [{{{a} 1, {b} 2}} #:x{{:y #{{{a} {b}}}}}]");
    let tree = Tree::parse(text.as_bytes()).unwrap();
    assert!(
        tree.root()
            .to_value()
            .identical(&from_slice(text.as_bytes()).unwrap())
    );
    assert_eq!(tree.form_count(), 11);
}

#[test]
fn a_text_that_is_not_one_form_is_no_tree() {
    for text in ["", " ; nothing", "1 2", "[1", "[1]]", "#_ 1"] {
        assert_eq!(
            Tree::parse(text.as_bytes()).unwrap_err(),
            from_slice(text.as_bytes()).unwrap_err(),
            "{text:?}"
        );
    }
}

#[test]
fn limits_hold_for_trees() {
    let limits = Limits::default().max_depth(2).max_elements(4);
    assert!(Tree::parse_with(b"[[1 2]]", &limits).is_ok());
    assert!(Tree::parse_with(b"[[[1]]]", &limits).is_err());
    assert!(Tree::parse_with(b"[1 2 3 4]", &limits).is_err());
    assert!(Tree::parse_with(b"[[1]]", &limits.max_bytes(4)).is_err());
}

#[test]
fn a_million_levels_are_a_tree_and_a_value() {
    let levels = 1_000_000;
    let text = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let tree = Tree::parse_with(text.as_bytes(), &Limits::unlimited()).unwrap();
    assert_eq!(tree.form_count(), levels + 1);
    assert_eq!(tree.to_string().len(), text.len());
}

#[test]
fn parts_are_found_by_keyword_string_and_index() {
    let tree = Tree::parse(br#"{:a 1, "b\n" [2 (3) #{4}], "c" nil}"#).unwrap();
    let root = tree.root();
    assert_eq!(
        root.get_keyword("a").and_then(|node| node.as_i64()),
        Some(1)
    );
    let items = root.get_str("b\n").unwrap();
    assert_eq!(
        items.get(1).and_then(|list| list.get(0)).unwrap().text(),
        "3"
    );
    assert!(items.get(3).is_none() && root.get(0).is_none());
    assert!(root.get_str("c").unwrap().is_nil() && root.get_str("a").is_none());
    assert_eq!(Value::from(items), from_slice(b"[2 (3) #{4}]").unwrap());
}

#[test]
fn asking_for_what_a_form_is_not_gives_nothing() {
    let tree = Tree::parse(b"[1 \"a\"]").unwrap();
    let root = tree.root();
    assert_eq!(
        (root.as_i64(), root.as_str(), root.as_keyword()),
        (None, None, None)
    );
    assert!(root.entries().next().is_none() && root.get_keyword("a").is_none());
    assert!(root.as_tagged().is_none() && root.as_f64().is_none());
    let one = root.items().next().unwrap();
    assert!(one.items().next().is_none() && one.is_empty());
    assert_eq!(root.len(), 2);
}
