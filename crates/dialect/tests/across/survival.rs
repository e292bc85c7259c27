//! What holds for every stream, however it is split or cut, and for all bytes whatever.

use dialect::chat::RenderOptions;
use dialect::ollama::Endpoint;
use dialect::ollama::request::Asked;
use dialect::splice::Body;
use dialect::usage::{Framing, UsageReader};
use dialect::{Dialect, Event, StreamError, anthropic, gemini, ollama, openai};
use proptest::prelude::*;

use crate::decoding::{decode, identity};
use crate::snapshot;
use crate::streams::fixtures;

fn decode_split(dialect: Dialect, bytes: &[u8], mut ends: Vec<usize>) -> (Vec<Event>, Result<(), StreamError>) {
    let (mut decoder, mut events, mut from) = (dialect.decoder(identity()), Vec::new(), 0);
    ends.push(bytes.len());
    ends.sort_unstable();
    for end in ends {
        if let Err(error) = decoder.push(&bytes[from..end], &mut events) {
            return (events, Err(error));
        }
        from = end;
    }
    let outcome = decoder.finish(&mut events);
    (events, outcome)
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for (dialect, name) in fixtures() {
        let bytes = snapshot::fixture(&name);
        for end in 0..bytes.len() {
            let (events, outcome) = decode(dialect, &bytes[..end]);
            assert!(outcome.is_err(), "{name} cut at {end} of {} ended cleanly", bytes.len());
            assert!(!events.contains(&Event::Done), "{name} cut at {end}");
        }
    }
}

#[test]
fn byte_by_byte_is_all_at_once() {
    for (dialect, name) in fixtures() {
        let bytes = snapshot::fixture(&name);
        let whole = decode(dialect, &bytes);
        assert_eq!(
            decode_split(dialect, &bytes, (0..bytes.len()).collect()),
            whole,
            "{name}"
        );
        // An SSE stream may end its lines in three ways.
        if name.ends_with(".sse") && !bytes.contains(&b'\r') {
            let text = String::from_utf8(bytes).expect("UTF-8");
            for end in ["\r\n", "\r"] {
                let other = format!("\u{feff}{}", text.replace('\n', end)).into_bytes();
                assert_eq!(
                    decode_split(dialect, &other, (0..other.len()).collect()),
                    whole,
                    "{name} with {end:?}"
                );
            }
        }
    }
}

#[test]
fn too_long_is_refused_while_it_grows() {
    let megabyte = vec![b'x'; 1 << 20];
    for dialect in Dialect::ALL {
        for start in [&b""[..], b"data: {\n", b"data:", b":"] {
            let (mut decoder, mut events) = (dialect.decoder(identity()), Vec::new());
            let first = decoder.push(start, &mut events);
            let refused = (0..9).find_map(|_| decoder.push(&megabyte, &mut events).err());
            // A line that is no JSON at all may be refused before it is too long.
            assert!(
                first.is_err() || refused == Some(StreamError::TooLong),
                "{dialect:?} {start:?}"
            );
        }
    }
}

fn consume(bytes: &[u8]) {
    consume_requests(bytes);
    consume_embeddings(bytes);
    for dialect in Dialect::ALL {
        consume_answers(dialect, bytes);
    }
    if let Ok(mut body) = Body::scan(bytes) {
        let spliced = body.set_model("m").and_then(|body| body.ask_usage()).is_ok();
        let after = body.apply();
        if spliced {
            let again = Body::scan(&after).expect("JSON before, JSON after");
            assert_eq!(
                (again.model(), again.include_usage()),
                (Ok(Some("m".to_owned())), Ok(true))
            );
        }
    }
}

fn consume_requests(bytes: &[u8]) {
    let ollamas = |endpoint| match ollama::request::read(endpoint, bytes) {
        Ok(Asked::Chat(request)) => Some(*request),
        _ => None,
    };
    let requests = [
        openai::request::parse(bytes).ok(),
        openai::completions::parse(bytes).ok(),
        openai::responses::parse(bytes).ok().map(|(request, _)| request),
        anthropic::request::parse_count_tokens(bytes).ok(),
        ollamas(Endpoint::Chat),
        ollamas(Endpoint::Generate),
    ];
    for request in requests.iter().flatten() {
        for dialect in Dialect::ALL {
            if let Ok(body) = dialect.render_request(request, &RenderOptions::default()) {
                let _: serde_json::Value = serde_json::from_slice(&body).expect("what we write is JSON");
            }
        }
    }
}

fn consume_embeddings(bytes: &[u8]) {
    let _ = (
        openai::embeddings::parse_request(bytes),
        openai::embeddings::parse_response(bytes),
    );
    let _ = (
        ollama::embeddings::parse_request(bytes),
        ollama::embeddings::parse_request_single(bytes),
        ollama::embeddings::parse_response(bytes),
    );
    let _ = gemini::embeddings::parse_response(bytes);
}

fn consume_answers(dialect: Dialect, bytes: &[u8]) {
    if let Ok(response) = dialect.parse_response(bytes, &identity()) {
        let ollamas = ollama::response::render(&response);
        if dialect == Dialect::Ollama {
            let again = ollama::response::parse(&ollamas, &identity()).expect("what we write we can read");
            assert_eq!(again.parts, response.parts);
        }
        for body in [
            openai::response::render(&response),
            anthropic::response::render(&response),
            ollamas,
        ] {
            let _: serde_json::Value = serde_json::from_slice(&body).expect("what we write is JSON");
        }
    }
    let _ = (decode(dialect, bytes), dialect.parse_error(500, bytes));
    for framing in [Framing::Json, Framing::Sse, Framing::Ndjson] {
        let mut reader = UsageReader::new(dialect, framing);
        reader.push(bytes);
        let _ = reader.finish();
    }
}

fn all_fixtures() -> Vec<String> {
    let folders = Dialect::ALL.map(crate::folder);
    folders
        .iter()
        .flat_map(|folder| snapshot::fixtures(folder, ""))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn splits_change_nothing(
        which in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let fixtures = fixtures();
        let (dialect, name) = &fixtures[which.index(fixtures.len())];
        let bytes = snapshot::fixture(name);
        let ends = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        prop_assert_eq!(decode_split(*dialect, &bytes, ends), decode(*dialect, &bytes));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        consume(&bytes);
    }

    /// Valid input with something torn out, doubled or changed gets further than noise does.
    #[test]
    fn no_mutation_makes_it_panic(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), length in 0_usize..9,
        with in "[\\[\\]{}\",:a0\\-.e \n]{0,4}",
    ) {
        let names = all_fixtures();
        let mut bytes = snapshot::fixture(&names[which.index(names.len())]);
        let from = at.index(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, with.into_bytes());
        consume(&bytes);
    }
}
