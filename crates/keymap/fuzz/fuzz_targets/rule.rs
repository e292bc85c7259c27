//! Any text is a rule or a list of mistakes within it; and a rule answers any request without a panic, the same twice.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use keymap::rule::Rule;
use keymap::{Compiler, Credential, Model, Request, Target, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8], &str)| {
    let (text, path, key) = input;
    match Rule::parse(text) {
        Err(errors) => {
            assert!(!errors.is_empty());
            assert!(errors.iter().all(|error| error.offset <= text.len() && !error.rule.is_empty()));
        }
        Ok(rule) => {
            assert_eq!(rule.text_length(), text.len());
            decide(text, path, key);
        }
    }
});

/// The rule in a table, asked with a key and without.
fn decide(rule: &str, path: &[u8], key: &str) {
    let quoted: String = rule.chars().flat_map(char::escape_unicode).collect();
    // YAML's double-quoted strings have `\\UXXXXXXXX` where Rust has `\\u{X}`.
    let quoted = quoted
        .split("\\u{")
        .filter_map(|part| part.strip_suffix('}'))
        .fold(String::new(), |all, digits| format!("{all}\\U{digits:0>8}"));
    let file = format!("http: {{routers: {{r: {{rule: \"{quoted}\", service: noop@internal}}}}}}");
    let Some(mapping) = check(Path::new("a.yml"), &file).0 else {
        return;
    };
    let mut compiler = Compiler::new(None);
    compiler.set("a.yml", Some(Arc::new(mapping)));
    let (table, _) = compiler.table();
    let Ok(target) = Target::parse(path) else { return };
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_str(key) {
        headers.insert(HeaderName::from_static("x-api-key"), value);
    }
    let Ok(credential) = Credential::from_headers(&headers) else { return };
    let request = Request {
        credential: credential.as_ref(),
        method: "GET",
        host: "h",
        path: target.path(),
        query: target.query(),
        headers: &headers,
        client_ip: [127, 0, 0, 1].into(),
        entry_point: None,
        model: Model::Read(Some("m")),
    };
    let words = |_| format!("{:?}", std::mem::discriminant(&table.decide(&request)));
    assert_eq!(words(1), words(2));
}
