//! The matrix of credentials through the running edge: where they stand, how they look, and all pairs of these, against
//! an oracle that looks at the lines alone.

use std::fmt::Write as _;

use crate::harness::origin::Origin;
use crate::harness::world::{World, mapping};

const BRINGERS: [&str; 5] = ["Authorization", "X-Api-Key", "api-key", "x-goog-api-key", "?"];

/// A way a key may look: its name, and the values of the lines that bring it. `{}` stands for what a good key has before
/// it in this place: `Bearer ` in Authorization, else nothing.
const STATES: [(&str, &[&[u8]]); 14] = [
    ("absent", &[]),
    ("valid A", &[b"{}sk-a"]),
    ("valid B", &[b"{}sk-b"]),
    ("unknown", &[b"{}sk-c"]),
    ("empty", &[b""]),
    ("a scheme alone", &[b"Bearer"]),
    ("the same twice", &[b"{}sk-a", b"{}sk-a"]),
    ("two different", &[b"{}sk-a", b"{}sk-b"]),
    ("empty, then valid", &[b"", b"{}sk-a"]),
    ("the key in capitals", &[b"{}SK-A"]),
    ("the scheme in capitals", &[b"BEARER sk-a"]),
    ("tabs and blanks around", &[b"\t {}sk-a\t "]),
    ("tabs and blanks within", &[b"Bearer \t sk-a"]),
    ("no UTF-8", &[b"{}sk-a\xff"]),
];

/// Every pair of places and looks: 4,900 requests.
#[test]
fn the_matrix_of_credentials_is_as_the_oracle_has_it() {
    let (a, b) = (Origin::answering("a"), Origin::answering("b"));
    let world = World::start(&[
        ("a.yml", &mapping("a", "Key(`sk-a`)", std::slice::from_ref(&a.url))),
        ("b.yml", &mapping("b", "Key(`sk-b`)", std::slice::from_ref(&b.url))),
    ]);
    let mut client = world.connect();
    let (mut wrong, mut asked) = (Vec::new(), 0);
    let places = || {
        BRINGERS
            .iter()
            .flat_map(|bringer| STATES.iter().map(move |state| (*bringer, state)))
    };
    for first in places() {
        for second in places() {
            let lines: Vec<(&str, Vec<u8>)> = [first, second]
                .iter()
                .flat_map(|(place, state)| values(place, state.1))
                .collect();
            let answer = client.exchange(&request(&lines));
            let code = if answer.status == 200 {
                answer.text()
            } else {
                answer.code()
            };
            let got = format!("{} {code}", answer.status);
            let expected = expected(&lines);
            asked += 1;
            if got != expected {
                let places = [(first.0, first.1.0), (second.0, second.1.0)];
                wrong.push(format!("{places:?}: {got}, not {expected}"));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {asked} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(asked, 4_900);
}

fn values<'a>(place: &'a str, values: &'a [&[u8]]) -> impl Iterator<Item = (&'a str, Vec<u8>)> {
    let good: &[u8] = if place == "Authorization" { b"Bearer " } else { b"" };
    values.iter().map(move |value| {
        let at = value.windows(2).position(|window| window == b"{}");
        let value = at.map_or(value.to_vec(), |at| [&value[..at], good, &value[at + 2..]].concat());
        (place, value)
    })
}

fn request(lines: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut query = String::new();
    for (_, value) in lines.iter().filter(|(place, _)| *place == "?") {
        query += "&key=";
        value
            .iter()
            .for_each(|byte| write!(query, "%{byte:02x}").expect("text"));
    }
    let mut bytes = format!("GET /v1/x?x{query} HTTP/1.1\r\nHost: edge\r\n").into_bytes();
    for (name, value) in lines.iter().filter(|(place, _)| *place != "?") {
        bytes.extend_from_slice(&[name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// What is in the query is no credential; a line is without its outer blanks, and in Authorization without a first word
/// `bearer`; empty lines do not count.
fn expected(lines: &[(&str, Vec<u8>)]) -> String {
    let mut keys: Vec<&[u8]> = Vec::new();
    for (place, value) in lines {
        let words: Vec<&[u8]> = value
            .split(|byte| b" \t".contains(byte))
            .filter(|word| !word.is_empty())
            .collect();
        let key: Option<&[u8]> = match (*place, &words[..]) {
            ("?", _) | (_, []) => None,
            ("Authorization", [scheme]) if scheme.eq_ignore_ascii_case(b"bearer") => None,
            ("Authorization", [scheme, key]) if scheme.eq_ignore_ascii_case(b"bearer") => Some(*key),
            (_, [key]) => Some(*key),
            // Several words are one key that nobody has.
            _ => Some(value.trim_ascii()),
        };
        keys.extend(key.filter(|key| !keys.contains(key)));
    }
    match keys[..] {
        [b"sk-a"] => "200 a",
        [b"sk-b"] => "200 b",
        [] | [_] => "401 invalid_api_key",
        _ => "400 conflicting_api_keys",
    }
    .to_owned()
}
