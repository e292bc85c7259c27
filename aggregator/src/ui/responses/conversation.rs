//! One exchange, read: who said what, thinking folded, tool calls laid out, and the figures beside it.
//!
//! All of it is escaped; nothing of a model's is markup here. Bounded: what a message holds beyond its share is in the export.

use maud::{Markup, html};
use serde_json::Value;

use super::ended;
use crate::api::responses::conversation;
use crate::store::{Row, Stored};
use crate::ui::{format, parts};

/// Of all texts together: a page stays below 200 KB, escaping included.
const TEXT_BYTES_MAX: usize = 120 << 10;
const ONE_BYTES_MAX: usize = 40 << 10;
const MESSAGES_MAX: usize = 200;

pub(super) fn whole(stored: &Stored) -> Markup {
    let mut room = Room(TEXT_BYTES_MAX);
    let line = conversation(stored, true).and_then(|line| serde_json::from_str::<Value>(&line).ok());
    let id = stored.row.id;
    html! {
        div.exchange {
            div.talk {
                @match &line {
                    Some(line) => (messages(line, &mut room)),
                    None => (bare(stored, &mut room)),
                }
            }
            aside.card aria-label="About this exchange" {
                (facts(&stored.row))
                div.row {
                    button type="button" data-download={ "/admin/responses/" (id) } data-name={ (id) ".json" } { "Export" }
                    button.danger type="button" data-delete={ "/admin/responses/" (id) } data-then="/ui/responses" data-said="Deleted"
                        data-ask="Delete this exchange?" data-ask-text="What was asked and answered is overwritten. What it counted for stays counted." data-ask-yes="Delete" { "Delete" }
                }
            }
        }
    }
}

/// What there is still room for.
struct Room(usize);

impl Room {
    /// The text, or its beginning.
    fn text(&mut self, text: &str) -> Markup {
        let fits = text.floor_char_boundary(self.0.min(ONE_BYTES_MAX));
        self.0 -= fits;
        html! {
            div.words { (&text[..fits]) }
            @if fits < text.len() { p.quiet { "… and " (format::bytes((text.len() - fits) as u64)) " more; the export has all of it." } }
        }
    }
}

fn messages(line: &Value, room: &mut Room) -> Markup {
    let all = line["messages"].as_array().map_or(&[][..], Vec::as_slice);
    let hidden = all.len().saturating_sub(MESSAGES_MAX);
    // The answer is last and what it is about: it gets its room first.
    let (last, before) = all
        .split_last()
        .map_or((None, &[][..]), |(last, before)| (Some(last), before));
    let answer = last.map(|last| message(last, room));
    html! {
        @if let Some(tools) = line["tools"].as_array() { (offered(tools)) }
        ol.messages {
            @if hidden > 0 { li.quiet { (format::counted(hidden, "earlier message", "earlier messages")) " left out; the export has them." } }
            @for one in &before[hidden.min(before.len())..] { (message(one, room)) }
            @if let Some(answer) = answer { (answer) }
        }
    }
}

fn message(message: &Value, room: &mut Room) -> Markup {
    let role = message["role"].as_str().unwrap_or("unknown");
    let class = match role {
        "user" | "assistant" | "system" | "tool" => role,
        "developer" => "system",
        _ => "unknown",
    };
    let thinking = message["reasoning_content"].as_str().filter(|text| !text.is_empty());
    let text = content(&message["content"]);
    html! {
        li class={ "message " (class) } {
            h2.role { (role) @if let Some(id) = message["tool_call_id"].as_str() { span.under { " for " (id) } } }
            @if let Some(thinking) = thinking {
                details.thinking { summary { "Thinking" span.under { " " (format::counted(thinking.split_whitespace().count(), "word", "words")) } } (room.text(thinking)) }
            }
            @match (class, text.is_empty()) {
                (_, true) => {}
                ("system", _) => details { summary { "Instructions" span.under { " " (format::counted(text.split_whitespace().count(), "word", "words")) } } (room.text(&text)) },
                _ => (room.text(&text)),
            }
            @for call in message["tool_calls"].as_array().into_iter().flatten() { (tool_call(call, room)) }
        }
    }
}

/// A text, or the texts of a list of parts; other parts by their names.
fn content(content: &Value) -> String {
    let Some(parts) = content.as_array() else {
        return content.as_str().unwrap_or_default().to_owned();
    };
    let parts = parts.iter().map(|part| match part["text"].as_str() {
        Some(text) => text.to_owned(),
        None => format!("[{}]", part["type"].as_str().unwrap_or("part")),
    });
    parts.collect::<Vec<_>>().join("\n")
}

fn tool_call(call: &Value, room: &mut Room) -> Markup {
    let function = &call["function"];
    let arguments = function["arguments"].as_str().unwrap_or_default();
    let parsed: Option<Value> = serde_json::from_str(arguments).ok();
    let fields = parsed
        .as_ref()
        .and_then(Value::as_object)
        .filter(|fields| fields.len() <= 40);
    html! {
        section.call aria-label="Tool call" {
            p { "Calls " code { (function["name"].as_str().unwrap_or("?")) } @if let Some(id) = call["id"].as_str() { span.under { " " (id) } } }
            @match fields {
                Some(fields) => dl {
                    @for (name, value) in fields { div {
                        dt { (name) }
                        dd { (room.text(&value.as_str().map_or_else(|| value.to_string(), str::to_owned))) }
                    } }
                },
                None => (room.text(arguments)),
            }
        }
    }
}

fn offered(tools: &[Value]) -> Markup {
    let names = tools
        .iter()
        .filter_map(|tool| tool["function"]["name"].as_str().or_else(|| tool["name"].as_str()));
    html! { p.quiet { "Tools it was offered: " (names.take(40).collect::<Vec<_>>().join(", ")) } }
}

/// No conversation can be made of it: what is there is shown as it is.
fn bare(stored: &Stored, room: &mut Room) -> Markup {
    let content = &stored.content;
    let body = |bytes: &Option<bytes::Bytes>| {
        bytes
            .as_deref()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
    };
    let sections = [
        ("Thinking", content.thinking.clone()),
        ("Answer", content.text.clone()),
        ("Tool calls", content.tool_calls.clone()),
        ("Request", body(&content.request)),
        ("Response", body(&content.response)),
    ];
    let is_empty = sections
        .iter()
        .all(|(_, text)| text.as_deref().is_none_or(str::is_empty));
    html! {
        @if is_empty { (parts::empty("No text of it is kept", html! { p { "Only its figures: this key is captured as metadata, or it was refused." } })) }
        ol.messages {
            @for (name, text) in sections {
                @if let Some(text) = text.filter(|text| !text.is_empty()) {
                    li.message { h2.role { (name) } (room.text(&text)) }
                }
            }
        }
    }
}

fn facts(row: &Row) -> Markup {
    let text = |text: &Option<String>| text.clone();
    let number = |number: Option<u64>| number.map(format::whole);
    let facts: [(&str, Option<String>); 18] = [
        ("Began", Some(format!("{} UTC", format::moment(row.started_at_us)))),
        ("Took", row.timing.duration_us.map(format::micros)),
        ("First token", row.timing.first_token_us.map(format::micros)),
        ("Tokens a second", row.timing.tokens_per_second.map(format::short)),
        ("Tokens read", number(row.tokens.input)),
        ("Of it cached", number(row.tokens.cached)),
        ("Tokens written", number(row.tokens.output)),
        ("Of it thinking", number(row.tokens.thinking)),
        ("Key", text(&row.asked.key)),
        ("Model", text(&row.answered.model).or_else(|| text(&row.asked.model))),
        (
            "Asked as",
            text(&row.asked.model).filter(|asked| Some(asked) != row.answered.model.as_ref()),
        ),
        ("Stood in", text(&row.answered.fallback)),
        ("Backend", text(&row.answered.backend)),
        ("Endpoint", Some(row.asked.endpoint.clone())),
        ("Client", text(&row.asked.client)),
        ("Finished by", text(&row.answered.finish_reason)),
        ("Attempts", row.answered.attempts.map(|attempts| attempts.to_string())),
        ("Request id", text(&row.asked.request_id)),
    ];
    html! {
        (ended(row))
        dl.facts {
            @for (name, value) in facts {
                @if let Some(value) = value { div { dt { (name) } dd { (value) } } }
            }
            @if let Some(parent) = row.parent { div { dt { "Part of" } dd { a href={ "/ui/responses?id=" (parent) } { (parent) } } } }
        }
        @if row.answered.is_request_cut || row.answered.is_response_cut { p.quiet { "Of a body its beginning is kept." } }
        @if row.answered.is_lossy { p.quiet { "Something of it was lost on the way to the store." } }
    }
}
