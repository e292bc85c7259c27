//! The answer of one generation, token by token: made-up sentences, JSON or the arguments of a tool call.
//! Pure and deterministic: the same prompt, seed and options give the same answer.

use std::sync::Arc;

use crate::text::{Words, pieces};

/// What the tokens of an answer mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// The tokens are the JSON of this tool's arguments.
    Tool {
        name: String,
        id: String,
    },
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Finish {
    /// By itself.
    Stop,
    /// At `max_tokens` or at the end of the context.
    Length,
    /// At a stop string of the request.
    Word(String),
    Tool,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub kind: Kind,
    source: Source,
    made: usize,
    tokens_max: usize,
    stop_word: Option<String>,
    ended_by_source: bool,
}

#[derive(Debug)]
enum Source {
    /// An introduction that all answers share, then sentences up to a natural length.
    Sentences {
        intro: Arc<[String]>,
        words: Words,
        length: usize,
    },
    Fixed {
        pieces: Vec<String>,
        at: usize,
    },
}

impl Answer {
    /// Sentences: the introduction, then words, `length` tokens in all unless `tokens_max` comes first.
    pub(crate) fn sentences(intro: Arc<[String]>, seed: u64, length: usize, tokens_max: usize) -> Self {
        Self::new(
            Kind::Text,
            Source::Sentences {
                intro,
                words: Words::new(seed),
                length,
            },
            tokens_max,
        )
    }

    pub(crate) fn fixed(kind: Kind, text: &str, tokens_max: usize) -> Self {
        Self::new(
            kind,
            Source::Fixed {
                pieces: pieces(text).map(str::to_owned).collect(),
                at: 0,
            },
            tokens_max,
        )
    }

    fn new(kind: Kind, source: Source, tokens_max: usize) -> Self {
        Self {
            kind,
            source,
            made: 0,
            tokens_max: tokens_max.max(1),
            stop_word: None,
            ended_by_source: false,
        }
    }

    /// Ends the answer before the first of these strings. Made up front, since a stop string may span tokens.
    pub(crate) fn stopped_at(mut self, stops: &[String]) -> Self {
        let stops: Vec<&String> = stops.iter().filter(|stop| !stop.is_empty()).collect();
        if stops.is_empty() || self.kind != Kind::Text {
            return self;
        }
        let (mut text, mut count) = (String::new(), 0);
        while let Some(piece) = self.next_piece() {
            text.push_str(piece);
            count += 1;
        }
        let found = stops
            .iter()
            .filter_map(|stop| Some((text.find(stop.as_str())?, (*stop).clone())))
            .min();
        let natural_end = self.ended_by_source;
        let mut answer = match &found {
            Some((at, _)) => Self::fixed(Kind::Text, &text[..*at], usize::MAX),
            // One more than it has makes it end by itself rather than by length.
            None => Self::fixed(Kind::Text, &text, if natural_end { count + 1 } else { count }),
        };
        answer.stop_word = found.map(|(_, stop)| stop);
        answer
    }

    /// The next token's text; `None` once the answer is over.
    pub(crate) fn next_piece(&mut self) -> Option<&str> {
        if self.is_over() {
            return None;
        }
        self.made += 1;
        match &mut self.source {
            Source::Sentences { intro, words, .. } => match intro.get(self.made - 1) {
                Some(piece) => Some(piece),
                None => Some(words.next_piece()),
            },
            Source::Fixed { pieces, at } => {
                *at += 1;
                Some(&pieces[*at - 1])
            }
        }
    }

    /// Whether the last token has been taken.
    pub(crate) fn is_over(&mut self) -> bool {
        // The bound first: an answer whose natural length is the bound ended at the bound, as in the real server.
        if self.made == self.tokens_max {
            return true;
        }
        self.ended_by_source = match &self.source {
            Source::Sentences { length, .. } => self.made >= *length,
            Source::Fixed { pieces, at } => *at >= pieces.len(),
        };
        self.ended_by_source
    }

    /// Why it ended; meaningful once it is over.
    pub(crate) fn finish(&self) -> Finish {
        match (&self.stop_word, &self.kind) {
            _ if !self.ended_by_source && self.stop_word.is_none() => Finish::Length,
            (Some(word), _) => Finish::Word(word.clone()),
            (None, Kind::Tool { .. }) => Finish::Tool,
            (None, Kind::Text) => Finish::Stop,
        }
    }
}

/// What every plain answer begins with, so that nobody takes it for a model's.
pub(crate) fn introduction(model: &str) -> Arc<[String]> {
    pieces(&format!("This is a simulated answer from {model}; no model was asked."))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(mut answer: Answer) -> (String, usize, Finish) {
        let (mut text, mut count) = (String::new(), 0);
        while let Some(piece) = answer.next_piece() {
            text.push_str(piece);
            count += 1;
        }
        (text, count, answer.finish())
    }

    #[test]
    fn an_answer_ends_by_itself_or_at_its_bound() {
        let intro = introduction("tiny");
        let (text, count, finish) = all(Answer::sentences(intro.clone(), 1, 30, 100));
        assert!(text.starts_with("This is a simulated answer from tiny"), "{text}");
        assert_eq!((count, finish), (30, Finish::Stop));
        let (_, count, finish) = all(Answer::sentences(intro.clone(), 1, 30, 8));
        assert_eq!((count, finish), (8, Finish::Length));
        let (_, count, finish) = all(Answer::sentences(intro, 1, 30, 0));
        assert_eq!(
            (count, finish),
            (1, Finish::Length),
            "the real server makes one token of max_tokens 0"
        );
    }

    #[test]
    fn stop_strings_end_it_even_across_tokens() {
        let intro = introduction("tiny");
        let stopped = |stops: &[&str], max| {
            let stops: Vec<String> = stops.iter().map(|stop| (*stop).to_owned()).collect();
            all(Answer::sentences(intro.clone(), 1, 30, max).stopped_at(&stops))
        };
        let (text, _, finish) = stopped(&["answer", "lated ans"], 100);
        assert_eq!(
            (text.as_str(), finish),
            ("This is a simu", Finish::Word("lated ans".into()))
        );
        assert_eq!(stopped(&["no such words"], 100).2, Finish::Stop);
        assert_eq!(stopped(&["no such words"], 5).1, 5);
        assert_eq!(stopped(&["no such words"], 5).2, Finish::Length);
        assert_eq!(stopped(&["This"], 5), (String::new(), 0, Finish::Word("This".into())));
    }

    #[test]
    fn a_tool_call_that_fits_ends_as_one() {
        let kind = Kind::Tool {
            name: "f".into(),
            id: "1".into(),
        };
        assert_eq!(all(Answer::fixed(kind.clone(), "{\"a\": 1}", 9)).2, Finish::Tool);
        assert_eq!(all(Answer::fixed(kind, "{\"a\": 1}", 1)).2, Finish::Length);
    }
}
