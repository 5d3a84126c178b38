//! Random values of every kind, for the property tests of this crate and of its serde support.

use proptest::prelude::*;
use sente_edn::{
    BigInt, Decimal, Inst, Keyword, List, Map, Ratio, Set, Symbol, Tagged, Uuid, Value,
};

pub(crate) fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z][a-z0-9]{0,3}",
        "[a-z.]{1,3}/[a-z*+!_?<>=-]{1,4}",
        "[a-zλé😀'#|%&$:]{1,5}",
        "[+*/.-]",
    ]
}

fn atom() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (-3..3_i64).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i128>().prop_map(|n| Value::from(BigInt::from(n))),
        (any::<i32>(), -400..400_i32)
            .prop_map(|(n, e)| Value::from(Decimal::new(&format!("{n}e{e}")).unwrap())),
        (any::<i128>(), any::<i64>()).prop_map(|(n, d)| {
            Ratio::divide(&BigInt::from(n), &BigInt::from(d)).unwrap_or_default()
        }),
    ];
    prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::from),
        number,
        // Clojure's characters have 16 bits.
        any::<char>().prop_map(|c| if c > '\u{ffff}' {
            Value::Nil
        } else {
            Value::from(c)
        }),
        ".{0,8}".prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        name().prop_map(|name| Keyword::new(&name).map(Value::from).unwrap_or_default()),
        name().prop_map(|name| Symbol::new(&name).map(Value::from).unwrap_or_default()),
        (-70_000_000_000_000..260_000_000_000_000_i64)
            .prop_map(|n| Inst::from_millis(n).map(Value::from).unwrap_or_default()),
        any::<u128>().prop_map(|n| Value::from(Uuid::from_u128(n))),
    ]
}

pub(crate) fn value() -> impl Strategy<Value = Value> {
    atom().prop_recursive(5, 60, 20, |inner| {
        let items = proptest::collection::vec(inner.clone(), 0..20);
        let entries = proptest::collection::vec((inner.clone(), inner.clone()), 0..20);
        prop_oneof![
            items.clone().prop_map(Value::from),
            items
                .clone()
                .prop_map(|items| Value::from(List::from(items))),
            items.prop_map(|items| Value::from(items.into_iter().collect::<Set>())),
            entries.prop_map(|entries| Value::from(entries.into_iter().collect::<Map>())),
            (name(), inner).prop_map(|(tag, value)| {
                let tag = Symbol::new(&tag).ok();
                let tagged = tag.and_then(|tag| Tagged::new(tag, value).ok());
                Value::from(tagged)
            }),
        ]
    })
}
