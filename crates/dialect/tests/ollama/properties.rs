//! What holds for every stream, however it is split or cut, and for all bytes whatever.

use dialect::ollama::Endpoint;
use dialect::ollama::{embeddings, error, request, response, stream};
use dialect::{Decoder, Event};
use proptest::prelude::*;

use crate::stream::decode;
use crate::{identity, snapshot};

fn decode_split(bytes: &[u8], cuts: &[usize]) -> (Vec<Event>, bool) {
    let (mut decoder, mut events, mut from) = (stream::Decoder::new(identity()), Vec::new(), 0);
    let mut ends: Vec<usize> = cuts
        .iter()
        .map(|cut| cut % (bytes.len() + 1))
        .chain([bytes.len()])
        .collect();
    ends.sort_unstable();
    for end in ends {
        if decoder.push(&bytes[from..end], &mut events).is_err() {
            return (events, false);
        }
        from = end;
    }
    let whole = decoder.finish(&mut events).is_ok();
    (events, whole)
}

#[test]
fn a_cut_anywhere_is_an_error() {
    for name in snapshot::fixtures("ollama", "stream-") {
        let bytes = snapshot::fixture(&name);
        for end in 0..bytes.len() {
            let (events, outcome) = decode(&bytes[..end]);
            assert!(outcome.is_err(), "{name} cut at {end} ended cleanly");
            assert!(!events.contains(&Event::Done), "{name} cut at {end}");
        }
    }
}

#[test]
fn byte_by_byte_is_all_at_once() {
    for name in snapshot::fixtures("ollama", "stream-") {
        let bytes = snapshot::fixture(&name);
        let every: Vec<usize> = (0..bytes.len()).collect();
        let (events, outcome) = decode(&bytes);
        assert_eq!(decode_split(&bytes, &every), (events, outcome.is_ok()), "{name}");
    }
}

proptest! {
    #[test]
    fn splits_change_nothing(which in any::<prop::sample::Index>(), cuts in prop::collection::vec(any::<usize>(), 0..8)) {
        let names = snapshot::fixtures("ollama", "stream-");
        let bytes = snapshot::fixture(&names[which.index(names.len())]);
        let (events, outcome) = decode(&bytes);
        prop_assert_eq!(decode_split(&bytes, &cuts), (events, outcome.is_ok()));
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        consume(&bytes);
    }

    /// Valid JSON with something torn out, doubled or changed gets further than noise does.
    #[test]
    fn no_mutation_makes_it_panic(
        which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), length in 0_usize..9,
        with in "[\\[\\]{}\",:a0\\-.e ]{0,4}",
    ) {
        let names = snapshot::fixtures("ollama", "");
        let mut bytes = snapshot::fixture(&names[which.index(names.len())]);
        let from = at.index(bytes.len());
        let to = (from + length).min(bytes.len());
        bytes.splice(from..to, with.into_bytes());
        consume(&bytes);
    }
}

fn consume(bytes: &[u8]) {
    for endpoint in [Endpoint::Chat, Endpoint::Generate] {
        if let Ok(request::Asked::Chat(asked)) = request::read(endpoint, bytes) {
            let _ = request::render(&asked, &dialect::chat::RenderOptions::default());
        }
    }
    if let Ok(answer) = response::parse(bytes, &identity()) {
        let again = response::parse(&response::render(&answer), &identity()).expect("what we write we can read");
        assert_eq!(again.parts, answer.parts);
    }
    let _ = (
        embeddings::parse_request(bytes),
        embeddings::parse_request_single(bytes),
        embeddings::parse_response(bytes),
    );
    let _ = (decode(bytes), error::parse(500, bytes));
}
