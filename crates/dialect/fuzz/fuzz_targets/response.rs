//! A backend's whole answer, in every dialect.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| oracle::answer_everywhere(body));
