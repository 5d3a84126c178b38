//! Rust types as MessagePack.
#![allow(missing_docs)]

mod packer_msgpack_support;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Debug;
use std::thread;

use packer_msgpack_support::{edn, hex, pack, pack_message, show};
use sente_core::packer::msgpack::{MAX_DEPTH, from_slice, to_vec, to_writer};
use sente_edn::serde::RawEdn;
use sente_edn::{
    BigInt, Decimal, Inst, Keyword, List, Map, Ratio, Set, Symbol, Tagged, Uuid, Value, Vector,
};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Serialize, Serializer};

/// A Rust value is packed as this EDN is, and comes back.
#[track_caller]
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T, text: &str) {
    let packed = to_vec(value).unwrap();
    let tree = edn(text).unwrap();
    assert_eq!(show(&packed), show(&pack(&tree)), "{text}");
    assert_eq!(&from_slice::<T>(&packed).unwrap(), value);
    let mut behind = vec![1];
    to_writer(&mut behind, value).unwrap();
    assert_eq!(behind.split_off(1), packed);
    assert_eq!(from_slice::<IgnoredAny>(&packed).unwrap(), IgnoredAny);
}

/// This EDN, packed, is this Rust value.
#[track_caller]
fn reads<T: DeserializeOwned + PartialEq + Debug>(text: &str, value: &T) {
    let tree = edn(text).unwrap();
    assert_eq!(&from_slice::<T>(&pack(&tree)).unwrap(), value);
    assert_eq!(&from_slice::<T>(&pack_message(&tree)).unwrap(), value);
}

#[track_caller]
fn fails<T: DeserializeOwned + Debug>(text: &str) -> String {
    let packed = pack(&edn(text).unwrap());
    from_slice::<T>(&packed).unwrap_err().to_string()
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
    survives(&i64::MIN, "-9223372036854775808");
    survives(&i64::MAX.unsigned_abs(), "9223372036854775807");
    survives(&7_u128, "7");
    survives(&-7_i128, "-7");
    survives(&1.0_f64, "1.0");
    survives(&f64::NEG_INFINITY, "##-Inf");
    survives(&'a', "\\a");
    survives(&'\u{1f600}', "\"\u{1f600}\"");
    survives(&String::from("a\"\n"), r#""a\"\n""#);
    survives(&"x".repeat(300), &format!("\"{}\"", "x".repeat(300)));
    survives(&Some(1), "1");
    survives(&None::<i32>, "nil");
    survives(&vec![1, 2], "[1 2]");
    survives(&vec![0; 20], "[0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0]");
    survives(&(1, String::from("b"), 'c'), r#"[1 "b" \c]"#);
    survives(
        &BTreeMap::from([((1, 2), 'a'), ((3, 4), 'b')]),
        "{[1 2] \\a, [3 4] \\b}",
    );
    survives(&BTreeMap::<i32, ()>::new(), "{}");
    let nan: f64 = from_slice(&to_vec(&f64::NAN).unwrap()).unwrap();
    assert!(nan.is_nan());
}

#[test]
fn types_of_edn_survive() {
    survives(&Keyword::new("user/id").unwrap(), ":user/id");
    survives(&Symbol::new("a.b/c!").unwrap(), "a.b/c!");
    survives(&BigInt::from(7_i64), "7N");
    survives(&Decimal::new("0.1").unwrap(), "0.1M");
    survives(&Decimal::new("1e30").unwrap(), "1e30M");
    let Some(Value::Ratio(ratio)) = edn("-1/3") else {
        panic!("no ratio");
    };
    survives(&ratio, "-1/3");
    survives(
        &Inst::from_millis(-1).unwrap(),
        "#inst \"1969-12-31T23:59:59.999Z\"",
    );
    survives(
        &Uuid::from_u128(0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6),
        "#uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\"",
    );
    survives(&List::from(vec![Value::Int(1)]), "(1)");
    survives(&Vector::from(vec![Value::Int(1)]), "[1]");
    survives(&Set::from([1, 2]), "#{1 2}");
    survives(&Map::from([("a", 1)]), "{\"a\" 1}");
    for text in [
        "#bytes/b64 \"AAE=\"",
        "#array/int [1 2]",
        "#array/float [0.1]",
        "#msgpack/ext [99 \"AAE=\"]",
    ] {
        let tagged: Tagged = edn(text).unwrap().as_tagged().unwrap().clone();
        survives(&tagged, text);
    }
    survives(&RawEdn::new("{:a [1 #{2}]}").unwrap(), "{:a [1 #{2}]}");
    survives(&BTreeMap::from([(Keyword::new("a").unwrap(), 1)]), "{:a 1}");
}

#[test]
fn a_value_survives_with_everything_in_it() {
    let text = "[nil true 1 1.5 ##Inf 1/3 \\a \"s\" :k/w sym [1] #{[2]} {{:a 1} #{nil}} \
                #inst \"2026-01-02T03:04:05.678Z\" \
                #uuid \"f81d4fae-7dec-11d0-a765-00a0c91e6bf6\" #bytes/b64 \"AA==\" \
                #array/double [1.5] #msgpack/ext [50 \"AA==\"] #msgpack/ext [0 \"YSBi\"]]";
    let value = edn(text).unwrap();
    let packed = to_vec(&value).unwrap();
    assert_eq!(show(&packed), show(&pack(&value)));
    assert!(from_slice::<Value>(&packed).unwrap().identical(&value));
    let large = from_slice::<Value>(&hex("cfffffffffffffffff")).unwrap();
    assert_eq!(large, Value::from(u64::MAX));
}

#[test]
fn structs_have_keywords_for_names_and_take_strings_as_well() {
    let user = User {
        id: 7,
        name: Some("é".to_owned()),
    };
    survives(&user, "{:user/id 7, :name \"é\"}");
    reads("{\"name\" \"é\", \"user/id\" 7, :more [{:x 1}]}", &user);
    reads(
        "[{:user/id 1 :name nil :skipped {:deep #{{:user/id 9}}}} {:deep 3 :name \"b\" :user/id 2}]",
        &vec![
            User { id: 1, name: None },
            User {
                id: 2,
                name: Some("b".to_owned()),
            },
        ],
    );
    assert_eq!(
        fails::<Vec<User>>("[{:user/id 1} {:name 3, :user/id 2}]"),
        "found integer `3`, expected a string at byte 20 in [1 :name]"
    );
    assert!(fails::<User>("{:name nil}").contains("user/id"));
    assert!(fails::<User>("[1 nil]").contains("found an array"));
}

#[test]
fn fields_are_found_in_any_order_whatever_is_left_out_or_between_them() {
    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Fields {
        a: u8,
        ab: u8,
        abc: u8,
        abd: u8,
        abcd: u8,
        abcdefgh: u8,
        abcdefgx: u8,
        abcdefghi: u8,
        sixteen_letters_: u8,
    }
    let fields = Fields {
        a: 1,
        ab: 2,
        abc: 3,
        abd: 4,
        abcd: 5,
        abcdefgh: 6,
        abcdefgx: 7,
        abcdefghi: 8,
        sixteen_letters_: 9,
    };
    let text = ":a 1, \"ab\" 2, :abc 3, :abd 4, \"abcd\" 5, :abcdefgh 6, :abcdefgx 7, \
        \"abcdefghi\" 8, :sixteen_letters_ 9, :abcdxfgh 10, \"aXc\" 11";
    let mut entries: Vec<_> = text.split(", ").collect();
    for step in [1, 3, 4] {
        for _ in 0..entries.len() {
            entries.rotate_left(step);
            reads(&format!("{{{}}}", entries.join(" ")), &fields);
        }
        entries.reverse();
    }
    entries.retain(|entry| *entry != ":abd 4");
    let without = Fields { abd: 0, ..fields };
    reads(&format!("{{{}}}", entries.join(" ")), &without);
}

#[test]
fn enums_have_the_forms_they_have_in_edn() {
    survives(&Plain::Unit, ":Unit");
    survives(&Plain::New(1), "{:New 1}");
    survives(&Plain::Tuple(1, "b".to_owned()), "{:Tuple [1 \"b\"]}");
    survives(
        &Plain::Struct { a: 1, b: true },
        "{:Struct {:a 1, :b/c true}}",
    );
    reads(
        "[\"Unit\" {\"New\" 2} {\"Unit\" nil}]",
        &vec![Plain::Unit, Plain::New(2), Plain::Unit],
    );
    // References stand for the names of variants and fields.
    reads(
        "[{:Struct {:a 1 :b/c true}} {:Struct {:b/c false :a 2}}]",
        &vec![
            Plain::Struct { a: 1, b: true },
            Plain::Struct { a: 2, b: false },
        ],
    );
    for text in [
        "{}",
        "{:New 1, :Unit nil}",
        "1",
        ":Nothing",
        "{:Tuple [1]}",
        "{:Tuple [1 \"a\" 2]}",
    ] {
        fails::<Plain>(text);
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Internally {
    Unit,
    Fields { a: Option<i64>, b: String },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", content = "c")]
enum Adjacently {
    Unit,
    Tuple(i64, f64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Flag(bool),
    Numbers(Vec<i64>),
    Fields { a: i64 },
    Text(String),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    a: i64,
    #[serde(flatten)]
    rest: BTreeMap<String, i64>,
}

#[test]
fn tagged_enums_and_flattened_structs_survive() {
    survives(&Internally::Unit, "{:type \"Unit\"}");
    survives(
        &Internally::Fields {
            a: None,
            b: "b".to_owned(),
        },
        "{:type \"Fields\", :a nil, :b \"b\"}",
    );
    survives(&Adjacently::Unit, "{:t :Unit}");
    survives(&Adjacently::Tuple(1, 2.5), "{:t :Tuple, :c [1 2.5]}");
    survives(&Untagged::Flag(true), "true");
    survives(&Untagged::Numbers(vec![1]), "[1]");
    survives(&Untagged::Fields { a: 1 }, "{:a 1}");
    survives(&Untagged::Text("x".to_owned()), "\"x\"");
    reads(
        "[#{1} #array/int [2] :x]",
        &vec![
            Untagged::Numbers(vec![1]),
            Untagged::Numbers(vec![2]),
            Untagged::Text("x".to_owned()),
        ],
    );
    // serde writes these as maps with strings for keys, of a length it does not know beforehand.
    let flat = Flat {
        a: 1,
        rest: BTreeMap::from([("b".to_owned(), 2)]),
    };
    survives(&flat, "{\"a\" 1, \"b\" 2}");
    reads("{:a 1, :b 2}", &flat);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sets {
    #[serde(with = "sente_edn::serde::as_set")]
    ids: BTreeSet<u16>,
    #[serde(with = "sente_edn::serde::as_set")]
    names: Vec<BTreeMap<String, u8>>,
    #[serde(with = "sente_edn::serde::as_list")]
    list: Vec<u8>,
}

#[test]
fn sets_are_written_where_a_field_asks_for_them() {
    let sets = Sets {
        ids: (1..40).map(|id| id * 1000).collect(),
        names: vec![BTreeMap::from([("a".to_owned(), 1)]), BTreeMap::new()],
        list: vec![1],
    };
    let ids: Vec<String> = (1..40).map(|id| (id * 1000).to_string()).collect();
    let text = format!(
        "{{:ids #{{{}}} :names #{{{{\"a\" 1}} {{}}}} :list (1)}}",
        ids.join(" ")
    );
    survives(&sets, &text);
    reads(
        "{:ids [1] :names [] :list [1]}",
        &Sets {
            ids: BTreeSet::from([1]),
            names: Vec::new(),
            list: vec![1],
        },
    );
}

#[test]
fn bytes_and_typed_arrays_are_what_they_are_in_rust() {
    struct Blob(Vec<u8>);
    impl Serialize for Blob {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.serialize_bytes(&self.0)
        }
    }
    for length in [0, 255, 256, 65_536] {
        let packed = to_vec(&Blob(vec![7; length])).unwrap();
        assert_eq!(from_slice::<&[u8]>(&packed).unwrap(), vec![7; length]);
        assert_eq!(from_slice::<Vec<u8>>(&packed).unwrap(), vec![7; length]);
    }
    reads("#array/int [1 -2]", &vec![1_i32, -2]);
    reads("#array/int [1 -2]", &(1_i64, -2_i8));
    reads("#array/float [0.1]", &vec![0.1_f32]);
    reads("#array/double [1.5]", &vec![1.5_f32]);
    reads("[1 255]", &Bytes(vec![1, 255]));
    fails::<Bytes>("[256]");
    fails::<(i32,)>("#array/int [1 2]");
    fails::<Vec<i8>>("#array/int [128]");
}

/// Bytes as a type that asks for bytes gets them.
#[derive(Debug, PartialEq)]
struct Bytes(Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Bytes;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[test]
fn strings_are_borrowed_if_they_can_be() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Both<'a> {
        slice: &'a str,
        #[serde(borrow)]
        either: Cow<'a, str>,
    }
    let packed = pack(&edn("{:slice \"a\", :either \"b\"}").unwrap());
    let both: Both<'_> = from_slice(&packed).unwrap();
    assert_eq!(both.slice, "a");
    assert!(packed.as_ptr_range().contains(&both.slice.as_ptr()));
    assert!(matches!(both.either, Cow::Borrowed("b")));
    // What is not UTF-8 becomes U+FFFD, and that cannot be borrowed.
    let replaced: Cow<'_, str> = from_slice(&hex("a2c328")).unwrap();
    assert_eq!(replaced, "\u{fffd}(");
    assert!(from_slice::<&str>(&hex("a2c328")).is_err());
    // Behind a reference, too.
    let packed = pack_message(&edn("[{\"key\" 1} {\"key\" 2}]").unwrap());
    let maps: Vec<HashMap<&str, u8>> = from_slice(&packed).unwrap();
    assert_eq!(maps[1]["key"], 2);
}

#[test]
fn numbers_are_taken_in_every_form_that_fits() {
    for (packed, value) in [
        ("cc05", 5_i8),
        ("cd0005", 5),
        ("cf0000000000000005", 5),
        ("d3ffffffffffffffff", -1),
    ] {
        assert_eq!(from_slice::<i8>(&hex(packed)).unwrap(), value);
        assert_eq!(from_slice::<f64>(&hex(packed)).unwrap(), f64::from(value));
    }
    assert_eq!(
        from_slice::<u64>(&hex("cfffffffffffffffff")).unwrap(),
        u64::MAX
    );
    assert_eq!(from_slice::<f32>(&hex("ca3dcccccd")).unwrap(), 0.1);
    assert_eq!(show(&to_vec(&0.1_f32).unwrap()), "ca3dcccccd");
    assert!(from_slice::<u8>(&hex("cd0100")).is_err());
    assert!(from_slice::<u8>(&hex("ff")).is_err());
    assert!(from_slice::<i64>(&hex("cb3ff0000000000000")).is_err());
    for error in [
        to_vec(&u64::MAX),
        to_vec(&i128::MAX),
        to_vec(&u128::MAX),
        to_vec(&i128::MIN),
    ] {
        assert!(error.unwrap_err().to_string().contains("64 bits"));
    }
}

#[test]
fn keys_are_found_behind_references_wherever_they_were_named() {
    // In what is skipped, in what is a value, in a set, and in keys.
    let text =
        "[{:skipped [{:user/id 1} #{{:name 2}}] :user/id 3} {{:name 1} {:user/id 5 :name \"x\"}}]";
    let packed = pack_message(&edn(text).unwrap());
    type Second = HashMap<BTreeMap<String, u8>, User>;
    let (first, second): (User, Second) = from_slice(&packed).unwrap();
    assert_eq!(first, User { id: 3, name: None });
    let name = BTreeMap::from([("name".to_owned(), 1)]);
    assert_eq!(second[&name].name.as_deref(), Some("x"));

    let text = "[{:a 1 \"b\" 2 :c #{{:d 4}}} {:d 1 :c 2 \"b\" 3 :a 4}]";
    let value = edn(text).unwrap();
    let packed = pack_message(&value);
    assert!(from_slice::<Value>(&packed).unwrap().identical(&value));
    let (_, raw): (IgnoredAny, RawEdn) = from_slice(&packed).unwrap();
    assert_eq!(raw.as_str(), "{:d 1, :c 2, \"b\" 3, :a 4}");
    let (_, map): (IgnoredAny, BTreeMap<String, u8>) = from_slice(&packed).unwrap();
    assert_eq!(map["d"], 1);
    // An error names the key that is meant.
    let error = from_slice::<(IgnoredAny, BTreeMap<String, bool>)>(&packed).unwrap_err();
    assert_eq!(error.path(), "[1 :d]");
    // A number that no key has is nil; a reference that is no key is an error.
    assert!(from_slice::<BTreeMap<Option<u8>, u8>>(&hex("81d4080501")).is_ok());
    assert!(from_slice::<BTreeMap<String, u8>>(&hex("81d4080501")).is_err());
    for packed in ["d40800", "91d40800", "81a161d40800"] {
        assert!(from_slice::<Value>(&hex(packed)).is_err(), "{packed}");
        assert!(from_slice::<IgnoredAny>(&hex(packed)).is_err(), "{packed}");
    }
}

#[test]
fn what_does_not_fit_is_an_error_that_says_where() {
    assert_eq!(
        fails::<HashMap<String, Vec<u8>>>("{:ids [1 :x]}"),
        "found keyword `:x`, expected u8 at byte 9 in [:ids 1]"
    );
    assert_eq!(
        fails::<u8>("\\a"),
        "found a character, expected u8 at byte 0"
    );
    assert_eq!(fails::<[u8; 1]>("[1 2]"), "expected only 1 items at byte 0");
    assert!(fails::<[u8; 2]>("[1]").contains("length 1"));
    for text in [
        "nil",
        "[1]",
        "{:a 1}",
        "1.5",
        "#{1}",
        "#inst \"2026\"",
        "1/3",
        "sym",
        "#msgpack/ext [99 \"\"]",
    ] {
        assert!(fails::<bool>(text).starts_with("found "), "{text}");
    }
    fails::<Keyword>("\"a\"");
    fails::<Symbol>(":a");
    fails::<Inst>("\"2026\"");
    fails::<Uuid>("#inst \"2026\"");
    fails::<Ratio>("1");
    fails::<Set>("[1]");
    fails::<Tagged>("1");
    fails::<()>("1");
    fails::<char>("\"ab\"");
    fails::<String>(":a");
    let error = from_slice::<Vec<u8>>(&hex("9201")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the message ends within a value at byte 2"
    );
    assert!(from_slice::<u8>(&[]).is_err());
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Nested {
    next: Option<Box<Self>>,
}

fn nested(levels: usize) -> Nested {
    (1..levels).fold(Nested::default(), |inner, _| Nested {
        next: Some(Box::new(inner)),
    })
}

#[test]
fn types_may_nest_128_levels_on_a_small_stack() {
    // What a thread has unless told otherwise; tests are not optimised, so it takes the most here.
    let small = thread::Builder::new().stack_size(2 * 1024 * 1024);
    let tried = small.spawn(|| {
        let packed = to_vec(&nested(MAX_DEPTH)).unwrap();
        assert_eq!(from_slice::<Nested>(&packed).unwrap(), nested(MAX_DEPTH));
        let value: Value = from_slice(&packed).unwrap();
        assert_eq!(to_vec(&value).unwrap(), packed);
        assert!(to_vec(&nested(MAX_DEPTH + 1)).is_err());
        let mut arrays = vec![0x91; MAX_DEPTH + 1];
        arrays.push(0xc0);
        assert!(from_slice::<Value>(&arrays).is_err());
        assert!(from_slice::<IgnoredAny>(&arrays).is_err());
        assert!(from_slice::<Value>(&arrays[1..]).is_ok());
        assert!(from_slice::<IgnoredAny>(&arrays[1..]).is_ok());
        // One within another, past all limits.
        for head in [
            &[0x91_u8][..],
            &[0x81],
            &[0x81, 0xc0],
            &[0xd4, 4, 0x91],
            &[0xc9, 0, 0, 0xff, 0xff, 4, 0x91],
        ] {
            let deep = head.repeat(100_000);
            assert!(from_slice::<Value>(&deep).is_err());
            assert!(from_slice::<IgnoredAny>(&deep).is_err());
            assert!(from_slice::<RawEdn>(&deep).is_err());
        }
    });
    tried.unwrap().join().unwrap();
}

#[test]
fn a_sequence_that_does_not_have_what_it_said_is_an_error() {
    struct Liar(Option<usize>, usize);
    impl Serialize for Liar {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut items = serializer.serialize_seq(self.0)?;
            for _ in 0..self.1 {
                items.serialize_element(&1)?;
            }
            items.end()
        }
    }
    assert!(to_vec(&Liar(Some(2), 1)).is_err());
    assert!(to_vec(&Liar(Some(1), 2)).is_err());
    for length in [0, 15, 16, 65_536] {
        let packed = to_vec(&[Liar(None, length), Liar(Some(length), length)]).unwrap();
        let read: Vec<Vec<u8>> = from_slice(&packed).unwrap();
        assert_eq!(read, vec![vec![1; length]; 2]);
    }
}

#[test]
fn names_that_edn_has_no_keyword_for_are_written_as_they_are() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Odd {
        #[serde(rename = "a b")]
        blank: u8,
    }
    let packed = to_vec(&Odd { blank: 1 }).unwrap();
    assert_eq!(show(&packed), "81c7030061206201");
    assert_eq!(from_slice::<Odd>(&packed).unwrap(), Odd { blank: 1 });
}
