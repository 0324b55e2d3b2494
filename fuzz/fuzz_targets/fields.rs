//! A request as text: its parameters are read as everything that they may be.
#![no_main]

mod request;

use libfuzzer_sys::fuzz_target;
use request::Request;

fuzz_target!(|data: &[u8]| {
    let request = Request::read(data);
    wagate::fuzzing::fields(&request.headers(), &request.query, request.body);
});
