//! SSE streams.

use dialect::chat::{Finish, Part, collect};
use dialect::{Dialect, Event, StreamError};

use crate::backend::check_events;
use crate::{decoding, snapshot};

fn decode(bytes: &[u8]) -> (Vec<Event>, Result<(), StreamError>) {
    decoding::decode(Dialect::Gemini, bytes)
}

#[test]
fn fixtures_become_events() {
    check_events(Dialect::Gemini);
}

#[test]
fn a_stream_spells_its_whole_answer() {
    let (events, _) = decode(&snapshot::fixture("gemini/stream-thinking-tools.sse"));
    let answer = collect(&events).expect("whole");
    assert_eq!(answer.finish, Finish::ToolCalls);
    assert_eq!(answer.usage.output, Some(25));
    let signed = |part: &Part| match part {
        Part::ToolCall {
            signature, arguments, ..
        } => Some((signature.is_some(), arguments.clone())),
        _ => None,
    };
    let calls: Vec<_> = answer.parts.iter().filter_map(signed).collect();
    assert_eq!(
        calls,
        [
            (true, r#"{"unit":"C","city":"Bonn"}"#.to_owned()),
            (false, "{}".to_owned())
        ]
    );
}

#[test]
fn it_is_over_when_it_was_finished_and_the_bytes_end() {
    let frame = |json: &str| format!("data: {json}\r\n\r\n");
    let text = frame(r#"{"candidates":[{"content":{"parts":[{"text":"Hi"}]}}]}"#);
    let stop = frame(r#"{"candidates":[{"finishReason":"STOP"}]}"#);
    let late = frame(r#"{"usageMetadata":{"candidatesTokenCount":7}}"#);
    let (events, outcome) = decode(format!("{text}{stop}{late}").as_bytes());
    assert_eq!(outcome, Ok(()));
    assert_eq!(
        collect(&events).expect("whole").usage.output,
        Some(7),
        "what comes after the reason counts"
    );
    assert_eq!(events.last(), Some(&Event::Done));
    assert_eq!(decode(text.as_bytes()).1, Err(StreamError::Cut));
    assert_eq!(decode(b"").1, Err(StreamError::Cut));
    assert_eq!(decode(b": ping\r\n\r\n").1, Err(StreamError::Cut));
    assert!(matches!(
        decode(b"data: <html>\r\n\r\n").1,
        Err(StreamError::Malformed(_))
    ));
    assert_eq!(decode(format!("{text}{stop}data: [DONE]\n\n").as_bytes()).1, Ok(()));
    assert_eq!(
        decode(format!("{text}data: [DONE]\n\n").as_bytes()).1,
        Err(StreamError::Cut)
    );
    for torn in ["d", "data: {\"usage", "data: {}\r\n"] {
        assert_eq!(
            decode(format!("{text}{stop}{torn}").as_bytes()).1,
            Err(StreamError::Cut),
            "{torn}"
        );
    }
    // A proxy may have made LF of CRLF.
    assert_eq!(decode(format!("{text}{stop}").replace('\r', "").as_bytes()).1, Ok(()));
}

#[test]
fn a_failure_ends_it() {
    for name in ["stream-error.sse", "stream-malformed.sse"] {
        let (events, outcome) = decode(&snapshot::fixture(&format!("gemini/{name}")));
        assert_eq!(outcome, Err(StreamError::Failed), "{name}");
        assert!(matches!(events.last(), Some(Event::Error(_))), "{name}");
    }
}
