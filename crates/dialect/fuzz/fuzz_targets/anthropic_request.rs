//! Anthropic's requests, for every backend.
#![no_main]

use dialect::anthropic::request;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let counted = request::parse_count_tokens(body);
    if let Ok(request) = request::parse(body) {
        oracle::render_everywhere(&request);
        assert!(counted.is_ok(), "a whole request can be counted too");
    }
});
