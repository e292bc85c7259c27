//! What members, reviewers and synthesizers are asked. Pure: a sitting and what was said so far → messages.
//!
//! ```text
//!  the conversation as the client sent it ┐ the same bytes for everybody: one KV cache serves them all
//!  … its last message                     │
//!  what was said so far, between marks    │ the same for all members of a round, unless each sees something else
//!  what is to be done                     ┘
//!  the persona                              last, and alone different
//! ```
//!
//! All of ours is added to the last user message, and none of it is a message of its own: many models' templates take
//! turns in strict alternation only. What models said is quoted between lines with a mark that nobody who was quoted
//! can have known ([`fence`]), and told to be material. Invariant: the same sitting and the same answers give the same
//! bytes.

mod fence;
mod texts;

use dialect::chat::{Message, Part, Role};

use super::sitting::{Seat, Sitting};
use super::template::{Context, Shape};
use super::transcript::{Said, Transcript};
pub(crate) use fence::{Fence, shuffled};
use std::fmt::Write as _;

/// What member `seat` is asked in this round, counted from 1.
pub(crate) fn member(sitting: &Sitting, transcript: &Transcript, seat: &Seat, round: u32) -> Vec<Message> {
    let mut text = String::new();
    let shown = shown(sitting.template.context, transcript, seat, round);
    if !shown.is_empty() {
        let fence = Fence::new(&sitting.seed, &format!("round {round}"));
        text.push_str(texts::EARLIER_ROUNDS);
        fence.explain(&mut text);
        for said in shown {
            fence.quote(
                &format!("round {} | {}", said.round, said.member),
                &said.text,
                &mut text,
            );
        }
        fence.hand_over(&mut text);
    } else {
        text.push_str(texts::FROM_THE_APPLICATION);
    }
    let task = match (sitting.template.shape, round) {
        (Shape::Debate, 1) => texts::DEBATE_OPENS,
        (Shape::Debate, _) => texts::DEBATE_GOES_ON,
        (Shape::Vote(_), _) => texts::VOTE,
        (_, 1) => texts::ANALYSIS,
        _ => texts::ANALYSIS_GOES_ON,
    };
    text.push_str(task);
    if !seat.persona.is_empty() {
        let _ = write!(text, "\n\nYour part, {}:\n{}", seat.name, seat.persona);
    }
    appended(&sitting.conversation, text)
}

/// What was said in earlier rounds, as far as this member is shown it, in the order of rounds and of seats.
fn shown<'t>(context: Context, transcript: &'t Transcript, seat: &Seat, round: u32) -> Vec<&'t Said> {
    let is_shown = |said: &&Said| match context {
        Context::None => false,
        Context::Own => said.member == seat.name,
        Context::Opponents => said.member != seat.name,
        Context::All => true,
    };
    transcript
        .said
        .iter()
        .filter(|said| said.round < round)
        .filter(is_shown)
        .collect()
}

/// What a reviewer is asked: to rank all answers, which have letters in place of names. The same for every reviewer.
pub(crate) fn review(sitting: &Sitting, transcript: &Transcript) -> Vec<Message> {
    let mut text = String::from(texts::ANSWERS_TO_RANK);
    let fence = Fence::new(&sitting.seed, "review");
    quote_lettered(&fence, transcript, &mut text);
    fence.hand_over(&mut text);
    let letters: Vec<String> = (0..transcript.lettered.len())
        .rev()
        .map(|index| letter(index).to_string())
        .collect();
    let _ = write!(text, "{}{}", texts::RANK, letters.join(" > "));
    appended(&sitting.conversation, text)
}

/// What the synthesizer is asked.
pub(crate) fn synthesis(sitting: &Sitting, transcript: &Transcript) -> Vec<Message> {
    let fence = Fence::new(&sitting.seed, "synthesis");
    let template = &sitting.template;
    let mut text = String::from(match template.shape {
        Shape::Analysis => texts::ADVISERS_ANSWERED,
        Shape::Debate => texts::SIDES_ARGUED,
        Shape::Review => texts::ANSWERS_RANKED,
        Shape::Vote(_) => texts::SAMPLES_TAKEN,
    });
    if template.shape == Shape::Review {
        quote_lettered(&fence, transcript, &mut text);
    } else {
        fence.explain(&mut text);
        for said in &transcript.said {
            fence.quote(&label(sitting, said), &said.text, &mut text);
        }
    }
    fence.hand_over(&mut text);
    for line in transcript.counted(sitting) {
        let _ = write!(text, "{line}\n\n");
    }
    text.push_str(texts::WRITE_THE_ANSWER);
    if !template.chair.instructions.is_empty() {
        let _ = write!(text, "\n\n{}", template.chair.instructions);
    }
    appended(&sitting.conversation, text)
}

/// Who said it, and what of that matters: the round where there are several, the weight where weights differ.
fn label(sitting: &Sitting, said: &Said) -> String {
    let mut label = said.member.to_string();
    if sitting.rounds > 1 {
        label = format!("round {} | {label}", said.round);
    }
    if sitting.weights_differ()
        && let Some(seat) = sitting.seats.iter().find(|seat| seat.name == said.member)
    {
        let _ = write!(label, " | weight {}", seat.weight);
    }
    if said.is_cut {
        label.push_str(" | cut off at its length limit");
    }
    label
}

fn quote_lettered(fence: &Fence, transcript: &Transcript, text: &mut String) {
    fence.explain(text);
    for (index, said) in transcript.lettered().enumerate() {
        let cut = if said.is_cut {
            " | cut off at its length limit"
        } else {
            ""
        };
        fence.quote(&format!("answer {}{cut}", letter(index)), &said.text, text);
    }
}

/// A, B, C …: sixteen members need no more.
pub(crate) fn letter(index: usize) -> char {
    char::from(b'A' + u8::try_from(index.min(25)).unwrap_or(25))
}

/// The conversation with `text` at the end of its last user message; as a message of its own where there is none.
fn appended(conversation: &[Message], text: String) -> Vec<Message> {
    let mut messages = conversation.to_vec();
    match messages.last_mut().filter(|last| last.role == Role::User) {
        Some(last) => match last.parts.last_mut() {
            Some(Part::Text(own)) => {
                own.push_str("\n\n");
                own.push_str(&text);
            }
            _ => last.parts.push(Part::Text(text)),
        },
        None => messages.push(Message::new(Role::User, vec![Part::Text(text)], "council")),
    }
    messages
}

#[cfg(test)]
mod tests;
