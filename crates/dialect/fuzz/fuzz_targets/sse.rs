//! Server-sent events: however the bytes are split, the same events, and none longer than the bound.
#![no_main]

use dialect::StreamError;
use dialect::sse::Frames;
use libfuzzer_sys::fuzz_target;

fn frames(bytes: &[u8], step: usize) -> Vec<(String, Vec<u8>)> {
    let (mut parser, mut frames) = (Frames::new(), Vec::new());
    for chunk in bytes.chunks(step) {
        let pushed: Result<(), StreamError> = parser.push(chunk, |frame| {
            frames.push((frame.event.to_owned(), frame.data.to_vec()));
            Ok(())
        });
        pushed.expect("inputs are far below the bound");
    }
    frames
}

fuzz_target!(|bytes: &[u8]| {
    assert_eq!(frames(bytes, oracle::step(bytes)), frames(bytes, bytes.len().max(1)));
});
