//! Whose key a request brings, against an oracle that is told of lines and knows nothing of the code.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use keymap::{Compiler, Credential, Decision, KeyHash, Model, Request, Table, check};

const MAPPING: &str = "
http:
  routers:
    a: { rule: Key(`sk-a`), service: s }
    b: { rule: 'KeySha256(`HASH`)', service: s }
    open: { rule: PathPrefix(`/`), service: s, priority: 9000 }
  services:
    s: { loadBalancer: { servers: [{ url: http://127.0.0.1:8011 }] } }
";

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Router(&'static str),
    Unknown,
    Conflict,
}

/// The oracle. A line's key is what stands in it without the blanks at its ends; in `Authorization` also without a first
/// word `bearer`, in any case. Lines without a key do not count; two keys are a conflict; no key is the keyless router's.
fn expected(lines: &[(usize, Vec<u8>)]) -> Fate {
    let blank = |byte: &u8| *byte == 32 || *byte == 9;
    let trim = |bytes: &[u8]| -> Vec<u8> {
        let begin = bytes.iter().position(|byte| !blank(byte)).unwrap_or(bytes.len());
        let end = bytes
            .iter()
            .rposition(|byte| !blank(byte))
            .map_or(begin, |last| last + 1);
        bytes[begin..end].to_vec()
    };
    let mut keys: Vec<Vec<u8>> = Vec::new();
    for (header, value) in lines.iter().filter(|(header, _)| *header < 4) {
        let whole = trim(value);
        let word_end = whole.iter().position(blank).unwrap_or(whole.len());
        let is_scheme = *header == 0 && whole[..word_end].eq_ignore_ascii_case(b"bearer");
        let key = if is_scheme { trim(&whole[word_end..]) } else { whole };
        if !key.is_empty() && !keys.contains(&key) {
            keys.push(key);
        }
    }
    match &keys[..] {
        [] => Fate::Router("open"),
        [key] if key == b"sk-a" => Fate::Router("a"),
        [key] if key == b"sk-b" => Fate::Router("b"),
        [_] => Fate::Unknown,
        _ => Fate::Conflict,
    }
}

const NAMES: [&str; 7] = [
    "authorization",
    "x-api-key",
    "api-key",
    "x-goog-api-key",
    // These bring none.
    "x_api_key",
    "proxy-authorization",
    "cookie",
];
const SCHEMES: [&[u8]; 8] = [
    b"", b"Bearer", b"bearer", b"BEARER", b"Bear", b"Basic", b"Bearer,", b"Token",
];
const BLANKS: [&[u8]; 6] = [b"", b" ", b" ", b"\t", b"  ", b" \t "];
const KEYS: [&[u8]; 14] = [
    b"sk-a",
    b"sk-a",
    b"sk-a",
    b"sk-a",
    b"sk-b",
    b"sk-b",
    b"SK-A",
    b"sk-c",
    b"",
    b"sk-a\xff",
    b"\xff",
    b"sk-a,sk-b",
    b"sk-a sk-a",
    b"Bearer sk-a",
];

/// A small generator (xorshift64): the same cases each time, and quicker than what it tests.
struct Dice(u64);

impl Dice {
    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap_or(0) % bound
    }

    fn lines(&mut self) -> Vec<(usize, Vec<u8>)> {
        let count = [0, 1, 1, 1, 2, 2, 3, 4][self.below(8)];
        let line = |dice: &mut Self| {
            let header = [0, 0, 0, 1, 1, 2, 3, 4, 5, 6][dice.below(10)];
            let scheme = if header == 0 && dice.below(4) > 0 {
                dice.pick(&SCHEMES[1..4])
            } else {
                dice.pick(&SCHEMES)
            };
            let parts = [
                dice.pick(&BLANKS),
                scheme,
                dice.pick(&BLANKS),
                dice.pick(&KEYS),
                dice.pick(&BLANKS),
            ];
            (header, parts.concat())
        };
        (0..count).map(|_| line(self)).collect()
    }
}

fn table() -> Arc<Table> {
    let mut compiler = Compiler::new(None);
    let text = MAPPING.replace("HASH", &KeyHash::of(b"sk-b").to_hex());
    let (mapping, problems) = check(Path::new("a.yml"), &text);
    compiler.set(
        "a.yml",
        Some(Arc::new(mapping.unwrap_or_else(|| panic!("{problems:?}")))),
    );
    compiler.table().0
}

fn found(table: &Table, lines: &[(usize, Vec<u8>)]) -> Fate {
    let headers: HeaderMap = lines
        .iter()
        .map(|(header, value)| {
            let value = HeaderValue::from_bytes(value).expect("a value");
            (HeaderName::from_static(NAMES[*header]), value)
        })
        .collect();
    let Ok(credential) = Credential::from_headers(&headers) else {
        return Fate::Conflict;
    };
    let decision = table.decide(&Request {
        credential: credential.as_ref(),
        method: "POST",
        host: "edge",
        path: "/v1/x",
        query: Some("key=sk-a&api_key=sk-b"),
        headers: &headers,
        client_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        entry_point: None,
        model: Model::Unread,
    });
    match decision {
        Decision::UnknownKey => Fate::Unknown,
        Decision::Forward(route) => match &*route.router.name {
            "a" => Fate::Router("a"),
            "b" => Fate::Router("b"),
            "open" => Fate::Router("open"),
            other => panic!("no such router: {other}"),
        },
        other => panic!("{other:?}"),
    }
}

fn hold(cases: usize, seed: u64) -> [usize; 5] {
    let (table, mut dice) = (table(), Dice(seed));
    let mut seen = [0; 5];
    for case in 0..cases {
        let lines = dice.lines();
        let expected = expected(&lines);
        assert_eq!(found(&table, &lines), expected, "case {case} of {seed}: {lines:?}");
        let place = match expected {
            Fate::Router("a") => 0,
            Fate::Router("b") => 1,
            Fate::Router(_) => 2,
            Fate::Unknown => 3,
            Fate::Conflict => 4,
        };
        seen[place] += 1;
    }
    seen
}

#[test]
fn generated_credentials_are_read_as_the_oracle_reads_them() {
    let seen = hold(50_000, 0x5eed_0001);
    assert!(
        seen.iter().all(|&count| count > 500),
        "every outcome is among the cases: {seen:?}"
    );
}

#[test]
#[ignore = "a million cases, some ten seconds"]
fn a_million_generated_credentials() {
    let seeds = [0x5eed_0002, 0x5eed_0003, 0x5eed_0004, 0x5eed_0005];
    std::thread::scope(|scope| {
        for seed in seeds {
            scope.spawn(move || hold(250_000, seed));
        }
    });
}
