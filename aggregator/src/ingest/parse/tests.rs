//! What exchanges of every dialect are read to be, whole, streamed, cut and damaged.

mod damage;

use super::*;

/// A body that came in pieces of `step` bytes, a millisecond apart.
pub(super) fn body(text: &[u8], step: usize) -> Body {
    let mut body = Body::default();
    for (index, piece) in text.chunks(step.max(1)).enumerate() {
        body.push((index as u64 + 1) * 1_000, piece, usize::MAX);
    }
    body
}

pub(super) struct Case {
    pub(super) path: &'static str,
    pub(super) request: &'static str,
    pub(super) content_type: &'static str,
    pub(super) response: &'static str,
}

impl Case {
    pub(super) fn parse_with(&self, response: &Body) -> Parsed {
        self.parse_as(200, response, "")
    }

    fn parse_as(&self, status: u16, response: &Body, encoding: &str) -> Parsed {
        parse(&Passed {
            path: self.path,
            request: &body(self.request.as_bytes(), 7),
            request_encoding: None,
            status: Some(status),
            response_type: self.content_type,
            response_encoding: encoding,
            response,
            body_bytes_max: 1 << 20,
        })
    }

    fn parse(&self, step: usize) -> Parsed {
        self.parse_with(&body(self.response.as_bytes(), step))
    }
}

const CHAT: &str = r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"héllo"}]}],"stream":true}"#;

pub(super) const STREAMS: [Case; 8] = [
    Case {
        path: "/v1/chat/completions",
        request: CHAT,
        content_type: "text/event-stream",
        response: "data: {\"id\":\"c\",\"model\":\"tiny\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm \"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"ok\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\" Hé\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo \\ud83e\\udd99\\n\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n\
            data: {\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":3}}}\n\n\
            data: [DONE]\n\n",
    },
    Case {
        path: "/v1/chat/completions",
        request: CHAT,
        content_type: "text/event-stream; charset=utf-8",
        response: "data: {\"model\":\"tiny\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"<thi\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"nk>hm ok</think>\\n\\n\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hé\"}}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"length\"}],\"timings\":{\"prompt_n\":4,\"cache_n\":3,\"predicted_n\":5,\"predicted_ms\":50.0}}\n\n\
            data: [DONE]\n\n",
    },
    Case {
        path: "/v1/completions",
        request: r#"{"model":"m","prompt":"héllo","stream":true}"#,
        content_type: "text/event-stream",
        response: "data: {\"model\":\"tiny\",\"choices\":[{\"index\":0,\"text\":\" Hé\",\"finish_reason\":null}],\"usage\":null}\n\n\
            data: {\"choices\":[{\"index\":1,\"text\":\"no\"}]}\n\n\
            data: {\"choices\":[{\"index\":0,\"text\":\"llo\",\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":5}}\n\ndata: [DONE]\n\n",
    },
    Case {
        path: "/v1/responses",
        request: r#"{"model":"m","instructions":"be brief","input":"héllo","stream":true}"#,
        content_type: "text/event-stream",
        response: "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"tiny\",\"status\":\"in_progress\"}}\n\n\
            event: response.reasoning_text.delta\ndata: {\"type\":\"response.reasoning_text.delta\",\"delta\":\"hm ok\"}\n\n\
            event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\" Hé\"}\n\n\
            event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"llo\"}\n\n\
            event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"\"}}\n\n\
            event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":2,\"delta\":\"{\\\"a\\\":1}\"}\n\n\
            event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",\"output_index\":2,\"item\":{\"type\":\"function_call\",\"call_id\":\"call_1\",\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}}\n\n\
            event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"r\",\"status\":\"completed\",\"usage\":{\"input_tokens\":7,\"output_tokens\":5,\"output_tokens_details\":{\"reasoning_tokens\":2}}}}\n\n",
    },
    Case {
        path: "/v1/messages",
        request: r#"{"model":"m","max_tokens":9,"system":"be brief","messages":[{"role":"user","content":"héllo"}],"stream":true}"#,
        content_type: "text/event-stream",
        response: "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"x\",\"role\":\"assistant\",\"model\":\"tiny\",\"content\":[],\"usage\":{\"input_tokens\":4,\"cache_read_input_tokens\":3,\"output_tokens\":1}}}\n\n\
            event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n\
            event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm ok\"}}\n\n\
            event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n\
            event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n\
            event: ping\ndata: {\"type\":\"ping\"}\n\n\
            event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"text_delta\",\"text\":\" Héllo\"}}\n\n\
            event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":1}\n\n\
            event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":2,\"content_block\":{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"f\",\"input\":{}}}\n\n\
            event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":2,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":1}\"}}\n\n\
            event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":2}\n\n\
            event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":5}}\n\n\
            event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    },
    Case {
        path: "/api/chat",
        request: r#"{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":"héllo"}]}"#,
        content_type: "application/x-ndjson",
        response: "{\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"\",\"thinking\":\"hm ok\"},\"done\":false}\n\
            {\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\" Hé\"},\"done\":false}\n\
            {\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"llo\",\"tool_calls\":[{\"id\":\"call_1\",\"function\":{\"name\":\"f\",\"arguments\":{\"a\":1}}}]},\"done\":false}\n\
            {\"model\":\"tiny\",\"message\":{\"role\":\"assistant\",\"content\":\"\"},\"done\":true,\"done_reason\":\"stop\",\"prompt_eval_count\":7,\"eval_count\":5,\"eval_duration\":50000000}",
    },
    Case {
        path: "/api/generate",
        request: r#"{"model":"m","system":"be brief","prompt":"héllo"}"#,
        content_type: "application/x-ndjson",
        response: "{\"model\":\"tiny\",\"response\":\" Hé\",\"done\":false}\n{\"model\":\"tiny\",\"response\":\"llo\",\"done\":false}\n\
            {\"model\":\"tiny\",\"response\":\"\",\"done\":true,\"done_reason\":\"length\",\"prompt_eval_count\":7,\"eval_count\":5}\n",
    },
    Case {
        path: "/v1beta/models/m:streamGenerateContent",
        request: r#"{"systemInstruction":{"parts":[{"text":"be brief"}]},"contents":[{"role":"user","parts":[{"text":"héllo"}]}]}"#,
        content_type: "text/event-stream",
        response: "data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"hm ok\",\"thought\":true}]}}],\"modelVersion\":\"tiny\",\"usageMetadata\":{\"promptTokenCount\":7}}\r\n\r\n\
            data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\" Hé\"}]}}]}\r\n\r\n\
            data: {\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"llo\"},{\"functionCall\":{\"id\":\"call_1\",\"name\":\"f\",\"args\":{\"a\":1}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":3,\"thoughtsTokenCount\":2}}\r\n\r\n",
    },
];

/// text, thinking, has the call, finish, cached, thinking tokens
type Expected = (&'static str, &'static str, bool, &'static str, Option<u64>, Option<u64>);

const EXPECTED: [Expected; 8] = [
    (" Héllo 🦙\n", "hm ok", true, "tool_calls", Some(3), None),
    ("Hé", "hm ok", false, "length", Some(3), None),
    (" Héllo", "", false, "length", None, None),
    (" Héllo", "hm ok", true, "tool_calls", None, Some(2)),
    (" Héllo", "hm ok", true, "tool_calls", Some(3), None),
    (" Héllo", "hm ok", true, "tool_calls", None, None),
    (" Héllo", "", false, "length", None, None),
    (" Héllo", "hm ok", true, "tool_calls", None, Some(2)),
];

#[test]
fn a_stream_of_every_dialect_is_read_however_it_came() {
    for (case, (text, thinking, called, finish, cached, reasoning)) in STREAMS.iter().zip(EXPECTED) {
        for step in [1, 2, 3, 5, 16, 61, 100_000] {
            let parsed = case.parse(step);
            let at = format!("{} by {step}", case.path);
            assert_eq!(parsed.text.as_deref().unwrap_or_default(), text, "{at}");
            assert_eq!(parsed.thinking.as_deref().unwrap_or_default(), thinking, "{at}");
            let calls = r#"[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]"#;
            assert_eq!(parsed.tool_calls.as_deref(), called.then_some(calls), "{at}");
            assert_eq!(parsed.finish, Some(finish), "{at}");
            let expected = Usage {
                input: Some(7),
                output: Some(5),
                cached,
                reasoning,
                ..Usage::default()
            };
            assert_eq!(
                Usage {
                    cache_creation: None,
                    ..parsed.usage
                },
                expected,
                "{at}"
            );
            assert_eq!(
                (parsed.asked.model.as_deref(), parsed.model.as_deref()),
                (Some("m"), Some("tiny")),
                "{at}"
            );
            assert!(parsed.streamed && parsed.asked.streams, "{at}");
            assert!(parsed.asked.prompt.ends_with("héllo"), "{at}: {}", parsed.asked.prompt);
            assert_eq!((parsed.broken_frames, parsed.trouble), (0, None), "{at}");
            assert!(
                parsed.first_token_us <= parsed.last_token_us && parsed.first_token_us.is_some(),
                "{at}"
            );
        }
    }
}

#[test]
fn times_are_those_of_the_pieces_that_said_something() {
    let chat = &STREAMS[0];
    let mut response = Body::default();
    // One frame a piece: the first says nothing, the second and the seventh are the first and the last token.
    for (index, frame) in chat.response.split_inclusive("\n\n").enumerate() {
        response.push(index as u64 * 100_000, frame.as_bytes(), usize::MAX);
    }
    let parsed = chat.parse_with(&response);
    assert_eq!(
        (parsed.first_token_us, parsed.last_token_us),
        (Some(100_000), Some(600_000))
    );
    assert_eq!(parsed.tokens_per_second, Some(10.0));
    let at_once = STREAMS[1].parse_with(&body(STREAMS[1].response.as_bytes(), usize::MAX));
    assert_eq!(at_once.tokens_per_second, Some(100.0), "what the backend says it took");
}

#[test]
fn whole_answers_are_read() {
    let cases = [
        (
            "/v1/chat/completions",
            r#"{"id":"c","model":"tiny","choices":[{"index":0,"message":{"role":"assistant","content":" Hé\"llo","reasoning_content":"hm"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5},"timings":{"predicted_ms":500.0,"predicted_n":5}}"#,
        ),
        (
            "/v1/completions",
            r#"{"model":"tiny","choices":[{"index":0,"text":" Hé\"llo","finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":5}}"#,
        ),
        (
            "/completion",
            r#"{"model":"tiny","content":" Hé\"llo","stop":true,"stop_type":"eos","timings":{"prompt_n":7,"predicted_n":5,"predicted_ms":500.0}}"#,
        ),
        (
            "/v1/responses",
            r#"{"id":"r","model":"tiny","status":"completed","output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},{"type":"message","content":[{"type":"output_text","text":" Hé\"llo"}]}],"usage":{"input_tokens":7,"output_tokens":5}}"#,
        ),
        (
            "/v1/messages",
            r#"{"id":"x","type":"message","role":"assistant","model":"tiny","content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":" Hé\"llo"}],"stop_reason":"end_turn","usage":{"input_tokens":7,"output_tokens":5}}"#,
        ),
        (
            "/api/chat",
            r#"{"model":"tiny","message":{"role":"assistant","content":" Hé\"llo","thinking":"hm"},"done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":5}"#,
        ),
        (
            "/api/generate",
            r#"{"model":"tiny","response":" Hé\"llo","done":true,"done_reason":"stop","prompt_eval_count":7,"eval_count":5}"#,
        ),
        (
            "/v1beta/models/m:generateContent",
            r#"{"candidates":[{"content":{"role":"model","parts":[{"text":"hm","thought":true},{"text":" Hé\"llo"}]},"finishReason":"STOP"}],"modelVersion":"tiny","usageMetadata":{"promptTokenCount":7,"candidatesTokenCount":5}}"#,
        ),
        (
            "/v1beta/models/m:streamGenerateContent",
            "[{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\" Hé\"}]}}],\"modelVersion\":\"tiny\"},\n{\"candidates\":[{\"content\":{\"role\":\"model\",\"parts\":[{\"text\":\"\\\"llo\"}]},\"finishReason\":\"STOP\"}],\n\"usageMetadata\":{\"promptTokenCount\":7,\"candidatesTokenCount\":5}}]",
        ),
    ];
    for (path, response) in cases {
        let case = Case {
            path,
            request: r#"{"model":"m","stream":false}"#,
            content_type: "application/json; charset=utf-8",
            response,
        };
        let parsed = case.parse(10);
        assert_eq!(parsed.text.as_deref(), Some(" Hé\"llo"), "{path}");
        assert_eq!(parsed.finish, Some("stop"), "{path}");
        assert_eq!((parsed.usage.input, parsed.usage.output), (Some(7), Some(5)), "{path}");
        assert_eq!(parsed.model.as_deref(), Some("tiny"), "{path}");
        assert_eq!(
            (parsed.streamed, parsed.first_token_us, parsed.broken_frames),
            (false, None, 0),
            "{path}"
        );
        let speed = response.contains("predicted_ms").then_some(10.0);
        assert_eq!(parsed.tokens_per_second, speed, "{path}");
    }
}

#[test]
fn what_was_cut_gives_what_had_come() {
    let case = Case {
        path: "/v1/chat/completions",
        request: r#"{"model":"m","messages":[{"role":"user","content":"a long sto"#,
        content_type: "application/json",
        response: r#"{"model":"tiny","choices":[{"index":0,"message":{"role":"assistant","content":"Once upon"#,
    };
    let parsed = case.parse(9);
    assert_eq!((parsed.text.as_deref(), parsed.finish), (Some("Once upon"), None));
    assert_eq!(
        (parsed.asked.model.as_deref(), &*parsed.asked.prompt),
        (Some("m"), "a long sto")
    );
    let stream = &STREAMS[0];
    let half = stream.response.find("llo \\ud83e").expect("there");
    let parsed = stream.parse_with(&body(&stream.response.as_bytes()[..half], 50));
    assert_eq!(
        (parsed.text.as_deref(), parsed.thinking.as_deref()),
        (Some(" Hé"), Some("hm ok"))
    );
    assert_eq!(
        (parsed.finish, parsed.usage, parsed.broken_frames),
        (None, Usage::default(), 0)
    );
}

#[test]
fn failures_have_a_code_and_no_text() {
    let cases = [
        (
            400,
            r#"{"error":{"message":"no","type":"invalid_request_error","code":"context_length_exceeded"}}"#,
            "context_length_exceeded",
        ),
        (
            503,
            r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
            "unavailable_error",
        ),
        (
            429,
            r#"{"error":{"message":"no","type":"a phrase, not a word"}}"#,
            "rate_limit_exceeded",
        ),
        (502, "<html>bad gateway</html>", "backend_error"),
        (404, r#"{"error":"model not found"}"#, "not_found"),
    ];
    for (status, response, code) in cases {
        let case = Case {
            response,
            content_type: "application/json",
            ..STREAMS[0]
        };
        let parsed = case.parse_as(status, &body(response.as_bytes(), 8), "");
        let trouble = parsed.trouble.expect("a failure");
        assert_eq!((&*trouble.code, parsed.text), (code, None), "{response}");
    }
    let case = Case {
        response: "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hé\"}}]}\n\ndata: {\"error\":{\"message\":\"broke sk-abcdefghijkl\",\"type\":\"server_error\"}}\n\n",
        ..STREAMS[0]
    };
    let parsed = case.parse(11);
    let trouble = parsed.trouble.expect("told in the stream");
    assert_eq!((&*trouble.code, parsed.text.as_deref()), ("server_error", Some("Hé")));
    assert!(!trouble.message.contains("abcdefghijkl"), "keys are blotted out");
}

#[test]
fn embeddings_are_counted_and_not_kept_as_text() {
    let cases = [
        (
            "/v1/embeddings",
            r#"{"model":"m","input":["a","b"]}"#,
            r#"{"model":"tiny","data":[{"index":0,"embedding":[0.5,1,2]},{"index":1,"embedding":[3,4,5]}],"usage":{"prompt_tokens":2}}"#,
        ),
        (
            "/v1/embeddings",
            r#"{"model":"m","input":["a","b"],"encoding_format":"base64"}"#,
            r#"{"model":"tiny","data":[{"index":0,"embedding":"AAAAAAAAAAAAAAAA"},{"index":1,"embedding":"AAAAAAAAAAAAAAAA"}],"usage":{"prompt_tokens":2}}"#,
        ),
        (
            "/api/embed",
            r#"{"model":"m","input":["a","b"]}"#,
            r#"{"model":"tiny","embeddings":[[1,2,3],[4,5,6]],"prompt_eval_count":2}"#,
        ),
    ];
    for (path, request, response) in cases {
        let case = Case {
            path,
            request,
            content_type: "application/json",
            response,
        };
        let parsed = case.parse(50);
        assert_eq!(
            parsed.embeddings,
            Some(Embeddings {
                count: 2,
                dimensions: 3
            }),
            "{path}"
        );
        assert_eq!(
            (parsed.text, parsed.usage.input, parsed.streamed),
            (None, Some(2), false),
            "{path}"
        );
        assert_eq!(&*parsed.asked.prompt, "a\nb");
    }
}

#[test]
fn of_several_answers_the_first_is_the_text() {
    let case = Case {
        path: "/v1/chat/completions",
        request: r#"{"model":"m","n":2,"stream":true}"#,
        content_type: "text/event-stream",
        response: "data: {\"choices\":[{\"index\":1,\"delta\":{\"content\":\"no\"}}]}\n\ndata: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"yes\"}}]}\n\ndata: [DONE]\n\n",
    };
    assert_eq!(case.parse(5).text.as_deref(), Some("yes"));
}

#[test]
fn a_compressed_answer_is_read_and_an_unknown_one_is_kept() {
    use std::io::Write;
    let stream = &STREAMS[0];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(stream.response.as_bytes()).expect("memory");
    let gzip = gzip.finish().expect("memory");
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    zlib.write_all(stream.response.as_bytes()).expect("memory");
    let zlib = zlib.finish().expect("memory");
    let mut raw = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    raw.write_all(stream.response.as_bytes()).expect("memory");
    let raw = raw.finish().expect("memory");
    for (encoding, bytes) in [("gzip", &gzip), ("deflate", &zlib), ("deflate", &raw)] {
        let parsed = stream.parse_as(200, &body(bytes, 40), encoding);
        assert_eq!(parsed.text, stream.parse(40).text, "{encoding}");
        assert_eq!(
            parsed.decoded.as_deref(),
            Some(stream.response.as_bytes()),
            "{encoding}"
        );
        let half = stream.parse_as(200, &body(&bytes[..bytes.len() / 2], 40), encoding);
        assert!(
            half.decoded
                .is_some_and(|half| stream.response.as_bytes().starts_with(&half)),
            "{encoding}"
        );
    }
    for (encoding, bytes) in [("br", &gzip), ("gzip", &raw)] {
        let parsed = stream.parse_as(200, &body(bytes, 40), encoding);
        assert_eq!(
            (parsed.opaque, parsed.text, parsed.decoded),
            (true, None, None),
            "{encoding}"
        );
        assert!(parsed.asked.model.is_some(), "the request is read all the same");
    }
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 8 << 20]).expect("memory");
    let parsed = stream.parse_as(200, &body(&bomb.finish().expect("memory"), 4096), "gzip");
    assert_eq!(
        parsed.decoded.map(|decoded| decoded.len()),
        Some(1 << 20),
        "the bound of this test"
    );
}
