//! Transit's types, as its specification has them.
#![allow(missing_docs)]

mod packer_transit_support;

use packer_transit_support::{packed, read, value};
use sente_core::Limits;
use sente_core::framing::Kind;
use sente_core::packer::{Packer, TransitJson, TransitJsonVerbose};
use sente_edn::{Inst, Map, Symbol, Tagged, Value};

fn compact(text: &str) -> String {
    packed(&TransitJson::new(), &value(text))
}

fn verbose(text: &str) -> String {
    packed(&TransitJsonVerbose::new(), &value(text))
}

/// What a text is read as, by both packers.
fn reads(text: &str) -> String {
    let by_compact = read(&TransitJson::new(), text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let by_verbose = read(&TransitJsonVerbose::new(), text).unwrap();
    assert!(by_compact.identical(&by_verbose), "{text}");
    by_compact.to_string()
}

fn refusal(text: &str) -> String {
    let error = read(&TransitJson::new(), text).map(|value| panic!("{text}: {value}"));
    let error = error.unwrap_err().to_string();
    let by_verbose = read(&TransitJsonVerbose::new(), text).unwrap_err();
    assert_eq!(by_verbose.to_string(), error);
    error
}

#[test]
fn the_packers_have_their_names_and_travel_as_text() {
    let [compact, verbose]: [&dyn Packer; 2] = [&TransitJson::new(), &TransitJsonVerbose::new()];
    assert_eq!(
        (compact.name(), compact.format()),
        ("transit-json", "transit-json")
    );
    assert_eq!(verbose.name(), "transit-json-verbose");
    assert_eq!((compact.kind(), verbose.kind()), (Kind::Text, Kind::Text));
    assert!(!compact.seals() && !verbose.seals());
    assert!(TransitJson::new().key_cache(true).seals());
}

#[test]
fn every_type_of_the_specification_is_written_as_it_says() {
    for (text, in_compact, in_verbose) in [
        ("nil", "null", "null"),
        ("\"a\"", "\"a\"", "\"a\""),
        ("true", "true", "true"),
        ("9007199254740991", "9007199254740991", "9007199254740991"),
        (
            "-9007199254740991",
            "-9007199254740991",
            "-9007199254740991",
        ),
        (
            "-9007199254740992",
            "\"~i-9007199254740992\"",
            "\"~i-9007199254740992\"",
        ),
        (
            "-9223372036854775808",
            "\"~i-9223372036854775808\"",
            "\"~i-9223372036854775808\"",
        ),
        ("1.5", "1.5", "1.5"),
        ("-0.0", "-0.0", "-0.0"),
        ("1e21", "1.0E21", "1.0E21"),
        (":a/b", "\"~:a/b\"", "\"~:a/b\""),
        ("a/b", "\"~$a/b\"", "\"~$a/b\""),
        ("1.50M", "\"~f1.50\"", "\"~f1.50\""),
        ("5N", "\"~n5\"", "\"~n5\""),
        ("##NaN", "\"~zNaN\"", "\"~zNaN\""),
        ("##-Inf", "\"~z-INF\"", "\"~z-INF\""),
        ("\\a", "\"~ca\"", "\"~ca\""),
        ("\\~", "\"~c~\"", "\"~c~\""),
        (
            "#inst \"2020-01-02T03:04:05.678Z\"",
            "\"~m1577934245678\"",
            "\"~t2020-01-02T03:04:05.678Z\"",
        ),
        (
            "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
            "\"~uf81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
            "\"~uf81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
        ),
        ("#bytes/b64 \"AQI=\"", "\"~bAQI=\"", "\"~bAQI=\""),
        ("#r \"http://a\"", "\"~rhttp://a\"", "\"~rhttp://a\""),
        ("[1 [2]]", "[1,[2]]", "[1,[2]]"),
        ("(1)", "[\"~#list\",[1]]", "{\"~#list\":[1]}"),
        ("#{1}", "[\"~#set\",[1]]", "{\"~#set\":[1]}"),
        ("{}", "[\"^ \"]", "{}"),
        (
            "{:a {1 2}}",
            "[\"^ \",\"~:a\",[\"^ \",\"~i1\",2]]",
            "{\"~:a\":{\"~i1\":2}}",
        ),
        (
            "{[1] 2, :a 3}",
            "[\"~#cmap\",[[1],2,\"~:a\",3]]",
            "{\"~#cmap\":[[1],2,\"~:a\",3]}",
        ),
        (
            "{1/2 1}",
            "[\"~#cmap\",[[\"~#ratio\",[\"~n1\",\"~n2\"]],1]]",
            "{\"~#cmap\":[{\"~#ratio\":[\"~n1\",\"~n2\"]},1]}",
        ),
        ("#point [1 2]", "[\"~#point\",[1,2]]", "{\"~#point\":[1,2]}"),
        (
            "#link {\"href\" #r \"x\"}",
            "[\"~#link\",[\"^ \",\"href\",\"~rx\"]]",
            "{\"~#link\":{\"href\":\"~rx\"}}",
        ),
        ("#X \"y\"", "\"~Xy\"", "\"~Xy\""),
        ("#X 5", "[\"~#X\",5]", "{\"~#X\":5}"),
        ("{#X \"y\" 1}", "[\"^ \",\"~Xy\",1]", "{\"~Xy\":1}"),
        (
            "{#X 5 1}",
            "[\"~#cmap\",[[\"~#X\",5],1]]",
            "{\"~#cmap\":[{\"~#X\":5},1]}",
        ),
    ] {
        assert_eq!(compact(text), in_compact);
        assert_eq!(verbose(text), in_verbose);
        assert!(value(&reads(in_compact)).identical(&value(text)), "{text}");
        assert!(value(&reads(in_verbose)).identical(&value(text)), "{text}");
    }
}

#[test]
fn every_kind_of_key_is_a_string_where_it_can_be() {
    let keys = "{nil 0, true 1, false 2, 3 3, 5N 5, 1.5 6, ##Inf 7, 1.50M 8, \\a 9, \"s\" 10, \
                :k 11, y 12, #inst \"1970-01-01T00:00:00.001-00:00\" 13, \
                #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\" 14, #bytes/b64 \"AQI=\" 15}";
    let expected = "[\"^ \",\"~_\",0,\"~?t\",1,\"~?f\",2,\"~i3\",3,\"~n5\",5,\"~d1.5\",6,\
                    \"~zINF\",7,\"~f1.50\",8,\"~ca\",9,\"s\",10,\"~:k\",11,\"~$y\",12,\"~m1\",13,\
                    \"~uf81d4fae-7dec-11d0-a765-00a0c91e6bf6\",14,\"~bAQI=\",15]";
    assert_eq!(compact(keys), expected);
    assert_eq!(reads(expected), keys);
    assert_eq!(reads(&verbose(keys)), keys);
}

#[test]
fn strings_are_escaped_as_jackson_does() {
    for (text, expected) in [
        ("~a", "\"~~a\""),
        ("^ ", "\"~^ \""),
        ("`", "\"~`\""),
        ("a~", "\"a~\""),
        (
            "\"\\/\u{8}\u{c}\n\r\t\u{1f}\u{7f}",
            "\"\\\"\\\\/\\b\\f\\n\\r\\t\\u001F\u{7f}\"",
        ),
        ("é\u{2028}\u{1f600}", "\"é\u{2028}\\uD83D\\uDE00\""),
    ] {
        assert_eq!(packed(&TransitJson::new(), &text.into()), expected);
        assert_eq!(
            read(&TransitJson::new(), expected).unwrap().as_str(),
            Some(text)
        );
    }
}

#[test]
fn composite_forms_of_scalars_and_mixed_forms_are_read() {
    for (text, expected) in [
        ("[\"~#m\",0]", "#inst \"1970-01-01T00:00:00.000-00:00\""),
        ("[\"~#m\",\"0\"]", "#inst \"1970-01-01T00:00:00.000-00:00\""),
        (
            "{\"~#u\":[0,1]}",
            "#uuid \"00000000-0000-0000-0000-000000000001\"",
        ),
        (
            "[\"~#u\",[\"~i-1\",\"~i-1\"]]",
            "#uuid \"ffffffff-ffff-ffff-ffff-ffffffffffff\"",
        ),
        ("[\"~#i\",\"5\"]", "5"),
        ("[\"~#b\",\"AQI=\"]", "#bytes/b64 \"AQI=\""),
        ("\"~bAQI\"", "#bytes/b64 \"AQI=\""),
        ("\"~b-_8\"", "#bytes/b64 \"+/8=\""),
        ("\"~'a\"", "\"a\""),
        ("[\"~#'\",[\"~#'\",[\"~#list\",[1]]]]", "(1)"),
        ("[[\"~#'\",1],2]", "[1 2]"),
        ("[\"^ \",[1,2],3,4,5]", "{[1 2] 3, 4 5}"),
        ("[\"^ \",\"~:a\",{\"b\":[\"^ \"]}]", "{:a {\"b\" {}}}"),
        ("[\"~#with-meta\",[[\"^ \",\"~:a\",1],null]]", "{:a 1}"),
        ("[\"~#with-meta\",[[1]]]", "[1]"),
        ("[\"~#set\",[[\"~#set\",[]],1,1]]", "#{#{} 1}"),
        ("[\"~#cmap\",[]]", "{}"),
        ("[\"~#ratio\",[4,\"~n2\"]]", "2"),
        ("[\"~#foo\",1,\"ignored\",2]", "#foo 1"),
        ("[[\"~#set\",[1],2],3]", "[#{1} 3]"),
        ("-0", "0"),
        ("-0.0", "-0.0"),
        ("1e400", "##Inf"),
        ("\"~d1e3\"", "1000.0"),
        // As transit-js writes keys.
        ("[\"^ \",\"~i1.5\",1,\"~i-2e-7\",2]", "{1.5 1, -2.0E-7 2}"),
        ("\"~dNaN\"", "##NaN"),
        ("\"~\"", "\"~\""),
        ("[1] [2", "[1]"),
        ("\"\\u007e:a\"", ":a"),
        ("[\"\\u007e#set\",[1]]", "#{1}"),
        ("[\"\\u005e \",\"a\",1]", "{\"a\" 1}"),
    ] {
        assert_eq!(reads(text), expected, "{text}");
    }
}

#[test]
fn what_is_no_transit_is_refused_with_its_place() {
    for (text, expected) in [
        ("", "there is no value at byte 0"),
        (
            "[1,\"^ \"]",
            "the marker of a map stands at the head of an array only at byte 3",
        ),
        ("[\"^ \",\"^ \",1]", "the marker of a map"),
        (
            "[1,\"~#set\"]",
            "a tag stands at the head of an array of two only",
        ),
        ("{\"a\":1,\"~#set\":[]}", "a tag stands at the head"),
        ("[\"~#set\"]", "there is nothing behind a tag"),
        ("[\"~#foo\"]", "there is nothing behind a tag"),
        ("[\"~#'\"]", "there is nothing behind a tag"),
        ("[\"~#set\",1]", "expected an array behind a tag"),
        (
            "[\"~#set\",[\"^ \"]]",
            "expected a plain array behind a tag",
        ),
        (
            "[\"~#list\",[\"~#set\",[]]]",
            "expected a plain array behind a tag",
        ),
        ("[\"^ \",1]", "a map has a key without a value"),
        ("[\"~#cmap\",[1]]", "a map has a key without a value"),
        (
            "[\"~#ratio\",[1,0]]",
            "not a ratio: nothing divides by zero",
        ),
        ("[\"~#ratio\",[1]]", "expected an array of two integers"),
        ("[\"~#ratio\",[1,2,3]]", "expected an array of two integers"),
        ("[\"~#ratio\",[1,2.5]]", "expected an array of two integers"),
        (
            "[\"~#u\",[1,9223372036854775808]]",
            "half of a UUID has 64 bits",
        ),
        ("[\"~#i\",5]", "expected a string behind a tag"),
        ("[\"~#with-meta\",[]]", "there is nothing behind a tag"),
        ("\"~i1.5.\"", "not a number at byte 0"),
        ("[1,\"~i\"]", "not an integer of 64 bits at byte 3"),
        ("\"~n1x\"", "not an integer"),
        ("\"~f1..\"", "not a decimal number"),
        ("\"~dx\"", "not a number"),
        ("\"~zInf\"", "expected NaN, INF or -INF"),
        ("\"~?x\"", "expected t or f"),
        ("\"~c\"", "a character is missing"),
        ("\"~mx\"", "not a time in milliseconds"),
        ("\"~tx\"", "not a date"),
        ("\"~u1\"", "not a UUID"),
        ("\"~b$\"", "not base64"),
        ("\"^\"", "not a code of the cache"),
        ("[\"~:abc\",\"^zzz\"]", "not a code of the cache at byte 9"),
        ("[\"^!\"]", "not a code of the cache"),
        ("\u{feff}[]", "expected a JSON value"),
    ] {
        let error = refusal(text);
        assert!(error.contains(expected), "{text}: {error}");
    }
    let error = TransitJson::new().unpack(b"[\"\xff\"]", &Limits::default());
    assert_eq!(error.unwrap_err().to_string(), "not UTF-8 at byte 2");
}

#[test]
fn dates_are_gregorian_at_all_times_and_in_milliseconds_where_readers_differ() {
    let at = |millis: i64| Value::Inst(Inst::from_millis(millis).unwrap());
    for (millis, in_verbose) in [
        (0, "\"~t1970-01-01T00:00:00.000Z\""),
        (-12_212_553_600_000, "\"~t1583-01-01T00:00:00.000Z\""),
        (-12_212_553_600_001, "\"~m-12212553600001\""),
        (253_402_300_799_999, "\"~t9999-12-31T23:59:59.999Z\""),
        (253_402_300_800_000, "\"~m253402300800000\""),
        (-62_135_596_800_000, "\"~m-62135596800000\""),
    ] {
        assert_eq!(packed(&TransitJsonVerbose::new(), &at(millis)), in_verbose);
        assert_eq!(
            packed(&TransitJson::new(), &at(millis)),
            format!("\"~m{millis}\"")
        );
        assert!(
            read(&TransitJson::new(), in_verbose)
                .unwrap()
                .identical(&at(millis))
        );
    }
    for (text, millis) in [
        ("1582-10-15T00:00:00Z", -12_219_292_800_000),
        ("1582-10-14T00:00:00.000Z", -12_219_379_200_000),
        ("1000-02-28T12:00:00Z", -30_605_169_600_000),
        ("0001-01-01T00:00:00.000Z", -62_135_596_800_000),
        ("0000-03-01T00:00:00.000Z", -62_162_035_200_000),
        ("2020-01-02T03:04:05.123456Z", 1_577_934_245_123),
        ("2020-01-02T03:04:05+01:30", 1_577_928_845_000),
        ("2020-01-02T03:04:05-00:00", 1_577_934_245_000),
        ("2020-01-02", 1_577_923_200_000),
        ("2020", 1_577_836_800_000),
        // As transit-js writes years that have no four digits.
        ("365-12-20T01:06:31.023Z", -50_618_386_408_977),
        ("10000-01-01T00:00:00.000Z", 253_402_300_800_000),
        // And as JavaScript does.
        ("+010000-01-01T00:00:00.000Z", 253_402_300_800_000),
    ] {
        let value = read(&TransitJson::new(), &format!("\"~t{text}\"")).unwrap();
        assert_eq!(value.as_inst().map(Inst::as_millis), Some(millis), "{text}");
    }
}

#[test]
fn dates_beyond_those_of_edn_are_kept_in_milliseconds() {
    for (text, expected) in [
        ("+275760-09-13T00:00:00.000Z", "8640000000000000"),
        ("-271821-04-20T00:00:00.000Z", "-8640000000000000"),
        ("+999999-12-31T23:59:59.999Z", "31494784780799999"),
    ] {
        let value = reads(&format!("\"~t{text}\""));
        assert_eq!(value, format!("#transit/tagged [\"m\" \"{expected}\"]"));
        assert_eq!(verbose(&value), format!("\"~m{expected}\""));
    }
    for text in [
        "1000000-01-01",
        "-",
        "+-2020-01-01",
        "2020-13-01",
        "202x-01-01",
        "é020-01-01",
    ] {
        assert!(refusal(&format!("\"~t{text}\"")).contains("not a date"));
    }
}

#[test]
fn what_edn_has_no_form_for_is_kept_and_written_as_it_came() {
    for (text, expected) in [
        ("\"~:a b\"", "#transit/tagged [\":\" \"a b\"]"),
        ("\"~$1\"", "#transit/tagged [\"$\" \"1\"]"),
        (
            "\"~m9007199254740991\"",
            "#transit/tagged [\"m\" \"9007199254740991\"]",
        ),
        ("[\"~#foo bar\",[1]]", "#transit/tagged [\"foo bar\" [1]]"),
        ("[\"~#inst\",1]", "#transit/tagged [\"inst\" 1]"),
        ("[\"~#\",1]", "#transit/tagged [\"\" 1]"),
        ("[\"~#~\",\"a\"]", "#transit/tagged [\"~\" \"a\"]"),
        ("\"~1a\"", "#transit/tagged [\"1\" \"a\"]"),
        (
            "[\"^ \",\"~:a b\",1]",
            "{#transit/tagged [\":\" \"a b\"] 1}",
        ),
        (
            "[\"~#transit/tagged\",[\"foo\",1]]",
            "#transit/tagged [\"foo\" 1]",
        ),
        ("[\"~#transit/tagged\",5]", "#transit/tagged 5"),
        ("[\"~#bytes/b64\",\"$\"]", "#bytes/b64 \"$\""),
        ("\"~:user/1\"", ":user/1"),
        ("\"~$a::b\"", "a::b"),
    ] {
        let value = read(&TransitJson::new(), text).unwrap();
        assert_eq!(value.to_string(), expected);
        assert_eq!(packed(&TransitJson::new(), &value), text);
    }
    let value = read(&TransitJson::new(), "\"~😀a\"").unwrap();
    assert_eq!(
        packed(&TransitJson::new(), &value),
        "[\"~#\\uD83D\\uDE00\",\"a\"]"
    );
    assert!(
        read(&TransitJson::new(), "[\"~#\\uD83D\\uDE00\",\"a\"]")
            .unwrap()
            .identical(&value)
    );
}

#[test]
fn a_tag_that_means_something_in_transit_cannot_be_written_by_accident() {
    for tag in [
        "set",
        "list",
        "cmap",
        "ratio",
        "with-meta",
        "i",
        "m",
        "u",
        "b",
        "z",
    ] {
        let tagged = Tagged::new(Symbol::new(tag).unwrap(), vec![Value::Int(1)]).unwrap();
        for value in [
            Value::from(tagged.clone()),
            Value::from([(tagged.clone(), 1)].into_iter().collect::<Map>()),
        ] {
            let error = TransitJson::new()
                .pack(&value, &mut Vec::new())
                .unwrap_err();
            assert_eq!(error.packer, "transit-json");
            let expected = format!("the tag {tag} has a meaning of its own in Transit");
            assert_eq!(error.message, expected);
            let error = TransitJsonVerbose::new()
                .pack(&value, &mut Vec::new())
                .unwrap_err();
            assert_eq!(error.packer, "transit-json-verbose");
        }
    }
}

#[test]
fn arrays_of_one_type_are_written_as_plain_ones_as_sente_does() {
    assert_eq!(compact("#array/int [1 2]"), "[1,2]");
    assert_eq!(
        verbose("[#array/double [1.5] #array/char [\\a]]"),
        "[[1.5],[\"~ca\"]]"
    );
    assert_eq!(compact("{#array/float [] 1}"), "[\"~#cmap\",[[],1]]");
    assert_eq!(compact("#array/int 5"), "[\"~#array/int\",5]");
}

#[test]
fn characters_beyond_16_bits_are_written_as_strings_as_in_edn() {
    assert_eq!(
        packed(&TransitJson::new(), &Value::Char('\u{1f600}')),
        "\"\\uD83D\\uDE00\""
    );
    assert_eq!(reads("\"~c\\uD83D\\uDE00\""), "\"\u{1f600}\"");
}
