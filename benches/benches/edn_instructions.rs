//! Instructions per operation, counted by callgrind: `cargo bench -p sente-benches`.
//!
//! Needs `valgrind`, and `gungraun-runner` of the same version as the library;
//! `cargo xtask bench edn` installs both. The figures that gungraun shows are those of
//! [`OPERATIONS`](cases::OPERATIONS) operations, and have to be divided by it.
//!
//! Making the document, and doing the work often enough for the allocator to have come to rest,
//! happens in the setup, which is not counted. A single operation would not do: where it frees many
//! blocks, what that costs depends on what the operations before have left.
#![expect(missing_docs, reason = "what the macros make is public and has none")]

use gungraun::prelude::*;
use sente_benches::cases::{self, Operation};

fn prepare(name: &str) -> Operation {
    std::mem::forget(cases::used_heap());
    let cases = cases::all();
    let case = cases.iter().find(|case| case.name() == name);
    let mut operation = case.expect("the case is listed").prepare();
    for _ in 0..cases::OPERATIONS {
        operation();
    }
    operation
}

// Dropping what an operation made is part of it, and dropping the document is not.
#[library_benchmark(setup = prepare)]
#[bench::frame_small_sente_edn("frame/small/sente-edn")]
#[bench::value_small_serde_json("value/small/serde_json")]
#[bench::value_small_clojure_reader("value/small/clojure-reader")]
#[bench::value_small_edn_format("value/small/edn-format")]
#[bench::value_small_edn_rs("value/small/edn-rs")]
#[bench::scan_medium_sente_edn("scan/medium/sente-edn")]
#[bench::scan_medium_serde_json("scan/medium/serde_json")]
#[bench::tree_medium_sente_edn("tree/medium/sente-edn")]
#[bench::value_medium_sente_edn("value/medium/sente-edn")]
#[bench::value_medium_serde_json("value/medium/serde_json")]
#[bench::value_medium_clojure_reader("value/medium/clojure-reader")]
#[bench::value_medium_edn_format("value/medium/edn-format")]
#[bench::value_medium_edn_rs("value/medium/edn-rs")]
#[bench::typed_medium_sente_edn("typed/medium/sente-edn")]
#[bench::typed_medium_serde_json("typed/medium/serde_json")]
#[bench::typed_borrowed_medium_sente_edn("typed-borrowed/medium/sente-edn")]
#[bench::typed_borrowed_medium_serde_json("typed-borrowed/medium/serde_json")]
#[bench::typed_write_medium_sente_edn("typed-write/medium/sente-edn")]
#[bench::typed_write_medium_serde_json("typed-write/medium/serde_json")]
#[bench::print_medium_sente_edn("print/medium/sente-edn")]
#[bench::print_medium_serde_json("print/medium/serde_json")]
fn operations(mut operation: Operation) -> Operation {
    for _ in 0..cases::OPERATIONS {
        operation();
    }
    operation
}

library_benchmark_group!(name = edn, benchmarks = operations);
main!(library_benchmark_groups = edn);
