//! What is read along, dialect by dialect.

use super::*;

fn usage(input: u64, output: u64) -> Usage {
    Usage {
        input: Some(input),
        output: Some(output),
        ..Usage::default()
    }
}

fn read(dialect: Dialect, framing: Framing, bytes: &str) -> Usage {
    let mut reader = UsageReader::new(dialect, framing);
    bytes.as_bytes().chunks(7).for_each(|chunk| reader.push(chunk));
    reader.finish()
}

#[test]
fn every_dialect_and_framing() {
    use Dialect::{Anthropic, Gemini, Ollama, OpenAi};
    use Framing::{Json, Ndjson, Sse};
    let cached = |usage: Usage, cached| Usage {
        cached: Some(cached),
        ..usage
    };
    let cases = [
        (
            OpenAi,
            Json,
            r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#,
            usage(3, 4),
        ),
        (
            OpenAi,
            Json,
            r#"{"usage":null,"timings":{"prompt_n":1,"cache_n":2,"predicted_n":4}}"#,
            cached(usage(3, 4), 2),
        ),
        (
            OpenAi,
            Json,
            r#"{"choices":[{"message":{"content":"\"usage\":1"}}]}"#,
            Usage::default(),
        ),
        (
            OpenAi,
            Sse,
            "data: {\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\ndata: {\"usage\":null}\n\ndata: [DONE]\n\n",
            usage(3, 4),
        ),
        (
            OpenAi,
            Sse,
            "data: {\"response\":{\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}}\n\n",
            usage(3, 4),
        ),
        (
            Ollama,
            Ndjson,
            "{\"done\":false}\n{\"done\":true,\"prompt_eval_count\":3,\"eval_count\":4}",
            usage(3, 4),
        ),
        (
            Ollama,
            Json,
            r#"{"done":true,"eval_count":4}"#,
            Usage {
                output: Some(4),
                ..Usage::default()
            },
        ),
        (
            Anthropic,
            Json,
            r#"{"usage":{"input_tokens":1,"cache_read_input_tokens":2,"output_tokens":4}}"#,
            cached(usage(3, 4), 2),
        ),
        (
            Anthropic,
            Sse,
            "data: {\"message\":{\"usage\":{\"input_tokens\":1,\"cache_read_input_tokens\":2,\"output_tokens\":1}}}\n\ndata: {\"usage\":{\"output_tokens\":4}}\n\n",
            cached(usage(3, 4), 2),
        ),
        (
            Gemini,
            Sse,
            "data: {\"usageMetadata\":{\"promptTokenCount\":3,\"candidatesTokenCount\":4}}\r\n\r\n",
            usage(3, 4),
        ),
    ];
    for (dialect, framing, bytes, expected) in cases {
        assert_eq!(read(dialect, framing, bytes), expected, "{dialect:?} {bytes}");
    }
}

#[test]
fn a_stream_has_ended_with_its_final_event_only() {
    use Dialect::{Anthropic, Ollama, OpenAi};
    let cases = [
        (OpenAi, Framing::Sse, "data: {\"x\":\"[DONE]\"}\n\n", "data: [DONE]\n\n"),
        (
            OpenAi,
            Framing::Sse,
            "event: response.created\ndata: {}\n\n",
            "event: response.completed\ndata: {}\n\n",
        ),
        (
            Anthropic,
            Framing::Sse,
            "event: ping\ndata: {}\n\n",
            "event: message_stop\ndata: {}\n\n",
        ),
        (
            Ollama,
            Framing::Ndjson,
            "{\"done\":false}\n{\"error\":\"x\"}\n",
            "{\"done\":true}\n",
        ),
    ];
    for (dialect, framing, before, last) in cases {
        let mut reader = UsageReader::new(dialect, framing);
        reader.push(before.as_bytes());
        reader.push(&last.as_bytes()[..last.len() - 1]);
        assert!(!reader.has_ended(), "{dialect:?} {last}");
        reader.push(&last.as_bytes()[last.len() - 1..]);
        assert!(reader.has_ended(), "{dialect:?} {last}");
    }
}

#[test]
fn what_is_too_long_is_passed_over() {
    let mut reader = UsageReader::new(Dialect::OpenAi, Framing::Json);
    let block = vec![b' '; 1024 * 1024];
    (0..10).for_each(|_| reader.push(&block));
    assert_eq!(reader.finish(), Usage::default());
}

#[test]
fn a_stream_with_a_frame_that_is_too_long_never_ends_cleanly() {
    for (framing, last) in [
        (Framing::Sse, "\n\ndata: [DONE]\n\n"),
        (Framing::Ndjson, "\n{\"done\":true}\n"),
    ] {
        let mut reader = UsageReader::new(Dialect::OpenAi, framing);
        reader.push(b"data: ");
        reader.push(&vec![b'x'; FRAME_BYTES_MAX + 1]);
        reader.push(last.as_bytes());
        assert!(!reader.has_ended(), "{framing:?}");
    }
}
