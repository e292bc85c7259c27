//! Files as people write them: what a rotation and a revocation do to each, to the byte.

use super::*;

/// A file with router `alice`, whose key is `API_KEY-1`.
struct Case {
    what: &'static str,
    before: &'static str,
    /// What stands for the key's matcher; the rest of the file stays.
    matcher: &'static str,
    /// The file without alice.
    revoked: &'static str,
}

const CASES: &[Case] = &[
    Case {
        what: "as create-mapping.sh writes it",
        before: "http:\n  routers:\n    alice:\n      rule: \"HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)\"\n      service: alice\n      entryPoints:\n        - llama-servers\n\n  services:\n    alice:\n      loadBalancer:\n        servers:\n          - url: \"http://127.0.0.1:8011\"\n",
        matcher: "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)",
        revoked: "http:\n  routers: {}\n\n  services:\n    alice:\n      loadBalancer:\n        servers:\n          - url: \"http://127.0.0.1:8011\"\n",
    },
    Case {
        what: "comments with tabs, other routers around, no newline at the end",
        before: "# top\t#1\nhttp: # h\n  routers:\t# all of them\n    # before bob\n    bob: { rule: Key(`b`), service: s } # bob's\n\n    # about alice\n    alice: # hers\n      service:   s   # where\n      # why\n      rule:  Key(`API_KEY-1`)  && Path(`/v1`)\t# note\n      priority: 7 # last\n    # after alice\n\n    carol:\n      rule: 'Key(`c`)'\n      service: 's'\n  services:\n    s: { loadBalancer: { servers: [ { url: http://127.0.0.1:1 } ] } } # end",
        matcher: "Key(`API_KEY-1`)",
        revoked: "# top\t#1\nhttp: # h\n  routers:\t# all of them\n    # before bob\n    bob: { rule: Key(`b`), service: s } # bob's\n\n    # about alice\n    # after alice\n\n    carol:\n      rule: 'Key(`c`)'\n      service: 's'\n  services:\n    s: { loadBalancer: { servers: [ { url: http://127.0.0.1:1 } ] } } # end",
    },
    Case {
        what: "the last router of a file, without a newline at its end",
        before: "http:\n  services:\n    s: {loadBalancer: {}}\n  routers:\n    bob: {rule: Key(`b`), service: s}\n    alice:\n      service: s\n      rule: Key(`API_KEY-1`)",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  services:\n    s: {loadBalancer: {}}\n  routers:\n    bob: {rule: Key(`b`), service: s}\n",
    },
    Case {
        what: "Windows line ends and other cases of field names",
        before: "HTTP:\r\n  Routers:\r\n    alice:\r\n      Rule: \"Key(`API_KEY-1`)\"\r\n      service: s\r\n    bob:\r\n      rule: Key(`b`)\r\n      service: s\r\n  services:\r\n    s:\r\n      loadBalancer: {}\r\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "HTTP:\r\n  Routers:\r\n    bob:\r\n      rule: Key(`b`)\r\n      service: s\r\n  services:\r\n    s:\r\n      loadBalancer: {}\r\n",
    },
    Case {
        what: "all in braces, the first of two",
        before: "{http: {routers: {alice: {rule: Key(`API_KEY-1`), service: s}, bob: {rule: Key(`b`), service: s}}, services: {s: {loadBalancer: {}}}}}\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "{http: {routers: {bob: {rule: Key(`b`), service: s}}, services: {s: {loadBalancer: {}}}}}\n",
    },
    Case {
        what: "braces over lines with comments, the last of two",
        before: "http:\n  routers: {\n    bob: {rule: Key(`b`), service: s},  # bob\n    \"alice\": {\n      rule: \"Key(`API_KEY-1`)\", service: s }\n  }\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  routers: {\n    bob: {rule: Key(`b`), service: s},  # bob\n    \n  }\n  services: {s: {loadBalancer: {}}}\n",
    },
    Case {
        what: "alone in braces",
        before: "http:\n  routers: { alice: {rule: Key(`API_KEY-1`), service: s}, }\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  routers: {}\n  services: {s: {loadBalancer: {}}}\n",
    },
    Case {
        what: "a rule in double quotes with quotes in it",
        before: "http:\n  routers:\n    alice:\n      rule: \"Path(\\\"/v1\\\") && HeaderRegexp(\\\"Authorization\\\", \\\"^Bearer API_KEY\\\\\\\\-1$\\\") \"\n      service: s\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "HeaderRegexp(\\\"Authorization\\\", \\\"^Bearer API_KEY\\\\\\\\-1$\\\")",
        revoked: "http:\n  routers:\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
    },
    Case {
        what: "escapes of YAML's own",
        before: "http:\n  routers:\n    alice:\n      rule: \"\\x4bey\\u0028\\x60API\\U0000005fKEY-1\\x60)\\\n        \\ && Path(`/v1`)\"\n      service: s\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "\\x4bey\\u0028\\x60API\\U0000005fKEY-1\\x60)",
        revoked: "http:\n  routers:\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
    },
    Case {
        what: "a folded rule, then a comment that is indented less",
        before: "http:\n  routers:\n    alice:\n      service: s\n      rule: >-\n        Key(\"API_KEY-1\")\n        && Path(`/v1`)\n\n    # bob's\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "Key(\"API_KEY-1\")",
        revoked: "http:\n  routers:\n\n    # bob's\n    bob: {rule: Key(`b`), service: s}\n  services: {s: {loadBalancer: {}}}\n",
    },
    Case {
        what: "a literal rule at the file's end",
        before: "http:\n  services: {s: {loadBalancer: {}}}\n  routers:\n    bob: {rule: Key(`b`), service: s}\n    alice:\n      service: s\n      rule: |\n        Path(`/v1`) &&\n          Key(`API_KEY-1`)\n\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  services: {s: {loadBalancer: {}}}\n  routers:\n    bob: {rule: Key(`b`), service: s}\n\n",
    },
    Case {
        what: "an anchor that others do not use, an anchored list that they do",
        before: "http:\n  routers: &all  # anchored\n    alice: &a\n      rule: &r Key(`API_KEY-1`)\n      service: s\n  services:\n    s: {loadBalancer: {servers: &two [{url: http://127.0.0.1:1}]}}\n    t: {loadBalancer: {servers: *two}}\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  routers: &all {}  # anchored\n  services:\n    s: {loadBalancer: {servers: &two [{url: http://127.0.0.1:1}]}}\n    t: {loadBalancer: {servers: *two}}\n",
    },
    Case {
        what: "one document with its marks, and letters of many bytes",
        before: "%YAML 1.2\n--- # Schlüssel für Ämter\nhttp:\n  routers:\n    bob: {rule: 'Path(`/ü`) && Key(`b`)', service: s} # größer\n    alice:\n      rule: 'Path(`/größe`) && Key(`API_KEY-1`)'\n      service: s\n  services: {s: {loadBalancer: {}}}\n...\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "%YAML 1.2\n--- # Schlüssel für Ämter\nhttp:\n  routers:\n    bob: {rule: 'Path(`/ü`) && Key(`b`)', service: s} # größer\n  services: {s: {loadBalancer: {}}}\n...\n",
    },
    Case {
        what: "the key twice in one rule",
        before: "http:\n  routers:\n    alice:\n      rule: Key(`API_KEY-1`) && Path(`/a`) || Key(`API_KEY-1`) && Path(`/b`)\n      service: s\n  services: {s: {loadBalancer: {}}}\n",
        matcher: "Key(`API_KEY-1`)",
        revoked: "http:\n  routers: {}\n  services: {s: {loadBalancer: {}}}\n",
    },
];

#[test]
fn rotation_changes_the_keys_matcher_and_no_other_byte() {
    for Case {
        what, before, matcher, ..
    } in CASES
    {
        assert!(before.contains(matcher), "{what}");
        let scene = Scene::new(&[("team.yml", before)]);
        let key = scene
            .rotate("alice", false)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        let hash = key.hash().to_hex();
        assert_eq!(
            scene.text("team.yml"),
            before.replace(matcher, &format!("KeySha256(`{hash}`)")),
            "{what}"
        );
        assert!(
            !scene.text("alice.old.yml").contains(OLD),
            "{what}: the old key spreads no further"
        );
        let pins = scene.pins();
        assert!(pins.contains(&("alice".to_owned(), vec![key.hash()])), "{what}");
        assert!(
            pins.contains(&("alice.old".to_owned(), vec![KeyHash::of(OLD.as_bytes())])),
            "{what}"
        );
    }
}

#[test]
fn a_plain_rotation_keeps_the_matcher() {
    for (rule, expected) in [
        (
            "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)",
            "HeaderRegexp(`Authorization`, `^Bearer NEW$`)",
        ),
        ("Header(`X-Api-Key`, `API_KEY-1`)", "Header(`X-Api-Key`, `NEW`)"),
        ("Key(`API_KEY-1`)", "Key(`NEW`)"),
    ] {
        let file = |rule: &str| format!("http: # h\n  routers:\n    alice: {{ rule: '{rule}', service: s }}\n");
        let scene = Scene::new(&[("team.yml", &file(rule))]);
        let key = scene
            .rotate("alice", true)
            .unwrap_or_else(|error| panic!("{rule}: {error}"));
        assert_eq!(scene.text("team.yml"), file(&expected.replace("NEW", key.expose())));
    }
}

#[test]
fn revocation_takes_the_router_and_no_other_byte() {
    for Case {
        what, before, revoked, ..
    } in CASES
    {
        let scene = Scene::new(&[("team.yml", before)]);
        scene
            .revoke(&["alice"])
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(&scene.text("team.yml"), revoked, "{what}");
        assert!(scene.pins().iter().all(|(name, _)| name != "alice"), "{what}");
        assert_eq!(scene.names(), ["team.yml"], "{what}");
    }
}

/// What others use too, or is spelled as nobody spells it, is refused; the file stays.
#[test]
fn what_cannot_be_cut_safely_is_refused() {
    for (what, text, rotates, revokes) in [
        (
            "a rule that others repeat",
            "http:\n  routers:\n    alice: {rule: &r Key(`API_KEY-1`), service: s}\n    bob: {rule: *r, service: s}\n",
            false,
            false,
        ),
        (
            "a rule by alias",
            "http:\n  middlewares: {x: {compress: &r {a: b}}}\n  routers:\n    zed: {rule: &k 'Key(`z`)', service: s}\n    alice: {rule: *k, service: s}\n",
            false,
            false,
        ),
        (
            "a router by merge",
            "http:\n  routers:\n    zed: &z {rule: Key(`z`), service: s}\n    alice: {<<: *z, rule: Key(`API_KEY-1`)}\n",
            true,
            true,
        ),
        (
            "a router that others merge",
            "http:\n  routers:\n    alice: &a {rule: Key(`API_KEY-1`), service: s}\n    bob: {<<: *a, rule: Key(`b`)}\n",
            true,
            false,
        ),
        (
            "an explicit key",
            "http:\n  routers:\n    ? alice\n    : {rule: Key(`API_KEY-1`), service: s}\n    bob: {rule: Key(`b`), service: s}\n",
            true,
            false,
        ),
    ] {
        let scene = Scene::new(&[("team.yml", text)]);
        let revoked = scene.revoke(&["alice"]);
        assert_eq!(revoked.is_ok(), revokes, "{what}: {:?}", revoked.err());
        if !revokes {
            assert_eq!(scene.text("team.yml"), text, "{what}");
        }
        scene.write("team.yml", text);
        let rotated = scene.rotate("alice", false);
        assert_eq!(rotated.is_ok(), rotates, "{what}: {:?}", rotated.err());
        if !rotates {
            assert_eq!(scene.text("team.yml"), text, "{what}");
            assert_eq!(scene.names(), ["team.yml"], "{what}");
        }
    }
}

#[test]
fn several_documents_are_refused() {
    let text = "http:\n  routers:\n    alice: {rule: Key(`API_KEY-1`), service: s}\n---\nhttp: {}\n";
    let scene = Scene::new(&[("team.yml", text)]);
    for message in [refusal(scene.rotate("alice", false)), refusal(scene.revoke(&["alice"]))] {
        assert!(!message.contains(OLD), "{message}");
    }
    assert_eq!(scene.text("team.yml"), text);
}
