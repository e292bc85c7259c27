//! `backends`: each one's name, kind, address, and what it is told.

use std::collections::HashMap;
use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use document::{Field, Fields, Named, Node, Position, Report, Schema, Support, Value, described, named, nearest};
use document::{shown_name, shown_scalar};
use keymap::{ServerUrl, UrlScheme};

use super::{number, price};
use crate::backend::{BackendKind, BackendUrl, Origin, Spec};

const BACKEND: Schema = &[
    ("name", Support::Read),
    ("type", Support::Read),
    ("url", Support::Read),
    ("priority", Support::Read),
    ("api_key", Support::Read),
    ("models", Support::Read),
    ("weight", Support::Read),
    ("timeout", Support::Read),
    ("headers", Support::Read),
    ("anthropic_version", Support::Read),
    (price::INPUT, Support::Read),
    (price::OUTPUT, Support::Read),
    ("prices", Support::Read),
];

/// Each costs a heartbeat of its own.
const BACKENDS_MAX: usize = 1_000;

/// What Anthropic's API is spoken in where the file names no other.
const ANTHROPIC_VERSION: &str = "2023-06-01";

/// How else people call a server that speaks OpenAI's API.
const OPENAI_TOO: [&str; 4] = [
    "openai_compat",
    "openai-compat",
    "openai_compatible",
    "openai-compatible",
];

/// Headers that belong to a connection or to a message's framing: to set them is to break it.
const NOT_OURS_TO_SET: [&str; 7] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
];

pub(super) fn all(field: Field<'_>, report: &mut Report<'_>) -> Vec<Arc<Spec>> {
    let Value::List(items) = field.node.value else {
        let fix = "Write `- name: …` below it, one block of lines for each backend.";
        report.error(
            field.node.position,
            described(&field.node.value),
            "`backends` takes a list.",
            fix,
        );
        return Vec::new();
    };
    if items.len() > BACKENDS_MAX {
        let rule = format!("There are {BACKENDS_MAX} backends at most.");
        report.error(
            field.position,
            items.len().to_string(),
            rule,
            "Put a balancer in front of some of them.",
        );
    }
    let mut known: HashMap<Arc<str>, Position> = HashMap::new();
    let items = items.into_vec().into_iter().take(BACKENDS_MAX);
    items.filter_map(|item| one(item, &mut known, report)).collect()
}

fn one(node: Node<'_>, known: &mut HashMap<Arc<str>, Position>, report: &mut Report<'_>) -> Option<Arc<Spec>> {
    let position = node.position;
    let mut fields = Fields::of(node, BACKEND, "a backend", report)?;
    let name = required(fields.take("name"), "name", position, report).and_then(|field| name(field, known, report));
    let kind = required(fields.take("type"), "type", position, report).and_then(|field| kind(field, report));
    let url = required(fields.take("url"), "url", position, report).and_then(|field| url(field, report));
    let priority = fields
        .take("priority")
        .map_or(Some(1), |field| field.integer(-1_000_000, 1_000_000, report));
    let weight = fields
        .take("weight")
        .map_or(Some(1), |field| field.integer(1, 100, report));
    let timeout = fields
        .take("timeout")
        .and_then(|field| number::seconds(field, 0.1, 86_400.0, report));
    let models = fields
        .take("models")
        .map(|field| field.names(report))
        .filter(|names| !names.is_empty());
    let key = fields.take("api_key").and_then(|field| secret(field, report));
    let version = fields.take("anthropic_version").and_then(|field| secret(field, report));
    let headers = fields
        .take("headers")
        .map(|field| headers(field, report))
        .unwrap_or_default();
    let prices = price::take(&mut fields, report);
    let (name, kind) = (name?, kind?);
    Some(Arc::new(Spec {
        name,
        kind,
        url: base_of(url?, kind),
        origin: Origin::Configured,
        priority: i32::try_from(priority?).ok()?,
        weight: u32::try_from(weight?).ok()?,
        timeout,
        models,
        prices,
        headers: told(kind, key, version, headers),
    }))
}

fn required<'t>(
    field: Option<Field<'t>>,
    what: &str,
    position: Position,
    report: &mut Report<'_>,
) -> Option<Field<'t>> {
    if field.is_none() {
        let fix = match what {
            "name" => "Add `name:`, a word by which clients and logs know it.",
            "type" => "Add `type:`, one of `ollama`, `openai`, `anthropic` and `gemini`.",
            _ => "Add `url:`, for example `http://127.0.0.1:11434`.",
        };
        report.error(position, "", format!("A backend needs a `{what}`."), fix);
    }
    field
}

/// A name is one word without a slash, so that `backend/model` can be read.
fn name(field: Field<'_>, known: &mut HashMap<Arc<str>, Position>, report: &mut Report<'_>) -> Option<Arc<str>> {
    const NAME_CHARS_MAX: usize = 64;
    let text = field.text(report)?;
    let (name, at) = (text.value(), text.node.position);
    let sound = !name.is_empty()
        && name.chars().count() <= NAME_CHARS_MAX
        && name.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != '/');
    if !sound {
        let rule = format!("A backend's name is one word of up to {NAME_CHARS_MAX} characters, without a slash.");
        report.error(at, shown_name(name), rule, "Write a name such as `gpu-server`.");
        return None;
    }
    let name = report.name(name);
    if let Some(first) = known.get(&name) {
        let rule = format!(
            "Each backend has a name of its own; line {} has this one already.",
            first.line
        );
        report.error(at, shown_name(&name), rule, "Rename one of them.");
        return None;
    }
    known.insert(Arc::clone(&name), at);
    Some(name)
}

fn kind(field: Field<'_>, report: &mut Report<'_>) -> Option<BackendKind> {
    let text = field.text(report)?;
    let written = text.value();
    let is_openai_too = OPENAI_TOO.iter().any(|name| name.eq_ignore_ascii_case(written));
    let kind = BackendKind::ALL
        .into_iter()
        .find(|kind| kind.name().eq_ignore_ascii_case(written))
        .or(is_openai_too.then_some(BackendKind::OpenAi));
    if kind.is_none() {
        let fix = match nearest(written, BackendKind::ALL.into_iter().map(BackendKind::name)) {
            Some(name) => format!("Did you mean `{name}`?"),
            None => {
                "Write `openai` for every server that speaks OpenAI's API (llama.cpp, vLLM, LiteLLM, …).".to_owned()
            }
        };
        let rule = "`type` is one of `ollama`, `openai`, `anthropic` and `gemini`.";
        report.error(text.node.position, shown_scalar(written), rule, fix);
    }
    kind
}

fn url(field: Field<'_>, report: &mut Report<'_>) -> Option<ServerUrl> {
    let text = field.text(report)?;
    match ServerUrl::check(text.value()) {
        Ok(url) if url.scheme == UrlScheme::H2c => {
            let rule = "A backend of this file is reached by http or https: the aggregator speaks HTTP/1.1 to it.";
            let fix = "Write `http://` where the backend speaks HTTP/1.1 too, or let the edge speak HTTP/2 to it: a mapping \
                       file's `url: \"h2c://…\"`.";
            report.error(text.node.position, shown_scalar(text.value()), rule, fix);
            None
        }
        Ok(url) => Some(url),
        Err(refusal) => {
            report.error(text.node.position, refusal.shown, refusal.rule, refusal.fix);
            None
        }
    }
}

/// People write the base that a client of the API would be given: the version at its end is part of every path of ours.
fn base_of(url: ServerUrl, kind: BackendKind) -> BackendUrl {
    let version = match kind {
        BackendKind::OpenAi | BackendKind::Anthropic => "/v1",
        BackendKind::Ollama => "/api",
        BackendKind::Gemini => "/v1beta",
    };
    let path = url
        .path
        .strip_suffix(version)
        .map_or_else(|| Arc::clone(&url.path), Arc::from);
    BackendUrl::from(&ServerUrl { path, ..url })
}

/// A value that no message shows and that a header can carry. Empty, as an empty variable leaves it, is none.
fn secret(field: Field<'_>, report: &mut Report<'_>) -> Option<HeaderValue> {
    let name = field.name;
    let text = field.text(report)?;
    let value = text.value().trim();
    if value.is_empty() {
        let fix = "Write it, or remove the line.";
        report.warning(
            text.node.position,
            "an empty text",
            format!("`{name}` is empty and is not sent."),
            fix,
        );
        return None;
    }
    let sendable = value.bytes().all(|byte| byte.is_ascii_graphic());
    let header = HeaderValue::from_str(value).ok().filter(|_| sendable);
    if header.is_none() {
        let rule = format!("`{name}` is made of visible ASCII characters.");
        report.error(
            text.node.position,
            "a text that is not shown",
            rule,
            "Remove blanks and line ends from it.",
        );
    }
    header.map(hidden)
}

fn headers(field: Field<'_>, report: &mut Report<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for Named { name, position, node } in named(field.node, "header", report) {
        let parsed = HeaderName::try_from(&*name)
            .ok()
            .filter(|name| !NOT_OURS_TO_SET.contains(&name.as_str()));
        let Some(parsed) = parsed else {
            let fix = "Write a header's name such as `X-Organization`; those of the connection are not set here.";
            report.error(
                position,
                shown_name(&name),
                "This header cannot be sent to a backend.",
                fix,
            );
            continue;
        };
        let Some(text) = document::text(node, "A header", report) else {
            continue;
        };
        match HeaderValue::from_str(text.value()) {
            Ok(value) => {
                headers.insert(parsed, hidden(value));
            }
            Err(_) => {
                let rule = "A header's value is visible ASCII text on one line.";
                report.error(
                    text.node.position,
                    "a text that is not shown",
                    rule,
                    "Remove what is not ASCII.",
                );
            }
        }
    }
    headers
}

/// The headers of every request to the backend: its key where its kind wants it, then what the file adds.
fn told(kind: BackendKind, key: Option<HeaderValue>, version: Option<HeaderValue>, added: HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(key) = key {
        let (name, value) = match kind {
            BackendKind::OpenAi | BackendKind::Ollama => (AUTHORIZATION, bearer(&key)),
            BackendKind::Anthropic => (HeaderName::from_static("x-api-key"), Some(key)),
            BackendKind::Gemini => (HeaderName::from_static("x-goog-api-key"), Some(key)),
        };
        headers.extend(value.map(|value| (name, value)));
    }
    if kind == BackendKind::Anthropic {
        let version = version.unwrap_or(HeaderValue::from_static(ANTHROPIC_VERSION));
        headers.insert(HeaderName::from_static("anthropic-version"), version);
    }
    headers.extend(added);
    headers
}

fn bearer(key: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&[b"Bearer ", key.as_bytes()].concat())
        .ok()
        .map(hidden)
}

fn hidden(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}
