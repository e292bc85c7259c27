//! `/api/embed` and its predecessor `/api/embeddings`, which takes one text and answers one vector.
//!
//! Backends are asked at `/api/embed`. An empty input asks Ollama to load the model and nothing else: its request has no
//! inputs, and the caller answers it with no vectors.

use bytes::Bytes;

use super::request::loading_options;
use crate::Dialect::Ollama;
use crate::chat::RenderOptions;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::error::{BadRequest, BadResponse, Unsupported};
use crate::json::read::{Kind, Node, Object, Problems};
use crate::json::write;

/// A client's `/api/embed`.
pub fn parse_request(bytes: &[u8]) -> Result<EmbeddingRequest, BadRequest> {
    parse_body(bytes, |body| {
        body.node("input").map(|input| inputs(&input)).unwrap_or_default()
    })
}

/// A client's `/api/embeddings`.
pub fn parse_request_single(bytes: &[u8]) -> Result<EmbeddingRequest, BadRequest> {
    parse_body(bytes, |body| {
        body.string("prompt")
            .filter(|text| !text.is_empty())
            .into_iter()
            .collect()
    })
}

fn parse_body(bytes: &[u8], inputs: impl FnOnce(&Object<'_>) -> Vec<String>) -> Result<EmbeddingRequest, BadRequest> {
    let problems = Problems::new();
    let request = Object::root(bytes, &problems).and_then(|body| {
        let mut request = EmbeddingRequest {
            model: body.require("model")?.string()?,
            inputs: inputs(&body),
            dimensions: body.unsigned("dimensions").filter(|&dimensions| dimensions > 0),
            truncate: body.boolean("truncate"),
            keep_alive: body.json("keep_alive"),
            ..EmbeddingRequest::default()
        };
        if let Some(options) = body.object("options") {
            loading_options(&options);
            request.extra.extend(options.rest());
        }
        request.extra.extend(body.rest());
        Some(request)
    });
    problems.into_request(request)
}

fn inputs(input: &Node<'_>) -> Vec<String> {
    match input.kind() {
        Kind::String => input.string().filter(|text| !text.is_empty()).into_iter().collect(),
        Kind::Array => input
            .array()
            .unwrap_or_default()
            .iter()
            .filter_map(Node::string)
            .collect(),
        _ => {
            input.wrong("must be a text or an array of texts", "send one of the two");
            Vec::new()
        }
    }
}

/// What a backend's `/api/embed` is sent.
pub fn render_request(request: &EmbeddingRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    request
        .extra
        .iter()
        .try_for_each(|(field, _)| options.lacks(Ollama, field))?;
    let body = write::object(|body| {
        body.field("model", options.model.as_deref().unwrap_or(&request.model))
            .field("input", &request.inputs);
        body.opt("truncate", &request.truncate)
            .opt("dimensions", &request.dimensions);
        body.opt("keep_alive", &request.keep_alive);
    });
    Ok(body.into())
}

/// What a backend answered. The predecessor's shape is read too: some look-alikes answer it to both.
pub fn parse_response(bytes: &[u8]) -> Result<EmbeddingResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(bytes, &problems).and_then(|body| {
        let vectors = match body.node("embedding") {
            Some(single) => vec![vector(&single)?],
            None => body.require("embeddings")?.array()?.iter().filter_map(vector).collect(),
        };
        Some(EmbeddingResponse {
            model: body.string("model").unwrap_or_default(),
            vectors,
            input_tokens: body.unsigned("prompt_eval_count"),
        })
    });
    problems.into_response(response)
}

fn vector(node: &Node<'_>) -> Option<Vec<f32>> {
    node.array()?
        .iter()
        .map(|number| number.number().map(|number| number as f32))
        .collect()
}

/// The answer to `/api/embed`.
pub fn render_response(response: &EmbeddingResponse) -> Bytes {
    let body = write::object(|body| {
        body.field("model", &response.model)
            .field("embeddings", &response.vectors);
        body.opt("prompt_eval_count", &response.input_tokens);
    });
    body.into()
}

/// The answer to `/api/embeddings`.
pub fn render_response_single(response: &EmbeddingResponse) -> Bytes {
    let body = write::object(|body| {
        body.field("embedding", response.vectors.first().map_or(&[][..], Vec::as_slice));
    });
    body.into()
}
