//! What every fuzz target holds its input against.

use dialect::chat::RenderOptions;
use dialect::{ChatRequest, Dialect, Encoder, EncoderOptions, Event, Identity, anthropic, ollama, openai};

fn identity() -> Identity {
    Identity::new("fuzz", 1_795_335_534)
}

/// Whatever could be parsed is rendered for every backend, as JSON, or refused with the name of a field.
pub fn render_everywhere(request: &ChatRequest) {
    for dialect in Dialect::ALL {
        match dialect.render_request(request, &RenderOptions::default()) {
            Ok(body) => assert!(is_json(&body), "{dialect:?} wrote what is no JSON"),
            Err(refusal) => assert!(!refusal.field.is_empty() && !refusal.rule.is_empty()),
        }
    }
}

pub fn is_json(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| dialect::Json::parse(text).is_some())
}

/// Into how long pieces an input is split: by its length, so that what a server sent is an input as it is.
pub fn step(input: &[u8]) -> usize {
    input.len() % 61 + 1
}

/// Splits change nothing; only a stream that said `Done` ends cleanly; and what is encoded from the events is a stream
/// that its own decoder takes.
pub fn decode_and_encode(dialect: Dialect, bytes: &[u8]) {
    let (whole, outcome) = decode(dialect, bytes, bytes.len().max(1));
    let (split, split_outcome) = decode(dialect, bytes, step(bytes));
    assert_eq!(outcome, split_outcome);
    assert!(whole == split, "a split changed the events");
    assert_eq!(outcome.is_ok(), whole.contains(&Event::Done));

    let options = EncoderOptions {
        identity: identity(),
        model: "m".to_owned(),
        include_usage: true,
    };
    let text = encode(openai::stream::Encoder::new(options.clone()), &whole);
    assert_eq!(decode(Dialect::OpenAi, &text, 64).1.is_ok(), outcome.is_ok());
    let text = encode(anthropic::stream::Encoder::new(options.clone()), &whole);
    if outcome.is_err() {
        assert!(decode(Dialect::Anthropic, &text, 64).1.is_err());
    }
    let text = encode(ollama::stream::Encoder::new(options), &whole);
    if outcome.is_err() {
        assert!(decode(Dialect::Ollama, &text, 64).1.is_err());
    }
}

fn decode(dialect: Dialect, bytes: &[u8], step: usize) -> (Vec<Event>, Result<(), dialect::StreamError>) {
    let (mut decoder, mut events) = (dialect.decoder(identity()), Vec::new());
    let pushed = bytes
        .chunks(step)
        .try_for_each(|chunk| decoder.push(chunk, &mut events));
    let outcome = pushed.and_then(|()| decoder.finish(&mut events));
    (events, outcome)
}

fn encode(mut encoder: impl Encoder, events: &[Event]) -> Vec<u8> {
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut out));
    out
}

/// Whatever could be parsed is rendered for every client, as JSON.
pub fn answer_everywhere(body: &[u8]) {
    for dialect in Dialect::ALL {
        let _ = dialect.parse_error(500, body);
        let Ok(response) = dialect.parse_response(body, &identity()) else {
            continue;
        };
        assert!(is_json(&openai::response::render(&response)));
        assert!(is_json(&openai::completions::render(&response)));
        assert!(is_json(&anthropic::response::render(&response)));
        assert!(is_json(&ollama::response::render(&response)));
    }
}
