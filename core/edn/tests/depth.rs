//! However deep a text or value nests, it takes no more stack than a flat one.
#![allow(missing_docs)]

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::thread;

use sente_edn::{
    Cursor, ErrorKind, Limits, List, Map, Set, Symbol, Tagged, Value, Vector, from_slice,
    from_slice_with, read_first, to_string,
};

const DEEP: usize = 1_000_000;
/// Deep enough to break recursion, for what is tried in many ways.
const RATHER_DEEP: usize = 100_000;

/// Runs on a stack as small as those of most servers' threads.
fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

fn unlimited() -> Limits {
    Limits::unlimited()
}

#[test]
fn a_million_openings_are_an_error_by_default() {
    on_a_small_stack(|| {
        for opening in [
            "[", "(", "{", "#{", "#_", "#_ ", "^", "#a ", "#:a{", "{[", "##", "#:", "{:a ",
        ] {
            let text = opening.repeat(DEEP);
            let generous = Limits::default().max_bytes(Limits::UNLIMITED);
            let error = read_first(text.as_bytes(), &generous).unwrap_err();
            assert_eq!(
                *error.kind(),
                ErrorKind::TooDeep { limit: 512 },
                "{opening}"
            );
            let error = Cursor::new(text.as_bytes(), &generous).skip().unwrap_err();
            assert_eq!(
                *error.kind(),
                ErrorKind::TooDeep { limit: 512 },
                "{opening}"
            );
            assert!(from_slice(text.as_bytes()).is_err());
        }
    });
}

#[test]
fn a_million_openings_without_a_limit_are_an_incomplete_text() {
    on_a_small_stack(|| {
        for opening in [
            "[", "(", "{", "#{", "#_", "^", "#a ", "#:a{", "##", "#:", "{:a ",
        ] {
            let text = opening.repeat(DEEP);
            assert!(
                from_slice_with(text.as_bytes(), &unlimited())
                    .unwrap_err()
                    .is_incomplete()
            );
            let error = Cursor::new(text.as_bytes(), &unlimited())
                .skip()
                .unwrap_err();
            assert!(error.is_incomplete());
        }
    });
}

/// Texts that nest deep, each in its own way, the first a million levels.
fn deep_texts() -> Vec<String> {
    let nest = |open: &str, inner: &str, close: &str| {
        let (open, close) = (open.repeat(RATHER_DEEP), close.repeat(RATHER_DEEP));
        format!("{open}{inner}{close}")
    };
    vec![
        format!("{}1{}", "[".repeat(DEEP), "]".repeat(DEEP)),
        nest("(", "", ")"),
        nest("#{", "1", "}"),
        nest("{:a ", "1", "}"),
        nest("{", "1", " 2}"),
        nest("#t ", "1", ""),
        nest("[0 (", ":x", ") 1]"),
        nest("#{1 ", "2", "}"),
        nest("{1 2, ", "3", " 4}"),
    ]
}

#[test]
fn a_value_a_million_levels_deep_is_read_printed_compared_cloned_hashed_and_dropped() {
    on_a_small_stack(|| {
        for text in deep_texts() {
            let value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
            let printed = to_string(&value);
            assert_eq!(printed.len(), text.len());
            let copy = value.clone();
            assert!(copy == value && copy.identical(&value));
            let hash = |value: &Value| {
                let mut hasher = DefaultHasher::new();
                value.hash(&mut hasher);
                hasher.finish()
            };
            assert_eq!(hash(&copy), hash(&value));
            assert_eq!(format!("{value:?}").len(), printed.len());
            drop(value);
            let end = Cursor::new(text.as_bytes(), &unlimited())
                .skip()
                .unwrap()
                .end();
            assert_eq!(end, text.len());
            drop(copy);
        }
    });
}

#[test]
fn deep_maps_in_different_order_are_compared_without_recursion() {
    on_a_small_stack(|| {
        let nest = |open: &str, close: &str| {
            let text = format!("{}9{}", open.repeat(100_000), close.repeat(100_000));
            from_slice_with(text.as_bytes(), &unlimited()).unwrap()
        };
        let (a, b) = (nest("{:a 1 :b ", "}"), nest("{:b ", " :a 1}"));
        assert!(a == b && a.identical(&b));
        assert!(nest("{1 2 ", " 3}") == nest("{", " 3 1 2}"));
        assert!(nest("#{1 ", "}") != nest("#{2 ", "}"));
        assert!(nest("#{#{} ", "}") == nest("#{", " #{}}"));
    });
}

#[test]
fn a_value_built_deep_by_hand_is_dropped_without_recursion() {
    on_a_small_stack(|| {
        let wraps: [fn(Value) -> Value; 5] = [
            |inner| Value::from(vec![inner]),
            |inner| Value::from(List::from_iter([inner])),
            |inner| Value::from(Set::from([inner])),
            |inner| Value::from(Map::from([(1, inner)])),
            |inner| Value::from(Tagged::new(Symbol::new("t").unwrap(), inner).unwrap()),
        ];
        let mut value = Value::Nil;
        // Inserting into maps and sets hashes what is inserted, so this goes less deep.
        for level in 0..2_000 {
            value = wraps[level % wraps.len()](value);
        }
        for _ in 0..DEEP {
            value = Value::from(vec![value]);
        }
        let mut tagged = Value::Nil;
        for _ in 0..DEEP {
            tagged = Value::from(Tagged::new(Symbol::new("t").unwrap(), tagged).unwrap());
        }
        assert!(value != tagged);
    });
}

#[test]
fn deep_values_can_be_taken_apart() {
    on_a_small_stack(|| {
        let text = format!("{}{}", "[".repeat(DEEP), "]".repeat(DEEP));
        let mut value = from_slice_with(text.as_bytes(), &unlimited()).unwrap();
        let mut levels = 0;
        while let Value::Vector(vector) = value {
            levels += 1;
            value = vector.into_iter().next().unwrap_or_default();
        }
        assert_eq!(levels, DEEP);
        let items: Vector = (0..3).collect();
        assert_eq!(items.into_vec().len(), 3);
    });
}

#[test]
fn the_limit_counts_everything_that_is_open() {
    let read = |text: &str, depth| {
        let limits = Limits::default().max_depth(depth);
        let read = read_first(text.as_bytes(), &limits).is_ok();
        assert_eq!(
            Cursor::new(text.as_bytes(), &limits).skip().is_ok(),
            read,
            "{text}"
        );
        read
    };
    assert!(read("1", 0) && !read("[]", 0));
    for text in [
        "[[1]]",
        "#a [1]",
        "#_ [1] 2",
        "^a [1]",
        "#a #b 1",
        "#:a{:b []}",
        "[##NaN]",
    ] {
        assert!(read(text, 2), "{text}");
    }
    for text in [
        "[[1]]",
        "#a [1]",
        "#_ [1] 2",
        "^{:a 1} b",
        "#a #b 1",
        "#:a{:b []}",
        "[##NaN]",
    ] {
        assert!(!read(text, 1), "{text}");
    }
    let mut cursor = Cursor::new(b"[[1]]", &Limits::default().max_depth(1));
    cursor.enter().unwrap();
    assert_eq!(
        *cursor.enter().unwrap_err().kind(),
        ErrorKind::TooDeep { limit: 1 }
    );
    assert_eq!(
        *cursor.skip().unwrap_err().kind(),
        ErrorKind::TooDeep { limit: 1 }
    );
}
