//! Placeholder of the benches.

fn main() {}
