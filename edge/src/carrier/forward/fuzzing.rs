//! What fuzz targets may reach of the edge: its readers of bytes that strangers send. Built with the feature `fuzzing`
//! alone; nothing else may use it.

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};

use super::chunks::Chunks;
use super::inbound::Framing;
use super::request::Request;
use crate::config::HeadBounds;
use crate::limits::set::Tokens;
use crate::usage::{Endpoint, Meter};

/// Heads are read as the listener reads them, as often as `bytes` hold one. What is taken for a head must be one that
/// every reader takes for the same, whatever it is cut into; the first that is not ends the reading, as it does there.
pub fn heads(bytes: &[u8]) {
    let bounds = HeadBounds::default();
    let mut rest = Bytes::copy_from_slice(bytes);
    while let Ok(Some((head, request))) = take(&mut rest, &bounds) {
        assert_is_strict(&head, &request, &bounds);
        // No shorter beginning is a head, so that waiting for more changes nothing.
        let mut cut = head.slice(..head.len() - 1);
        assert!(
            matches!(Request::take(&mut cut, &bounds), Ok(None)),
            "a head ends in two places"
        );
        if !matches!(request.body.framing(), Framing::None) {
            return;
        }
    }
}

fn take(rest: &mut Bytes, bounds: &HeadBounds) -> Result<Option<(Bytes, Request)>, super::request::HeadError> {
    let before = rest.clone();
    let request = Request::take(rest, bounds)?;
    Ok(request.map(|request| (before.slice(..before.len() - rest.len()), request)))
}

fn assert_is_strict(head: &Bytes, request: &Request, bounds: &HeadBounds) {
    assert!(head.len() <= bounds.bytes_max && head.ends_with(b"\r\n\r\n"));
    let lone = head
        .iter()
        .enumerate()
        .any(|(at, byte)| *byte == b'\n' && head[at - 1] != b'\r');
    assert!(!lone && !head.contains(&0), "a lone line feed, or a zero");
    let count = |name| request.headers.get_all(name).iter().count();
    assert!(count(HOST) <= 1, "two hosts");
    assert!(count(CONTENT_LENGTH) + count(TRANSFER_ENCODING) <= 1, "two framings");
    assert_eq!(request.lines().count(), request.headers.len());
    for (name, value) in request.lines() {
        assert!(!name.is_empty() && !name.iter().any(u8::is_ascii_whitespace));
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
    }
}

/// The first byte says where the rest is cut. Cuts change nothing: not the payload, not where it ends, not whether it
/// is well-formed.
pub fn chunked_body(input: &[u8]) {
    let Some((step, bytes)) = input.split_first() else {
        return;
    };
    let whole = chunks(bytes, bytes.len().max(1));
    let cut = chunks(bytes, usize::from(*step).max(1));
    assert_eq!(whole.1, cut.1);
    // What came before a mistake depends on where one was.
    if whole.1.is_some() {
        assert_eq!(whole.0, cut.0);
    }
}

/// The payload, and how many bytes the message had; `None`: it is malformed, or goes on.
fn chunks(bytes: &[u8], step: usize) -> (Vec<u8>, Option<(usize, bool)>) {
    let (mut chunks, mut payload, mut fed) = (Chunks::default(), Vec::new(), 0);
    for piece in bytes.chunks(step) {
        match chunks.feed(piece, |part| payload.extend_from_slice(part)) {
            Ok(taken) => fed += taken,
            Err(_) => return (payload, None),
        }
        if chunks.is_done() {
            break;
        }
    }
    (payload, Some((fed, chunks.is_done())))
}

/// Tokens are counted alike however an answer is cut, and what is cancelled is given back whole.
pub fn usage(input: &[u8]) {
    const PATHS: [&str; 5] = [
        "/v1/chat/completions",
        "/v1/messages",
        "/api/chat",
        "/v1beta/models/m:streamGenerateContent",
        "/v1/embeddings",
    ];
    const TYPES: [&[u8]; 3] = [b"text/event-stream", b"application/json", b"application/x-ndjson"];
    let [path, content_type, step, bytes @ ..] = input else {
        return;
    };
    let endpoint = Endpoint::of(PATHS[usize::from(*path) % PATHS.len()]);
    let content_type = TYPES[usize::from(*content_type) % TYPES.len()];
    let count = |step: usize| {
        let mut meter = Meter::new(endpoint);
        let mut charged = vec![meter.begin(200, content_type, false, 100)];
        charged.extend(bytes.chunks(step).map(|piece| meter.push(piece)));
        charged.push(meter.end());
        let sum = |of: fn(&Tokens) -> i64| charged.iter().map(of).fold(0_i64, i64::saturating_add);
        let total = meter.total();
        assert_eq!((sum(|t| t.input), sum(|t| t.output)), (total.input, total.output));
        let back = meter.cancel();
        assert_eq!((back.input, back.output), (-total.input, -total.output));
        (total.input, total.output)
    };
    assert_eq!(count(usize::from(*step).max(1)), count(bytes.len().max(1)));
}

/// What is read of a body's model is what a reader of the whole body finds there.
pub fn model(body: &[u8]) {
    let read = crate::model::model_of(body);
    let Ok(serde_json::Value::Object(whole)) = serde_json::from_slice(body) else {
        return;
    };
    match read {
        Ok(model) => assert_eq!(model.as_deref(), whole.get("model").and_then(|model| model.as_str())),
        Err(_) => assert!(whole.contains_key("model"), "it is named twice and not at all"),
    }
}
