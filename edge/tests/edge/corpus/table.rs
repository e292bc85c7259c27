//! Reading a table of cases.

/// One case: what is sent, what is said of the outcome, what arrives.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) title: String,
    /// Lines beginning with `@`: what differs from the usual way.
    pub(crate) manner: Vec<String>,
    pub(crate) sent: Vec<u8>,
    /// Divided at its commas.
    pub(crate) outcome: Vec<String>,
    pub(crate) arrives: Vec<u8>,
}

impl Case {
    pub(crate) fn has(&self, word: &str) -> bool {
        self.manner.iter().chain(&self.outcome).any(|said| said == word)
    }
}

/// `macros`: names in braces, and the lines they stand for.
pub(crate) fn read(text: &str, macros: &[(&str, &str)]) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            assert!(cases.iter().all(|case| case.title != title), "two cases {title:?}");
            cases.push(Case {
                title: title.to_owned(),
                ..Case::default()
            });
            continue;
        }
        let Some(case) = cases.last_mut().filter(|_| !line.is_empty() && !line.starts_with('#')) else {
            continue;
        };
        let wire = |mark: char| {
            line.strip_prefix(mark)
                .map(|rest| rest.strip_prefix(' ').unwrap_or(rest))
        };
        if let Some(text) = wire('>') {
            push_line(text, macros, &mut case.sent);
        } else if let Some(text) = wire('|') {
            push_line(text, macros, &mut case.arrives);
        } else if let Some(text) = wire('@') {
            case.manner.push(text.to_owned());
        } else {
            assert!(case.outcome.is_empty(), "{}: a second outcome {line:?}", case.title);
            case.outcome = line.split(',').map(|part| part.trim().to_owned()).collect();
        }
    }
    for case in &cases {
        assert!(
            !case.outcome.is_empty() && !case.sent.is_empty(),
            "{}: not whole",
            case.title
        );
    }
    cases
}

/// Bytes as a table would have them, for messages.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let text: String = bytes
        .iter()
        .map(|&byte| std::ascii::escape_default(byte).to_string())
        .collect();
    let text = text.replace("\\r\\n", "\n    ");
    if text.len() > 2_000 {
        format!("{} […] {}", &text[..1_000], text.len())
    } else {
        text
    }
}

fn push_line(text: &str, macros: &[(&str, &str)], bytes: &mut Vec<u8>) {
    let mut text = text.to_owned();
    for (name, lines) in macros {
        text = text.replace(&format!("{{{name}}}"), lines);
    }
    let (text, ends) = match text.strip_suffix('\\') {
        Some(rest) if !rest.ends_with('\\') => (rest, false),
        _ => (text.as_str(), true),
    };
    push(text, bytes);
    if ends {
        bytes.extend_from_slice(b"\r\n");
    }
}

fn push(text: &str, bytes: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some((repeated, after)) = repeated(rest) {
            bytes.extend(repeated);
            rest = after;
        } else if first == '\\' {
            rest = escaped(&rest[1..], bytes);
        } else {
            bytes.extend_from_slice(first.to_string().as_bytes());
            rest = &rest[first.len_utf8()..];
        }
    }
}

/// `{text*N}`.
fn repeated(text: &str) -> Option<(Vec<u8>, &str)> {
    let (inner, after) = text.strip_prefix('{')?.split_once('}')?;
    let (piece, times) = inner.rsplit_once('*')?;
    let mut once = Vec::new();
    push(piece, &mut once);
    Some((once.repeat(times.parse().ok()?), after))
}

fn escaped<'a>(text: &'a str, bytes: &mut Vec<u8>) -> &'a str {
    let plain = [("r", b'\r'), ("n", b'\n'), ("t", b'\t'), ("0", 0), ("\\", b'\\')];
    for (letter, byte) in plain {
        if let Some(rest) = text.strip_prefix(letter) {
            bytes.push(byte);
            return rest;
        }
    }
    let digits = text.strip_prefix('x').and_then(|rest| rest.get(..2));
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
    bytes.push(byte.unwrap_or_else(|| panic!("no such escape: \\{text}")));
    &text[3..]
}

#[test]
fn a_table_reads_as_it_says() {
    let cases = read(
        "# a comment\n== one\n@ HEAD\n> a{key}b\\tc\n>\n> {x*3}{\\n*2}{}\\\n200, stays\n| \\x41\n\n== two\n> {a: b\\r\\n*2}\\\n400\n",
        &[("key", "K\\r\\n")],
    );
    assert_eq!(cases.len(), 2);
    assert_eq!(cases[0].sent, b"aK\r\nb\tc\r\n\r\nxxx\n\n{}");
    assert_eq!(
        (cases[0].arrives.as_slice(), cases[0].outcome.len()),
        (&b"A\r\n"[..], 2)
    );
    assert!(cases[0].has("HEAD") && cases[0].has("stays"));
    assert_eq!(cases[1].sent, b"a: b\r\na: b\r\n");
}
