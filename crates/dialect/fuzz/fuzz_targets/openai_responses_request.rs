//! Requests to the Responses API, for every backend.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok((request, _)) = dialect::openai::responses::parse(body) {
        oracle::render_everywhere(&request);
    }
});
