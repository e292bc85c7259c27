//! Routing by the body's model.

use edge::Bounds;

use crate::harness::http::Answer;
use crate::harness::origin::Origin;
use crate::harness::world::{Terms, World, mapping};

struct Two {
    small: Origin,
    large: Origin,
    world: World,
}

fn two_models(bounds: Bounds) -> Two {
    let (small, large) = (Origin::answering("small"), Origin::answering("large"));
    let files = [
        (
            "small.yml",
            mapping("small", "Key(`sk`) && Model(`small`)", std::slice::from_ref(&small.url)),
        ),
        (
            "large.yml",
            mapping("large", "Key(`sk`) && Model(`large`)", std::slice::from_ref(&large.url)),
        ),
    ];
    let files: Vec<_> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
    Two {
        world: World::on(
            Terms {
                bounds,
                ..Terms::default()
            },
            &files,
        ),
        small,
        large,
    }
}

fn post(world: &World, body: &str) -> Answer {
    world.send(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

#[test]
fn one_key_leads_to_the_server_of_the_model_it_asks_for() {
    let two = two_models(Bounds::default());
    for size in [1, 65_000, 65_536, 130_000, 2_000_000] {
        let prompt = "p".repeat(size);
        for model in ["small", "large"] {
            let answer = post(
                &two.world,
                &format!(r#"{{"messages":[{{"content":"{prompt}"}}],"model":"{model}"}}"#),
            );
            assert_eq!((answer.status, answer.text().as_str()), (200, model), "{size}");
        }
    }
    let sizes = |origin: &Origin| origin.seen().iter().map(|seen| seen.body.len()).collect::<Vec<_>>();
    assert_eq!(sizes(&two.small), sizes(&two.large), "every body arrived whole");
    assert!(
        two.small
            .seen()
            .iter()
            .all(|seen| seen.body.ends_with(br#""model":"small"}"#))
    );
}

#[test]
fn a_model_nobody_serves_is_404_and_a_body_that_names_two_is_400() {
    let two = two_models(Bounds::default());
    for (body, status, code) in [
        (r#"{"model":"other"}"#, 404, "no_route"),
        (r#"{"prompt":"none"}"#, 404, "no_route"),
        ("not json", 404, "no_route"),
        (r#"{"model":"small","model":"large"}"#, 400, "duplicate_model"),
    ] {
        let answer = post(&two.world, body);
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{body}");
    }
    assert!(two.small.seen().is_empty() && two.large.seen().is_empty());
}

#[test]
fn a_client_that_waits_for_100_is_told_to_go_on() {
    let two = two_models(Bounds::default());
    let body = r#"{"model":"small"}"#;
    let mut connection = two.world.connect();
    let head = format!(
        "POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nExpect: 100-continue\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    connection.write(head.as_bytes());
    connection.read_until("100 Continue");
    connection.write(body.as_bytes());
    assert_eq!(connection.answer(false).text(), "small");
    assert_eq!(two.small.only().header("expect"), None, "nobody waits any more");
}

/// pingora-proxy cannot forward a longer one that it has read early, unless its end can be foreseen.
#[test]
fn a_chunked_body_is_routed_too() {
    let two = two_models(Bounds::default());
    let chunked = |body: &str| {
        two.world.send(&format!(
            "POST / HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ))
    };
    assert_eq!(chunked(r#"{"model":"large"}"#).text(), "large");
    let long = format!(r#"{{"prompt":"{}","model":"large"}}"#, "p".repeat(70_000));
    let answer = chunked(&long);
    match crate::CARRIER {
        edge::Carrier::Forwarder => {
            assert_eq!((answer.status, answer.text().as_str()), (200, "large"));
            assert_eq!(two.large.seen()[1].body, long.as_bytes());
        }
        edge::Carrier::PingoraProxy => {
            assert_eq!((answer.status, answer.code().as_str()), (411, "length_required"));
        }
    }
}

#[test]
fn an_unbounded_body_is_not_gathered() {
    let two = two_models(Bounds {
        body_bytes_max: 1000,
        ..Bounds::default()
    });
    let answer = post(&two.world, &"x".repeat(1001));
    assert_eq!((answer.status, answer.code().as_str()), (413, "request_too_large"));
}

fn posted(path: &str, kind: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: edge\r\nx-api-key: sk\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn form(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--XX\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--XX--\r\n"
}

const FORM: &str = "multipart/form-data; boundary=XX";

#[test]
fn a_path_or_a_form_may_name_the_model() {
    let two = two_models(Bounds::default());
    for model in ["small", "large"] {
        for (path, kind, body) in [
            (
                format!("/v1beta/models/{model}:generateContent"),
                "application/json",
                "{}".to_owned(),
            ),
            (
                format!("/v1beta/models/{model}:streamGenerateContent?alt=sse"),
                "application/json",
                "{}".to_owned(),
            ),
            (
                format!("/openai/deployments/{model}/chat/completions"),
                "application/json",
                "{}".to_owned(),
            ),
            (
                "/v1/audio/transcriptions".to_owned(),
                FORM,
                form(&[("file", "RIFF"), ("model", model)]),
            ),
        ] {
            let answer = two.world.send(&posted(&path, kind, &body));
            assert_eq!((answer.status, answer.text().as_str()), (200, model), "{path}");
        }
    }
    let twice = form(&[("model", "small"), ("model", "large")]);
    let answer = two.world.send(&posted("/v1/audio/transcriptions", FORM, &twice));
    assert_eq!((answer.status, answer.code().as_str()), (400, "duplicate_model"));
    let answer = two.world.send(&posted(
        "/v1beta/models/large%3AgenerateContent",
        "application/json",
        "{}",
    ));
    assert_eq!((answer.status, answer.code().as_str()), (400, "bad_path"));
}

#[test]
fn what_a_key_may_use_holds_for_paths_and_forms_too() {
    let origin = Origin::answering("ok");
    let file = crate::harness::limited::limited(&origin.url, &[("models", "{allow: [small], alias: {tiny: small}}")]);
    let world = World::start(&[("a.yml", &file)]);
    let gemini = |model: &str| {
        posted(
            &format!("/v1beta/models/{model}:generateContent"),
            "application/json",
            "{}",
        )
    };
    let azure = |model: &str, body: &str| {
        posted(
            &format!("/openai/deployments/{model}/chat/completions"),
            "application/json",
            body,
        )
    };
    let heard = |model: &str| posted("/v1/audio/transcriptions", FORM, &form(&[("model", model)]));
    for (request, expected) in [
        (gemini("small"), 200),
        (gemini("tiny"), 200),
        (gemini("large"), 403),
        (azure("tiny", r#"{"model":"tiny"}"#), 200),
        (azure("small", r#"{"model":"large"}"#), 403),
        (azure("large", r#"{"model":"small"}"#), 403),
        (heard("tiny"), 200),
        (heard("large"), 403),
        (posted("/v1/audio/transcriptions", FORM, &form(&[("file", "x")])), 403),
    ] {
        assert_eq!(world.send(&request).status, expected, "{request}");
    }
    let seen = origin.seen();
    let asked: Vec<String> = seen
        .iter()
        .map(|it| {
            format!(
                "{} {}",
                it.line().split(' ').nth(1).unwrap_or_default(),
                String::from_utf8_lossy(&it.body)
            )
        })
        .collect();
    assert_eq!(
        asked,
        [
            "/v1beta/models/small:generateContent {}".to_owned(),
            "/v1beta/models/small:generateContent {}".to_owned(),
            r#"/openai/deployments/small/chat/completions {"model":"small"}"#.to_owned(),
            format!("/v1/audio/transcriptions {}", form(&[("model", "small")])),
        ],
        "an alias is replaced wherever it stands"
    );
}
