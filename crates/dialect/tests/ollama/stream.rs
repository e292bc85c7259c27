//! NDJSON streams, both ways.

use dialect::chat::{Finish, Timings, Usage, collect};
use dialect::ollama::{Endpoint, response, stream};
use dialect::{Decoder, Dialect, Encoder, EncoderOptions, Event, Failure, FailureKind, StreamError};

use crate::backend::check_events;
use crate::decoding::identity;
use crate::{decoding, snapshot};

fn decode(bytes: &[u8]) -> (Vec<Event>, Result<(), StreamError>) {
    decoding::decode(Dialect::Ollama, bytes)
}

pub(crate) fn encode(endpoint: Endpoint, events: &[Event]) -> String {
    let options = EncoderOptions {
        identity: identity(),
        model: "m".to_owned(),
        include_usage: false,
    };
    let (mut encoder, mut out) = (stream::Encoder::for_endpoint(endpoint, options), Vec::new());
    events.iter().for_each(|event| encoder.push(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

#[test]
fn fixtures_become_events() {
    check_events(Dialect::Ollama);
}

#[test]
fn what_is_encoded_is_what_was_decoded() {
    for name in snapshot::fixtures("ollama", "stream-") {
        let (events, outcome) = decode(&snapshot::fixture(&name));
        for endpoint in [Endpoint::Chat, Endpoint::Generate] {
            let text = encode(endpoint, &events);
            let (again, again_outcome) = decode(text.as_bytes());
            assert_eq!(again_outcome, outcome, "{name}");
            let (first, second) = (collect(&events), collect(&again));
            match (first, second) {
                (Ok(mut first), Ok(second)) => {
                    first.model.clone_from(&second.model);
                    assert_eq!(second, first, "{name} as {endpoint:?}");
                }
                (Err(first), Err(second)) => assert_eq!(second, first),
                (first, second) => panic!("{name}: {first:?}, then {second:?}"),
            }
            if endpoint == Endpoint::Chat {
                snapshot::check(&name.replace(".ndjson", ".encoded"), &text);
            }
        }
    }
}

#[test]
fn a_stream_and_its_whole_answer_say_the_same() {
    let (events, _) = decode(&snapshot::fixture("ollama/stream-chat-tools.ndjson"));
    let mut streamed = collect(&events).expect("whole");
    let rendered = response::render(&streamed);
    let whole = response::parse(&rendered, &identity()).expect("a good answer");
    streamed.created = whole.created;
    assert_eq!(whole, streamed);
}

#[test]
fn interleaved_calls_come_whole_and_in_order() {
    let start = |index, name: &str| Event::ToolCallStart {
        index,
        id: format!("call_{index}"),
        name: name.to_owned(),
        signature: None,
    };
    let piece = |index, fragment: &str| Event::ToolCallArguments {
        index,
        fragment: fragment.to_owned(),
    };
    let text = encode(
        Endpoint::Chat,
        &[
            start(0, "a"),
            piece(0, "{\"x\":"),
            start(1, "b"),
            piece(1, "{}"),
            piece(0, " 1}"),
            Event::Finish {
                finish: Finish::ToolCalls,
                stop_sequence: None,
            },
            Event::Usage(Usage {
                input: Some(1),
                output: None,
                ..Usage::default()
            }),
            Event::Usage(Usage {
                input: None,
                output: Some(2),
                ..Usage::default()
            }),
            Event::Timings(Timings::default()),
            Event::Done,
        ],
    );
    let lines: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{text}");
    let calls = &lines[0]["message"]["tool_calls"];
    assert_eq!(
        calls[0]["function"],
        serde_json::json!({"index": 0, "name": "a", "arguments": {"x": 1}})
    );
    assert_eq!(
        calls[1]["function"],
        serde_json::json!({"index": 1, "name": "b", "arguments": {}})
    );
    assert_eq!(
        (&lines[1]["prompt_eval_count"], &lines[1]["eval_count"]),
        (&1.into(), &2.into())
    );
    assert_eq!(lines[1]["done_reason"], "stop");
}

/// Seen with a real llama-server: `num_predict` ran out within the arguments.
#[test]
fn a_call_that_was_cut_off_is_text() {
    let events = [
        Event::ToolCallStart {
            index: 0,
            id: "c".to_owned(),
            name: "f".to_owned(),
            signature: None,
        },
        Event::ToolCallArguments {
            index: 0,
            fragment: "{\"city\": \"Bo".to_owned(),
        },
        Event::Finish {
            finish: Finish::Length,
            stop_sequence: None,
        },
        Event::Done,
    ];
    let text = encode(Endpoint::Chat, &events);
    let first: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!(
        first["message"],
        serde_json::json!({"role": "assistant", "content": "f({\"city\": \"Bo)"})
    );
    assert_eq!(decode(text.as_bytes()).1, Ok(()));
}

#[test]
fn a_failure_is_a_line_and_the_last() {
    let failure = Failure::new(FailureKind::Api, "the backend went away");
    let events = [
        Event::Text("He".to_owned()),
        Event::Error(failure),
        Event::Text("y".to_owned()),
        Event::Done,
    ];
    let text = encode(Endpoint::Generate, &events);
    assert_eq!(text.lines().nth(1), Some(r#"{"error":"the backend went away"}"#));
    assert_eq!(text.lines().count(), 2);
    assert!(stream::Encoder::new(EncoderOptions::default()).heartbeat().is_empty());
}

#[test]
fn a_stream_ends_with_done_and_a_line_end() {
    let whole = snapshot::fixture("ollama/stream-chat-text.ndjson");
    assert_eq!(decode(&whole).1, Ok(()));
    assert_eq!(decode(&whole[..whole.len() - 1]).1, Err(StreamError::Cut));
    assert_eq!(decode(b"").1, Err(StreamError::Cut));
    assert_eq!(decode(b"\n\n").1, Err(StreamError::Cut));
    assert!(matches!(decode(b"<html>\n").1, Err(StreamError::Malformed(_))));
    assert_eq!(decode(b"{\"error\":\"no\"}\n").1, Err(StreamError::Failed));
    // What follows the end, or a failure, is read over.
    let late = [&whole[..], b"{\"message\":{\"content\":\"late\"}}\nrubbish\n"].concat();
    assert_eq!(decode(&late).0, decode(&whole).0);
}

#[test]
fn too_long_is_refused_while_it_grows() {
    let mut decoder = stream::Decoder::new(identity());
    let (megabyte, mut events) = (vec![b' '; 1 << 20], Vec::new());
    let refused = (0..9).find_map(|_| decoder.push(&megabyte, &mut events).err());
    assert_eq!(refused, Some(StreamError::TooLong));

    let mut encoder = stream::Encoder::new(EncoderOptions::default());
    let mut out = Vec::new();
    encoder.push(
        &Event::ToolCallStart {
            index: 0,
            id: "c".into(),
            name: "f".into(),
            signature: None,
        },
        &mut out,
    );
    for _ in 0..9 {
        encoder.push(
            &Event::ToolCallArguments {
                index: 0,
                fragment: "x".repeat(1 << 20),
            },
            &mut out,
        );
    }
    encoder.push(&Event::Done, &mut out);
    assert!(out.starts_with(b"{\"error\"") && out.len() < 200);
}
