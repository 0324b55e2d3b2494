//! `Range`, and the length of the file; then what a file is called, line by line.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &str)| {
    let (length, text) = input;
    wagate::fuzzing::range(text, length);
    let mut lines = text.splitn(3, '\n').map(|line| line.trim_end_matches('\r'));
    let mut line = || lines.next().unwrap_or_default();
    wagate::fuzzing::file_name(line(), line(), line());
});
