//! Words instead of a model: how text becomes tokens and how an answer's words are made up. Pure.
//!
//! A token is a word with the blanks before it, a line break, or a `<|marker|>` of the chat template. Invariant: the
//! tokens of two texts joined at a token's border are the tokens of both, so an answer that comes back in the next
//! turn's history meets the very tokens that its slot already holds.

/// A token's number: 31 bits of a hash of its text, so that no vocabulary needs to be kept.
pub(crate) type Token = u32;

/// Longer words are several tokens, as in a real vocabulary; 16 bytes leave every ordinary word whole.
const PIECE_BYTES_MAX: usize = 16;
/// The chat template's markers are shorter; anything longer that begins alike is ordinary text.
const MARKER_BYTES_MAX: usize = 24;

pub(crate) fn tokens(text: &str) -> Vec<Token> {
    pieces(text).map(token).collect()
}

pub(crate) fn token(piece: &str) -> Token {
    let hash = fnv1a(piece.bytes());
    ((hash >> 32) ^ hash) as u32 & 0x7fff_ffff
}

/// Cuts a text into its tokens' texts; joined again they are the text.
pub(crate) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, after) = rest.split_at(piece_bytes(rest));
        rest = after;
        Some(piece)
    })
}

fn piece_bytes(text: &str) -> usize {
    if let Some(marker) = marker_bytes(text) {
        return marker;
    }
    if text.starts_with('\n') {
        return 1;
    }
    let blanks = text.len() - text.trim_start_matches(|c: char| c.is_whitespace() && c != '\n').len();
    let mut bytes = blanks;
    for (at, c) in text[blanks..].char_indices() {
        let end = at + c.len_utf8();
        let ends_here = c.is_whitespace() || (at > 0 || blanks > 0) && marker_bytes(&text[blanks + at..]).is_some();
        if ends_here || (end > PIECE_BYTES_MAX && at > 0) {
            break;
        }
        bytes = blanks + end;
    }
    bytes.max(1)
}

fn marker_bytes(text: &str) -> Option<usize> {
    if !text.starts_with("<|") {
        return None;
    }
    let end = text.find("|>")? + 2;
    (end <= MARKER_BYTES_MAX && !text[..end].contains(char::is_whitespace)).then_some(end)
}

fn fnv1a(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A number that depends on every token of a prompt and on their order.
pub(crate) fn seed(tokens: &[Token]) -> u64 {
    fnv1a(tokens.iter().flat_map(|token| token.to_le_bytes()))
}

/// SplitMix64: sixty-four good bits a step from any seed, and the same ones on every machine.
#[derive(Clone, Debug)]
pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(crate) fn id(&mut self) -> String {
        const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        (0..32).map(|_| char::from(ALPHABET[self.below(62) as usize])).collect()
    }
}

/// Each with the blank that precedes it, so that a word in mid-sentence is a token without a copy.
const WORDS: [&str; 64] = [
    " a",
    " answer",
    " arrives",
    " as",
    " at",
    " before",
    " behind",
    " between",
    " bright",
    " builds",
    " cache",
    " calm",
    " carries",
    " council",
    " door",
    " each",
    " early",
    " every",
    " finds",
    " from",
    " gathers",
    " gives",
    " harbour",
    " holds",
    " in",
    " key",
    " keeps",
    " lantern",
    " leaves",
    " letter",
    " light",
    " long",
    " meets",
    " near",
    " never",
    " night",
    " of",
    " old",
    " on",
    " opens",
    " over",
    " paper",
    " patient",
    " question",
    " quiet",
    " reads",
    " returns",
    " river",
    " room",
    " server",
    " slow",
    " small",
    " speaks",
    " stone",
    " table",
    " the",
    " their",
    " token",
    " turns",
    " under",
    " voice",
    " waits",
    " window",
    " with",
];

/// An endless, readable and meaningless sequence of sentences.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    random: Random,
    left_in_sentence: u64,
    sentence_begins: bool,
    piece: String,
}

impl Words {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            left_in_sentence: 0,
            sentence_begins: true,
            piece: String::new(),
        }
    }

    /// A bare word, for values inside made-up JSON.
    pub(crate) fn word(&mut self) -> &'static str {
        WORDS[self.random.below(WORDS.len() as u64) as usize].trim_start()
    }

    pub(crate) fn next_piece(&mut self) -> &str {
        let word = WORDS[self.random.below(WORDS.len() as u64) as usize];
        if self.sentence_begins {
            self.left_in_sentence = 5 + self.random.below(7);
        }
        self.left_in_sentence -= 1;
        let ends = self.left_in_sentence == 0;
        if !self.sentence_begins && !ends {
            return word;
        }
        self.piece.clear();
        self.piece.push_str(word);
        if self.sentence_begins {
            self.piece[1..2].make_ascii_uppercase();
        }
        if ends {
            self.piece.push('.');
        }
        self.sentence_begins = ends;
        &self.piece
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_words_lines_and_markers() {
        let cases: [(&str, &[&str]); 8] = [
            ("", &[]),
            ("hi there", &["hi", " there"]),
            ("a  b \n", &["a", "  b", " ", "\n"]),
            (
                "<|im_start|>user\nhi<|im_end|>\n",
                &["<|im_start|>", "user", "\n", "hi", "<|im_end|>", "\n"],
            ),
            ("x <|im_end|>", &["x", " ", "<|im_end|>"]),
            ("<| not a marker", &["<|", " not", " a", " marker"]),
            ("0123456789abcdefXYZ", &["0123456789abcdef", "XYZ"]),
            ("größe ΑΒΓΔΕΖΗΘΙΚ", &["größe", " ΑΒΓΔΕΖΗΘ", "ΙΚ"]),
        ];
        for (text, expected) in cases {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }

    #[test]
    fn a_sentence_comes_back_as_the_tokens_it_was_made_of() {
        let mut words = Words::new(7);
        let made: Vec<String> = (0..200).map(|_| words.next_piece().to_owned()).collect();
        let text = made.concat();
        assert_eq!(pieces(&text).collect::<Vec<_>>(), made);
        let mut again = Words::new(7);
        assert!(made.iter().all(|piece| again.next_piece() == piece));
        assert!(text.contains(". "), "{text}");
    }

    #[test]
    fn no_input_makes_an_empty_token() {
        for text in ["\t", "\r\n", "<|", "<||>", "\u{a0}", " <|", "é", "<|é|>"] {
            let cut: Vec<_> = pieces(text).collect();
            assert!(cut.iter().all(|piece| !piece.is_empty()));
            assert_eq!(cut.concat(), text);
        }
    }
}
