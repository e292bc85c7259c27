//! `batchEmbedContents`: one request a text, answered in order.

use bytes::Bytes;

use super::request::{Method, resource};
use crate::Dialect::Gemini;
use crate::chat::RenderOptions;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::error::{BadResponse, Unsupported};
use crate::json::read::{Node, Object, Problems};
use crate::json::write;

/// Where [`render_request`]'s bytes go.
pub fn path(model: &str) -> String {
    super::request::path(model, Method::BatchEmbed)
}

/// `keep_alive` and `user` change no vector and are left out; so is `truncate: true`, which is what Gemini does.
pub fn render_request(request: &EmbeddingRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    if request.truncate == Some(false) {
        options.lacks(Gemini, "truncate")?;
    }
    request
        .extra
        .iter()
        .try_for_each(|(field, _)| options.lacks(Gemini, field))?;
    let (kind, name) = resource(options.model.as_deref().unwrap_or(&request.model));
    let model = format!("{kind}/{name}");
    let body = write::object(|body| {
        body.array("requests", |requests| {
            for input in &request.inputs {
                requests.object(|it| {
                    it.field("model", &model).object("content", |content| {
                        content.array("parts", |parts| {
                            parts.object(|part| {
                                part.field("text", input);
                            });
                        });
                    });
                    it.opt("outputDimensionality", &request.dimensions);
                });
            }
        });
    });
    Ok(body.into())
}

/// Gemini names neither the model nor the tokens here.
pub fn parse_response(bytes: &[u8]) -> Result<EmbeddingResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(bytes, &problems).and_then(|body| {
        let vectors = body.require("embeddings")?.array()?.iter().filter_map(vector).collect();
        let input_tokens = body
            .object("usageMetadata")
            .and_then(|usage| usage.unsigned("promptTokenCount"));
        Some(EmbeddingResponse {
            vectors,
            input_tokens,
            ..EmbeddingResponse::default()
        })
    });
    problems.into_response(response)
}

fn vector(node: &Node<'_>) -> Option<Vec<f32>> {
    let values = node.object()?.require("values")?.array()?;
    values
        .iter()
        .map(|number| number.number().map(|number| number as f32))
        .collect()
}
