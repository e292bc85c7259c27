//! What one `GenerateContentResponse` says, whole or a piece of a stream.

use crate::Dialect::Gemini;
use crate::chat::{Finish, Part, Signature, TokenLogprob, TopLogprob, Usage};
use crate::json::compact;
use crate::json::read::{Node, Object};

/// How an answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum End {
    Finish(Finish),
    /// The model or the service failed; a sentence for a person.
    Failed(String),
}

/// The parts of the first candidate: we never ask for a second. A call without an id has an empty one here.
pub(super) fn parts(body: &Object<'_>) -> Vec<Part> {
    let candidate = body.array("candidates").first().and_then(Node::object);
    let content = candidate.and_then(|candidate| candidate.object("content"));
    let nodes = content.map(|content| content.array("parts")).unwrap_or_default();
    nodes
        .iter()
        .flat_map(|node| node.object().map(|part| read_part(node, &part)).unwrap_or_default())
        .collect()
}

/// One part, and what signs it. A signed text is two parts: the text, and an empty thought that holds the signature and
/// can be replayed as the empty text that Gemini itself streams for it.
fn read_part(node: &Node<'_>, part: &Object<'_>) -> Vec<Part> {
    let signature = part
        .string("thoughtSignature")
        .map(|value| Signature::new(Gemini, value));
    if let Some(call) = part.object("functionCall") {
        return read_call(&call, signature).into_iter().collect();
    }
    let text = part.string("text");
    if part.boolean("thought") == Some(true) {
        return vec![Part::Thinking {
            text: text.unwrap_or_default(),
            signature,
        }];
    }
    if text.is_none() && signature.is_none() && !part.rest().is_empty() {
        node.wrong("must be text, a thought or a function call", "");
    }
    let text = text.filter(|text| !text.is_empty()).map(Part::Text);
    let signed = signature.map(|it| Part::Thinking {
        text: String::new(),
        signature: Some(it),
    });
    text.into_iter().chain(signed).collect()
}

fn read_call(call: &Object<'_>, signature: Option<Signature>) -> Option<Part> {
    let arguments = match call.node("args") {
        None => "{}".to_owned(),
        Some(args) => args.object().map(|_| compact(args.text()))?,
    };
    let (id, name) = (call.string("id").unwrap_or_default(), call.require("name")?.string()?);
    Some(Part::ToolCall {
        id,
        name,
        arguments,
        signature,
    })
}

/// `None` while the answer goes on. `called`: a function call was seen.
pub(super) fn end(body: &Object<'_>, called: bool) -> Option<End> {
    let candidate = body.array("candidates").first().and_then(Node::object);
    let Some(candidate) = candidate else {
        let blocked = body.object("promptFeedback")?.string("blockReason")?;
        return (!blocked.is_empty()).then_some(End::Finish(Finish::ContentFilter));
    };
    let reason = candidate
        .string("finishReason")
        .filter(|reason| reason != "FINISH_REASON_UNSPECIFIED")?;
    Some(match reason.as_str() {
        // `FUNCTION_CALL` is no word of Gemini's own, but some that stand in for it use it.
        "STOP" | "FUNCTION_CALL" if called => End::Finish(Finish::ToolCalls),
        "STOP" => End::Finish(Finish::Stop),
        "MAX_TOKENS" => End::Finish(Finish::Length),
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "MODEL_ARMOR" => {
            End::Finish(Finish::ContentFilter)
        }
        reason if reason.starts_with("IMAGE_") => End::Finish(Finish::ContentFilter),
        reason => End::Failed(failed(reason)),
    })
}

/// `finishMessage` may quote the answer, so that only the reason's name is told, and only if it looks like one.
fn failed(reason: &str) -> String {
    let plain = reason.len() <= 40 && reason.bytes().all(|it| it.is_ascii_uppercase() || it == b'_');
    match reason {
        "MALFORMED_FUNCTION_CALL" => "the model wrote a function call that is not well-formed".to_owned(),
        _ if plain => format!("the backend stopped with {reason}"),
        _ => "the backend stopped for a reason it has no name for".to_owned(),
    }
}

/// The answer's tokens include the thoughts, which Gemini counts apart.
pub(crate) fn usage(body: &Object<'_>) -> Usage {
    let Some(told) = body.object("usageMetadata") else {
        return Usage::default();
    };
    let (answer, thoughts) = (
        told.unsigned("candidatesTokenCount"),
        told.unsigned("thoughtsTokenCount"),
    );
    Usage {
        input: told.unsigned("promptTokenCount"),
        output: answer
            .or(thoughts)
            .map(|_| answer.unwrap_or(0).saturating_add(thoughts.unwrap_or(0))),
        cached: told.unsigned("cachedContentTokenCount"),
        cache_creation: None,
        reasoning: thoughts,
        cost: None,
    }
}

pub(super) fn logprobs(body: &Object<'_>) -> Vec<TokenLogprob> {
    let candidate = body.array("candidates").first().and_then(Node::object);
    let Some(result) = candidate.and_then(|candidate| candidate.object("logprobsResult")) else {
        return Vec::new();
    };
    let tops = result.array("topCandidates");
    let chosen = result.array("chosenCandidates");
    let token = |(index, node): (usize, &Node<'_>)| {
        let TopLogprob { token, logprob, bytes } = read_token(node)?;
        let top = tops
            .get(index)
            .and_then(Node::object)
            .map(|top| top.array("candidates"))
            .unwrap_or_default();
        Some(TokenLogprob {
            token,
            logprob,
            bytes,
            top: top.iter().filter_map(read_token).collect(),
        })
    };
    chosen.iter().enumerate().filter_map(token).collect()
}

/// proto3 leaves a probability of zero out.
fn read_token(node: &Node<'_>) -> Option<TopLogprob> {
    let fields = node.object()?;
    let token = fields.string("token").unwrap_or_default();
    Some(TopLogprob {
        bytes: None,
        logprob: fields.number("logProbability").unwrap_or(0.0),
        token,
    })
}
