//! A line of `Last-Event-ID`, then the query.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let query = String::from_utf8_lossy(data.get(end + 1..).unwrap_or_default());
    wagate::fuzzing::first_event(&data[..end], &query);
});
