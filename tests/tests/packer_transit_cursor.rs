//! Stepping over packed Transit, and putting it together.
#![allow(missing_docs)]

mod packer_transit_support;

use packer_transit_support::packed;
use sente_core::Limits;
use sente_core::packer::{Cursor, Packer, Shape, Span, TransitJson, TransitJsonVerbose};
use sente_edn::Map;

fn spans(packer: &dyn Packer, text: &str) -> Vec<(String, Shape, bool, bool)> {
    let mut found = Vec::new();
    let walked = packer.walk(
        text.as_bytes(),
        &Limits::default(),
        &mut |cursor: &mut dyn Cursor| {
            cursor.enter()?;
            while let Some(shape) = cursor.peek()? {
                let span: Span = cursor.skip()?;
                assert_eq!(span.shape, shape);
                assert!(span.portable);
                let slice = text[span.start..span.end].to_owned();
                found.push((slice, span.shape, span.truthy, span.line_safe));
            }
            cursor.leave()?;
            assert_eq!(cursor.peek()?, None);
            Ok(())
        },
    );
    walked.unwrap();
    found
}

#[test]
fn the_cursor_gives_each_item_its_bytes_its_shape_and_whether_it_is_truthy() {
    let items = [
        ("null", Shape::Nil, false),
        ("\"~_\"", Shape::Nil, false),
        ("false", Shape::Bool, false),
        ("\"~?f\"", Shape::Bool, false),
        ("[\"~#'\",null]", Shape::Nil, false),
        ("true", Shape::Bool, true),
        ("-1.5", Shape::Number, true),
        ("\"~i5\"", Shape::Number, true),
        ("\"~zNaN\"", Shape::Number, true),
        ("[\"~#ratio\",[1,2]]", Shape::Number, true),
        ("\"~ca\"", Shape::Char, true),
        ("\"\"", Shape::String, true),
        ("\"~~a\"", Shape::String, true),
        ("\"~:a\"", Shape::Keyword, true),
        ("\"~:a b\"", Shape::Tagged, true),
        ("\"~$a\"", Shape::Symbol, true),
        ("\"~m0\"", Shape::Tagged, true),
        ("{ \"~#u\" : [ 0 , 1 ] }", Shape::Tagged, true),
        ("\"~rhttp://a\"", Shape::Tagged, true),
        ("[\"~#foo\",[1]]", Shape::Tagged, true),
        ("[1,[2]]", Shape::Vector, true),
        ("[\"~#'\",[[1],\"~:a\"]]", Shape::Vector, true),
        ("[\"~#list\",[1,\"~:a\"]]", Shape::List, true),
        ("{\"~#list\":[]}", Shape::List, true),
        ("[\"~#set\",[]]", Shape::Set, true),
        ("[\"^ \",\"~:a\",1]", Shape::Map, true),
        ("{\"~:a\":[1]}", Shape::Map, true),
        ("[\"~#cmap\",[[1],2]]", Shape::Map, true),
    ];
    let joined: Vec<&str> = items.iter().map(|(text, ..)| *text).collect();
    for packer in [
        &TransitJson::new() as &dyn Packer,
        &TransitJsonVerbose::new(),
    ] {
        let text = format!(" [ {} ] ", joined.join(" , "));
        let found = spans(packer, &text);
        assert_eq!(found.len(), items.len());
        for ((slice, shape, truthy, line_safe), expected) in found.iter().zip(&items) {
            assert_eq!((&**slice, *shape, *truthy), *expected);
            assert!(line_safe);
        }
    }
    let found = spans(&TransitJson::new(), "[[1,\n2],\n3,[\r]]");
    let safe: Vec<bool> = found.iter().map(|(.., safe)| *safe).collect();
    assert_eq!(safe, [false, true, false]);
}

#[test]
fn the_cursor_steps_into_lists_and_vectors_and_out_again() {
    for text in [
        "[[\"~:a\",1,[2]],3]",
        "[\"~#list\",[[\"~:a\",1,[2]],3]]",
        "{\"~#list\":[{\"~#list\":[\"~:a\",1,[2]]},3]}",
        "[\"~#'\",[[\"~#'\",[\"~:a\",1,[2]]],3]]",
        "[\"~#with-meta\",[[[\"~:a\",1,[2]],3],{\"m\":[1]}]]",
    ] {
        let walked = TransitJson::new().walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
            cursor.enter()?;
            cursor.enter()?;
            assert_eq!(cursor.keyword()?, "a");
            assert!(cursor.keyword().is_err(), "1 is no keyword");
            cursor.leave()?;
            let span = cursor.skip()?;
            assert_eq!(&text[span.start..span.end], "3");
            assert_eq!(cursor.peek()?, None);
            assert!(cursor.skip().is_err());
            assert_eq!(cursor.peek()?, None);
            cursor.leave()?;
            assert_eq!(cursor.peek()?, None);
            Ok(())
        });
        walked.unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let entered = TransitJson::new().walk(b"[\"^ \"]", &Limits::default(), &mut |cursor| {
        cursor.enter()
    });
    assert!(entered.is_err(), "a map cannot be entered");
}

#[test]
fn skipping_proves_that_the_whole_can_be_read() {
    for text in [
        "[\"~ix\"]",
        "[[\"~#set\",[1,\"~u1\"]]]",
        "[{\"a\":\"~t1x\"}]",
        "[[\"~c\"],1]",
    ] {
        let walked = TransitJson::new().walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
            cursor.enter()?;
            cursor.skip().map(drop)
        });
        assert!(walked.is_err(), "{text}");
        let left = TransitJson::new().walk(text.as_bytes(), &Limits::default(), &mut |cursor| {
            cursor.enter()?;
            cursor.leave()
        });
        assert!(left.is_err(), "{text}");
    }
}

#[test]
fn entries_of_every_form_of_map_are_found() {
    for text in [
        "[\"^ \",\"~:a/b\",[1],\"x\",2,\"~:c\",null]",
        "{\"~:a/b\":[1],\"x\":2,\"~:c\":null}",
        "[\"~#cmap\",[\"~:a/b\",[1],[9],2,\"~:c\",null]]",
        " [ \"^ \" , \"~:a/b\" , [1] , 7 , 2 , \"~:c\" , null ] ",
    ] {
        let mut found = Vec::new();
        TransitJson::new().entries(text.as_bytes(), &Limits::default(), &mut |key, span| {
            found.push((
                key.to_owned(),
                text[span.start..span.end].to_owned(),
                span.truthy,
            ));
        });
        let expected = [("a/b", "[1]", true), ("c", "null", false)];
        let expected =
            expected.map(|(key, value, truthy)| (key.to_owned(), value.to_owned(), truthy));
        assert_eq!(found, expected, "{text}");
    }
    for text in ["[1,2]", "1", "", "[\"^ \",\"~:a\"]", "{"] {
        TransitJson::new().entries(text.as_bytes(), &Limits::default(), &mut |key, _| {
            panic!("{text} has {key}")
        });
    }
}

#[test]
fn pieces_put_together_by_tokens_are_packed_collections() {
    let pieces = ["\"~:a\"", "[\"^ \"]", "null", "\"~~#set\""];
    for packer in [
        &TransitJson::new() as &dyn Packer,
        &TransitJsonVerbose::new(),
    ] {
        for count in 0..=pieces.len() {
            let tokens = packer.sequence(count);
            let mut text = tokens.open().to_vec();
            text.extend(
                pieces[..count]
                    .join(std::str::from_utf8(tokens.separator()).unwrap())
                    .bytes(),
            );
            text.extend_from_slice(tokens.close());
            let value = packer.unpack(&text, &Limits::default()).unwrap();
            assert_eq!(value.as_vector().map(|items| items.len()), Some(count));
        }
        for count in 0..3 {
            let tokens = packer.map(count);
            let mut text = tokens.open().to_vec();
            for (index, key) in ["\"~:a\"", "\"~:b\""][..count].iter().enumerate() {
                if index > 0 {
                    text.extend_from_slice(tokens.separator());
                }
                text.extend_from_slice(key.as_bytes());
                text.extend_from_slice(tokens.key_separator());
                text.extend_from_slice(b"[1]");
            }
            text.extend_from_slice(tokens.close());
            let value = packer.unpack(&text, &Limits::default()).unwrap();
            assert_eq!(value.as_map().map(Map::len), Some(count));
            assert_eq!(text, packed(packer, &value).into_bytes());
        }
    }
}
