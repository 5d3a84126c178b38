//! What the packers' messages weigh, and what packing and unpacking them costs beside the plain
//! libraries.

pub mod cases;
mod engine;
pub mod page;
pub mod shapes;
pub mod sizes;
