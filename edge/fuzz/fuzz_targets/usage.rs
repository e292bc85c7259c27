//! `edge::fuzzing::usage` says what holds.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| edge::fuzzing::usage(input));
