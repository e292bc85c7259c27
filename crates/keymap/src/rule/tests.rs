use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::credential::Credential;
use crate::table::{Model, Request};

const K: &str = "HeaderRegexp(`Authorization`, `^Bearer API_KEY-1$`)";
const HEX: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// A request as rules see it, written down in one line: header lines, and what differs from `GET / of host h`.
#[derive(Clone)]
struct Given {
    headers: Vec<(&'static str, &'static str)>,
    method: &'static str,
    host: &'static str,
    target: &'static str,
    client_ip: &'static str,
    model: Model<'static>,
}

fn get() -> Given {
    Given {
        headers: Vec::new(),
        method: "GET",
        host: "h",
        target: "/",
        client_ip: "192.0.2.7",
        model: Model::Unread,
    }
}

impl Given {
    fn header(mut self, name: &'static str, value: &'static str) -> Self {
        self.headers.push((name, value));
        self
    }

    fn target(self, target: &'static str) -> Self {
        Self { target, ..self }
    }

    fn answer(&self, rule: &Rule) -> [Option<bool>; 3] {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            headers.append(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let target = crate::Target::parse(self.target.as_bytes()).expect("a target");
        // Two lines that differ are refused before any rule is asked; the rule itself still has an answer.
        let credential = Credential::from_headers(&headers).unwrap_or(None);
        let request = Request {
            credential: credential.as_ref(),
            method: self.method,
            host: self.host,
            path: target.path(),
            query: target.query(),
            headers: &headers,
            client_ip: self.client_ip.parse::<IpAddr>().expect("an address"),
            entry_point: None,
            model: self.model,
        };
        let answer = rule.evaluate(&request);
        [Verdict::False, Verdict::Keyless, Verdict::Keyed].map(|verdict| answer.comes_to(verdict))
    }

    fn matches(&self, rule: &str) -> bool {
        self.answer(&parsed(rule))[0] == Some(false)
    }
}

fn parsed(rule: &str) -> Rule {
    Rule::parse(rule).unwrap_or_else(|errors| panic!("{rule}: {errors:?}"))
}

fn bearer(value: &'static str) -> Given {
    get().header("Authorization", value)
}

#[test]
fn keys_in_headers_match_as_in_traefik() {
    for (rule, request, expected) in [
        (K, bearer("Bearer API_KEY-1"), true),
        (K, get().header("authorization", "Bearer API_KEY-1"), true),
        (K, bearer("bearer API_KEY-1"), false),
        (K, bearer("Bearer  API_KEY-1"), false),
        (K, bearer(" \tBearer API_KEY-1 "), true),
        (K, bearer("Bearer API_KEY-10"), false),
        (K, bearer("Bearer API_KEY-1").header("Authorization", "Bearer x"), true),
        (K, bearer("Bearer x").header("Authorization", "Bearer API_KEY-1"), true),
        (K, get(), false),
        (K, get().header("Proxy-Authorization", "Bearer API_KEY-1"), false),
        (
            "HeaderRegexp(`Authorization`,`Bearer API_KEY-1`)",
            bearer("xxBearer API_KEY-123"),
            true,
        ),
        (
            "HeaderRegexp(`Authorization`,`(?i)^bearer API_KEY-1$`)",
            bearer("BEARER api_key-1"),
            true,
        ),
        (
            "HeaderRegexp(`authorization`,`^Bearer API_KEY-1$`)",
            bearer("Bearer API_KEY-1"),
            true,
        ),
        (
            "HEADERREGEXP(`Authorization`,`^Bearer API_KEY-1$`)",
            bearer("Bearer API_KEY-1"),
            true,
        ),
        (
            "headerregexp(`Authorization`,`^Bearer API_KEY-1$`)",
            bearer("Bearer API_KEY-1"),
            true,
        ),
        (
            "Headerregexp(`Authorization`,`^Bearer API_KEY-1$`)",
            bearer("Bearer API_KEY-1"),
            true,
        ),
        (
            "HeaderRegexp(\"X-Name\",\"a\\\\.b\")",
            get().header("X-Name", "a.b"),
            true,
        ),
        (
            "HeaderRegexp(\"X-Name\",\"a\\\\.b\")",
            get().header("X-Name", "axb"),
            false,
        ),
        (
            "HeaderRegexp(`X-Name`,`\\Qa.b\\E`)",
            get().header("X-Name", "-a.b-"),
            true,
        ),
        (
            "HeaderRegexp(`X-Name`,`\\Qa.b\\E`)",
            get().header("X-Name", "axb"),
            false,
        ),
        (
            " \n HeaderRegexp( `X-Name` , `a`, ) \n",
            get().header("X-Name", "a"),
            true,
        ),
        ("Header(`Authorization`,`Bearer a`)", bearer("Bearer a"), true),
        ("Header(`Authorization`,`Bearer a`)", bearer("Bearer A"), false),
        (
            "Header(`X-Name`,`Bearer a`)",
            get().header("X-Name", "b").header("X-Name", "Bearer a"),
            true,
        ),
        ("Header(`X-Name`,`Bearer a`)", get().header("X-Name", "Bearer A"), false),
        ("Header(`Host`,`h`)", get().header("Host", "h"), false),
        ("HeaderRegexp(`Host`,`h`)", get().header("Host", "h"), false),
        ("Header(`Authorization`,`Basic abc`)", bearer("Basic abc"), true),
        ("Header(`Authorization`,`abc`)", bearer("abc"), true),
        ("Header(`Authorization`,`abc`)", bearer("Bearer abc"), false),
        ("Header(`Authorization`,`Bearer a `)", bearer("Bearer a"), false),
        ("Header(`Authorization`,`Bearer`)", bearer("Bearer "), true),
    ] {
        assert_eq!(request.matches(rule), expected, "{rule} ← {:?}", request.headers);
    }
}

#[test]
fn requests_match_as_in_traefik() {
    let path = |target| get().target(target);
    for (rule, request, expected) in [
        ("Path(`/v1/models`)", path("/v1/models"), true),
        ("Path(`/v1/models`)", path("/v1/models?x=1"), true),
        (
            "Path(`/v1/models`)",
            Given {
                method: "HEAD",
                ..path("/v1/models")
            },
            true,
        ),
        ("Path(`/v1/models`)", path("http://other/v1/models"), true),
        ("Path(`/v1/models`)", path("/v1/models/"), false),
        ("Path(`/v1/models`)", path("/V1/models"), false),
        ("Path(`/v1/models`)", path("//v1/models"), true),
        ("Path(`/v1/models`)", path("/v1/./models"), true),
        ("Path(`/v1/models`)", path("/v1/x/../models"), true),
        ("Path(`/v1/models`)", path("/v1/%6dodels"), true),
        ("Path(`/a b`)", path("/a%20b"), true),
        ("Path(`/a%20b`)", path("/a%20b"), false),
        ("PathPrefix(`/v1`)", path("/v1"), true),
        ("PathPrefix(`/v1`)", path("/v1beta/x"), true),
        ("PathPrefix(`/v1/`)", path("/v1"), false),
        ("PathRegexp(`models`)", path("/v1/models/x"), true),
        ("PathRegexp(`^models`)", path("/v1/models/x"), false),
        ("Method(`get`)", get(), true),
        ("Method(`GET`)", Given { method: "get", ..get() }, false),
        ("Host(`h`)", Given { host: "H", ..get() }, true),
        ("Host(`H`)", get(), true),
        ("Host(`h.`)", get(), true),
        ("Host(`h`)", Given { host: "h.", ..get() }, true),
        ("Host(`h:8080`)", get(), false),
        ("Host(`::1`)", Given { host: "[::1]", ..get() }, true),
        ("HostRegexp(`^H$`)", Given { host: "H", ..get() }, false),
        ("HostRegexp(`^h$`)", Given { host: "H", ..get() }, true),
        ("Query(`q`,`x`)", path("/?q=a&q=x"), true),
        ("Query(`q`,`x`)", path("/?q=X"), false),
        ("Query(`q`,`x`)", path("/?Q=x"), false),
        ("Query(`k`)", path("/?k"), true),
        ("Query(`k`)", path("/?k="), true),
        ("Query(`k`)", path("/?k=1"), false),
        ("Query(`k`)", path("/"), false),
        ("QueryRegexp(`k`)", path("/?k"), true),
        ("QueryRegexp(`k`)", path("/?k="), true),
        ("QueryRegexp(`k`)", path("/?k=1"), false),
        ("QueryRegexp(`k`,`^a.c$`)", path("/?k=x&k=a%20c"), true),
        ("QueryRegexp(`k`,`^a.c$`)", path("/?k=xabc"), false),
        (
            "ClientIP(`192.0.2.0/24`)",
            get().header("X-Forwarded-For", "203.0.113.1"),
            true,
        ),
        (
            "ClientIP(`203.0.113.1`)",
            get().header("X-Forwarded-For", "203.0.113.1"),
            false,
        ),
        (
            "ClientIP(`2001:db8::/32`)",
            Given {
                client_ip: "2001:db8::7",
                ..get()
            },
            true,
        ),
        (
            "Model(`m`)",
            Given {
                model: Model::Read(Some("m")),
                ..get()
            },
            true,
        ),
        (
            "Model(`m`)",
            Given {
                model: Model::Read(Some("M")),
                ..get()
            },
            false,
        ),
        (
            "Model(`m`)",
            Given {
                model: Model::Read(None),
                ..get()
            },
            false,
        ),
        (
            "!Model(`m`)",
            Given {
                model: Model::Read(None),
                ..get()
            },
            true,
        ),
        ("!!Path(`/`)", path("/"), true),
        ("!!!Path(`/`)", path("/"), false),
        ("Path(`/a`) || Path(`/b`) && Method(`POST`)", path("/a"), true),
        ("(Path(`/a`) || Path(`/b`)) && Method(`POST`)", path("/a"), false),
        ("!(Path(`/a`) || Path(`/b`))", path("/c"), true),
        ("!(Path(`/a`) || Path(`/b`))", path("/b"), false),
        ("!(Path(`/a`) && Method(`POST`))", path("/a"), true),
        ("!Path(`/a`) && Method(`POST`)", path("/b"), false),
        ("Path(`/a`)\n&& Method(`GET`)", path("/a"), true),
    ] {
        assert_eq!(
            request.matches(rule),
            expected,
            "{rule} ← {} {}",
            request.method,
            request.target
        );
    }
}

#[test]
fn a_key_counts_whichever_header_brought_it() {
    let key = "Key(`API_KEY-1`)";
    for (rule, request, expected) in [
        (key, bearer("Bearer API_KEY-1"), true),
        (key, bearer("bEARER  API_KEY-1"), true),
        (key, get().header("x-api-key", "API_KEY-1"), true),
        (key, get().header("api-key", "API_KEY-1"), true),
        (key, get().header("x-goog-api-key", "API_KEY-1"), true),
        (key, bearer("Bearer API_KEY-10"), false),
        (key, get(), false),
        // Rules on Authorization see a stand-in for a key that came elsewhere, and only then.
        (K, get().header("x-api-key", "API_KEY-1"), true),
        (
            K,
            get().header("x-api-key", "API_KEY-1").header("Authorization", "Bearer"),
            true,
        ),
        (
            K,
            get()
                .header("x-api-key", "API_KEY-1")
                .header("Authorization", "bearer API_KEY-1"),
            false,
        ),
        (
            "HeaderRegexp(`Authorization`,`^Bearer API_KEY-.$`)",
            get().header("api-key", "API_KEY-1"),
            true,
        ),
        (
            "HeaderRegexp(`Authorization`,`^Bearer .*y`)",
            get().header("api-key", "API_KEY-1"),
            false,
        ),
        (
            "Header(`Authorization`,`API_KEY-1`)",
            get().header("api-key", "API_KEY-1"),
            false,
        ),
        (
            "Header(`x-api-key`,`API_KEY-1`)",
            get().header("x-api-key", "API_KEY-1"),
            true,
        ),
        ("Header(`X-Api-Key`,`API_KEY-1`)", bearer("Bearer API_KEY-1"), false),
        (
            "Header(`X-Api-Key`,`Bearer API_KEY-1`)",
            get().header("x-api-key", "Bearer API_KEY-1"),
            true,
        ),
    ] {
        assert_eq!(request.matches(rule), expected, "{rule} ← {:?}", request.headers);
    }
    let hashed = format!("KeySha256(`{}`)", HEX.to_uppercase());
    assert!(bearer("Bearer test").matches(&hashed) && !bearer("Bearer tesT").matches(&hashed));
}

#[test]
fn an_answer_knows_whether_it_is_owed_to_the_key() {
    let [never, keyless, keyed] = [0, 1, 2].map(|at| [0, 1, 2].map(|other| Some(at == other)));
    let model = |least: bool, most: [Option<bool>; 3]| if least { keyed } else { most };
    let request = bearer("Bearer a");
    for (rule, expected) in [
        ("Key(`a`)", keyed),
        ("Key(`b`)", never),
        ("!Key(`b`)", keyless),
        ("!Key(`a`)", never),
        ("!!Key(`a`)", keyed),
        ("!(!Key(`a`) || !Path(`/`))", keyed),
        ("Path(`/`)", keyless),
        ("Path(`/`) && Key(`a`)", keyed),
        ("Path(`/`) || Key(`a`)", keyed),
        ("Path(`/`) || Key(`b`)", keyless),
        ("Path(`/x`) && Key(`a`)", never),
        ("!Key(`b`) && HeaderRegexp(`Authorization`,`a`)", keyed),
        ("Header(`X-Other`,`a`)", never),
        ("Model(`m`)", [None, None, Some(false)]),
        ("!Model(`m`)", [None, None, Some(false)]),
        ("Key(`a`) && Model(`m`)", [None, None, None]),
        ("Key(`b`) && Model(`m`)", never),
        ("Key(`a`) || Model(`m`)", model(true, keyed)),
        ("Key(`b`) || Model(`m`)", [None, None, Some(false)]),
        ("Path(`/`) || Model(`m`)", keyless),
    ] {
        assert_eq!(request.answer(&parsed(rule)), expected, "{rule}");
    }
}

#[test]
fn faults_are_located_and_mended() {
    for (rule, offset, value, fix) in [
        (
            "headerRegexp(`Authorization`,`^Bearer CANARY$`)",
            0,
            "headerRegexp(…, …)",
            "Write HeaderRegexp.",
        ),
        ("Path(`/`) && Pathprefx(`/`)", 13, "Pathprefx(…)", "Write PathPrefix."),
        (
            "Headers(`Authorization`,`Bearer CANARY`)",
            0,
            "Headers(…, …)",
            "Write Header.",
        ),
        ("Foo(`CANARY`)", 0, "Foo(…)", "Use one of Header, "),
        ("Header()", 0, "Header()", "Write Header("),
        ("Header(`CANARY`)", 0, "Header(…)", "Write Header("),
        ("Header(`a`,`CANARY`,`c`)", 0, "Header(…, …, …)", "Write Header("),
        ("Header(`Authorization`,``)", 0, "Header(…, …)", "Write Header("),
        ("Header(`a: CANARY`,`b`)", 0, "Header(…, …)", "Write the bare name"),
        (
            "HeaderRegexp(`Authorization`,`(?=CANARY)`)",
            0,
            "HeaderRegexp(…, …)",
            "RE2 knows",
        ),
        (
            "HeaderRegexp(`Authorization`,`CANARY(`)",
            0,
            "HeaderRegexp(…, …)",
            "Close it",
        ),
        (
            "HeaderRegexp(`Authorization`,`CANARY[z-a]`)",
            0,
            "HeaderRegexp(…, …)",
            "Write the lower",
        ),
        (
            "HeaderRegexp(`Authorization`,`CANARY\\pX`)",
            0,
            "HeaderRegexp(…, …)",
            "Mend the pattern",
        ),
        (
            "HeaderRegexp(`Authorization`,\"CANARY\\.b\")",
            36,
            "\\…",
            "Double the backslash",
        ),
        (
            "Header('Authorization','Bearer CANARY')",
            7,
            "'",
            "Replace the single quotes",
        ),
        (
            "Header(`Authorization`,CANARY)",
            23,
            "…",
            "Put the argument between backticks",
        ),
        ("Header(`Authorization`,`CANARY)", 23, "`…", "Close the string"),
        ("Header(`Authorization`,\"CANARY", 23, "\"…", "Close the string"),
        ("Header(`Authorization` `CANARY`)", 23, "…", "Add the comma"),
        ("Header(,`CANARY`)", 7, ",", "Put the argument"),
        ("Key(`Bearer CANARY`)", 0, "Key(…)", "Take `Bearer` out."),
        ("Key(`CANARY `)", 0, "Key(…)", "Take the blanks out."),
        ("KeySha256(`CANARY`)", 0, "KeySha256(…)", "Write the key's hash"),
        ("CANARY", 0, "…", "Write it as Name"),
        ("CANARY-1", 6, "-", "Put arguments between backticks"),
        ("`CANARY`", 0, "…", "Write a matcher"),
        ("Key(`a`) CANARY", 9, "…", "Write && or ||"),
        ("Path(`css`)", 0, "Path(`css`)", "Put a / before it"),
        ("Path(`*`)", 0, "Path(`*`)", "Put a / before it"),
        ("Path(`/a`,`/b`)", 0, "Path(`/a`, `/b`)", "Write Path("),
        ("PathPrefix(`v1`)", 0, "PathPrefix(`v1`)", "Put a / before it"),
        ("PathRegexp(`\\1`)", 0, "PathRegexp(`\\1`)", "Write \\\\"),
        ("Query(`q`,``)", 0, "Query(`q`, ``)", "Write Query("),
        (
            "Host(`bücher.example`)",
            0,
            "Host(`bücher.example`)",
            "Write an international name",
        ),
        ("ClientIP(`1`)", 0, "ClientIP(`1`)", "Write for example"),
        (
            "ClientIP(`192.0.2.1`,`192.0.2.2`)",
            0,
            "ClientIP(`192.0.2.1`, `192.0.2.2`)",
            "Write ClientIP(",
        ),
        ("", 0, "", "Add the matcher."),
        ("Path(`/`) &&", 12, "", "Add the matcher."),
        ("Path(`/`) & Path(`/`)", 10, "&", "Write &&"),
        ("Path(`/`) | Path(`/`)", 10, "|", "Write ||"),
        ("|| Path(`/`)", 0, "||", "Write a matcher"),
        ("(Path(`/`)", 10, "", "Close the parenthesis"),
        ("Path(`/`))", 9, ")", "Take the parenthesis out"),
    ] {
        let errors = Rule::parse(rule).expect_err(rule);
        let [error] = errors.as_slice() else {
            panic!("{rule}: {errors:?}")
        };
        assert_eq!((error.offset, error.value.as_str()), (offset, value), "{rule}");
        assert!(error.fix.starts_with(fix), "{rule}: {}", error.fix);
        assert!(!format!("{error:?}").contains("CANARY"), "{rule}: {error:?}");
    }
}

#[test]
fn all_faults_of_a_rule_are_reported_at_once() {
    let errors = Rule::parse("Path(`css`) && Foo(`x`) || ClientIP(`1`) && (").expect_err("four faults");
    let offsets: Vec<_> = errors.iter().map(|error| error.offset).collect();
    assert_eq!(offsets, [0, 15, 27, 45]);
}

#[test]
fn depth_and_length_are_bounded() {
    let nested = |depth| format!("{}Path(`/`){}", "(".repeat(depth), ")".repeat(depth));
    assert!(Rule::parse(&nested(100)).is_ok());
    assert_eq!(Rule::parse(&nested(101)).expect_err("too deep")[0].offset, 100);
    assert!(Rule::parse(&nested(30_000)).is_err());
    let longest = format!("{}Path(`/`)", "!".repeat(RULE_BYTES_MAX - 9));
    assert_eq!(parsed(&longest).text_length(), RULE_BYTES_MAX);
    assert!(Rule::parse(&format!(" {longest}")).is_err());
    assert_eq!(parsed(K).text_length(), 51);
}

#[test]
fn pins_are_the_keys_that_can_open_a_rule() {
    let names = |keys: &[&str]| -> Option<Vec<KeyHash>> {
        let mut hashes: Vec<_> = keys.iter().map(|key| KeyHash::of(key.as_bytes())).collect();
        hashes.sort();
        Some(hashes)
    };
    for (rule, expected) in [
        (K, names(&["API_KEY-1"])),
        ("Key(`a`)", names(&["a"])),
        ("Key(`a`) && Path(`/`)", names(&["a"])),
        ("Key(`a`) || Key(`b`)", names(&["a", "b"])),
        ("Key(`a`) && Key(`b`)", names(&[])),
        ("Key(`a`) && !Key(`b`)", names(&["a"])),
        ("Key(`a`) || Path(`/`)", names(&["a"])),
        ("Key(`a`) || HeaderRegexp(`Authorization`,`^Bearer b`)", None),
        ("Key(`a`) && HeaderRegexp(`Authorization`,`^Bearer b`)", names(&["a"])),
        ("HeaderRegexp(`Authorization`,`^Bearer (a|b)$`)", names(&["a", "b"])),
        (
            "HeaderRegexp(`Authorization`,`^Bearer [ab]$`) && !Path(`/`)",
            names(&["a", "b"]),
        ),
        ("HeaderRegexp(`Authorization`,`^[Bb]earer +a$`)", None),
        ("Header(`Authorization`,`Basic a`)", names(&["Basic a"])),
        ("Header(`Authorization`,`a`)", names(&["a"])),
        ("Header(`X-Goog-Api-Key`,`Bearer a`)", names(&["Bearer a"])),
        ("!Key(`a`)", names(&[])),
        ("Path(`/`)", names(&[])),
        ("Header(`X-Other`,`a`)", names(&[])),
    ] {
        assert_eq!(parsed(rule).pins(), expected, "{rule}");
    }
    let many: Vec<_> = (0..5000).map(|at| format!("Key(`{at}`)")).collect();
    assert_eq!(
        parsed(&many[..4096].join("||")).pins().map(|pins| pins.len()),
        Some(4096)
    );
    assert_eq!(parsed(&many.join("||")).pins(), None);
}

#[test]
fn rules_tell_what_they_ask_for() {
    for (rule, credential, model) in [
        ("Path(`/`)", false, false),
        ("!Key(`a`)", false, false),
        ("Path(`/`) || (Method(`GET`) && Key(`a`))", true, false),
        ("HeaderRegexp(`api-key`,`a`) && !Model(`m`)", true, true),
    ] {
        let rule = parsed(rule);
        assert_eq!((rule.has_credential_atom(), rule.uses_model()), (credential, model));
    }
}

#[test]
fn server_wide_paths_must_be_named() {
    for (rule, path, expected) in [
        ("Key(`a`)", "/slots", false),
        ("Key(`a`) && PathPrefix(`/`)", "/slots", false),
        ("Key(`a`) && PathRegexp(`slots`)", "/slots", false),
        ("Key(`a`) && !Path(`/slots`)", "/slots", false),
        ("Key(`a`) && Path(`/slots`)", "/slots", true),
        ("Key(`a`) && PathPrefix(`/slots`)", "/slots/0", true),
        ("Key(`a`) && Path(`/props`)", "/slots", false),
        ("Key(`a`) && PathPrefix(`/api/`)", "/api/pull", false),
        ("Key(`a`) && PathPrefix(`/v1/stream`)", "/v1/streams", true),
        ("Key(`a`) && Path(`/models/load`)", "/models//load", false),
        ("Key(`a`) && (Path(`/slots`) || PathPrefix(`/`))", "/slots", true),
        ("Key(`a`) && Path(`/slots`) || Key(`b`)", "/slots", false),
        ("Key(`b`) || Key(`a`) && Path(`/slots`)", "/slots", false),
        ("Key(`a`) && Path(`/slots`) || Key(`b`) && Path(`/v1`)", "/slots", true),
    ] {
        assert_eq!(parsed(rule).names_path(path), expected, "{rule} {path}");
    }
}

#[test]
fn no_formatting_shows_a_key() {
    for rule in [
        K,
        "HeaderRegexp(`x-api-key`,`^API_KEY`)",
        "Key(`API_KEY-1`)",
        "Header(`X-Other`,`API_KEY-1`)",
    ] {
        assert!(!format!("{:?}", parsed(rule)).contains("API_KEY"), "{rule}");
    }
}
