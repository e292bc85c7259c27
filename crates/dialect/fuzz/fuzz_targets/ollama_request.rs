//! Ollama's requests (both conversations, both embeddings), for every backend.
#![no_main]

use dialect::Json;
use dialect::chat::RenderOptions;
use dialect::ollama::request::{self, Asked};
use dialect::ollama::{Endpoint, embeddings, listing};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    for endpoint in [Endpoint::Chat, Endpoint::Generate] {
        if let Ok(Asked::Chat(request)) = request::read(endpoint, body) {
            oracle::render_everywhere(&request);
        }
    }
    for request in [embeddings::parse_request(body), embeddings::parse_request_single(body)]
        .iter()
        .flatten()
    {
        if let Ok(bytes) = embeddings::render_request(request, &RenderOptions::default()) {
            let again = embeddings::parse_request(&bytes).expect("what we write we can read");
            assert!(again.inputs == request.inputs);
        }
    }
    if let Some(json) = std::str::from_utf8(body).ok().and_then(Json::parse) {
        let _ = listing::show_request_model(&json.value());
    }
});
