//! Named values: names, places, watches, and one level of looking through.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use sente_core::{Fqn, FqnChange, FqnError, FqnRegistry};
use sente_edn::Value;

fn name(text: &str) -> Fqn {
    Fqn::new(text).unwrap()
}

fn changes(registry: &mut FqnRegistry) -> Vec<FqnChange> {
    std::iter::from_fn(|| registry.poll_change()).collect()
}

#[test]
fn a_name_is_a_category_and_a_name() {
    for good in [
        "a/b",
        "config.server/ws-host",
        "a1.b2.c3/d-4-",
        "connections/x9",
    ] {
        assert_eq!(Fqn::new(good).unwrap().as_str(), good);
    }
    for bad in [
        "",
        "a",
        "/",
        "a/",
        "/b",
        "A/b",
        "a/B",
        "a.b",
        "a..b/c",
        ".a/b",
        "a./b",
        "1a/b",
        "a/1b",
        "a/-b",
        "a-b/c",
        "a/b/c",
        "a/b c",
        "a/é",
        "a.1/b",
        "sente-lite.registry/x",
    ] {
        assert_eq!(
            Fqn::new(bad),
            Err(FqnError::BadName(bad.to_owned())),
            "{bad:?}"
        );
    }
    let name: Fqn = "config.server/ws-port".parse().unwrap();
    assert_eq!((name.category(), name.name()), ("config.server", "ws-port"));
}

#[test]
fn values_are_registered_read_changed_and_removed() {
    let mut registry = FqnRegistry::new();
    let port = name("config/port");
    assert_eq!(registry.value(&port), None);
    assert!(registry.set(&port, 1).is_err());
    let place = registry.register(&port, 9090).unwrap();
    assert_eq!(
        registry.register(&port, 1),
        Err(FqnError::Taken(port.clone()))
    );
    assert_eq!(registry.ensure(&port, 1), Ok(place));
    assert_eq!(registry.set(&port, 9091), Ok(Value::from(9090)));
    let more = |value: &Value| Value::from(value.as_i64().unwrap() + 1);
    assert_eq!(registry.swap(&port, more), Ok(&Value::from(9092)));
    assert_eq!(registry.reference(&port), Some(place));
    assert!(registry.unregister(&port));
    assert!(!registry.unregister(&port));
    assert_eq!(registry.value_at(place), None);
    assert!(registry.is_empty());
}

#[test]
fn names_are_found_and_removed_by_prefix() {
    let mut registry = FqnRegistry::new();
    for text in [
        "connections/b",
        "config.env/mode",
        "config/port",
        "connections/a",
    ] {
        registry.register(&name(text), 1).unwrap();
    }
    let found: Vec<_> = registry
        .with_prefix("connections/")
        .map(Fqn::as_str)
        .collect();
    assert_eq!(found, ["connections/a", "connections/b"]);
    assert_eq!(registry.with_prefix("").count(), 4);
    assert_eq!(registry.unregister_prefix("config"), 2);
    assert_eq!(registry.names().count(), 2);
    assert!(!registry.contains(&name("config/port")));
    assert_eq!(registry.unregister_prefix("none"), 0);
}

#[test]
fn two_names_may_stand_for_one_place() {
    let mut registry = FqnRegistry::new();
    let (one, other, third) = (name("a/one"), name("a/other"), name("a/third"));
    let place = registry.register(&one, 1).unwrap();
    registry.set_reference(&other, place).unwrap();
    registry.set(&other, 2).unwrap();
    assert_eq!(registry.value(&one), Some(&Value::from(2)));
    registry.unregister(&one);
    assert_eq!(registry.value(&other), Some(&Value::from(2)));
    let elsewhere = registry.register(&third, 3).unwrap();
    registry.swap_reference(&other, |_| elsewhere).unwrap();
    assert_eq!(registry.value(&other), Some(&Value::from(3)));
    // Nobody stands for the first place any more.
    assert!(registry.set_reference(&one, place).is_err());
    assert_eq!(registry.set_reference(&other, elsewhere), Ok(()));
}

#[test]
fn a_value_that_names_another_is_looked_through_one_level_deep() {
    let mut registry = FqnRegistry::new();
    let (a, b, c) = (name("x/a"), name("x/b"), name("x/c"));
    registry.register(&a, "x/b").unwrap();
    assert_eq!(
        registry.resolve(&a),
        Some(&Value::from("x/b")),
        "not registered"
    );
    registry.register(&b, "x/c").unwrap();
    registry.register(&c, 3).unwrap();
    assert_eq!(registry.resolve(&a), Some(&Value::from("x/c")), "one level");
    assert_eq!(registry.resolve(&b), Some(&Value::from(3)));
    assert_eq!(registry.resolve(&c), Some(&Value::from(3)));
    registry.set(&c, "x/c").unwrap();
    assert_eq!(registry.resolve(&c), Some(&Value::from("x/c")));
    assert_eq!(registry.resolve(&name("x/d")), None);
}

#[test]
fn a_watch_tells_the_last_change_and_what_it_told_before() {
    let mut registry = FqnRegistry::new();
    let mode = name("env/mode");
    let watch = registry.watch(&mode).unwrap();
    registry.register(&mode, "a").unwrap();
    registry.set(&mode, "b").unwrap();
    let told = changes(&mut registry);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].watch, &told[0].name), (watch, &mode));
    assert_eq!(
        (&told[0].old, &told[0].new),
        (&None, &Some(Value::from("b")))
    );
    registry.set(&mode, "c").unwrap();
    registry.set(&mode, "b").unwrap();
    assert!(changes(&mut registry).is_empty(), "back where it was");
    registry.unregister(&mode);
    let told = changes(&mut registry);
    assert_eq!(
        (&told[0].old, &told[0].new),
        (&Some(Value::from("b")), &None)
    );
    assert!(registry.unwatch(watch));
    assert!(!registry.unwatch(watch));
    registry.register(&mode, 1).unwrap();
    assert!(changes(&mut registry).is_empty());
}

#[test]
fn a_watch_sees_changes_by_another_name_for_the_same_place() {
    let mut registry = FqnRegistry::new();
    let (one, other) = (name("a/one"), name("a/other"));
    let place = registry.register(&one, 1).unwrap();
    registry.watch(&one).unwrap();
    registry.set_reference(&other, place).unwrap();
    registry.set(&other, 2).unwrap();
    assert_eq!(changes(&mut registry)[0].new, Some(Value::from(2)));
}

#[test]
fn a_watch_that_resolves_follows_the_value_to_wherever_it_leads() {
    let mut registry = FqnRegistry::new();
    let (used, first, second) = (name("a/used"), name("b/first"), name("b/second"));
    registry.register(&used, "b/first").unwrap();
    registry.watch_resolved(&used).unwrap();
    let news = |registry: &mut FqnRegistry| {
        let told = changes(registry);
        assert!(told.len() <= 1);
        told.into_iter().next().and_then(|change| change.new)
    };
    registry.register(&first, 1).unwrap();
    assert_eq!(news(&mut registry), Some(Value::from(1)));
    registry.register(&second, 2).unwrap();
    assert_eq!(news(&mut registry), None);
    registry.set(&used, "b/second").unwrap();
    assert_eq!(news(&mut registry), Some(Value::from(2)));
    registry.set(&first, 10).unwrap();
    assert_eq!(news(&mut registry), None);
    registry.set(&second, 20).unwrap();
    assert_eq!(news(&mut registry), Some(Value::from(20)));
    registry.unregister(&second);
    assert_eq!(news(&mut registry), Some(Value::from("b/second")));
}

#[test]
fn names_and_watches_are_bounded() {
    let mut registry = FqnRegistry::with_limit(2);
    let place = registry.register(&name("a/one"), 1).unwrap();
    registry.register(&name("a/two"), 2).unwrap();
    let full = FqnError::Full { limit: 2 };
    assert_eq!(registry.register(&name("a/three"), 3), Err(full.clone()));
    assert_eq!(
        registry.set_reference(&name("a/three"), place),
        Err(full.clone())
    );
    registry.watch(&name("a/one")).unwrap();
    registry.watch(&name("a/one")).unwrap();
    assert_eq!(registry.watch(&name("a/one")), Err(full));
}

#[derive(Clone, Debug)]
enum Op {
    Register(u8, u8),
    Set(u8, u8),
    Point(u8, u8),
    Alias(u8, u8),
    Unregister(u8),
    Poll,
}

fn op() -> impl Strategy<Value = Op> {
    let n = 0..4u8;
    prop_oneof![
        (n.clone(), any::<u8>()).prop_map(|(at, value)| Op::Register(at, value)),
        (n.clone(), any::<u8>()).prop_map(|(at, value)| Op::Set(at, value)),
        (n.clone(), n.clone()).prop_map(|(at, to)| Op::Point(at, to)),
        (n.clone(), n.clone()).prop_map(|(at, of)| Op::Alias(at, of)),
        n.prop_map(Op::Unregister),
        Just(Op::Poll),
    ]
}

proptest! {
    /// Whatever happens, a watch that polls knows what there is to see, and a name without a value
    /// has none.
    #[test]
    fn a_watch_that_polls_knows_the_value(ops in proptest::collection::vec(op(), 0..60)) {
        let names: Vec<Fqn> = (0..4).map(|n| name(&format!("n/n{n}"))).collect();
        let at = |n: u8| &names[usize::from(n)];
        let mut registry = FqnRegistry::new();
        let mut known: BTreeMap<_, Option<Value>> = BTreeMap::new();
        let mut watches = Vec::new();
        for name in &names {
            watches.push((registry.watch(name).unwrap(), name.clone(), false));
            watches.push((registry.watch_resolved(name).unwrap(), name.clone(), true));
        }
        for op in ops.into_iter().chain([Op::Poll]) {
            match op {
                Op::Register(n, value) => { let _ = registry.register(at(n), value); }
                Op::Set(n, value) => { let _ = registry.set(at(n), value); }
                Op::Point(n, to) => { let _ = registry.set(at(n), at(to).as_str()); }
                Op::Alias(n, of) => {
                    if let Some(place) = registry.reference(at(of)) {
                        registry.set_reference(at(n), place).unwrap();
                    }
                }
                Op::Unregister(n) => { registry.unregister(at(n)); }
                Op::Poll => {
                    while let Some(change) = registry.poll_change() {
                        let before = known.insert(change.watch, change.new.clone());
                        prop_assert_eq!(before.flatten(), change.old.clone());
                        prop_assert_ne!(change.old, change.new);
                    }
                    for (watch, name, resolves) in &watches {
                        let seen = if *resolves { registry.resolve(name) } else { registry.value(name) };
                        let told = known.get(watch).cloned().flatten();
                        prop_assert_eq!(told.as_ref(), seen);
                    }
                }
            }
        }
    }
}
