//! A web page that a text leads to: a line that calls its type, and the page.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (content_type, page) = data.split_at(data.iter().position(|byte| *byte == b'\n').unwrap_or(0));
    wagate::fuzzing::page(&String::from_utf8_lossy(content_type), page);
});
