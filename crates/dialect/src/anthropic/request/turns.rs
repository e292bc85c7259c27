//! Messages → turns: system text apart, roles alternating, tool results first in theirs.

use crate::chat::{ChatRequest, Part, Role, Signature};
use crate::{Dialect, error::Unsupported};

/// One turn of the alternation.
pub(super) struct Turn<'a> {
    pub(super) assistant: bool,
    pub(super) parts: Vec<&'a Part>,
}

/// All system text, wherever in the conversation it stood.
pub(super) fn system(request: &ChatRequest) -> String {
    let texts = request
        .messages
        .iter()
        .filter(|message| message.role == Role::System)
        .map(|message| message.text());
    texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// # Errors
/// Where a part stands where Anthropic has no place for it, or there is no turn at all.
pub(super) fn turns(request: &ChatRequest) -> Result<Vec<Turn<'_>>, Unsupported> {
    let mut turns: Vec<Turn<'_>> = Vec::new();
    for message in &request.messages {
        for (index, part) in message.parts.iter().enumerate() {
            check(message.role, part, || message.part_at(index))?;
        }
        if message.role == Role::System {
            continue;
        }
        let parts = message.parts.iter().filter(|part| is_written(part));
        let assistant = message.role == Role::Assistant;
        match turns.last_mut() {
            Some(turn) if turn.assistant == assistant => turn.parts.extend(parts),
            _ => turns.push(Turn {
                assistant,
                parts: parts.collect(),
            }),
        }
        if turns.last().is_some_and(|turn| turn.parts.is_empty()) {
            // An empty turn is refused; its neighbours then merge.
            turns.pop();
        }
    }
    for turn in &mut turns {
        // Stable: results first, all else in its order.
        turn.parts
            .sort_by_key(|part| !turn.assistant && !matches!(part, Part::ToolResult { .. }));
    }
    if turns.is_empty() {
        let rule = "must hold something besides system messages for Anthropic's API, which this model's backend speaks";
        return Err(Unsupported::new("messages", rule, "add a user message"));
    }
    Ok(turns)
}

/// Whether the newest assistant's turn calls tools without thinking that Anthropic signed: then thinking cannot be on,
/// for the API wants the thinking that led to the calls.
pub(super) fn lacks_signed_thinking(turns: &[Turn<'_>]) -> bool {
    let Some(turn) = turns.iter().rev().find(|turn| turn.assistant) else {
        return false;
    };
    let calls = turn.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    calls
        && !matches!(
            turn.parts.first(),
            Some(Part::Thinking { .. } | Part::RedactedThinking { .. })
        )
}

fn is_written(part: &Part) -> bool {
    match part {
        Part::Text(text) => !text.is_empty(),
        Part::Thinking { signature, .. } => Signature::of(signature, Dialect::Anthropic).is_some(),
        _ => true,
    }
}

fn check(role: Role, part: &Part, at: impl Fn() -> String) -> Result<(), Unsupported> {
    match part {
        Part::Image(_) if matches!(role, Role::System | Role::Assistant) => Err(Unsupported::new(
            at(),
            "Anthropic's API, which this model's backend speaks, takes images from users and tools only",
            "move the image into a user message",
        )),
        Part::ToolCall { arguments, .. } if Part::arguments_object(arguments).is_none() => Err(Unsupported::new(
            at(),
            "a tool call's arguments must be a JSON object for Anthropic's API, which this model's backend speaks",
            "leave the broken call out",
        )),
        _ => Ok(()),
    }
}
