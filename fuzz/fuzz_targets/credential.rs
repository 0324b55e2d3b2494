//! A request as text: the token in it.
#![no_main]

mod request;

use libfuzzer_sys::fuzz_target;
use request::Request;

fuzz_target!(|data: &[u8]| {
    let request = Request::read(data);
    wagate::fuzzing::credential(&request.headers(), &request.query, request.body);
});
