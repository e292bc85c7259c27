//! Go's pattern syntax → Rust's.
//!
//! The walk is Go's own grammar, so what Go refuses is refused here: look-around, back-references, stacked repetitions.
//! Groups lose their names and numbers where only is asked whether a pattern matches, as a rule does.

use std::collections::BTreeSet;

use zeroize::Zeroizing;

use super::class;
use super::escape;
use super::{NEST_MAX, PatternError};

/// Go takes no higher count: `x{1001}` would be a program of its own.
const REPEAT_MAX: u32 = 1000;

pub(super) fn to_rust(go: &str) -> Result<Zeroizing<String>, PatternError> {
    translated(go, Groups::Forgotten)
}

/// The same with names and numbers, for a replacement to refer to.
pub(super) fn to_rust_with_groups(go: &str) -> Result<Zeroizing<String>, PatternError> {
    translated(go, Groups::Kept)
}

fn translated(go: &str, groups: Groups) -> Result<Zeroizing<String>, PatternError> {
    let mut walk = Walk {
        groups,
        rest: go,
        rust: Zeroizing::new(String::with_capacity(go.len() * 2)),
        ..Walk::default()
    };
    while let Some(next) = walk.take() {
        walk.step(next)?;
    }
    if walk.depth > 0 {
        return Err(PatternError::new(
            "a ( is not closed",
            "Close it, or write \\( for the character.",
        ));
    }
    Ok(walk.rust)
}

/// What stands before, as far as a repetition cares.
#[derive(Default, PartialEq)]
enum Before {
    #[default]
    Nothing,
    Operand,
    Repetition,
}

#[derive(Default, Clone, Copy, PartialEq)]
enum Groups {
    #[default]
    Forgotten,
    Kept,
}

#[derive(Default)]
struct Walk<'a> {
    groups: Groups,
    rest: &'a str,
    rust: Zeroizing<String>,
    before: Before,
    depth: u32,
    names: BTreeSet<&'a str>,
}

impl<'a> Walk<'a> {
    fn take(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn takes(&mut self, prefix: &str) -> bool {
        self.rest.strip_prefix(prefix).map(|rest| self.rest = rest).is_some()
    }

    fn step(&mut self, next: char) -> Result<(), PatternError> {
        match next {
            '(' => self.open(),
            ')' => self.close(),
            '|' => {
                self.rust.push('|');
                self.before = Before::Nothing;
                Ok(())
            }
            '*' | '+' | '?' => self.repeat(&next.to_string()),
            '{' => match self.counts()? {
                Some(counts) => self.repeat(&counts),
                None => self.operand(|rust| escape::push_literal('{', rust)),
            },
            '[' => {
                self.rest = class::to_rust(self.rest, &mut self.rust)?;
                self.operand(|_| ())
            }
            '^' | '$' | '.' => self.operand(|rust| rust.push(next)),
            '\\' => self.escape(),
            literal => self.operand(|rust| escape::push_literal(literal, rust)),
        }
    }

    fn operand(&mut self, push: impl FnOnce(&mut String)) -> Result<(), PatternError> {
        push(&mut self.rust);
        self.before = Before::Operand;
        Ok(())
    }

    fn open(&mut self) -> Result<(), PatternError> {
        if self.rest.starts_with('?') {
            return self.open_extended();
        }
        self.open_capture(None)
    }

    fn open_capture(&mut self, name: Option<&str>) -> Result<(), PatternError> {
        // Rust takes no name that begins with a digit; such a group keeps its number.
        let name = name.filter(|name| !name.starts_with(|c: char| c.is_ascii_digit()));
        match (self.groups, name) {
            (Groups::Forgotten, _) => self.open_with("(?:"),
            (Groups::Kept, None) => self.open_with("("),
            (Groups::Kept, Some(name)) => self.open_with(&format!("(?P<{name}>")),
        }
    }

    fn open_group(&mut self, flags: &str) -> Result<(), PatternError> {
        self.open_with(&format!("(?{flags}:"))
    }

    fn open_with(&mut self, opening: &str) -> Result<(), PatternError> {
        if self.depth == NEST_MAX {
            return Err(PatternError::new(
                format!("groups nest more than {NEST_MAX} deep"),
                "Take groups out.",
            ));
        }
        self.depth += 1;
        self.rust.push_str(opening);
        self.before = Before::Nothing;
        Ok(())
    }

    fn open_extended(&mut self) -> Result<(), PatternError> {
        if self.takes("?P<") || (!self.rest.starts_with("?<=") && !self.rest.starts_with("?<!") && self.takes("?<")) {
            let refused = || PatternError::new("a group's name is not a new word", "Name it (?P<word>…), each once.");
            let (name, rest) = self.rest.split_once('>').ok_or_else(refused)?;
            let is_word = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            self.rest = rest;
            return if is_word && self.names.insert(name) {
                self.open_capture(Some(name))
            } else {
                Err(refused())
            };
        }
        let Some((flags, end)) = self.flags() else {
            let fix = "RE2 knows (…), (?:…), (?P<name>…) and the flags (?imsU); say the same with && and !.";
            return Err(PatternError::new("look-around and other (?…) forms do not exist", fix));
        };
        match end {
            ':' => self.open_group(&flags),
            _ => {
                // Rust refuses the empty `(?)`, which Go takes and which changes nothing.
                if !flags.is_empty() {
                    self.rust.extend(["(?", &flags, ")"]);
                }
                self.before = Before::Nothing;
                Ok(())
            }
        }
    }

    /// `?`, flags and the `:` or `)` after them. Each flag is given once, as Rust wants it; Go lets the last one win.
    fn flags(&mut self) -> Option<(String, char)> {
        let mut chosen: [Option<bool>; 4] = [None; 4];
        let (mut on, mut off_given) = (true, false);
        self.take();
        let end = loop {
            match self.take()? {
                '-' if on => on = false,
                end @ (':' | ')') if on || off_given => break end,
                flag => {
                    chosen["imsU".find(flag)?] = Some(on);
                    off_given |= !on;
                }
            }
        };
        let given = |wanted| {
            "imsU"
                .chars()
                .zip(chosen)
                .filter(move |(_, is)| *is == Some(wanted))
                .map(|(flag, _)| flag)
        };
        let mut flags: String = given(true).collect();
        let off: String = given(false).collect();
        if !off.is_empty() {
            flags.extend(["-", &off]);
        }
        Some((flags, end))
    }

    fn close(&mut self) -> Result<(), PatternError> {
        let refused = || PatternError::new("a ) closes nothing", "Take it out, or write \\) for the character.");
        self.depth = self.depth.checked_sub(1).ok_or_else(refused)?;
        self.operand(|rust| rust.push(')'))
    }

    /// A repetition, and the `?` after it that makes it lazy.
    fn repeat(&mut self, operator: &str) -> Result<(), PatternError> {
        match self.before {
            Before::Operand => {}
            Before::Nothing => {
                let fix = "Write what is repeated before it, or \\* and the like for the character.";
                return Err(PatternError::new("a repetition has nothing to repeat", fix));
            }
            Before::Repetition => {
                return Err(PatternError::new(
                    "two repetitions follow each other",
                    "Keep one, or group: (?:a*)+.",
                ));
            }
        }
        self.rust.push_str(operator);
        if self.takes("?") {
            self.rust.push('?');
        }
        self.before = Before::Repetition;
        Ok(())
    }

    /// `{n}`, `{n,}` or `{n,m}` after its brace. Anything else is a brace like any other character.
    fn counts(&mut self) -> Result<Option<String>, PatternError> {
        let Some((inside, after)) = self.rest.split_once('}') else {
            return Ok(None);
        };
        let (least, most) = match inside.split_once(',') {
            None => (count(inside), count(inside)),
            Some((least, "")) => (count(least), Some(REPEAT_MAX)),
            Some((least, most)) => (count(least), count(most)),
        };
        let (Some(least), Some(most)) = (least, most) else {
            return Ok(None);
        };
        if least > REPEAT_MAX || most > REPEAT_MAX || least > most {
            let reason = format!("a repetition's counts go from small to large, up to {REPEAT_MAX}");
            return Err(PatternError::new(reason, "Write {least,most}."));
        }
        self.rest = after;
        Ok(Some(format!("{{{inside}}}")))
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        if self.takes("Q") {
            let (literal, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = rest;
            for character in literal.chars() {
                self.operand(|rust| escape::push_literal(character, rust))?;
            }
            return Ok(());
        }
        // Go lets a stray end of a quotation pass.
        if self.takes("E") {
            return Ok(());
        }
        self.rest = escape::to_rust(self.rest, &mut self.rust)?;
        self.operand(|_| ())
    }
}

/// A count without superfluous zeros. One too large to hold is reported like any that is too large.
fn count(digits: &str) -> Option<u32> {
    let plain = digits == "0" || !digits.starts_with('0');
    let all_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    (plain && all_digits).then(|| digits.parse().unwrap_or(u32::MAX))
}
