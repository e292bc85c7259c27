//! The request that every scenario sends: an OpenAI chat completion or embedding with the headers a client library
//! brings. All but the key is written once.

use std::net::SocketAddr;

use anyhow::ensure;
use clap::Args;

use crate::keys::write_key;

/// What stands where the key goes.
const KEY_PLACE: &str = "\u{0}";

#[derive(Args, Clone)]
pub(crate) struct TargetArgs {
    /// The proxy under test, or the origin itself
    #[arg(long)]
    pub(crate) target: SocketAddr,
    /// A header that this gateway needs, `Name: value`; repeatable
    #[arg(long = "header")]
    headers: Vec<String>,
    /// Every request brings this key instead of a numbered one
    #[arg(long, env = "LOAD_FIXED_KEY", hide_env_values = true)]
    fixed_key: Option<String>,
    #[arg(long, default_value = "/v1/chat/completions")]
    pub(crate) path: String,
    #[arg(long, default_value = "POST")]
    method: String,
    /// Send no key at all
    #[arg(long)]
    keyless: bool,
}

/// A request with a gap for the key.
pub(crate) struct Template {
    before: Vec<u8>,
    after: Vec<u8>,
    numbered: bool,
}

impl TargetArgs {
    pub(crate) fn template(&self, body: &str) -> anyhow::Result<Template> {
        let key = self.fixed_key.as_deref().unwrap_or(KEY_PLACE);
        let mut text = format!(
            "{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: OpenAI/Python 2.54.0\r\nAccept: application/json\r\n",
            self.method, self.path, self.target
        );
        if !self.keyless {
            text.push_str(&format!("Authorization: Bearer {key}\r\n"));
        }
        for header in &self.headers {
            ensure!(header.contains(": "), "--header takes `Name: value`");
            text.push_str(&format!("{header}\r\n"));
        }
        if self.method != "GET" {
            text.push_str(&format!(
                "Content-Type: application/json\r\nContent-Length: {}\r\n",
                body.len()
            ));
        }
        text.push_str("\r\n");
        let (before, after) = text.split_once(KEY_PLACE).unwrap_or((text.as_str(), ""));
        let body = if self.method == "GET" { "" } else { body };
        Ok(Template {
            before: before.as_bytes().to_vec(),
            after: format!("{after}{body}").into_bytes(),
            numbered: self.fixed_key.is_none() && !self.keyless,
        })
    }
}

impl Template {
    /// The request with key `number`, into a buffer that is used again.
    pub(crate) fn write(&self, out: &mut Vec<u8>, number: u64) {
        out.clear();
        out.extend_from_slice(&self.before);
        if self.numbered {
            write_key(out, number);
        }
        out.extend_from_slice(&self.after);
    }
}

/// A chat request whose prompt fills it up to `bytes`.
pub(crate) fn chat_body(bytes: usize) -> String {
    let head =
        r#"{"model":"bench","messages":[{"role":"system","content":"You are concise."},{"role":"user","content":""#;
    let tail = r#""}],"temperature":0.7}"#;
    let room = bytes.saturating_sub(head.len() + tail.len()).max(1);
    let prompt: String = "Say hello to all of them. ".chars().cycle().take(room).collect();
    format!("{head}{prompt}{tail}")
}

/// A streamed chat request. `max_tokens` and `seed` tell the origin the stream's length and pace: fields that a
/// gateway which parses the body hands on.
pub(crate) fn stream_body(tokens: u64, interval_ms: u64) -> String {
    format!(
        r#"{{"model":"bench","messages":[{{"role":"user","content":"Say hello to all of them."}}],"stream":true,"max_tokens":{tokens},"seed":{interval_ms}}}"#
    )
}

/// An embeddings request.
pub(crate) fn embedding_body() -> String {
    r#"{"model":"bench","input":"Say hello to all of them.","encoding_format":"float"}"#.to_owned()
}
