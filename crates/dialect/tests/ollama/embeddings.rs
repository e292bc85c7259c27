//! `/api/embed` and `/api/embeddings`.

use dialect::EmbeddingRequest;
use dialect::chat::RenderOptions;
use dialect::ollama::embeddings;
use serde_json::{Value, json};

use crate::snapshot::fixture;

fn value(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).expect("JSON")
}

#[test]
fn requests_both_ways() {
    let read = embeddings::parse_request(&fixture("ollama/request-embed.json")).expect("a good request");
    assert_eq!(read.inputs, ["Why is the sky blue?", "Why is the grass green?"]);
    assert_eq!((read.truncate, read.dimensions), (Some(true), Some(3)));
    let written = embeddings::render_request(&read, &RenderOptions::default()).expect("expressible");
    assert_eq!(embeddings::parse_request(&written).expect("a good request"), read);

    let one = embeddings::parse_request(&fixture("ollama/request-embed-one.json")).expect("a good request");
    assert_eq!(one.inputs, ["Why?"]);
    let old = embeddings::parse_request_single(&fixture("ollama/request-embeddings.json")).expect("a good request");
    assert_eq!(old.inputs, ["Why is the sky blue?"]);
    assert!(
        embeddings::parse_request(br#"{"model":"m","input":[]}"#)
            .expect("a request to load")
            .inputs
            .is_empty()
    );
}

#[test]
fn what_is_wrong_or_unknown_is_named() {
    for (body, field) in [
        (json!({"input": "x"}), "model"),
        (json!({"model": "m", "input": 3}), "input"),
        (json!({"model": "m", "input": ["x", 3]}), "input[1]"),
    ] {
        let refusal = embeddings::parse_request(body.to_string().as_bytes()).expect_err("a bad request");
        assert_eq!(refusal.problems[0].field, field);
    }
    let odd = br#"{"model":"m","input":"x","options":{"num_ctx":8,"mirostat":2}}"#;
    let request = embeddings::parse_request(odd).expect("a good request");
    let refusal = embeddings::render_request(&request, &RenderOptions::default()).expect_err("refused");
    assert_eq!(refusal.field, "options.mirostat");
}

#[test]
fn answers_both_ways() {
    let read = embeddings::parse_response(&fixture("ollama/response-embed.json")).expect("a good answer");
    assert_eq!(
        (read.vectors.len(), read.vectors[0].len(), read.input_tokens),
        (2, 3, Some(8))
    );
    let written = embeddings::render_response(&read);
    assert_eq!(embeddings::parse_response(&written).expect("a good answer"), read);
    assert_eq!(value(&written)["embeddings"][0][0], json!(0.010071029));

    let old = embeddings::parse_response(&fixture("ollama/response-embeddings.json")).expect("a good answer");
    assert_eq!(old.vectors.len(), 1);
    let single = value(&embeddings::render_response_single(&old));
    assert_eq!(single["embedding"].as_array().map(Vec::len), Some(3));
    assert!(embeddings::parse_response(br#"{"embeddings":[["x"]]}"#).is_err());
    assert!(embeddings::parse_response(br#"{"model":"m"}"#).is_err());
}

#[test]
fn a_request_of_another_dialect() {
    let request = EmbeddingRequest {
        model: "m".to_owned(),
        inputs: vec!["x".to_owned()],
        base64: true,
        user: Some("u".to_owned()),
        ..EmbeddingRequest::default()
    };
    let body = embeddings::render_request(&request, &RenderOptions::default()).expect("expressible");
    assert_eq!(value(&body), json!({"model": "m", "input": ["x"]}));
}
