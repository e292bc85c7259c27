//! What is refused, and how it is told: each problem with its path, all at once, nothing of the prompt in it.

use dialect::chat::RenderOptions;
use dialect::{Dialect, Failure, FailureKind, anthropic, openai};

fn fields(bad: &dialect::BadRequest) -> Vec<&str> {
    bad.problems.iter().map(|problem| problem.field.as_str()).collect()
}

#[test]
fn every_problem_is_told_with_its_path() {
    let body = br#"{"messages":[{"role":"king","content":"x"},{"role":"user","content":[{"type":"text"},7]},
        {"role":"tool","content":"x"}],"temperature":"hot","stream":1,"tools":[{"function":{}}],"tool_choice":"maybe",
        "reasoning_effort":"huge","response_format":{"type":"json_schema"},"stop":[1]}"#;
    let bad = openai::request::parse(body).expect_err("a bad request");
    let mut found = fields(&bad);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "messages[0].role",
            "messages[1].content[0].text",
            "messages[1].content[1]",
            "messages[2].tool_call_id",
            "model",
            "reasoning_effort",
            "response_format.json_schema",
            "stop[0]",
            "stream",
            "temperature",
            "tool_choice",
            "tools[0].function.name",
        ]
    );

    let body = br#"{"system":1,"messages":[{"role":"tool","content":"x"},{"role":"user"}],"tools":[{"name":"f"}],
        "thinking":{"type":"on"},"tool_choice":{"type":"tool"}}"#;
    let bad = anthropic::request::parse(body).expect_err("a bad request");
    let mut found = fields(&bad);
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "max_tokens",
            "messages[0].role",
            "messages[1].content",
            "model",
            "system",
            "thinking.type",
            "tool_choice.name",
            "tools[0].input_schema",
        ]
    );
}

#[test]
fn what_is_no_document_is_told_so() {
    let cases: [(&[u8], &str); 6] = [
        (b"", ""),
        (b"[]", ""),
        (b"{", ""),
        (
            br#"{"model":"m","model":"n","messages":[{"role":"user","content":"x"}]}"#,
            "model",
        ),
        (
            br#"{"model":"m","messages":[{"role":"user","role":"user","content":"x"}]}"#,
            "messages[0].role",
        ),
        (br#"{"model":"m","messages":[]}"#, "messages"),
    ];
    for (body, field) in cases {
        assert_eq!(
            fields(&openai::request::parse(body).expect_err("a bad request")),
            [field]
        );
    }
    let many = format!(r#"{{"model":"m","messages":[{}]}}"#, vec!["1"; 500].join(","));
    let bad = openai::request::parse(many.as_bytes()).expect_err("a bad request");
    assert_eq!(bad.problems.len(), 20);
}

#[test]
fn a_problem_shows_no_prompt() {
    let body = br#"{"model":"m","messages":[{"role":"SECRET","content":{"text":"SECRET"}}],"stop":{"a":"SECRET"}}"#;
    let bad = openai::request::parse(body).expect_err("a bad request");
    assert!(!format!("{bad} {bad:?}").contains("SECRET"));
    let request = openai::request::parse(br#"{"model":"m","messages":[{"role":"user","content":"SECRET"}]}"#);
    assert!(!format!("{request:?}").contains("SECRET"));
}

#[test]
fn what_no_other_dialect_can_be_told_names_its_field() {
    let cases = [
        (
            r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{}}]}]"#,
            "messages[0].content[0].input_audio",
        ),
        (
            r#""messages":[{"role":"user","content":[{"type":"file","file":{}}]}]"#,
            "messages[0].content[0].file",
        ),
        (
            r#""messages":[{"role":"function","name":"f","content":"x"}]"#,
            "messages[0].role",
        ),
        (
            r#""messages":[{"role":"user","content":"x","name":"Bob"}]"#,
            "messages[0].name",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"modalities":["text","audio"]"#,
            "modalities[1]",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"tools":[{"type":"custom","custom":{}}]"#,
            "tools[0].type",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"functions":[]"#,
            "functions",
        ),
        (
            r#""messages":[{"role":"user","content":"x"}],"web_search_options":{}"#,
            "web_search_options",
        ),
    ];
    for (fields, expected) in cases {
        let body = format!(r#"{{"model":"m",{fields}}}"#);
        let request = openai::request::parse(body.as_bytes()).unwrap_or_else(|bad| panic!("{fields}: {bad}"));
        for dialect in Dialect::ALL {
            let refusal = dialect
                .render_request(&request, &RenderOptions::default())
                .expect_err(fields);
            assert_eq!(refusal.field, expected, "{dialect:?}");
        }
    }
}

#[test]
fn anthropic_is_refused_what_it_cannot_be_told() {
    let call = r#"{"role":"assistant","tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"x\":"}}]}"#;
    let image = r#"{"role":"system","content":[{"type":"image_url","image_url":{"url":"https://h/a.png"}}]}"#;
    let cases = [
        (r#""messages":[{"role":"user","content":"x"}],"n":2"#.to_owned(), "n"),
        (
            r#""messages":[{"role":"user","content":"x"}],"response_format":{"type":"json_object"}"#.to_owned(),
            "response_format.type",
        ),
        (r#""messages":[{"role":"system","content":"x"}]"#.to_owned(), "messages"),
        (
            format!(r#""messages":[{{"role":"user","content":"x"}},{call}]"#),
            "messages[1].content[0]",
        ),
        (format!(r#""messages":[{image}]"#), "messages[0].content[0]"),
    ];
    for (fields, expected) in cases {
        let request =
            openai::request::parse(format!(r#"{{"model":"m",{fields}}}"#).as_bytes()).expect("a good request");
        let refusal = anthropic::request::render(&request, &RenderOptions::default()).expect_err(&fields);
        assert_eq!(refusal.field, expected);
    }
}

#[test]
fn what_refers_to_stored_things_is_refused_by_name() {
    let body = br#"{"model":"m","previous_response_id":"r","conversation":"c","prompt":{"id":"p"},"background":true,
        "input":[{"type":"item_reference","id":"i"}]}"#;
    let bad = openai::responses::parse(body).expect_err("a bad request");
    assert_eq!(
        fields(&bad),
        [
            "previous_response_id",
            "conversation",
            "prompt",
            "background",
            "input[0].type"
        ]
    );
}

#[test]
fn failures_have_each_dialect_s_shape() {
    for kind in [
        FailureKind::InvalidRequest,
        FailureKind::RateLimit,
        FailureKind::Overloaded,
        FailureKind::Api,
    ] {
        let failure = Failure::new(kind, "no");
        for (dialect, body) in [
            (Dialect::OpenAi, openai::error::render(&failure)),
            (Dialect::Anthropic, anthropic::error::render(&failure)),
        ] {
            assert_eq!(dialect.parse_error(kind.status(), &body), failure);
        }
        assert_eq!(FailureKind::of_status(kind.status()), kind);
    }
}

#[test]
fn a_refusal_becomes_a_400_that_names_the_field() {
    let request = openai::request::parse(br#"{"model":"m","messages":[{"role":"user","content":"x"}],"n":2}"#);
    let refusal = anthropic::request::render(&request.expect("good"), &RenderOptions::default()).expect_err("refused");
    let failure = Failure::from(&refusal);
    assert_eq!(failure.kind.status(), 400);
    let body = openai::error::render_for_field(&failure, Some(&refusal.field));
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(body["error"]["param"], "n");
    assert!(
        body["error"]["message"]
            .as_str()
            .expect("a text")
            .starts_with("n: has no counterpart in Anthropic's API")
    );
}

#[test]
fn images_elsewhere_are_found_wherever_they_stand() {
    let body = br#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":[
        {"type":"image","source":{"type":"url","url":"https://h/a.png"}},
        {"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"url","url":"https://h/b.png"}}]}]}]}"#;
    let mut request = anthropic::request::parse(body).expect("a good request");
    for (path, image) in request.images_mut() {
        assert_eq!(path, "messages[0].content[0]");
        *image = dialect::chat::Image::Inline {
            media_type: "image/png".to_owned(),
            data: "AA==".to_owned(),
        };
    }
    let body = anthropic::request::render(&request, &RenderOptions::default()).expect("expressible");
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    assert!(
        !body.contains("https://") && body.matches("AA==").count() == 2,
        "{body}"
    );
}

/// Found by fuzzing: a field whose name is empty was refused without a name.
#[test]
fn a_field_with_an_odd_name_is_named() {
    let cases = [
        (String::new(), "\"\"".to_owned()),
        ("a.b\nc".to_owned(), "\"a.b\\nc\"".to_owned()),
        ("x".repeat(99), "x".repeat(64)),
    ];
    for (name, field) in cases {
        let name = serde_json::to_string(&name).expect("a string");
        let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x"}}],{name}:1}}"#);
        let request = openai::request::parse(body.as_bytes()).expect("a good request");
        for dialect in Dialect::ALL {
            assert_eq!(
                dialect
                    .render_request(&request, &RenderOptions::default())
                    .expect_err("refused")
                    .field,
                field
            );
        }
    }
}
