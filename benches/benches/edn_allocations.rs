//! What each case takes from the heap, as lines of `case`, allocations, bytes and peak, parted by
//! tabs: `cargo bench -p sente-benches --bench edn_allocations`.
//!
//! The case is done once beforehand, so that buffers which stay have their size. A block that grows
//! counts as another allocation. The peak is the most that was held at once, without
//! the document itself.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use dhat::{HeapStats, Profiler};
use sente_benches::cases::{self, Case};
use sente_benches::documents::Document;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    // Watching each of a million blocks takes long, and the goals name only these two.
    let named = |case: &Case| {
        case.document != Document::Large || [cases::OURS, "serde_json"].contains(&case.codec)
    };
    for case in cases::all().into_iter().filter(named) {
        let mut operation = case.prepare();
        operation();
        let profiler = Profiler::builder().testing().build();
        operation();
        let HeapStats {
            total_blocks,
            total_bytes,
            max_bytes,
            ..
        } = HeapStats::get();
        drop(profiler);
        println!(
            "{}\t{total_blocks}\t{total_bytes}\t{max_bytes}",
            case.name()
        );
    }
}
