//! An address that an account chose for a webhook or a file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| wagate::fuzzing::target(text));
