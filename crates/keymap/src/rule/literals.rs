//! Patterns that spell out whole values: `^Bearer API_KEY-1$`, `^Bearer (A|B)$`.
//!
//! Such a pattern is its list of values and nothing more, so the rule keeps their hashes and drops the pattern.

use regex_syntax::hir::{Class, Hir, HirKind, Look};
use zeroize::Zeroizing;

use super::pattern::{self, PatternError};

/// A pattern that means more values than this keeps its regular expression: `^Bearer [a-z]{9}$` is no list of keys.
const VALUES_MAX: usize = 256;
/// All values of one pattern together; nested repetitions multiply lengths before counts.
const BYTES_MAX: usize = 64 * 1024;

pub(super) type Literal = Zeroizing<Vec<u8>>;

/// The values that the pattern matches, if it matches only whole values of a small list.
///
/// # Errors
/// Where the pattern is invalid.
pub(super) fn spelled_out(go: &str) -> Result<Option<Vec<Literal>>, PatternError> {
    if let Some(literal) = plain(go) {
        return Ok(Some(vec![literal]));
    }
    let words = words(&pattern::parse(go)?).unwrap_or_default();
    let whole = !words.is_empty() && words.iter().all(|word| word.starts && word.ends);
    Ok(whole.then(|| words.into_iter().map(|word| word.bytes).collect()))
}

/// Whether or not the pattern is anchored: what it spells out at the least.
pub(super) fn spelled_out_anywhere(go: &str) -> Option<Vec<Literal>> {
    let words = words(&pattern::parse(go).ok()?)?;
    Some(words.into_iter().map(|word| word.bytes).collect())
}

/// `^` and characters that stand for themselves and `$`: what create-mapping writes, and nearly every rule there is.
/// No syntax tree is built, which for a million rules is most of the time to load, and no copy of the key escapes.
fn plain(go: &str) -> Option<Literal> {
    let inside = go.strip_prefix('^')?.strip_suffix('$')?;
    let mut literal = Zeroizing::new(Vec::with_capacity(inside.len()));
    let mut bytes = inside.bytes();
    while let Some(byte) = bytes.next() {
        literal.push(match byte {
            b'\\' => bytes.next().filter(u8::is_ascii_punctuation)?,
            b'.' | b'*' | b'+' | b'?' | b'(' | b')' | b'|' | b'[' | b'{' | b'^' | b'$' => return None,
            other => other,
        });
    }
    Some(literal)
}

/// One string that a pattern matches, and whether it must stand at the value's start and end.
#[derive(Clone, Default)]
struct Word {
    bytes: Literal,
    starts: bool,
    ends: bool,
}

/// Every string the pattern matches; `None` where they are too many or depend on what stands around them.
fn words(hir: &Hir) -> Option<Vec<Word>> {
    let found = match hir.kind() {
        HirKind::Empty => vec![Word::default()],
        HirKind::Literal(literal) => vec![Word {
            bytes: Zeroizing::new(literal.0.to_vec()),
            ..Word::default()
        }],
        HirKind::Look(Look::Start) => vec![Word {
            starts: true,
            ..Word::default()
        }],
        HirKind::Look(Look::End) => vec![Word {
            ends: true,
            ..Word::default()
        }],
        HirKind::Look(_) => return None,
        HirKind::Class(class) => characters(class)?,
        HirKind::Capture(capture) => words(&capture.sub)?,
        HirKind::Concat(parts) => parts
            .iter()
            .try_fold(vec![Word::default()], |left, part| joined(&left, part))?,
        HirKind::Alternation(branches) => {
            let mut all = Vec::new();
            for branch in branches {
                all.extend(words(branch)?);
            }
            all
        }
        HirKind::Repetition(repetition) => {
            let most = repetition.max.filter(|most| *most as usize <= VALUES_MAX)?;
            let mut all = Vec::new();
            let mut times = vec![Word::default()];
            for count in 0..=most {
                if count >= repetition.min {
                    all.extend(times.iter().cloned());
                }
                times = joined(&times, &repetition.sub)?;
            }
            all
        }
    };
    is_small(&found).then_some(found)
}

fn joined(left: &[Word], part: &Hir) -> Option<Vec<Word>> {
    let right = words(part)?;
    if left.len() * right.len() > VALUES_MAX {
        return None;
    }
    let all: Vec<Word> = left
        .iter()
        .flat_map(|left| right.iter().filter_map(|right| follow(left, right)))
        .collect();
    is_small(&all).then_some(all)
}

/// One after the other; `None` where nothing can stand there, as in `a^b`.
fn follow(left: &Word, right: &Word) -> Option<Word> {
    if (right.starts && !left.bytes.is_empty()) || (left.ends && !right.bytes.is_empty()) {
        return None;
    }
    let bytes = Zeroizing::new([left.bytes.as_slice(), right.bytes.as_slice()].concat());
    Some(Word {
        bytes,
        starts: left.starts || right.starts,
        ends: left.ends || right.ends,
    })
}

fn characters(class: &Class) -> Option<Vec<Word>> {
    let word = |bytes: &[u8]| Word {
        bytes: Zeroizing::new(bytes.to_vec()),
        ..Word::default()
    };
    match class {
        Class::Unicode(class) => {
            let count: usize = class
                .ranges()
                .iter()
                .map(regex_syntax::hir::ClassUnicodeRange::len)
                .sum();
            let characters = class.ranges().iter().flat_map(|range| range.start()..=range.end());
            let words = |character: char| word(character.encode_utf8(&mut [0; 4]).as_bytes());
            (count <= VALUES_MAX).then(|| characters.map(words).collect())
        }
        Class::Bytes(class) => Some(
            class
                .ranges()
                .iter()
                .flat_map(|range| range.start()..=range.end())
                .map(|byte| word(&[byte]))
                .collect(),
        ),
    }
}

fn is_small(words: &[Word]) -> bool {
    words.len() <= VALUES_MAX && words.iter().map(|word| word.bytes.len()).sum::<usize>() <= BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(go: &str) -> Option<Vec<String>> {
        let literals = spelled_out(go).expect("a valid pattern")?;
        Some(
            literals
                .iter()
                .map(|literal| String::from_utf8(literal.to_vec()).expect("UTF-8"))
                .collect(),
        )
    }

    #[test]
    fn lists_what_an_anchored_pattern_spells_out() {
        for (pattern, expected) in [
            ("^Bearer API_KEY-1$", &["Bearer API_KEY-1"][..]),
            ("^Bearer sk\\.a\\+b$", &["Bearer sk.a+b"]),
            ("^Bearer (A|B)$", &["Bearer A", "Bearer B"]),
            ("^Bearer A$|^Bearer B$", &["Bearer A", "Bearer B"]),
            ("^(?:Bearer A|Bearer B)$", &["Bearer A", "Bearer B"]),
            ("\\ABearer \\Qa.b\\E\\z", &["Bearer a.b"]),
            ("^[Bb]earer k$", &["Bearer k", "bearer k"]),
            ("^(Bearer )?k$", &["k", "Bearer k"]),
            ("^k{2}$", &["kk"]),
            ("^ключ$", &["ключ"]),
            ("^$", &[""]),
        ] {
            let mut found = values(pattern).expect(pattern);
            found.sort();
            let mut expected = expected.to_vec();
            expected.sort();
            assert_eq!(found, expected, "{pattern}");
        }
    }

    #[test]
    fn leaves_patterns_that_are_no_list() {
        let many = "^Bearer [0-9][0-9][0-9]$";
        for pattern in [
            "Bearer A",
            "^Bearer A",
            "Bearer A$",
            "^Bearer A|B$",
            "^Bearer .$",
            "^Bearer A+$",
            "^a\\bb$",
            "(?m)^A$",
            many,
            "^(((a{0,99}){0,99}){0,99}){0,99}$",
            "a^b$",
            "^Bearer \\pL$",
        ] {
            assert_eq!(values(pattern), None, "{pattern}");
        }
    }
}
