//! Streams: each backend's fixture, encoded for each kind of client.

use dialect::chat::{Finish, Signature, TokenLogprob, collect};
use dialect::{Dialect, Encoder, EncoderOptions, Event, Failure, FailureKind, StreamError, anthropic, openai};

use crate::decoding::{decode, identity};
use crate::{folder, snapshot, snapshot_name};

pub(crate) fn fixtures() -> Vec<(Dialect, String)> {
    let of = |dialect| {
        snapshot::fixtures(&folder(dialect), "stream-")
            .into_iter()
            .map(move |name| (dialect, name))
    };
    Dialect::ALL.into_iter().flat_map(of).collect()
}

fn options(include_usage: bool) -> EncoderOptions {
    EncoderOptions {
        identity: identity(),
        model: "m".to_owned(),
        include_usage,
    }
}

pub(crate) fn encode(mut encoder: impl Encoder, events: &[Event]) -> String {
    let mut out = Vec::new();
    events.iter().for_each(|event| encoder.push(event, &mut out));
    String::from_utf8(out).expect("UTF-8")
}

fn responses_encoder() -> openai::responses::Encoder {
    let (_, echo) = openai::responses::parse(br#"{"model":"m","input":"x"}"#).expect("a good request");
    openai::responses::Encoder::new(options(true), echo)
}

#[test]
fn every_stream_for_every_client() {
    for (dialect, name) in fixtures() {
        let (events, _) = decode(dialect, &snapshot::fixture(&name));
        let encoded = [
            ("openai", encode(openai::stream::Encoder::new(options(true)), &events)),
            (
                "anthropic",
                encode(anthropic::stream::Encoder::new(options(true)), &events),
            ),
            (
                "completions",
                encode(openai::completions::Encoder::new(options(false)), &events),
            ),
            ("responses", encode(responses_encoder(), &events)),
        ];
        for (to, text) in encoded {
            snapshot::check(&snapshot_name(&name, to), &text);
        }
    }
}

/// Whatever the events were, what a client gets decodes to the same answer, or to the same failure.
#[test]
fn encoded_and_decoded_again() {
    for (dialect, name) in fixtures() {
        let (events, _) = decode(dialect, &snapshot::fixture(&name));
        let before = collect(&events);
        let encoded = [
            (
                Dialect::OpenAi,
                encode(openai::stream::Encoder::new(options(true)), &events),
            ),
            (
                Dialect::Anthropic,
                encode(anthropic::stream::Encoder::new(options(true)), &events),
            ),
        ];
        for (to, text) in encoded {
            let (again, outcome) = decode(to, text.as_bytes());
            match (&before, collect(&again)) {
                (Ok(before), Ok(after)) => {
                    assert_eq!(outcome, Ok(()), "{name} as {to:?}");
                    let parts = |response: &dialect::ChatResponse| spoken(&response.parts);
                    assert_eq!(parts(&after), parts(before), "{name} as {to:?}");
                    assert_eq!(after.finish, before.finish, "{name} as {to:?}");
                    if before.usage.total().is_some() {
                        assert_eq!(after.usage.total(), before.usage.total(), "{name} as {to:?}");
                        assert_eq!(after.usage.cached, before.usage.cached, "{name} as {to:?}");
                    }
                }
                (Err(before), Err(after)) => assert_eq!((after.kind, &after.message), (before.kind, &before.message)),
                (before, after) => panic!("{name} as {to:?}: {before:?}, then {after:?}"),
            }
        }
    }
}

/// Text, thinking and calls, each joined: a dialect may part them otherwise.
fn spoken(parts: &[dialect::chat::Part]) -> (String, String, Vec<(String, String, String)>) {
    use dialect::chat::Part;
    let mut said = (String::new(), String::new(), Vec::new());
    for part in parts {
        match part {
            Part::Text(text) => said.0.push_str(text),
            Part::Thinking { text, .. } => said.1.push_str(text),
            Part::ToolCall {
                id, name, arguments, ..
            } => said.2.push((id.clone(), name.clone(), arguments.clone())),
            _ => {}
        }
    }
    said
}

#[test]
fn a_client_that_did_not_ask_sees_no_usage() {
    let (events, _) = decode(Dialect::OpenAi, &snapshot::fixture("openai/stream-tools.sse"));
    assert!(encode(openai::stream::Encoder::new(options(true)), &events).contains("\"usage\""));
    assert!(!encode(openai::stream::Encoder::new(options(false)), &events).contains("\"usage\""));
}

#[test]
fn timings_count_where_no_usage_comes() {
    let (events, outcome) = decode(Dialect::OpenAi, &snapshot::fixture("openai/stream-llamacpp.sse"));
    assert_eq!(outcome, Ok(()));
    let usage = collect(&events).expect("whole").usage;
    assert_eq!((usage.input, usage.output, usage.cached), (Some(12), Some(5), Some(8)));
}

#[test]
fn after_a_failure_comes_nothing() {
    let events = [
        Event::Start {
            id: String::new(),
            model: String::new(),
        },
        Event::Text("He".to_owned()),
        Event::Error(Failure::new(FailureKind::Overloaded, "no slot")),
        Event::Text("llo".to_owned()),
        Event::Finish {
            finish: Finish::Stop,
            stop_sequence: None,
        },
        Event::Done,
    ];
    let openai = encode(openai::stream::Encoder::new(options(true)), &events);
    assert!(
        openai.contains("\"error\"") && !openai.contains("[DONE]") && !openai.contains("llo"),
        "{openai}"
    );
    let anthropic = encode(anthropic::stream::Encoder::new(options(true)), &events);
    assert!(
        anthropic.contains("event: error\n") && !anthropic.contains("message_stop"),
        "{anthropic}"
    );
    let responses = encode(responses_encoder(), &events);
    assert!(
        responses.contains("event: response.failed\n") && !responses.contains("response.completed"),
        "{responses}"
    );
}

#[test]
fn a_finish_that_says_error_is_one() {
    let bytes =
        b"data: {\"choices\":[{\"delta\":{\"content\":\"x\"},\"finish_reason\":\"error\"}]}\n\ndata: [DONE]\n\n";
    let (events, outcome) = decode(Dialect::OpenAi, bytes);
    assert_eq!(outcome, Err(StreamError::Failed));
    assert!(matches!(events.last(), Some(Event::Error(_))));
}

#[test]
fn interleaved_calls_are_put_one_after_the_other() {
    let (events, _) = decode(Dialect::OpenAi, &snapshot::fixture("openai/stream-tools.sse"));
    let text = encode(anthropic::stream::Encoder::new(options(false)), &events);
    let (again, _) = decode(Dialect::Anthropic, text.as_bytes());
    let calls = spoken(&collect(&again).expect("whole").parts).2;
    let call = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
    assert_eq!(
        calls,
        [call("call_1", "weather", "{\"zone\":1}"), call("call_2", "clock", "{}")]
    );
}

#[test]
fn logprobs_ride_with_their_text_and_signatures_stay_home() {
    let token = TokenLogprob {
        token: "a".to_owned(),
        logprob: -0.5,
        ..TokenLogprob::default()
    };
    let events = [
        Event::Start {
            id: "c".to_owned(),
            model: "m".to_owned(),
        },
        Event::Thinking("Hm".to_owned()),
        Event::Signature(Signature::new(Dialect::Gemini, "Z2Vt")),
        Event::Logprobs(vec![token.clone()]),
        Event::Text("a".to_owned()),
        Event::Done,
    ];
    let openai = encode(openai::stream::Encoder::new(options(false)), &events);
    assert_eq!(
        collect(&decode(Dialect::OpenAi, openai.as_bytes()).0)
            .expect("whole")
            .logprobs,
        [token]
    );
    let anthropic = encode(anthropic::stream::Encoder::new(options(false)), &events);
    assert!(!openai.contains("Z2Vt") && !anthropic.contains("Z2Vt"));
}

#[test]
fn heartbeats_are_read_over() {
    let whole = snapshot::fixture("anthropic/stream-text.sse");
    let ping = anthropic::stream::Encoder::new(options(false)).heartbeat().to_vec();
    assert_eq!(
        decode(Dialect::Anthropic, &[ping, whole.clone()].concat()).0,
        decode(Dialect::Anthropic, &whole).0
    );
    let whole = snapshot::fixture("openai/stream-tools.sse");
    let comment = openai::stream::Encoder::new(options(false)).heartbeat().to_vec();
    assert_eq!(
        decode(Dialect::OpenAi, &[comment, whole.clone()].concat()).0,
        decode(Dialect::OpenAi, &whole).0
    );
}
