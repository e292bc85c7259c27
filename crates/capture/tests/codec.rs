//! What is written is read back the same, and whatever is read neither panics nor invents.

use std::net::IpAddr;

use capture::{Begun, Ended, Entry, ExchangeId, Header, Headers, Kind, Mode, Outcome, Plane, ResponseHead, decode};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct OwnedBegun {
    at: u64,
    plane: Plane,
    texts: [String; 3],
    optional: [Option<String>; 2],
    parent: Option<[u8; 16]>,
    client: Option<IpAddr>,
    headers: [Option<String>; Header::ALL.len()],
    mode: Mode,
}

impl OwnedBegun {
    fn borrowed(&self) -> Begun<'_> {
        let [request_id, method, path] = &self.texts;
        let [router, service] = &self.optional;
        let mut headers = Headers::default();
        for (header, value) in Header::ALL.into_iter().zip(&self.headers) {
            if let Some(value) = value {
                headers.set(header, value);
            }
        }
        Begun {
            parent: self.parent.map(ExchangeId),
            client: self.client,
            router: router.as_deref(),
            service: service.as_deref(),
            headers,
            mode: self.mode,
            ..Begun::new(self.plane, self.at, request_id, method, path)
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    // At most 2 KiB in UTF-8: longer ones are cut, which has a test of its own.
    prop_oneof![".{0,40}", "[a-z/]{0,300}"]
}

fn begun() -> impl Strategy<Value = OwnedBegun> {
    let plane = prop_oneof![Just(Plane::Edge), Just(Plane::Aggregator), Just(Plane::Council)];
    let mode = prop_oneof![Just(Mode::Full), Just(Mode::Metadata)];
    let client = proptest::option::of(prop_oneof![
        any::<[u8; 4]>().prop_map(IpAddr::from),
        any::<[u8; 16]>().prop_map(IpAddr::from)
    ]);
    let texts = (text(), text(), text());
    let optional = (proptest::option::of(text()), proptest::option::of(text()));
    let headers = proptest::array::uniform7(proptest::option::of(text()));
    let parent = proptest::option::of(any::<[u8; 16]>());
    (any::<u64>(), plane, texts, optional, parent, client, headers, mode).prop_map(
        |(at, plane, (a, b, c), (d, e), parent, client, headers, mode)| OwnedBegun {
            at,
            plane,
            texts: [a, b, c],
            optional: [d, e],
            parent,
            client,
            headers,
            mode,
        },
    )
}

fn outcome(number: u8, code: &str) -> Outcome<'_> {
    match number % 5 {
        0 => Outcome::Complete,
        1 => Outcome::ClientGone,
        2 => Outcome::UpstreamFailed,
        3 => Outcome::Refused(code),
        _ => Outcome::Interrupted,
    }
}

const KINDS: [Kind; 5] = [
    Kind::Begun,
    Kind::RequestBytes,
    Kind::ResponseHead,
    Kind::ResponseBytes,
    Kind::Ended,
];

proptest! {
    #[test]
    fn a_beginning_comes_back(begun in begun()) {
        let begun = begun.borrowed();
        let mut payload = Vec::new();
        begun.encode(&mut payload);
        prop_assert_eq!(decode(Kind::Begun, &payload), Ok(Entry::Begun(begun)));
    }

    #[test]
    fn a_head_comes_back(
        elapsed_us: u64,
        status: u16,
        attempts: u32,
        texts in proptest::array::uniform4(proptest::option::of(text())),
    ) {
        let [content_type, content_encoding, server, fallback_model] = texts.each_ref().map(Option::as_deref);
        let head = ResponseHead { elapsed_us, status, content_type, content_encoding, server, attempts, fallback_model };
        let mut payload = Vec::new();
        head.encode(&mut payload);
        prop_assert_eq!(decode(Kind::ResponseHead, &payload), Ok(Entry::ResponseHead(head)));
    }

    #[test]
    fn an_end_comes_back(
        numbers: (u64, u64, u64, u32),
        number: u8,
        code in text(),
        status: Option<u16>,
        server in proptest::option::of(text()),
        cut: (bool, bool),
    ) {
        let ended = Ended {
            elapsed_us: numbers.0,
            outcome: outcome(number, &code),
            status,
            server: server.as_deref(),
            attempts: numbers.3,
            request_bytes: numbers.1,
            response_bytes: numbers.2,
            cut_request: cut.0,
            cut_response: cut.1,
        };
        let mut payload = Vec::new();
        ended.encode(&mut payload);
        prop_assert_eq!(decode(Kind::Ended, &payload), Ok(Entry::Ended(ended)));
    }

    #[test]
    fn whatever_is_read_is_an_entry_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for kind in KINDS {
            let _no_panic = decode(kind, &bytes);
            let mut versioned = vec![1];
            versioned.extend_from_slice(&bytes);
            let _no_panic = decode(kind, &versioned);
        }
    }

    #[test]
    fn a_payload_cut_short_is_never_taken_for_the_whole(begun in begun(), cut: proptest::sample::Index) {
        // What comes last must not be what is assumed where nothing is said: a full one without headers ends with that.
        let begun = Begun { mode: Mode::Metadata, ..begun.borrowed() };
        let mut payload = Vec::new();
        begun.encode(&mut payload);
        let cut = cut.index(payload.len());
        prop_assert_ne!(decode(Kind::Begun, &payload[..cut]), Ok(Entry::Begun(begun)));
    }
}

#[test]
fn fields_of_a_later_release_are_skipped_and_another_version_is_not_guessed() {
    let begun = Begun::new(Plane::Edge, 7, "id", "POST", "/v1");
    let mut payload = Vec::new();
    begun.encode(&mut payload);
    // Tags 120 and 121: a number, and two bytes.
    payload.extend_from_slice(&[120 << 1, 5, 121 << 1 | 1, 2, 0xff, 0xfe]);
    assert_eq!(decode(Kind::Begun, &payload), Ok(Entry::Begun(begun)));
    payload[0] = 2;
    let error = decode(Kind::Begun, &payload).expect_err("another version");
    assert!(error.to_string().contains("version 2"), "{error}");
}
