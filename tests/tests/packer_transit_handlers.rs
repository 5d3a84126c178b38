//! Handlers for tags of an application's own.
#![allow(missing_docs)]

mod packer_transit_support;

use packer_transit_support::{packed, read, value};
use sente_core::Limits;
use sente_core::packer::{Packer, TransitHandlers, TransitJson, TransitJsonVerbose};
use sente_edn::{List, Set, Symbol, Tagged, Value};

fn handlers() -> TransitHandlers {
    let tagged = |tag: &str, value: Value| {
        Value::from(Tagged::new(Symbol::new(tag).unwrap(), value).unwrap())
    };
    TransitHandlers::new()
        .read("point", |rep| match rep.as_sequence() {
            Some([x, y]) => Ok(List::from(vec![x.clone(), y.clone()]).into()),
            _ => Err("a point has two coordinates".into()),
        })
        .read("r", |rep| Ok(vec![Value::from("uri"), rep].into()))
        .write("day", |rep| match rep.as_i64() {
            Some(day) => Ok(("m".into(), (day * 86_400_000).to_string().into())),
            None => Err("a day is a number".into()),
        })
        .write("pair", move |rep| {
            Ok((
                "pair".into(),
                vec![tagged("day", 1.into()), rep.clone()].into(),
            ))
        })
        .write("loop", move |rep| {
            Ok(("loop".into(), tagged("loop", rep.clone())))
        })
        .write("bag", |rep| {
            let items: Set = rep
                .as_sequence()
                .unwrap_or_default()
                .iter()
                .cloned()
                .collect();
            Ok((
                "set".into(),
                Value::from(items.iter().cloned().collect::<Vec<_>>()),
            ))
        })
}

#[test]
fn handlers_read_what_stands_behind_their_tags() {
    let packer = TransitJson::new().handlers(handlers());
    let verbose = TransitJsonVerbose::new().handlers(handlers());
    for (text, expected) in [
        ("[\"~#point\",[1,[\"~#point\",[2,3]]]]", "(1 (2 3))"),
        ("{\"a\":{\"~#point\":[1,2]}}", "{\"a\" (1 2)}"),
        ("[\"~rhttp://a\"]", "[[\"uri\" \"http://a\"]]"),
        ("[\"~#other\",[1]]", "#other [1]"),
    ] {
        assert_eq!(read(&packer, text).unwrap().to_string(), expected);
        assert_eq!(read(&verbose, text).unwrap().to_string(), expected);
    }
    let error = read(&packer, "[0,[\"~#point\",1]]")
        .unwrap_err()
        .to_string();
    assert_eq!(error, "point: a point has two coordinates at byte 3");
    // The message is whole all the same.
    let walked = packer.walk(b"[\"~#point\",1]", &Limits::default(), &mut |cursor| {
        cursor.skip().map(drop)
    });
    walked.unwrap();
}

#[test]
fn handlers_write_values_behind_their_tags() {
    let packer = TransitJson::new().handlers(handlers());
    let verbose = TransitJsonVerbose::new().handlers(handlers());
    for (text, in_compact, in_verbose) in [
        (
            "[#day 1 #day 2]",
            "[\"~m86400000\",\"~m172800000\"]",
            "[\"~m86400000\",\"~m172800000\"]",
        ),
        (
            "{#day 1 :x}",
            "[\"^ \",\"~m86400000\",\"~:x\"]",
            "{\"~m86400000\":\"~:x\"}",
        ),
        (
            "#pair {:a (#day 2)}",
            "[\"~#pair\",[\"~m86400000\",[\"^ \",\"~:a\",[\"~#list\",[\"~m172800000\"]]]]]",
            "{\"~#pair\":[\"~m86400000\",{\"~:a\":{\"~#list\":[\"~m172800000\"]}}]}",
        ),
        (
            "#pair #{#other [{[1] 1}]}",
            "[\"~#pair\",[\"~m86400000\",[\"~#set\",[[\"~#other\",[[\"~#cmap\",[[1],1]]]]]]]]",
            "",
        ),
        ("#bag [1 1 2]", "[\"~#set\",[1,2]]", "{\"~#set\":[1,2]}"),
        (
            "#pair #bytes/b64 \"AQI=\"",
            "[\"~#pair\",[\"~m86400000\",\"~bAQI=\"]]",
            "",
        ),
        (
            "#pair #transit/tagged [\":\" \"a b\"]",
            "[\"~#pair\",[\"~m86400000\",\"~:a b\"]]",
            "",
        ),
    ] {
        assert_eq!(packed(&packer, &value(text)), in_compact);
        if !in_verbose.is_empty() {
            assert_eq!(packed(&verbose, &value(text)), in_verbose);
        }
    }
    let error = packer
        .pack(&value("[#day :x]"), &mut Vec::new())
        .unwrap_err();
    assert_eq!(error.message, "day: a day is a number");
    let error = packer.pack(&value("#loop 1"), &mut Vec::new()).unwrap_err();
    assert_eq!(
        error.message,
        "what the handlers give nests more than 64 levels deep"
    );
    let shown = format!("{packer:?}");
    assert!(
        shown.contains("\"point\"") && shown.contains("\"bag\""),
        "{shown}"
    );
}

#[test]
fn a_handler_that_gives_a_key_two_forms_is_found_out() {
    let odd = std::sync::atomic::AtomicBool::new(false);
    let handlers = TransitHandlers::new().write("odd", move |rep| {
        let first = !odd.fetch_xor(true, std::sync::atomic::Ordering::Relaxed);
        let tag = if first { "q" } else { "long" };
        Ok((tag.into(), rep.clone()))
    });
    for packer in [
        &TransitJson::new().handlers(handlers.clone()) as &dyn Packer,
        &TransitJsonVerbose::new().handlers(handlers.clone()),
    ] {
        let error = packer
            .pack(&value("{#odd \"x\" 1}"), &mut Vec::new())
            .unwrap_err();
        assert_eq!(error.message, "a handler gives one key two forms");
    }
}
