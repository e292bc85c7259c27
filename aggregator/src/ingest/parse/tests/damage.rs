//! Whatever bytes come: no panic, nothing made up, bounded memory.

use proptest::prelude::*;

use super::{Body, Case, STREAMS, body};

/// What is read of a damaged answer must be made of pieces of the right one.
fn with_hole(case: &Case, from: usize, to: usize) -> Body {
    let bytes = case.response.as_bytes();
    let mut holed = Body::default();
    holed.push(1, &bytes[..from], usize::MAX);
    holed.hole();
    holed.push(2, &bytes[to..], usize::MAX);
    holed
}

#[test]
fn two_sides_of_a_hole_are_never_one_frame() {
    for case in STREAMS.iter().take(2) {
        let whole = case.parse_with(&body(case.response.as_bytes(), usize::MAX));
        let text = whole.text.unwrap_or_default();
        for from in (0..case.response.len()).step_by(3) {
            for length in [1, 7, 40, 150, 400] {
                let to = (from + length).min(case.response.len());
                let parsed = case.parse_with(&with_hole(case, from, to));
                // Every frame says up to two words; a frame that is there is there whole.
                let found = parsed.text.unwrap_or_default();
                let mut rest = &text[..];
                for piece in [" Hé", "Hé", "llo 🦙\n"].iter().filter(|piece| found.contains(**piece)) {
                    rest = rest.strip_prefix(*piece).unwrap_or(rest);
                }
                let made_of = [
                    "",
                    " Hé",
                    "llo 🦙\n",
                    " Héllo 🦙\n",
                    "Hé",
                    "<think>hm ok</think>\n\nHé",
                    "nk>hm ok</think>\n\nHé",
                    "nk>hm ok</think>\n\n",
                    "<thiHé",
                    "<thi",
                ];
                assert!(made_of.contains(&&*found), "{from}..{to}: {found:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_beginning_says_the_beginning(case in 0..STREAMS.len(), end in any::<prop::sample::Index>(), step in 1..200usize) {
        let case = &STREAMS[case];
        let end = end.index(case.response.len() + 1);
        let whole = case.parse_with(&body(case.response.as_bytes(), usize::MAX));
        let parsed = case.parse_with(&body(&case.response.as_bytes()[..end], step));
        let (text, thinking) = (parsed.text.unwrap_or_default(), parsed.thinking.unwrap_or_default());
        prop_assert!(whole.text.unwrap_or_default().starts_with(&text) || "<think>".starts_with(&text), "{text:?}");
        prop_assert!(whole.thinking.unwrap_or_default().starts_with(&thinking));
        prop_assert!(parsed.finish.is_none() || parsed.finish == whole.finish);
        prop_assert_eq!(parsed.broken_frames, u64::from(case.path.starts_with("/api") && parsed.broken_frames > 0));
    }

    #[test]
    fn flipped_bits_harm_nobody(
        case in 0..STREAMS.len(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 0..8u8), 1..20),
        step in 1..400usize,
        as_json in any::<bool>(),
    ) {
        let case = &STREAMS[case];
        let mut bytes = case.response.as_bytes().to_vec();
        for (at, bit) in flips {
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
        }
        let response = body(&bytes, step);
        let parsed = case.parse_with(&response);
        prop_assert!(parsed.text.map_or(0, |text| text.len()) <= bytes.len() * 3);
        let content_type = if as_json { "application/json" } else { "" };
        let _no_panic = Case { content_type, ..*case }.parse_with(&response);
        let _no_panic = Case { path: "/v1/embeddings", ..*case }.parse_with(&response);
    }

    #[test]
    fn any_bytes_at_any_path(
        path in prop::sample::select(STREAMS.iter().map(|case| case.path).collect::<Vec<_>>()),
        bytes in prop::collection::vec(any::<u8>(), 0..600),
        encoding in prop::sample::select(vec!["", "gzip", "deflate", "zstd"]),
    ) {
        let case = Case { path, request: "{\"mess", content_type: "text/event-stream", response: "" };
        let _no_panic = case.parse_as(200, &body(&bytes, 17), encoding);
        let _no_panic = case.parse_as(500, &body(&bytes, 17), encoding);
    }

    #[test]
    fn any_request(
        path in prop::sample::select(STREAMS.iter().map(|case| case.path).collect::<Vec<_>>()),
        request in 0..STREAMS.len(),
        end in any::<prop::sample::Index>(),
    ) {
        // Any dialect's request at any dialect's path, cut anywhere.
        let request = STREAMS[request].request.as_bytes();
        let asked = super::super::asked::read(
            super::Endpoint::of_path(path).expect("known"),
            path,
            &request[..end.index(request.len() + 1)],
        );
        prop_assert!(asked.model.is_none_or(|model| model == "m"));
    }
}
