//! Takes `<think>…</think>` out of content: how raw models think aloud where their server does not part it.
//!
//! Off unless asked for, since a text may speak of the tag. Only a block at the very beginning (whitespace before it
//! aside) is thinking; tags further on are the answer's own. A tag may be split across pieces.

use crate::chat::{Event, Part};

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// The splitter of one answer's stream.
#[derive(Default)]
pub struct Splitter {
    state: State,
    /// What may yet turn out to be a tag, or space around one.
    held: String,
}

#[derive(Default, PartialEq, Clone, Copy)]
enum State {
    /// Nothing but space so far.
    #[default]
    Before,
    Thinking,
    /// Behind the closing tag: the space there belongs to nobody.
    Behind,
    Answering,
}

impl Splitter {
    pub fn new() -> Self {
        Self::default()
    }

    /// One event in, what it comes to out: text is parted, everything else ends what is held back.
    pub fn push(&mut self, event: Event, events: &mut Vec<Event>) {
        match event {
            Event::Text(text) => self.text(&text, events),
            // These say nothing about where the text stands.
            Event::Start { .. } | Event::Logprobs(_) | Event::Usage(_) | Event::Timings(_) => events.push(event),
            _ => {
                self.flush(events);
                events.push(event);
            }
        }
    }

    /// What is held back, as what it would have been.
    pub fn flush(&mut self, events: &mut Vec<Event>) {
        let held = std::mem::take(&mut self.held);
        match self.state {
            State::Thinking => emit(Event::Thinking, &held, events),
            State::Behind => {}
            State::Before | State::Answering => emit(Event::Text, &held, events),
        }
    }

    fn text(&mut self, text: &str, events: &mut Vec<Event>) {
        self.held.push_str(text);
        loop {
            let before = self.state;
            match before {
                State::Before => self.before(events),
                State::Thinking => self.thinking(events),
                State::Behind => {
                    let rest = self.held.trim_start();
                    if rest.is_empty() {
                        self.held.clear();
                        return;
                    }
                    self.held = rest.to_owned();
                    self.state = State::Answering;
                }
                State::Answering => self.flush(events),
            }
            if self.state == before || self.held.is_empty() {
                return;
            }
        }
    }

    fn before(&mut self, events: &mut Vec<Event>) {
        let rest = self.held.trim_start();
        if let Some(rest) = rest.strip_prefix(OPEN) {
            self.held = rest.to_owned();
            self.state = State::Thinking;
        } else if !OPEN.starts_with(rest) || self.held.len() > 1_024 {
            self.state = State::Answering;
            self.flush(events);
        }
    }

    fn thinking(&mut self, events: &mut Vec<Event>) {
        if let Some(at) = self.held.find(CLOSE) {
            emit(Event::Thinking, self.held[..at].trim_end(), events);
            self.held.drain(..at + CLOSE.len());
            self.state = State::Behind;
            return;
        }
        // What could be the beginning of the closing tag, and space before it, stay back.
        let torn = (1..CLOSE.len())
            .rev()
            .find(|length| self.held.ends_with(&CLOSE[..*length]))
            .unwrap_or(0);
        let sure = self.held[..self.held.len() - torn].trim_end().len();
        emit(Event::Thinking, &self.held[..sure], events);
        self.held.drain(..sure);
    }
}

fn emit(make: impl Fn(String) -> Event, text: &str, events: &mut Vec<Event>) {
    if !text.is_empty() {
        events.push(make(text.to_owned()));
    }
}

/// Parts the first text of a whole answer.
pub fn split(parts: Vec<Part>) -> Vec<Part> {
    let mut split = Vec::with_capacity(parts.len() + 1);
    let mut first = true;
    for part in parts {
        match part {
            Part::Text(text) if std::mem::take(&mut first) => {
                let (mut splitter, mut events) = (Splitter::new(), Vec::new());
                splitter.text(&text, &mut events);
                splitter.flush(&mut events);
                split.extend(crate::chat::merge(events));
            }
            part => split.push(part),
        }
    }
    split
}

#[cfg(test)]
mod tests {
    use super::*;

    const CASES: [(&str, &str, &str); 9] = [
        ("<think>a b</think>c", "a b", "c"),
        (" \n<think>\na\n</think>\n\nc d ", "\na", "c d "),
        ("<think>never closed", "never closed", ""),
        ("say <think>no</think>", "", "say <think>no</think>"),
        ("<thin air", "", "<thin air"),
        ("<think></think>c<think>d</think>", "", "c<think>d</think>"),
        ("<think>a</thin</think>é", "a</thin", "é"),
        ("  plain", "", "  plain"),
        ("<think>a < b", "a < b", ""),
    ];

    fn of(pieces: &[&str]) -> (String, String) {
        let (mut splitter, mut events) = (Splitter::new(), Vec::new());
        pieces
            .iter()
            .for_each(|piece| splitter.push(Event::Text((*piece).to_owned()), &mut events));
        splitter.push(Event::Done, &mut events);
        let (mut thinking, mut text) = (String::new(), String::new());
        for event in events {
            match event {
                Event::Thinking(piece) => thinking.push_str(&piece),
                Event::Text(piece) => text.push_str(&piece),
                _ => {}
            }
        }
        (thinking, text)
    }

    #[test]
    fn parts_thinking_however_it_is_split() {
        for (content, thinking, text) in CASES {
            let expected = (thinking.to_owned(), text.to_owned());
            assert_eq!(of(&[content]), expected, "{content}");
            for (cut, _) in content.char_indices() {
                assert_eq!(of(&[&content[..cut], &content[cut..]]), expected, "{content} at {cut}");
            }
            let letters: Vec<String> = content.chars().map(String::from).collect();
            assert_eq!(
                of(&letters.iter().map(String::as_str).collect::<Vec<_>>()),
                expected,
                "{content}"
            );
        }
    }

    #[test]
    fn whole_answers_too() {
        let parts = split(vec![Part::text("<think>a</think>b")]);
        assert_eq!(
            parts,
            [
                Part::Thinking {
                    text: "a".to_owned(),
                    signature: None
                },
                Part::text("b")
            ]
        );
    }
}
