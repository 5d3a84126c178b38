//! What each case of the packers takes from the heap, as lines of case, allocations and bytes, parted
//! by tabs: `cargo bench -p sente-benches --bench packer_allocations`.
//!
//! The case is done several times beforehand, so that buffers which stay have their size. A block that
//! grows counts as another allocation.
#![expect(clippy::print_stdout, reason = "a program that reports")]

use dhat::{HeapStats, Profiler};
use sente_benches::packers::cases;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

fn main() {
    for case in cases::all() {
        let mut operation = case.prepare();
        for _ in 0..3 {
            operation();
        }
        let profiler = Profiler::builder().testing().build();
        operation();
        let HeapStats {
            total_blocks,
            total_bytes,
            ..
        } = HeapStats::get();
        drop(profiler);
        println!("{}\t{total_blocks}\t{total_bytes}", case.name());
    }
}
