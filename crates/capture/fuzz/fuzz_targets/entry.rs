//! Any payload is an entry or a refusal; and what an entry says is said again by what is written of it.
#![no_main]

use capture::{Entry, Kind, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((kind, payload)) = input.split_first() else {
        return;
    };
    let kinds = [Kind::Begun, Kind::RequestBytes, Kind::ResponseHead, Kind::ResponseBytes, Kind::Ended];
    let kind = kinds[usize::from(*kind) % kinds.len()];
    let Ok(entry) = decode(kind, payload) else { return };
    let mut written = Vec::new();
    match &entry {
        Entry::Begun(begun) => begun.encode(&mut written),
        Entry::ResponseHead(head) => head.encode(&mut written),
        Entry::Ended(ended) => ended.encode(&mut written),
        Entry::RequestBytes(piece) | Entry::ResponseBytes(piece) => {
            assert!(payload.ends_with(piece.bytes));
            return;
        }
    }
    let again = decode(kind, &written).expect("what is written can be read");
    assert_eq!(format!("{again:?}"), format!("{entry:?}"));
});
