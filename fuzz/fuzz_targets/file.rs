//! A file that is to be sent: a byte for what as, a line for the type it is declared as, the rest is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((kind, rest)) = data.split_first() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let declared = String::from_utf8_lossy(&rest[..end]);
    wagate::fuzzing::file(*kind, &declared, rest.get(end + 1..).unwrap_or_default());
});
