//! The checked-in corpora and random bytes find nothing wrong.
#![allow(missing_docs)]

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use sente_fuzz::{TARGETS, Target};

/// More files, or bytes in them, than this do not belong into a repository.
const MOST_FILES: usize = 300;
const MOST_BYTES: usize = 300_000;

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder:?}: {error}"));
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn every_corpus_is_replayed() {
    assert_eq!(
        names(&folder("corpus")),
        TARGETS.iter().map(|target| target.name).collect::<Vec<_>>()
    );
    for Target { name, check } in TARGETS {
        let corpus = folder("corpus").join(name);
        let files = names(&corpus);
        assert!(
            !files.is_empty() && files.len() <= MOST_FILES,
            "{name}: {} files",
            files.len()
        );
        let mut bytes = 0;
        for file in files {
            let data = fs::read(corpus.join(&file)).unwrap();
            bytes += data.len();
            // What fails is named by the output that a test shows only then.
            println!("{name}/{file}");
            check(&data);
        }
        assert!(bytes <= MOST_BYTES, "{name}: {bytes} bytes");
    }
}

#[test]
fn every_function_has_a_wrapper() {
    let wrappers = folder("libfuzzer/fuzz_targets");
    let expected: Vec<String> = TARGETS
        .iter()
        .map(|target| format!("{}.rs", target.name))
        .collect();
    assert_eq!(names(&wrappers), expected);
    let manifest = fs::read_to_string(folder("libfuzzer/Cargo.toml")).unwrap();
    for Target { name, .. } in TARGETS {
        let wrapper = fs::read_to_string(wrappers.join(format!("{name}.rs"))).unwrap();
        assert!(
            wrapper.contains(&format!("sente_fuzz::{name}(data)")),
            "{name}"
        );
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name}");
    }
}

/// Bytes that are often EDN's own.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        3 => proptest::sample::select(&b"()[]{}#_^:;\\\"/ \n,+-.'!@nilNMeua017"[..]),
        1 => any::<u8>(),
    ];
    proptest::collection::vec(byte, 0..60)
}

proptest! {
    // More with `PROPTEST_CASES=20000`.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_find_nothing_wrong(data in bytes()) {
        for Target { check, .. } in TARGETS {
            check(&data);
        }
    }

    #[test]
    fn random_text_finds_nothing_wrong(data in any::<String>()) {
        for Target { check, .. } in TARGETS {
            check(data.as_bytes());
        }
    }
}
