//! `/v1/embeddings`, both sides of it.
//!
//! Vectors are `f32`: what `encoding_format: base64` carries, and openai-python asks for unasked.

use bytes::Bytes;

use crate::Dialect;
use crate::base64;
use crate::chat::RenderOptions;
use crate::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::error::{BadRequest, BadResponse, Unsupported};
use crate::json::read::{Kind, Node, Object, Problems};
use crate::json::write;

/// # Errors
/// All problems that were found, each with its path.
pub fn parse_request(body: &[u8]) -> Result<EmbeddingRequest, BadRequest> {
    let problems = Problems::new();
    let request = Object::root(body, &problems).map(|root| read_request(&root));
    problems.into_request(request)
}

fn read_request(root: &Object<'_>) -> EmbeddingRequest {
    let mut request = EmbeddingRequest {
        model: root.require("model").and_then(|node| node.string()).unwrap_or_default(),
        dimensions: root.unsigned("dimensions"),
        user: root.string("user"),
        keep_alive: root.json("keep_alive"),
        ..EmbeddingRequest::default()
    };
    if let Some(format) = root.node("encoding_format") {
        request.base64 = format.string().as_deref() == Some("base64");
        if !request.base64 && format.text() != "\"float\"" {
            format.wrong("must be float or base64", "choose one of these");
        }
    }
    if let Some(input) = root.require("input") {
        read_inputs(&input, &mut request);
    }
    request.extra = root.rest();
    request
}

/// A text, or an array of texts; arrays of tokens are OpenAI's own tokenizer's.
fn read_inputs(input: &Node<'_>, request: &mut EmbeddingRequest) {
    if input.kind() == Kind::String {
        request.inputs = input.string().into_iter().collect();
        return;
    }
    let items = input.array().unwrap_or_default();
    if items.is_empty() {
        input.wrong("must be a text or a non-empty array of texts", "send at least one text");
    }
    for item in items {
        if matches!(item.kind(), Kind::Number | Kind::Array) {
            let rule = "holds tokens, which mean nothing to another provider's tokenizer";
            request
                .inexpressible
                .push(Unsupported::new(item.path, rule, "send texts"));
            return;
        }
        request.inputs.extend(item.string());
    }
}

/// # Errors
/// The first field that OpenAI's API has no counterpart for.
pub fn render_request(request: &EmbeddingRequest, options: &RenderOptions) -> Result<Bytes, Unsupported> {
    request.expressible()?;
    // Only a refusal to cut is lost: OpenAI never cuts, and `truncate: true` is a permission.
    for (field, _) in &request.extra {
        options.lacks(Dialect::OpenAi, field)?;
    }
    let body = write::object(|to| {
        to.field("model", options.model.as_ref().unwrap_or(&request.model))
            .field("input", &request.inputs);
        to.opt("dimensions", &request.dimensions)
            .opt("user", &request.user)
            .field("encoding_format", "float");
    });
    Ok(body.into())
}

/// # Errors
/// Where the body is no list of embeddings.
pub fn parse_response(body: &[u8]) -> Result<EmbeddingResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(body, &problems).and_then(|root| read_response(&root));
    problems.into_response(response)
}

fn read_response(root: &Object<'_>) -> Option<EmbeddingResponse> {
    let mut vectors = Vec::new();
    for item in root.require("data")?.array()? {
        let item = item.object()?;
        let place = item.unsigned("index").unwrap_or(vectors.len() as u64);
        vectors.push((place, read_vector(&item.require("embedding")?)?));
    }
    vectors.sort_by_key(|(place, _)| *place);
    Some(EmbeddingResponse {
        model: root.string("model").unwrap_or_default(),
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        input_tokens: root.object("usage").and_then(|usage| usage.unsigned("prompt_tokens")),
    })
}

fn read_vector(node: &Node<'_>) -> Option<Vec<f32>> {
    if node.kind() == Kind::String {
        let bytes = base64::decode(&node.string()?);
        let whole = bytes.filter(|bytes| bytes.len() % 4 == 0);
        if whole.is_none() {
            node.wrong("must be base64 of 32-bit floats", "");
        }
        return Some(
            whole?
                .chunks_exact(4)
                .map(|four| f32::from_le_bytes([four[0], four[1], four[2], four[3]]))
                .collect(),
        );
    }
    let vector = serde_json::from_str(node.text());
    if vector.is_err() {
        node.wrong("must be an array of numbers", "");
    }
    vector.ok()
}

/// The list object, as `request` asked for it.
pub fn render_response(response: &EmbeddingResponse, base64: bool) -> Bytes {
    let body = write::object(|to| {
        to.field("object", "list");
        to.array("data", |to| {
            for (index, vector) in response.vectors.iter().enumerate() {
                to.object(|to| {
                    to.field("object", "embedding").field("index", &index);
                    match base64 {
                        true => to.field("embedding", &coded(vector)),
                        false => to.field("embedding", vector),
                    };
                });
            }
        });
        to.field("model", &response.model);
        if let Some(tokens) = response.input_tokens {
            to.object("usage", |to| {
                to.field("prompt_tokens", &tokens).field("total_tokens", &tokens).end()
            });
        }
    });
    body.into()
}

fn coded(vector: &[f32]) -> String {
    base64::encode(
        &vector
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect::<Vec<u8>>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_are_the_same_as_numbers_and_as_base64() {
        let response = EmbeddingResponse {
            model: "m".to_owned(),
            vectors: vec![vec![0.1, -2.5e-8, 3.0], vec![f32::MIN_POSITIVE]],
            input_tokens: Some(7),
        };
        for base64 in [false, true] {
            assert_eq!(
                parse_response(&render_response(&response, base64)).as_ref(),
                Ok(&response)
            );
        }
    }

    #[test]
    fn the_order_is_the_index_s() {
        let body = br#"{"data":[{"index":1,"embedding":[2]},{"index":0,"embedding":[1]}],"model":"m"}"#;
        let response = parse_response(body).unwrap();
        assert_eq!(response.vectors, [[1.0], [2.0]]);
        assert_eq!(response.input_tokens, None);
        for broken in [
            &br#"{"data":[{"embedding":"AAA"}]}"#[..],
            br#"{"data":[{"embedding":{}}]}"#,
            b"{}",
            b"x",
        ] {
            assert!(parse_response(broken).is_err());
        }
    }

    #[test]
    fn requests_keep_their_texts_and_refuse_tokens() {
        let request = parse_request(br#"{"model":"m","input":"a","encoding_format":"base64","dimensions":8}"#).unwrap();
        assert_eq!(
            (request.inputs.as_slice(), request.base64),
            (&["a".to_owned()][..], true)
        );
        let body = render_request(&request, &RenderOptions::default()).unwrap();
        assert_eq!(
            &body[..],
            br#"{"model":"m","input":["a"],"dimensions":8,"encoding_format":"float"}"#
        );
        let tokens = parse_request(br#"{"model":"m","input":[[1,2]]}"#).unwrap();
        assert_eq!(
            render_request(&tokens, &RenderOptions::default()).unwrap_err().field,
            "input[0]"
        );
        let problems = parse_request(br#"{"input":[],"encoding_format":"hex"}"#)
            .unwrap_err()
            .problems;
        let fields: Vec<_> = problems.iter().map(|problem| problem.field.as_str()).collect();
        assert_eq!(fields, ["model", "encoding_format", "input"]);
    }
}
