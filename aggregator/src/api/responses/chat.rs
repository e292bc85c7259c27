//! An exchange in the form that fine-tuning takes: `{"messages":[…]}`, the answer last.
//!
//! OpenAI's requests give their messages as they are; Anthropic's and Ollama's are said in OpenAI's words. What has no
//! conversation or no answer (embeddings, refusals, requests that were cut) is left out, and so are answers that are not
//! complete unless a status was asked for: a model would learn to stop in the middle.

use dialect::chat::RenderOptions;
use dialect::{ChatRequest, anthropic, ollama, openai};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::store::{Content, Status, Stored};

#[derive(Deserialize)]
struct Request<'r> {
    #[serde(borrow)]
    messages: Vec<&'r RawValue>,
    #[serde(borrow)]
    tools: Option<&'r RawValue>,
}

/// One line; `None` where it is left out.
pub(crate) fn conversation(stored: &Stored, any_status: bool) -> Option<String> {
    let answered = &stored.row.answered;
    if (answered.status != Status::Complete && !any_status) || answered.is_request_cut {
        return None;
    }
    let answer = answer(&stored.content)?.to_string();
    let body = stored.content.request.as_deref()?;
    let rendered = match stored.row.asked.endpoint.as_str() {
        path if path.ends_with("/chat/completions") => body.to_vec(),
        path if path.ends_with("/v1/responses") => in_openais_words(openai::responses::parse(body).ok()?.0)?,
        path if path.ends_with("/completions") => in_openais_words(openai::completions::parse(body).ok()?)?,
        path if path.ends_with("/v1/messages") => in_openais_words(anthropic::request::parse(body).ok()?)?,
        path if path.ends_with("/api/chat") || path.ends_with("/api/generate") => {
            in_openais_words(ollama::request::parse(body).ok()?)?
        }
        _ => return None,
    };
    let request: Request<'_> = serde_json::from_slice(&rendered).ok()?;
    let mut messages: Vec<&str> = request.messages.iter().map(|message| message.get()).collect();
    messages.push(&answer);
    let tools = request.tools.filter(|tools| tools.get() != "null");
    let tools = tools.map_or(String::new(), |tools| format!(",\"tools\":{}", tools.get()));
    let line = format!("{{\"messages\":[{}]{tools}}}", messages.join(","));
    // No line break is inside of a token.
    Some(line.replace(['\n', '\r'], " "))
}

fn in_openais_words(request: ChatRequest) -> Option<Vec<u8>> {
    let options = RenderOptions {
        policy: dialect::chat::Policy::Drop,
        ..RenderOptions::default()
    };
    let rendered = openai::request::render(&request, &options).ok()?;
    Some(rendered.to_vec())
}

fn answer(content: &Content) -> Option<Value> {
    let calls = content
        .tool_calls
        .as_deref()
        .and_then(|calls| serde_json::from_str::<Value>(calls).ok());
    let calls = calls.filter(|calls| calls.as_array().is_some_and(|calls| !calls.is_empty()));
    let text = content.text.as_deref().filter(|text| !text.is_empty());
    if text.is_none() && calls.is_none() {
        return None;
    }
    let mut answer = json!({ "role": "assistant", "content": text });
    if let (Some(thinking), Some(fields)) = (&content.thinking, answer.as_object_mut()) {
        fields.insert("reasoning_content".to_owned(), thinking.as_str().into());
    }
    if let (Some(calls), Some(fields)) = (calls, answer.as_object_mut()) {
        fields.insert("tool_calls".to_owned(), calls);
    }
    Some(answer)
}
