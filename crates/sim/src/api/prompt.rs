//! Messages to prompt: a ChatML template, so that a conversation's next turn begins with all of its last one.

use std::fmt::Write;

use serde_json::Value;

use super::body;
use crate::wire::ApiError;

/// Reported by `/props`; what [`render`] does, in the words of the template language.
pub(super) const TEMPLATE: &str = "{%- for m in messages -%}{{- '<|im_start|>' + m['role'] + '\\n' + m['content'] + \
    '<|im_end|>\\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}";

/// The prompt of an OpenAI request's messages.
pub(super) fn render(body: &Value) -> Result<String, ApiError> {
    let messages = body
        .get("messages")
        .ok_or_else(|| ApiError::invalid("'messages' is required"))?;
    let messages = messages
        .as_array()
        .ok_or_else(|| ApiError::invalid("Expected 'messages' to be an array"))?;
    let mut prompt = String::new();
    if let Some(tools) = body::field(body, "tools") {
        turn(&mut prompt, "system", &format!("# Tools\n{tools}"));
    }
    for message in messages {
        let role = message.get("role").and_then(Value::as_str);
        // A 500 in the real server, too, which repeats the message; that is nothing to imitate.
        let role = role.ok_or_else(|| ApiError::new(500, "Failed to parse messages: Missing 'role' in message"))?;
        if body::field(message, "content").is_none() && role != "assistant" {
            return Err(ApiError::invalid("All non-assistant messages must contain 'content'"));
        }
        let mut content = text(message.get("content").unwrap_or(&Value::Null));
        if let Some(calls) = body::field(message, "tool_calls") {
            let _ = write!(content, "\n<tool_call>{calls}</tool_call>");
        }
        turn(&mut prompt, role, &content);
    }
    prompt.push_str("<|im_start|>assistant\n");
    Ok(prompt)
}

/// The prompt of an Anthropic request: its system text, then its messages, each block in its JSON if it is no text.
pub(super) fn render_anthropic(body: &Value) -> Result<String, ApiError> {
    // The real server answers 500 to this one.
    let messages = body::field(body, "messages").ok_or_else(|| ApiError::new(500, "'messages' is required"))?;
    let messages = messages
        .as_array()
        .ok_or_else(|| ApiError::invalid("Expected 'messages' to be an array"))?;
    let mut prompt = String::new();
    if let Some(tools) = body::field(body, "tools") {
        turn(&mut prompt, "system", &format!("# Tools\n{tools}"));
    }
    if let Some(system) = body::field(body, "system") {
        turn(&mut prompt, "system", &text(system));
    }
    for message in messages {
        let role = message.get("role").and_then(Value::as_str).unwrap_or("user");
        turn(&mut prompt, role, &text(message.get("content").unwrap_or(&Value::Null)));
    }
    prompt.push_str("<|im_start|>assistant\n");
    Ok(prompt)
}

fn turn(prompt: &mut String, role: &str, content: &str) {
    let _ = writeln!(prompt, "<|im_start|>{role}\n{content}<|im_end|>");
}

/// A string, or the text parts of a list; parts of other kinds stand for themselves, so that they count and compare.
fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => parts
            .iter()
            .map(|part| match part.get("text").and_then(Value::as_str) {
                Some(text) => text.to_owned(),
                None => part.to_string(),
            })
            .collect(),
        _ => String::new(),
    }
}
