//! A whole `GenerateContentResponse` → [`ChatResponse`].
//!
//! An answer that Gemini calls malformed is a [`BadResponse`]: it is the backend's failure, and another may do better.

use super::candidate::{self, End};
use crate::chat::{ChatResponse, Part};
use crate::error::BadResponse;
use crate::json::read::{Object, Problems};
use crate::stream::Identity;

pub fn parse(bytes: &[u8], identity: &Identity) -> Result<ChatResponse, BadResponse> {
    let problems = Problems::lenient();
    let response = Object::root(bytes, &problems).and_then(|body| read(&body, identity));
    problems.into_response(response)
}

fn read(body: &Object<'_>, identity: &Identity) -> Option<ChatResponse> {
    let mut parts = candidate::parts(body);
    let calls = parts.iter_mut().filter_map(|part| match part {
        Part::ToolCall { id, .. } => Some(id),
        _ => None,
    });
    let mut called = false;
    for (index, id) in calls.enumerate() {
        called = true;
        if id.is_empty() {
            *id = identity.call_id(index);
        }
    }
    let finish = match candidate::end(body, called) {
        Some(End::Finish(finish)) => finish,
        Some(End::Failed(why)) => return refuse(body, why),
        None => return refuse(body, "must be there in a whole answer".to_owned()),
    };
    Some(ChatResponse {
        id: body.string("responseId").unwrap_or_else(|| identity.id.clone()),
        model: body.string("modelVersion").unwrap_or_default(),
        created: identity.created,
        parts,
        finish,
        stop_sequence: None,
        usage: candidate::usage(body),
        logprobs: candidate::logprobs(body),
        ..ChatResponse::default()
    })
}

fn refuse(body: &Object<'_>, rule: String) -> Option<ChatResponse> {
    body.problems().note("candidates[0].finishReason", rule, "", "");
    None
}
