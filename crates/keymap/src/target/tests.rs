use proptest::prelude::*;

use super::*;

fn parse(raw: &str) -> Result<Target, TargetError> {
    Target::parse(raw.as_bytes())
}

#[test]
fn paths_are_forwarded_cleaned_and_matched_decoded() {
    for (raw, forward, path) in [
        ("/", "/", "/"),
        ("/v1/models", "/v1/models", "/v1/models"),
        ("//v1/models", "/v1/models", "/v1/models"),
        ("/v1/./models", "/v1/models", "/v1/models"),
        ("/v1/x/../models", "/v1/models", "/v1/models"),
        ("/v1/x//../models", "/v1/models", "/v1/models"),
        ("/v1/%6dodels", "/v1/models", "/v1/models"),
        ("/v1/%2e%2E/slots", "/slots", "/slots"),
        ("/../../etc", "/etc", "/etc"),
        ("/..", "/", "/"),
        ("/v1/models/", "/v1/models/", "/v1/models/"),
        ("/v1/models/.", "/v1/models", "/v1/models"),
        ("/v1/models/./", "/v1/models/", "/v1/models/"),
        ("/v1/models/a%2fb", "/v1/models/a%2Fb", "/v1/models/a/b"),
        ("/models%2F%2Fload", "/models%2F%2Fload", "/models//load"),
        ("/a%20b", "/a%20b", "/a b"),
        ("/a%2520b", "/a%2520b", "/a%20b"),
        ("/a%3Fb%23", "/a%3Fb%23", "/a?b#"),
        ("/%c3%a9", "/%C3%A9", "/é"),
        ("/é", "/%C3%A9", "/é"),
        ("/a\"<b>", "/a%22%3Cb%3E", "/a\"<b>"),
        ("/.well-known/...", "/.well-known/...", "/.well-known/..."),
        ("/a;b=c/d@e:f", "/a;b=c/d@e:f", "/a;b=c/d@e:f"),
        ("*", "*", "*"),
    ] {
        let target = parse(raw).unwrap_or_else(|error| panic!("{raw}: {error:?}"));
        assert_eq!((target.forward(), target.path()), (forward, path), "{raw}");
        assert_eq!((target.query(), target.authority()), (None, None), "{raw}");
    }
}

#[test]
fn queries_pass_and_absolute_form_gives_its_authority() {
    for (raw, forward, query, authority) in [
        ("/a?x=1", "/a?x=1", Some("x=1"), None),
        ("/a?", "/a?", Some(""), None),
        ("//a/./?x=/../%zz?y\\", "/a/?x=/../%zz?y\\", Some("x=/../%zz?y\\"), None),
        ("/a?é", "/a?%C3%A9", Some("%C3%A9"), None),
        ("http://h:8080/a?x", "/a?x", Some("x"), Some("h:8080")),
        ("HTTPS://[::1]:8080", "/", None, Some("[::1]:8080")),
        ("http://h?x", "/?x", Some("x"), Some("h")),
    ] {
        let target = parse(raw).unwrap_or_else(|error| panic!("{raw}: {error:?}"));
        assert_eq!(target.forward(), forward, "{raw}");
        assert_eq!((target.query(), target.authority()), (query, authority), "{raw}");
    }
}

#[test]
fn targets_that_could_be_read_in_two_ways_are_refused() {
    for (raw, error) in [
        ("/v1/models#frag", TargetError::Fragment),
        ("/v1?x#y", TargetError::Fragment),
        ("/%", TargetError::BadEscape),
        ("/%4", TargetError::BadEscape),
        ("/%zz", TargetError::BadEscape),
        ("/%+1", TargetError::BadEscape),
        ("/%ff", TargetError::BadEscape),
        ("/v1%2F..%2Fslots", TargetError::Ambiguous),
        ("/v1/..%2fslots", TargetError::Ambiguous),
        ("/v1%2f.", TargetError::Ambiguous),
        ("/v1/..;/slots", TargetError::Ambiguous),
        ("/%5c..", TargetError::Ambiguous),
        ("/a\\b", TargetError::Ambiguous),
        ("/a%00", TargetError::Ambiguous),
        ("/a%0d%0aX", TargetError::Ambiguous),
        ("/a%7f", TargetError::Ambiguous),
        ("/a%C2%85", TargetError::Ambiguous),
        ("", TargetError::Form),
        ("v1/models", TargetError::Form),
        ("?x", TargetError::Form),
        ("h:443", TargetError::Form),
        ("ftp://h/", TargetError::Form),
        ("http:///a", TargetError::Form),
        ("http://user@h/", TargetError::Form),
        ("/a b", TargetError::Form),
        ("/a\tb", TargetError::Form),
        ("/a?b c", TargetError::Form),
        ("**", TargetError::Form),
    ] {
        assert_eq!(parse(raw), Err(error), "{raw}");
    }
}

#[test]
fn server_wide_paths_are_known_by_segment() {
    for (path, expected) in [
        ("/slots", true),
        ("/slots/", true),
        ("/slots/0", true),
        ("//slots", true),
        ("/Slots", true),
        ("/slotsx", false),
        ("/v1/slots", false),
        ("/props", true),
        ("/lora-adapters", true),
        ("/models/load", true),
        ("/models//unload/", true),
        ("/models", false),
        ("/models/loads", false),
        ("/api/pull", true),
        ("/api/push", true),
        ("/api/create", true),
        ("/api/delete", true),
        ("/api/copy", true),
        ("/api/blobs/sha256:0", true),
        ("/api/chat", false),
        ("/api", false),
        ("/v1/stream", true),
        ("/v1/streams/7", true),
        ("/v1/chat/completions", false),
        ("/", false),
        ("*", false),
        ("/v1/strеam", false),
    ] {
        assert_eq!(is_server_wide(path), expected, "{path}");
    }
    let target = parse("/models%2Fload").expect("a path");
    assert!(is_server_wide(target.path()));
}

/// Bytes that make paths interesting, and any others now and then.
fn raw_target() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec!["/", ".", "..", "%2e", "%2F", "%5C", "%25", "a", "B", "~", "?", ";", "%c3%a9", "é"])
            .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..3),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| [&b"/"[..], &pieces.concat()].concat())
}

proptest! {
    #[test]
    fn what_is_forwarded_is_read_again_as_the_same(raw in raw_target()) {
        if let Ok(target) = Target::parse(&raw) {
            prop_assert_eq!(Target::parse(target.forward().as_bytes()), Ok(target.clone()));
            prop_assert!(target.path().starts_with('/') && !target.forward().contains("//") || target.query().is_some());
            prop_assert!(target.path().split('/').all(|segment| segment != "." && segment != ".."));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = Target::parse(&raw);
    }
}
