//! The `wagate` binary: picks the allocator, hands the arguments to [`wagate::cli`], turns the outcome into an exit code.

fn main() {}
