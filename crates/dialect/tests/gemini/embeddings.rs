//! `batchEmbedContents`.

use dialect::EmbeddingRequest;
use dialect::chat::RenderOptions;
use dialect::gemini::embeddings;
use serde_json::{Value, json};

use crate::snapshot::fixture;

fn request() -> EmbeddingRequest {
    EmbeddingRequest {
        model: "gemini-embedding-001".to_owned(),
        inputs: vec!["a".to_owned(), "b".to_owned()],
        dimensions: Some(3),
        base64: true,
        ..EmbeddingRequest::default()
    }
}

#[test]
fn one_request_a_text() {
    let bytes = embeddings::render_request(&request(), &RenderOptions::default()).expect("expressible");
    let one = |text: &str| json!({"model": "models/gemini-embedding-001", "content": {"parts": [{"text": text}]}, "outputDimensionality": 3});
    let body: Value = serde_json::from_slice(&bytes).expect("JSON");
    assert_eq!(body, json!({"requests": [one("a"), one("b")]}));
    assert_eq!(
        embeddings::path("gemini-embedding-001"),
        "/v1beta/models/gemini-embedding-001:batchEmbedContents"
    );

    let whole = EmbeddingRequest {
        truncate: Some(false),
        ..request()
    };
    assert_eq!(
        embeddings::render_request(&whole, &RenderOptions::default())
            .expect_err("refused")
            .field,
        "truncate"
    );
    let odd = EmbeddingRequest {
        extra: vec![("odd".to_owned(), (&json!(1)).into())],
        ..request()
    };
    assert_eq!(
        embeddings::render_request(&odd, &RenderOptions::default())
            .expect_err("refused")
            .field,
        "odd"
    );
}

#[test]
fn answers() {
    let answer = embeddings::parse_response(&fixture("gemini/response-batch-embed.json")).expect("a good answer");
    assert_eq!(
        answer.vectors,
        [[0.013_168_523_f32, -0.008_711_934, -0.046_782_676], [0.1, 0.2, -0.3]]
    );
    assert_eq!(answer.input_tokens, None);
    assert!(embeddings::parse_response(br#"{"embeddings":[{"values":["x"]}]}"#).is_err());
    assert!(embeddings::parse_response(b"{}").is_err());
}
