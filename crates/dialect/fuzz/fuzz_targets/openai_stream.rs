//! A backend's stream in the OpenAI dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| oracle::decode_and_encode(dialect::Dialect::OpenAi, input));
