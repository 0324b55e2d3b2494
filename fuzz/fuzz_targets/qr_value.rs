//! What a phone might read from any picture.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| wagate::fuzzing::qr_value(text));
