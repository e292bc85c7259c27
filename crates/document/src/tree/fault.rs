//! Why a text cannot be read at all, in sentences of our own: the parser's may quote the text, and a key may stand there.

use serde_yaml::granit_parser::{ErrorKind, ScanError};

use crate::problem::Position;

/// A place that a file cannot be read past. It becomes a [`crate::Problem`] once the file's path is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub position: Position,
    pub value: String,
    pub rule: &'static str,
    pub fix: &'static str,
}

impl Fault {
    /// `read_bytes`: up to where the text has been understood.
    pub(super) fn syntax(error: &ScanError, text: &str, read_bytes: usize) -> Self {
        let at = error.marker();
        let (rule, fix) = sentence(error.kind());
        let mut position = super::build::position(*at);
        if *error.kind() == ErrorKind::InvalidQuotedScalarIndent {
            // The parser went on into the lines below; what is to be mended is where the quote opens.
            position = quote_after(text, read_bytes).unwrap_or(position);
        }
        Self {
            value: punctuation(text, position),
            ..Self::at(position, rule, fix)
        }
        .hinted(text)
    }

    /// Only Traefik's Go templates have `{{` outside a quoted text; written out, such a file is plain YAML.
    pub(super) fn hinted(self, text: &str) -> Self {
        let fix = "Write out the values: Go templates (`{{ … }}`) are not expanded.";
        if text.contains("{{") {
            Self { fix, ..self }
        } else {
            self
        }
    }

    pub(super) fn key_is_no_text(position: Position) -> Self {
        Self::at(
            position,
            "The name of a field must be a text.",
            "Write `name: value`; quote a name that begins with `[`, `{` or `*`.",
        )
    }

    pub(super) fn recursive_alias(position: Position) -> Self {
        Self::at(
            position,
            "An alias must not stand inside what it repeats.",
            "Write the value out.",
        )
    }

    pub(super) fn too_deep(position: Position) -> Self {
        Self::at(
            position,
            "A file must not be nested deeper than 32 levels.",
            "Check the indentation and the brackets.",
        )
    }

    pub(super) fn too_many_aliases(position: Position) -> Self {
        Self::at(
            position,
            "Aliases must not repeat more than 128 MiB.",
            "Write values out, or split the file.",
        )
    }

    pub(super) fn second_document(position: Position) -> Self {
        Self::at(
            position,
            "A file holds one YAML document.",
            "Put what follows `---` into a file of its own.",
        )
    }

    pub(super) fn merge_of_no_map(position: Position) -> Self {
        Self::at(
            position,
            "`<<` takes a map, or a list of maps.",
            "Write `<<: *anchor`, where the anchor names a map.",
        )
    }

    fn at(position: Position, rule: &'static str, fix: &'static str) -> Self {
        Self {
            position,
            value: String::new(),
            rule,
            fix,
        }
    }
}

/// The rule broken and the fix, for the mistakes that people make; the others share one sentence.
fn sentence(kind: &ErrorKind) -> (&'static str, &'static str) {
    use ErrorKind as E;
    match kind {
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabAtBlockScalarStart
        | E::TabInIndentation
        | E::TabInPlainScalar => ("YAML does not take tabs as indentation.", "Indent with spaces."),
        E::UnclosedQuotedScalar | E::InvalidQuotedScalarIndent => {
            ("A quoted text must be closed.", "Put the same quote at its end.")
        }
        E::UnknownQuotedScalarEscape | E::InvalidQuotedScalarHexEscape | E::InvalidUnicodeEscape => (
            "In double quotes a backslash begins an escape, and this is none.",
            "Use single quotes, or write the backslash twice.",
        ),
        E::InvalidTrailingSingleQuotedScalar | E::InvalidTrailingDoubleQuotedScalar => (
            "Nothing may follow a quoted text on its line.",
            "Quote the whole value; write a quote inside it twice ('') or as \\\".",
        ),
        E::MappingValueNotAllowed => (
            "A second `:` on the line, or a value at the wrong depth.",
            "Quote a value that holds `: `, and check the indentation.",
        ),
        E::UnclosedFlowCollection { .. }
        | E::MismatchedFlowCollectionEnd { .. }
        | E::MisplacedFlowCollectionEnd
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator => (
            "Brackets must match, and commas part what they hold.",
            "Close the bracket, or add the comma.",
        ),
        E::ExpectedBlockMappingKey
        | E::ExpectedBlockSequenceEntry
        | E::InvalidIndentation
        | E::SimpleKeyExpected
        | E::InvalidSimpleKey
        | E::BlockSequenceEntryNotAllowed => (
            "Fields of one map stand in one column, each as `name: value`.",
            "Check the indentation and the `:` of this line and the one before.",
        ),
        E::UnknownAnchor => (
            "An alias needs an anchor before it.",
            "Define `&name` first, or quote a text that begins with `*`.",
        ),
        E::RecursionLimitExceeded => (
            "A file must not be nested deeper than 32 levels.",
            "Check the indentation and the brackets.",
        ),
        E::UnexpectedCharacter { .. } => ("No text may begin with this character.", "Quote the value."),
        _ => (
            "This is not YAML.",
            "Check the indentation, the quotes and the brackets of this line and the one before.",
        ),
    }
}

/// The first quote that opens after this byte.
fn quote_after(text: &str, read_bytes: usize) -> Option<Position> {
    let offset = read_bytes + text.get(read_bytes..)?.find(['"', '\''])?;
    let count = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let line = text[..offset].matches('\n').count();
    let column = text[..offset].rsplit('\n').next()?.chars().count();
    Some(Position {
        line: count(line),
        column: count(column),
    })
}

/// The character at the place, where it is punctuation: anything else could be part of a key.
fn punctuation(text: &str, at: Position) -> String {
    let nth = |from_one: u32| from_one.saturating_sub(1) as usize;
    let found = text
        .lines()
        .nth(nth(at.line))
        .and_then(|line| line.chars().nth(nth(at.column)));
    match found {
        Some('\t') => "a tab".to_owned(),
        Some(found) if found.is_ascii_punctuation() => format!("`{found}`"),
        _ => String::new(),
    }
}
