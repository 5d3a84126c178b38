//! Keys that a peer has made to collide are told apart, in time that grows as it should.
//!
//! There are no timings here: a quadratic algorithm would simply not finish.
#![allow(missing_docs)]

mod colliding;

use colliding::{TWINS, colliding};
use sente_edn::{Cursor, ErrorKind, Limits, Map, Set, Value, from_slice_with, from_str};

fn unlimited() -> Limits {
    Limits::unlimited()
}

fn fingerprint(value: &Value) -> u64 {
    use std::hash::{Hash, Hasher};
    struct Last(u64);
    impl Hasher for Last {
        fn finish(&self) -> u64 {
            self.0
        }
        fn write(&mut self, _: &[u8]) {}
        fn write_u64(&mut self, value: u64) {
            self.0 = value;
        }
    }
    let mut last = Last(0);
    value.hash(&mut last);
    last.finish()
}

#[test]
fn the_twins_do_share_a_fingerprint() {
    let [a, b] = TWINS.map(|twin| fingerprint(&Value::Int(twin)));
    assert_eq!(a, b);
}

#[test]
fn keys_that_share_a_fingerprint_are_not_the_same() {
    let [a, b] = TWINS;
    for text in [
        format!("#{{{a} {b}}}"),
        format!("{{{a} 1, {b} 2}}"),
        format!("[{{[{a}] 1, [{b}] 2}}]"),
    ] {
        let value = from_str(&text).unwrap();
        assert_eq!(value.to_string(), text);
        let form = Cursor::new(text.as_bytes(), &Limits::default())
            .skip()
            .unwrap();
        assert_eq!(form.end(), text.len());
        assert_eq!(value, from_str(&text).unwrap());
    }
    assert_ne!(
        from_str(&format!("#{{{a}}}")),
        from_str(&format!("#{{{b}}}"))
    );
}

#[test]
fn a_repeated_key_is_found_among_keys_that_share_its_fingerprint() {
    let [a, b] = TWINS;
    for (text, offset) in [
        (format!("#{{{a} {b} {a}}}"), 42),
        (format!("#{{{a} {b} {b}N}}"), 42),
        (format!("[#{{{a} {b}}} {{[{a}] 1 [{b}] 2 ({a}) 3}}]"), 93),
    ] {
        let error = from_str(&text).unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::RepeatedKey | ErrorKind::RepeatedElement
        ));
        assert_eq!(error.offset(), offset, "{text}");
        let skipped = Cursor::new(text.as_bytes(), &Limits::default())
            .skip()
            .unwrap_err();
        assert_eq!(skipped, error);
    }
}

#[test]
fn thousands_of_keys_that_share_a_fingerprint_are_read() {
    let keys: Vec<String> = colliding(11).collect();
    let set = format!("#{{{}}}", keys.join(" "));
    let value = from_slice_with(set.as_bytes(), &unlimited()).unwrap();
    assert_eq!(value.as_set().unwrap().len(), 2048);
    let mut reversed = keys.clone();
    reversed.reverse();
    let reversed = from_slice_with(
        format!("#{{{}}}", reversed.join(" ")).as_bytes(),
        &unlimited(),
    );
    assert!(value == reversed.unwrap());
    let repeated = format!("#{{{} {}}}", keys.join(" "), keys[77]);
    let error = from_slice_with(repeated.as_bytes(), &unlimited()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RepeatedElement);
    assert_eq!(error.offset(), set.len());
    assert_eq!(
        Cursor::new(repeated.as_bytes(), &unlimited())
            .skip()
            .unwrap_err(),
        error
    );
}

/// A regression: each key was compared with all before it.
#[test]
fn tens_of_thousands_of_keys_that_share_a_fingerprint_are_collected() {
    let keys: Vec<Value> = colliding(15).map(|key| from_str(&key).unwrap()).collect();
    let (half, other) = keys.split_at(keys.len() / 2);
    let set: Set = keys.iter().chain(&keys).cloned().collect();
    assert!(set.iter().eq(&keys));
    let mut set: Set = half.iter().cloned().collect();
    set.extend(half.iter().chain(other).cloned());
    assert!(set.iter().eq(&keys));
    let numbers = 0..i64::MAX;
    let mut map: Map = keys.iter().chain(half).cloned().zip(numbers).collect();
    assert!(map.keys().eq(&keys));
    assert_eq!(map.get(&keys[0]), Some(&Value::Int(1 << 15)));
    assert_eq!(map.get(&keys[half.len()]), Some(&Value::Int(1 << 14)));
    // Fewer than there are go in one by one until they are found to collide.
    map.extend(other.iter().skip(1).cloned().map(|key| (key, -1)));
    assert!(map.keys().eq(&keys));
    assert_eq!(map.get(&keys[half.len()]), Some(&Value::Int(1 << 14)));
    assert_eq!(map.get(&keys[half.len() + 1]), Some(&Value::Int(-1)));
}

/// What fills a map by itself collides with nothing there, but among itself.
#[test]
fn keys_that_collide_among_themselves_are_added_to_a_large_set() {
    let keys: Vec<Value> = colliding(14).map(|key| from_str(&key).unwrap()).collect();
    let mut set: Set = (0..20_000_i64).collect();
    set.extend(keys.iter().cloned());
    assert!(set.iter().skip(20_000).eq(&keys));
    assert!((0..20_000_i64).all(|number| set.contains(&Value::Int(number))));
}

/// Each level needs the fingerprint of what is below, and would go through all of it again.
#[test]
fn a_large_key_beside_small_ones_at_every_level_is_not_gone_through_each_time() {
    let [a, b] = TWINS;
    let small = [a, b].map(|twin| from_str(&format!("[{twin}]")).unwrap());
    let mut value: Value = (0..1_000_000_i64).map(Value::from).collect();
    for _ in 0..5_000 {
        let [one, other] = small.clone();
        value = Value::from(Set::from([value, one, other]));
    }
    let mut depth = 0;
    let mut inner = &value;
    while let Value::Set(set) = inner {
        assert_eq!(set.len(), 3);
        depth += 1;
        inner = set.iter().next().unwrap();
    }
    assert_eq!(depth, 5_000);
}

#[test]
fn collisions_at_every_level_are_checked_in_one_go() {
    let [a, b] = TWINS;
    let depth = 5_000;
    // Each level is a key of the next, beside two keys that share a fingerprint.
    let text = format!(
        "{}0{}",
        "{".repeat(depth),
        format!(" 1 {a} 2 {b} 3}}").repeat(depth)
    );
    let value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
    assert!(value == value.clone());
    assert_eq!(
        Cursor::new(text.as_bytes(), &unlimited())
            .skip()
            .unwrap()
            .end(),
        text.len()
    );
    let text = format!(
        "{}0{}",
        "#{".repeat(depth),
        format!(" {a} {b}}}").repeat(depth)
    );
    assert!(from_slice_with(text.as_bytes(), &unlimited()).is_ok());
}

#[test]
fn large_maps_and_sets_are_read_searched_and_changed() {
    let entries = 20_000;
    let text: Vec<String> = (0..entries)
        .map(|n| format!(":k{n} {n}, \"s{n}\" {n}"))
        .collect();
    let text = format!("{{{}}}", text.join(", "));
    let mut value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
    assert_eq!(value.to_string(), text);
    for n in 0..entries {
        assert_eq!(value.get_keyword(&format!("k{n}")), Some(&Value::Int(n)));
        assert_eq!(
            value.get(&Value::from(format!("s{n}"))),
            Some(&Value::Int(n))
        );
    }
    assert_eq!(value.get_keyword("k20000"), None);
    let Value::Map(map) = &mut value else {
        panic!("a map")
    };
    for n in 0..entries {
        assert_eq!(
            map.insert(Value::keyword(&format!("k{n}")).unwrap(), -n),
            Some(Value::Int(n))
        );
        map.insert(n, n);
    }
    assert_eq!(map.len(), 60_000);
    assert_eq!(map.get(&Value::from(19_999)), Some(&Value::Int(19_999)));
    assert_eq!(map.remove(&Value::from("s5")), Some(Value::Int(5)));
    assert_eq!(map.get(&Value::from("s6")), Some(&Value::Int(6)));
    let set: Set = (0..entries).chain(0..entries).collect();
    assert_eq!(set.len(), 20_000);
    assert!(set.contains(&Value::from(19_999)) && !set.contains(&Value::from(-1)));
}

#[test]
fn maps_of_maps_as_keys_are_compared_from_the_leaves_up() {
    // Two equal keys whose parts are in another order at every one of 15 levels.
    let build = |swap: bool| {
        let mut text = String::from("1");
        for level in 0..15 {
            text = if swap {
                format!("{{:y{level} {text}, {text} :x}}")
            } else {
                format!("{{{text} :x, :y{level} {text}}}")
            };
        }
        text
    };
    let (a, b) = (build(false), build(true));
    let both = format!("[{a} {b}]");
    let value = from_slice_with(both.as_bytes(), &unlimited()).unwrap();
    let items = value.as_sequence().unwrap();
    assert!(items[0] == items[1] && items[0].identical(&items[1]));
    let map = Map::from([(items[0].clone(), 1)]);
    assert!(map.contains_key(&items[1]));
    let set = format!("#{{{a} {b}}}");
    let error = from_slice_with(set.as_bytes(), &unlimited()).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::RepeatedElement);
}

#[test]
fn long_atoms_take_linear_time() {
    let digits = "123456789".repeat(30_000);
    for text in [
        digits.clone(),
        format!("{digits}N"),
        format!("{digits}.{digits}"),
        format!("{digits}.{digits}M"),
        format!("1e{digits}"),
        format!(":{}", "a/".repeat(50_000) + "b"),
        format!("\"{}\"", "\\u00e9".repeat(30_000)),
        format!("#inst \"2020-01-01T00:00:00.{digits}Z\""),
        format!("{}1", ";c\n".repeat(50_000)),
        format!("{}1", "#_0 ".repeat(50_000)),
        format!("[{}]", "#_0 ".repeat(50_000)),
    ] {
        let value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
        assert!(from_slice_with(value.to_string().as_bytes(), &unlimited()).unwrap() == value);
        assert!(Cursor::new(text.as_bytes(), &unlimited()).skip().is_ok());
    }
    let refused = format!("1e{digits}M");
    assert!(from_slice_with(refused.as_bytes(), &unlimited()).is_err());
}

/// A regression: every large set went through all that its elements hold once more.
#[test]
fn large_sets_within_large_sets_cost_no_more_than_their_text() {
    let levels = 20_000;
    let many = "0 ".repeat(200_000);
    for (open, close, count) in [("#{", "}", 17), ("{", " 1}", 34)] {
        let ints: Vec<_> = (0..count).map(|n| n.to_string()).collect();
        let ints = ints.join(" ");
        let text = format!(
            "{}[{many}]{}",
            format!("{open}{ints} ").repeat(levels),
            close.repeat(levels)
        );
        let value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
        let copy = value.clone();
        assert_eq!(fingerprint(&copy), fingerprint(&value));
        assert!(copy == value);
    }
}

/// Keys of half a megabyte each, and tens of thousands of them, would be tens of gigabytes.
#[test]
fn the_namespace_of_a_map_is_not_copied_without_bound() {
    let text = |namespace: usize| {
        let keys: String = (0..60_000).map(|key| format!(":k{key} 1 ")).collect();
        format!("#:{}{{{keys}}}", "n".repeat(namespace))
    };
    let limits = Limits::default();
    let longest = text(256);
    let value = from_slice_with(longest.as_bytes(), &limits).unwrap();
    assert_eq!(value.as_map().unwrap().len(), 60_000);
    let bomb = text(400_000);
    let error = from_slice_with(bomb.as_bytes(), &limits).unwrap_err();
    assert_eq!(*error.kind(), ErrorKind::LongNamespace { limit: 256 });
    assert_eq!((error.offset(), error.is_incomplete()), (2, false));
    let skipped = Cursor::new(bomb.as_bytes(), &limits).skip().unwrap_err();
    assert_eq!(skipped, error);
    let open = from_str(&format!("#:{}", "n".repeat(257))).unwrap_err();
    assert_eq!(open, error);
}

/// Values that differ in one place only, which stand together in real texts.
#[test]
fn values_that_are_merely_alike_do_not_share_a_fingerprint() {
    let rows = [
        ("\"aaaaaaaa-7dec-11d0\"", "\"bbbbbbbb-7dec-11d0\""),
        ("\"aaaaaaaabbbbbbbbc\"", "\"aaaaaaaxbbbbbbbbc\""),
        (
            "\"aaaaaaaabbbbbbbbcccccccc\"",
            "\"aaaaaaaaxxxxxxxxcccccccc\"",
        ),
        (":user-001/display-name", ":user-002/display-name"),
        ("user-001/display-name", "user-002/display-name"),
        ("{nil 1}", "{nil 2}"),
        ("[nil 1]", "[nil 2]"),
        ("#{nil 1}", "#{nil 2}"),
        ("-1M", "10M"),
        ("-1.0M", "10M"),
        ("1.5M", "-0.15M"),
        ("nil", "false"),
    ];
    for (a, b) in rows {
        let [a, b] = [a, b].map(|text| from_str(text).unwrap());
        assert_ne!(fingerprint(&a), fingerprint(&b), "{a} {b}");
    }
}
