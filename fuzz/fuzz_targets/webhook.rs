//! A webhook in WAHA's shape.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|json: &str| wagate::fuzzing::webhook(json));
