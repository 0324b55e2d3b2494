//! What names people, chats and messages.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| wagate::fuzzing::address(text));
