//! What the origin answers and the load generator expects: a chat completion or embedding of an exact size, and the
//! server-sent events of a stream, each token with its number and the time it was sent. Both sides use this one file,
//! so that an answer which arrived whole is known byte by byte.

use std::io::Write;

use memchr::memmem;

/// In every answer, also after a gateway has parsed it and written it anew.
pub(crate) const MARK: &str = "the quick brown fox";
pub(crate) const DONE: &[u8] = b"data: [DONE]";

const CHAT_HEAD: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1760000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":""#;
const CHAT_TAIL: &str =
    r#""},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":8,"total_tokens":16}}"#;
const EMBEDDING_HEAD: &str = r#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5"#;
const EMBEDDING_TAIL: &str = r#"]}],"model":"bench","usage":{"prompt_tokens":8,"total_tokens":8}}"#;

/// A chat completion of `bytes` bytes, or as near above as its frame allows.
pub(crate) fn chat(bytes: usize) -> Vec<u8> {
    filled(CHAT_HEAD, CHAT_TAIL, MARK, bytes)
}

/// An embedding of `bytes` bytes.
pub(crate) fn embedding(bytes: usize) -> Vec<u8> {
    filled(EMBEDDING_HEAD, EMBEDDING_TAIL, ",-0.01234567", bytes)
}

/// Whole fills as long as they fit, at least one; the rest is the white space that JSON allows at its end.
fn filled(head: &str, tail: &str, fill: &str, bytes: usize) -> Vec<u8> {
    let room = bytes.saturating_sub(head.len() + tail.len());
    let mut body = format!("{head}{}{tail}", fill.repeat((room / fill.len()).max(1))).into_bytes();
    while body.len() < bytes {
        body.push(b' ');
    }
    body
}

/// The event that llama-server and OpenAI send before the first token.
pub(crate) fn write_role(out: &mut Vec<u8>) {
    write_delta(out, r#""role":"assistant","content":null"#, "null");
}

/// One token: its number within the stream and when it was sent.
pub(crate) fn write_token(out: &mut Vec<u8>, number: u64, sent_ns: u64) {
    write_delta(out, &format!(r#""content":"{number}.{sent_ns} ""#), "null");
}

pub(crate) fn write_end(out: &mut Vec<u8>) {
    write_delta(out, "", r#""stop""#);
    out.extend_from_slice(DONE);
    out.extend_from_slice(b"\n\n");
}

fn write_delta(out: &mut Vec<u8>, delta: &str, finish: &str) {
    write!(
        out,
        r#"data: {{"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1760000000,"model":"bench","choices":[{{"index":0,"delta":{{{delta}}},"finish_reason":{finish}}}]}}"#
    )
    .unwrap_or_else(|_| unreachable!("a Vec takes all that is written"));
    out.extend_from_slice(b"\n\n");
}

/// What one line of an event stream was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Token { number: u64, sent_ns: u64 },
    Done,
    Other,
}

/// Reads a line whichever way a gateway has spaced or ordered the JSON in it.
pub(crate) fn read_event(line: &[u8]) -> Event {
    if line.starts_with(DONE) {
        return Event::Done;
    }
    token(line).map_or(Event::Other, |(number, sent_ns)| Event::Token { number, sent_ns })
}

fn token(line: &[u8]) -> Option<(u64, u64)> {
    const NAME: &[u8] = br#""content":"#;
    let value = &line[memmem::find(line, NAME)? + NAME.len()..];
    let value = value.trim_ascii_start().strip_prefix(b"\"")?;
    let (number, value) = digits(value)?;
    let (sent_ns, _) = digits(value.strip_prefix(b".")?)?;
    Some((number, sent_ns))
}

/// The number at the start, and what follows it.
pub(crate) fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let len = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = std::str::from_utf8(&text[..len]).ok()?.parse().ok()?;
    Some((number, &text[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_have_their_size_and_are_json() {
        for bytes in [600, 4096, 1 << 20] {
            for body in [chat(bytes), embedding(bytes)] {
                assert_eq!(body.len(), bytes);
                serde_json::from_slice::<serde_json::Value>(&body).expect("JSON");
            }
        }
        assert!(
            memmem::find(&chat(0), MARK.as_bytes()).is_some(),
            "the mark is never left out"
        );
    }

    #[test]
    fn a_token_is_read_as_written_and_as_a_gateway_rewrites_it() {
        let mut line = Vec::new();
        write_token(&mut line, 7, 1_234);
        let token = Event::Token {
            number: 7,
            sent_ns: 1_234,
        };
        assert_eq!(read_event(&line), token);
        assert_eq!(
            read_event(br#"data: {"choices": [{"delta": {"content": "7.1234 "}}]}"#),
            token
        );
        assert_eq!(read_event(b"data: [DONE]\r"), Event::Done);
        let mut other = Vec::new();
        write_role(&mut other);
        assert_eq!(read_event(&other), Event::Other);
        assert_eq!(read_event(b": a comment"), Event::Other);
    }
}
