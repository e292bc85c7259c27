//! Made-up answers on a journey from dialect to dialect: what was said, thought, called and counted arrives.

use dialect::chat::{ChatResponse, Finish, Part, Usage, collect};
use dialect::{Dialect, Encoder, EncoderOptions, Event, anthropic, ollama, openai};
use proptest::prelude::*;

use crate::decoding::{decode, identity};
use crate::streams::encode;

/// The dialects that clients speak, in the order of the journey.
const STAGES: [Dialect; 4] = [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama, Dialect::OpenAi];

fn encoder(dialect: Dialect) -> Box<dyn Encoder> {
    let options = EncoderOptions {
        identity: identity(),
        model: "m".to_owned(),
        include_usage: true,
    };
    match dialect {
        Dialect::Anthropic => Box::new(anthropic::stream::Encoder::new(options)),
        Dialect::Ollama => Box::new(ollama::stream::Encoder::new(options)),
        _ => Box::new(openai::stream::Encoder::new(options)),
    }
}

fn render(dialect: Dialect, response: &ChatResponse) -> bytes::Bytes {
    match dialect {
        Dialect::Anthropic => anthropic::response::render(response),
        Dialect::Ollama => ollama::response::render(response),
        _ => openai::response::render(response),
    }
}

/// Pieces of every alphabet, quotes, line ends and what looks like framing.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z \"\\\\/{}\\[\\]:,\u{e9}\u{1f999}\u{2028}]{1,12}",
        Just("\n\n".to_owned()),
        Just("\r".to_owned()),
        Just("data: [DONE]\n\n".to_owned()),
        Just("\u{0}\u{1f}".to_owned()),
        Just("<think>".to_owned()),
    ];
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat())
}

fn arguments() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("1".to_owned()),
        Just("123456789012345678901234567890".to_owned()),
        Just("{\"b\":[],\"a\":null}".to_owned()),
        text().prop_map(|text| serde_json::to_string(&text).expect("a string")),
    ];
    prop::collection::vec(value, 0..4).prop_map(|values| {
        let field = |(index, value): (usize, &String)| format!("\"k{}\":{value}", 9 - index);
        format!(
            "{{{}}}",
            values.iter().enumerate().map(field).collect::<Vec<_>>().join(",")
        )
    })
}

fn response() -> impl Strategy<Value = ChatResponse> {
    let calls = prop::collection::vec(("[a-z_]{1,8}", arguments()), 0..4);
    let usage = (0_u64..10_000, 0_u64..10_000);
    let finish = prop_oneof![Just(Finish::Stop), Just(Finish::Length)];
    (prop::option::of(text()), prop::option::of(text()), calls, usage, finish).prop_map(
        |(thinking, said, calls, (input, output), finish)| {
            let mut parts = Vec::new();
            parts.extend(thinking.map(|text| Part::Thinking { text, signature: None }));
            parts.extend(said.map(Part::Text));
            for (index, (name, arguments)) in calls.into_iter().enumerate() {
                parts.push(Part::ToolCall {
                    id: format!("call_{index}"),
                    name,
                    arguments,
                    signature: None,
                });
            }
            let called = matches!(parts.last(), Some(Part::ToolCall { .. }));
            ChatResponse {
                id: "id".to_owned(),
                model: "m".to_owned(),
                created: identity().created,
                parts,
                finish: if called { Finish::ToolCalls } else { finish },
                usage: Usage {
                    input: Some(input),
                    output: Some(output),
                    ..Usage::default()
                },
                ..ChatResponse::default()
            }
        },
    )
}

/// The events of a backend that writes a few letters at a time.
fn events(response: &ChatResponse, letters: usize) -> Vec<Event> {
    let mut events = vec![Event::Start {
        id: response.id.clone(),
        model: response.model.clone(),
    }];
    let mut calls = 0..;
    for part in &response.parts {
        match part {
            Part::Text(text) => events.extend(pieces(text, letters).map(Event::Text)),
            Part::Thinking { text, .. } => events.extend(pieces(text, letters).map(Event::Thinking)),
            Part::ToolCall {
                id, name, arguments, ..
            } => {
                let index = calls.next().expect("endless");
                events.push(Event::ToolCallStart {
                    index,
                    id: id.clone(),
                    name: name.clone(),
                    signature: None,
                });
                let fragments = pieces(arguments, letters);
                events.extend(fragments.map(|fragment| Event::ToolCallArguments { index, fragment }));
            }
            _ => {}
        }
    }
    events.push(Event::Finish {
        finish: response.finish,
        stop_sequence: None,
    });
    events.push(Event::Usage(response.usage));
    events.push(Event::Done);
    events
}

fn pieces(text: &str, letters: usize) -> impl Iterator<Item = String> {
    let all: Vec<char> = text.chars().collect();
    let pieces: Vec<String> = all.chunks(letters).map(|piece| piece.iter().collect()).collect();
    pieces.into_iter()
}

/// What must arrive. Time is kept by some dialects only, and so is who gave the answer its id.
fn essence(response: &ChatResponse) -> (Vec<Part>, Finish, Option<u64>, Option<u64>) {
    (
        response.parts.clone(),
        response.finish,
        response.usage.input,
        response.usage.output,
    )
}

proptest! {
    #[test]
    fn a_stream_arrives_as_it_left(response in response(), letters in 1_usize..9) {
        let mut events = events(&response, letters);
        for dialect in STAGES {
            let text = encode(encoder(dialect), &events);
            let (next, outcome) = decode(dialect, text.as_bytes());
            prop_assert_eq!(outcome, Ok(()));
            let arrived = collect(&next).expect("a whole stream");
            prop_assert!(essence(&arrived) == essence(&response), "{:?}: {}", dialect, text);
            events = next;
        }
    }

    #[test]
    fn an_answer_arrives_as_it_left(response in response()) {
        let mut travelling = response.clone();
        for dialect in STAGES {
            let body = render(dialect, &travelling);
            travelling = dialect.parse_response(&body, &identity()).expect("what we wrote");
            prop_assert!(essence(&travelling) == essence(&response), "{:?}: {:?}", dialect, body);
        }
    }

    /// A journey that is cut short at any stage, at any byte, never looks whole.
    #[test]
    fn a_cut_journey_is_seen(response in response(), cut in any::<prop::sample::Index>()) {
        for dialect in [Dialect::OpenAi, Dialect::Anthropic, Dialect::Ollama] {
            let text = encode(encoder(dialect), &events(&response, 3));
            let (events, outcome) = decode(dialect, &text.as_bytes()[..cut.index(text.len())]);
            prop_assert!(outcome.is_err());
            let further = encode(encoder(Dialect::Anthropic), &events);
            prop_assert!(decode(Dialect::Anthropic, further.as_bytes()).1.is_err());
        }
    }
}
