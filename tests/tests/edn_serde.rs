//! Rust types as EDN, by the feature `serde` of `sente-edn`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use sente_edn::serde::{
    Deserializer, Error, Options, RawEdn, RawEdnRef, Serializer, from_slice, from_slice_with,
    from_str, from_value, to_string, to_string_with, to_value, to_vec,
};
use sente_edn::{
    BigInt, Decimal, Inst, Keyword, Limits, List, Map, Ratio, Set, Symbol, Tagged, Uuid, Value,
    Vector,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};

#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, text: &str) {
    assert_eq!(to_string(value).unwrap(), text);
    assert_eq!(&from_str::<T>(text).unwrap(), value);
    let tree = to_value(value).unwrap();
    assert_eq!(tree.to_string(), text);
    assert_eq!(&from_value::<T>(&tree).unwrap(), value);
}

#[track_caller]
fn fails<T: DeserializeOwned + Debug>(text: &str) -> String {
    from_str::<T>(text).unwrap_err().to_string()
}

fn read(text: &str) -> Value {
    sente_edn::from_str(text).unwrap()
}

fn unwrap_ratio(text: &str) -> Ratio {
    match read(text) {
        Value::Ratio(ratio) => ratio,
        other => panic!("{other} is no ratio"),
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    #[serde(rename = "user/id")]
    id: u32,
    name: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Plain {
    Unit,
    New(i32),
    Tuple(i32, String),
    Struct {
        a: i32,
        #[serde(rename = "b/c")]
        b: bool,
    },
}

#[test]
fn plain_types_survive() {
    survives(&(), "nil");
    survives(&true, "true");
    survives(&-7_i8, "-7");
    survives(&u64::MAX, "18446744073709551615N");
    survives(&i128::MIN, "-170141183460469231731687303715884105728N");
    survives(&u128::MAX, "340282366920938463463374607431768211455N");
    survives(&7_u128, "7");
    survives(&1.0_f64, "1.0");
    survives(&0.1_f32, "0.1");
    survives(&f64::NEG_INFINITY, "##-Inf");
    survives(&'a', "\\a");
    survives(&'\u{1f600}', "\"\u{1f600}\"");
    survives(&String::from("a\"\n"), r#""a\"\n""#);
    survives(&Some(1), "1");
    survives(&None::<i32>, "nil");
    survives(&vec![1, 2], "[1 2]");
    survives(&(1, String::from("b"), 'c'), r#"[1 "b" \c]"#);
    survives(
        &BTreeMap::from([((1, 2), 'a'), ((3, 4), 'b')]),
        "{[1 2] \\a, [3 4] \\b}",
    );
    survives(&BTreeMap::<i32, ()>::new(), "{}");
    assert!(from_str::<f64>("##NaN").unwrap().is_nan());
}

#[test]
fn types_of_edn_survive() {
    survives(&Keyword::new("user/id").unwrap(), ":user/id");
    survives(&Symbol::new("a.b/c!").unwrap(), "a.b/c!");
    survives(&BigInt::from(7_i64), "7N");
    survives(&Decimal::new("1.50").unwrap(), "1.50M");
    survives(&Decimal::new("1e999999999").unwrap(), "1E+999999999M");
    survives(&unwrap_ratio("-1/3"), "-1/3");
    survives(
        &Inst::from_millis(0).unwrap(),
        "#inst \"1970-01-01T00:00:00.000-00:00\"",
    );
    survives(
        &Uuid::from_u128(1),
        "#uuid \"00000000-0000-0000-0000-000000000001\"",
    );
    survives(&List::from(vec![Value::Int(1)]), "(1)");
    survives(&Vector::from(vec![Value::Int(1)]), "[1]");
    survives(&Set::from([1, 2]), "#{1 2}");
    survives(&Map::from([("a", 1)]), "{\"a\" 1}");
    let tagged = Tagged::new(
        Symbol::new("my/point").unwrap(),
        Value::from_iter([Value::Int(1)]),
    );
    survives(&tagged.unwrap(), "#my/point [1]");
    survives(&Some(Keyword::new("a").unwrap()), ":a");
    survives(&BTreeMap::from([(Keyword::new("a").unwrap(), 1)]), "{:a 1}");
}

#[test]
fn a_value_survives_with_everything_in_it() {
    let text = "[nil true 1 2N 1.5 ##Inf 1.50M 1/3 \\a \"s\" :k/w sym (1) #{[2]} \
                {(1) #a #b {:c #d nil}, #uuid \"00000000-0000-0000-0000-000000000001\" \
                #inst \"1970-01-01T00:00:00.000-00:00\"}]";
    survives(&read(text), text);
    assert!(from_str::<Value>(text).unwrap().identical(&read(text)));
}

#[test]
fn comments_metadata_discards_and_namespaced_maps_are_read_as_the_reader_does() {
    for text in [
        " ; c\n ^:m [1 #_ #_ 2 [3] ^{:a 1} ^:b x #_z] ; d",
        "#:a{:b 1, :_/c 2, :d/e 3, f #:g{:h 4, #t :i 5}, \"s\" 6}",
        "#:a{#_:b :c ^:m {:d 1}}",
        "[017 0x1F 36rZ +5 -0 1e3 -0.0 0 00 12345678901234567890 1N 2/4 4/2]",
        "[\"a\\u00e9\\n\" \\newline \\u0041 \\o101 \\( \\\\ \\\" ##NaN ##-Inf]",
        "#t #_ #x y #u {:k #{} :l ()}",
        "[#inst\"2020\" #uuid \"1-1-1-1-1\" #inst #_1 \"2021\" a/b a#b + - -a nil? true1]",
        "{nil 1 [] 2 \u{3000}{} 3,,,}",
    ] {
        let value: Value = from_str(text).unwrap();
        assert!(value.identical(&read(text)), "{text} became {value}");
        assert_eq!(from_str::<IgnoredAny>(text).map(|_| ()), Ok(()), "{text}");
        let items: Result<Vec<RawEdn>, Error> = from_str(text);
        for item in items.unwrap_or_default() {
            assert!(item.to_value().is_ok(), "{item}");
        }
    }
}

#[test]
fn fields_are_keywords_and_strings_on_request() {
    let user = User { id: 7, name: None };
    survives(&user, "{:user/id 7, :name nil}");
    let strings = Options::default().string_names(true);
    let text = to_string_with(&user, &strings).unwrap();
    assert_eq!(text, r#"{"user/id" 7, "name" nil}"#);
    assert_eq!(from_str::<User>(&text).unwrap(), user);
    assert_eq!(
        from_str::<User>("#:user{:id 7, :_/other [1]}").unwrap(),
        user
    );
    assert_eq!(
        to_string_with(&Plain::New(1), &strings).unwrap(),
        r#"{"New" 1}"#
    );
    assert_eq!(to_string_with(&Plain::Unit, &strings).unwrap(), r#""Unit""#);

    #[derive(Serialize)]
    struct Odd {
        #[serde(rename = "a b")]
        a: u8,
    }
    assert_eq!(
        to_string(&[Odd { a: 1 }]).unwrap_err().to_string(),
        "the name `a b` can not be a keyword in [0]"
    );
    assert_eq!(
        to_string_with(&Odd { a: 1 }, &strings).unwrap(),
        r#"{"a b" 1}"#
    );
}

#[test]
fn structs_without_names_are_what_is_in_them() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct New(Vec<u8>);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Pair(u8, Option<Unit>);
    survives(&Unit, "nil");
    survives(&New(vec![1]), "[1]");
    survives(&Pair(1, None), "[1 nil]");
}

#[test]
fn enums_have_a_form_for_each_kind_of_variant() {
    survives(&Plain::Unit, ":Unit");
    survives(&Plain::New(1), "{:New 1}");
    survives(&Plain::Tuple(1, "a".into()), "{:Tuple [1 \"a\"]}");
    survives(
        &Plain::Struct { a: 1, b: true },
        "{:Struct {:a 1, :b/c true}}",
    );
    survives(&vec![Some(Plain::Unit), None], "[:Unit nil]");
    survives(
        &BTreeMap::from([(1, Plain::New(2)), (3, Plain::Unit)]),
        "{1 {:New 2}, 3 :Unit}",
    );
    assert_eq!(from_str::<Plain>("{\"Unit\" nil}").unwrap(), Plain::Unit);
    assert_eq!(
        fails::<Plain>("{:New 1, :Unit nil}"),
        "expected only one variant in the map at byte 0"
    );
    assert_eq!(
        fails::<Plain>("{}"),
        "found an empty map, expected a variant at byte 0"
    );
    assert!(fails::<Plain>("[:Other]").starts_with("found a vector, expected enum Plain"));
    assert!(fails::<Vec<Plain>>("[:Other]").contains("unknown variant `Other`"));
}

#[test]
fn enums_may_be_tagged_inside_beside_or_not_at_all() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Inside {
        Unit,
        New(User),
        Struct { a: i32 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Beside {
        Unit,
        New(i32),
        Tuple(i32, i32),
        Struct { a: i32 },
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Without {
        Unit,
        New(i32),
        Tuple(i32, i32),
        Struct { a: i32 },
        Keyword(Keyword),
    }
    survives(&Inside::Unit, "{:type \"Unit\"}");
    let user = User {
        id: 1,
        name: Some("n".into()),
    };
    survives(
        &Inside::New(user),
        "{:type \"New\", :user/id 1, :name \"n\"}",
    );
    survives(&Inside::Struct { a: 1 }, "{:type \"Struct\", :a 1}");
    assert_eq!(
        from_str::<Inside>("{:a 1 :type :Struct}").unwrap(),
        Inside::Struct { a: 1 }
    );
    survives(&Beside::Unit, "{:t :Unit}");
    survives(&Beside::New(1), "{:t :New, :c 1}");
    survives(&Beside::Tuple(1, 2), "{:t :Tuple, :c [1 2]}");
    survives(&Beside::Struct { a: 1 }, "{:t :Struct, :c {:a 1}}");
    assert_eq!(
        from_str::<Beside>("{:c 1 :t :New}").unwrap(),
        Beside::New(1)
    );
    survives(&Without::Unit, "nil");
    survives(&Without::New(1), "1");
    survives(&Without::Tuple(1, 2), "[1 2]");
    survives(&Without::Struct { a: 1 }, "{:a 1}");
    survives(&Without::Keyword(Keyword::new("k").unwrap()), ":k");
}

#[test]
fn flattened_structs_are_read_back() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Page {
        number: u8,
        #[serde(flatten)]
        user: User,
        #[serde(flatten)]
        rest: BTreeMap<String, i64>,
    }
    let text = "{:number 1, :user/id 2, :name \"n\", :more/x 3}";
    let page: Page = from_str(text).unwrap();
    assert_eq!(page.rest, BTreeMap::from([("more/x".into(), 3)]));
    survives(
        &page,
        "{\"number\" 1, \"user/id\" 2, \"name\" \"n\", \"more/x\" 3}",
    );
}

#[test]
fn numbers_go_where_they_fit_and_nowhere_else() {
    assert_eq!(from_str::<f64>("2").unwrap().to_bits(), 2.0_f64.to_bits());
    assert_eq!(from_str::<f32>("2N").unwrap().to_bits(), 2.0_f32.to_bits());
    assert_eq!(from_str::<i32>("7N").unwrap(), 7);
    assert_eq!(from_str::<u8>("0x10").unwrap(), 16);
    assert_eq!(from_str::<i128>("-5").unwrap(), -5);
    assert_eq!(from_str::<BigInt>("5").unwrap(), BigInt::from(5_i64));
    assert!(fails::<u8>("256").contains("invalid value: integer `256`, expected u8"));
    assert!(fails::<u8>("-1").contains("expected u8"));
    assert_eq!(
        fails::<i32>("1.0"),
        "found float `1.0`, expected i32 at byte 0"
    );
    assert_eq!(
        fails::<f64>("1M"),
        "found a decimal number, expected f64 at byte 0"
    );
    assert_eq!(fails::<f64>("1/2"), "found a ratio, expected f64 at byte 0");
    let long = format!("{}N", "9".repeat(50));
    assert!(fails::<u128>(&long).contains("more than 128 bits"));
}

#[test]
fn strings_are_borrowed_unless_escaped() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Both<'a> {
        plain: &'a str,
        #[serde(borrow)]
        either: Cow<'a, str>,
    }
    let text = String::from(r#"{:plain "abc" :either "d"}"#);
    let both: Both<'_> = from_str(&text).unwrap();
    assert!(
        text.as_bytes()
            .as_ptr_range()
            .contains(&both.plain.as_ptr())
    );
    assert!(matches!(both.either, Cow::Borrowed("d")));
    let both: Both<'_> = from_str(r#"{:plain "abc" :either "d\n"}"#).unwrap();
    assert!(matches!(both.either, Cow::Owned(_)));
    let error = from_str::<&str>(r#""a\n""#).unwrap_err();
    assert!(
        error.to_string().contains("expected a borrowed string"),
        "{error}"
    );
    assert_eq!(
        from_str::<HashMap<&str, u8>>("{:a/b 1}").unwrap(),
        HashMap::from([("a/b", 1)])
    );
    let value = read("[\"a\"]");
    assert_eq!(from_value::<[&str; 1]>(&value).unwrap(), ["a"]);
    assert!(
        from_str::<String>(":a").is_err(),
        "a keyword is no string but as a key"
    );
}

#[test]
fn bytes_are_vectors_of_integers() {
    #[derive(Debug, PartialEq)]
    struct Bytes(Vec<u8>);
    impl Serialize for Bytes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }
    impl<'de> Deserialize<'de> for Bytes {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Visit;
            impl serde::de::Visitor<'_> for Visit {
                type Value = Bytes;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("bytes")
                }
                fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                    Ok(Bytes(bytes.to_vec()))
                }
            }
            deserializer.deserialize_byte_buf(Visit)
        }
    }
    survives(&Bytes(vec![0, 255]), "[0 255]");
    assert_eq!(from_str::<&[u8]>("\"ab\"").unwrap(), b"ab");
    assert!(fails::<Bytes>("[1 256]").ends_with("at byte 3 in [1]"));
}

#[test]
fn a_raw_form_keeps_its_text() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Envelope {
        id: Keyword,
        data: Option<RawEdn>,
    }
    let text = "{:id :a/b, :data #:x{:y   1,}}";
    let envelope: Envelope = from_str(text).unwrap();
    assert_eq!(envelope.data.as_ref().unwrap().as_str(), "#:x{:y   1,}");
    assert_eq!(to_string(&envelope).unwrap(), text);
    assert_eq!(to_value(&envelope).unwrap(), read(text));
    let none: Envelope = from_str("{:id :a :data nil}").unwrap();
    assert_eq!(none.data, None);
    let (_, raw): (u8, RawEdnRef<'_>) = from_str("[1 #a ^:m [ 2 ] ; c\n]").unwrap();
    assert_eq!(raw.as_str(), "#a ^:m [ 2 ]");
    let lines = RawEdn::new(" [1\n 2] ").unwrap();
    assert_eq!(
        (lines.as_str(), to_string(&lines).unwrap().as_str()),
        ("[1\n 2]", "[1 2]")
    );
    assert!(RawEdn::new("1 2").is_err() && RawEdn::new("[").is_err() && RawEdn::new("").is_err());
    let keys: Vec<RawEdn> = from_str::<BTreeMap<Keyed, u8>>("#:n{:a 1, b 2, \"c\" 3, {:d 1} 4}")
        .unwrap()
        .into_values()
        .map(|number| RawEdn::new(&number.to_string()).unwrap())
        .collect();
    assert_eq!(keys.len(), 4);
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Keyed(String);

impl<'de> Deserialize<'de> for Keyed {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        RawEdn::deserialize(deserializer).map(|raw| Self(raw.to_string()))
    }
}

#[test]
fn a_raw_key_has_the_namespace_of_its_map() {
    let map: BTreeMap<Keyed, u8> = from_str("#:n{:a 1, b 2, \"c\" 3, {:d 1} 4}").unwrap();
    let keys: Vec<&str> = map.keys().map(|key| key.0.as_str()).collect();
    assert_eq!(keys, ["\"c\"", ":n/a", "n/b", "{:d 1}"]);
}

#[test]
fn errors_say_what_is_wrong_and_where() {
    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "never made")]
    struct Group {
        users: Vec<User>,
    }
    let text = "{:users [{:user/id 1, :name nil} {:user/id :x}]}";
    let error = from_str::<Group>(text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "found keyword `:x`, expected u32 at byte 43 in [:users 1 :user/id]"
    );
    assert_eq!((error.offset(), error.read_error()), (Some(43), None));
    let error = from_value::<Group>(&read(text)).unwrap_err();
    assert_eq!(
        (error.offset(), error.path().as_str()),
        (None, "[:users 1 :user/id]")
    );
    assert_eq!(
        fails::<Group>("{:users [{}]}"),
        "missing field `user/id` at byte 9 in [:users 0]"
    );
    let error = from_str::<Value>("[1 2").unwrap_err();
    assert!(error.read_error().unwrap().is_incomplete());
    assert_eq!(
        error.to_string(),
        "the text ends inside a vector; expected a form or `]` at byte 0"
    );
    assert_eq!(fails::<u8>("1 2"), "expected the end of the text at byte 2");
    assert_eq!(
        fails::<Value>("[{:a 1 :a 2}]"),
        "the map has this key already at byte 7"
    );
    assert_eq!(
        fails::<(u8, u8)>("[1 2 3]"),
        "expected only 2 items at byte 0"
    );
    assert_eq!(
        fails::<(u8, u8)>("[1]"),
        "invalid length 1, expected a tuple of size 2 at byte 0"
    );
    assert_eq!(
        fails::<Keyword>("\"a\""),
        "found a string, expected a keyword at byte 0"
    );
    assert_eq!(
        fails::<Set>("[1]"),
        "found a vector, expected a set at byte 0"
    );
    assert_eq!(
        fails::<List>("[1]"),
        "found a vector, expected a list at byte 0"
    );
    assert_eq!(
        fails::<Vec<u8>>("#a [1]"),
        "found a form tagged `#a`, expected a sequence at byte 0"
    );
    assert!(
        from_slice::<Value>(b"\"\xff\"")
            .unwrap_err()
            .read_error()
            .is_some()
    );
    let twice = BTreeMap::from([(Some(1), 'a'), (Some(2), 'b')]);
    assert!(to_value(&twice).is_ok());
}

#[test]
fn what_is_too_deep_is_an_error_both_ways() {
    let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
    let deep: Value = from_str(&nested(128)).unwrap();
    assert_eq!(to_string(&deep).unwrap(), nested(128));
    assert_eq!(to_value(&deep).unwrap(), deep);
    assert_eq!(from_value::<Value>(&deep).unwrap(), deep);
    assert!(from_str::<Value>(&nested(129)).is_err());
    let deeper = read(&nested(129));
    assert!(from_value::<Value>(&deeper).is_err());
    assert!(to_string(&deeper).is_err() && to_value(&deeper).is_err());
    assert!(serde_json::to_string(&deeper).is_err());
    for open in ["#a ", "{:a ", "#_", "^:a ", "#{", "{"] {
        assert!(from_str::<Value>(&open.repeat(100_000)).is_err());
    }
    let mut tagged = Value::Nil;
    for _ in 0..100_000 {
        tagged = Value::Tagged(Tagged::new(Symbol::new("a").unwrap(), tagged).unwrap());
    }
    assert!(from_value::<Value>(&tagged).is_err());
    assert!(to_string(&tagged).is_err());
    assert!(from_value::<IgnoredAny>(&tagged).is_ok());
    let options = Options::default().limits(Limits::default().max_depth(2));
    assert!(from_slice_with::<Value>(b"[[]]", &options).is_ok());
    assert!(from_slice_with::<Value>(b"[[[]]]", &options).is_err());
    assert!(to_string_with(&[[[1]]], &options).is_err());
}

#[test]
fn keys_that_are_equal_in_edn_are_found_when_a_value_is_made() {
    struct Twice;
    impl Serialize for Twice {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_map([(1, 'a'), (1, 'b')])
        }
    }
    let error = to_value(&Twice).unwrap_err();
    assert_eq!(error.to_string(), "two keys of a map are equal in EDN");
    assert!(from_str::<Value>(&to_string(&Twice).unwrap()).is_err());
}

#[test]
fn other_formats_have_strings_for_what_they_lack() {
    #[track_caller]
    fn through_json<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, json: &str) {
        assert_eq!(serde_json::to_string(value).unwrap(), json);
        assert_eq!(&serde_json::from_str::<T>(json).unwrap(), value);
    }
    through_json(&Keyword::new("a/b").unwrap(), "\":a/b\"");
    through_json(
        &BTreeMap::from([(Keyword::new("a").unwrap(), 1)]),
        "{\":a\":1}",
    );
    through_json(&Symbol::new("a").unwrap(), "\"a\"");
    through_json(&BigInt::from(7_i64), "\"7\"");
    through_json(&Decimal::new("1.50").unwrap(), "\"1.50\"");
    through_json(&unwrap_ratio("1/3"), "\"1/3\"");
    through_json(
        &Inst::from_millis(0).unwrap(),
        "\"1970-01-01T00:00:00.000-00:00\"",
    );
    through_json(
        &Uuid::from_u128(1),
        "\"00000000-0000-0000-0000-000000000001\"",
    );
    through_json(&List::from(vec![Value::Int(1)]), "[1]");
    through_json(&Set::from([1, 2]), "[1,2]");
    through_json(&Map::from([("a", 1)]), "{\"a\":1}");
    through_json(
        &Tagged::new(Symbol::new("a").unwrap(), 1).unwrap(),
        "[\"a\",1]",
    );
    through_json(&RawEdn::new("{:a 1}").unwrap(), "\"{:a 1}\"");
    let value: Value = serde_json::from_str("[null,true,1,1.5,\"a\",{\"b\":[]}]").unwrap();
    assert_eq!(value, read("[nil true 1 1.5 \"a\" {\"b\" []}]"));
    assert_eq!(
        serde_json::to_string(&read("{:a #{\\b}}")).unwrap(),
        "{\":a\":[\"b\"]}"
    );
}

#[test]
fn a_serializer_and_a_deserializer_can_be_used_by_themselves() {
    let mut serializer = Serializer::new(&Options::default());
    serde_json::json!({"a": [1, null]})
        .serialize(&mut serializer)
        .unwrap();
    assert_eq!(serializer.into_string(), "{\"a\" [1 nil]}");
    let mut deserializer = Deserializer::from_slice(b"{:a [1]}", &Options::default()).unwrap();
    let json = serde_json::Value::deserialize(&mut deserializer).unwrap();
    assert_eq!(json, serde_json::json!({"a": [1]}));
    assert!(
        u8::deserialize(&mut deserializer).is_err(),
        "there is only one form"
    );
    let value = read("1");
    let mut deserializer = Deserializer::from_value(&value, &Options::default());
    assert_eq!(u8::deserialize(&mut deserializer).unwrap(), 1);
    assert!(u8::deserialize(&mut deserializer).is_err());
    assert_eq!(to_vec("a").unwrap(), b"\"a\"");
}
