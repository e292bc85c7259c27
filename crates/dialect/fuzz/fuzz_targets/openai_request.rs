//! OpenAI's requests (chat and text completions, embeddings), for every backend.
#![no_main]

use dialect::openai::{completions, embeddings, request};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    if let Ok(request) = request::parse(body) {
        oracle::render_everywhere(&request);
    }
    if let Ok(request) = completions::parse(body) {
        oracle::render_everywhere(&request);
    }
    let _ = (embeddings::parse_request(body), embeddings::parse_response(body));
});
