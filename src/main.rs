//! The `wagate` binary: picks the allocator, hands the arguments to [`wagate::cli`], turns the outcome into an exit code.

use std::process::ExitCode;

// Thousands of small clients come and go; mimalloc gives their memory back where glibc's arenas keep it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    wagate::cli::run()
}
