//! Lines: however the bytes are split, the same lines, and together what a plain split gives.
#![no_main]

use dialect::StreamError;
use dialect::ndjson::Lines;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (mut splitter, mut lines) = (Lines::new(), Vec::new());
    let mut each = |line: &[u8]| -> Result<(), StreamError> {
        lines.push(line.to_vec());
        Ok(())
    };
    for chunk in bytes.chunks(oracle::step(bytes)) {
        splitter.push(chunk, &mut each).expect("inputs are far below the bound");
    }
    splitter.finish(&mut each).expect("inputs are far below the bound");
    let plain = bytes
        .split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty());
    assert_eq!(lines, plain.map(<[u8]>::to_vec).collect::<Vec<_>>());
});
