//! What people read: tables and pages of text, with nothing in them that a terminal would obey.

use std::fmt::Write as _;

use serde_json::Value;

/// A column: its head, and the field that fills it.
type Column = (&'static str, &'static str);

const EXCHANGES: [Column; 9] = [
    ("STARTED", "started_at"),
    ("KEY", "key"),
    ("MODEL", "model"),
    ("BACKEND", "backend"),
    ("STATUS", "status"),
    ("IN", "input_tokens"),
    ("OUT", "output_tokens"),
    ("MS", "duration_ms"),
    ("ID", "id"),
];

const SUMS: [Column; 7] = [
    ("REQUESTS", "requests"),
    ("COMPLETE", "complete"),
    ("REFUSED", "refused"),
    ("IN", "input_tokens"),
    ("OUT", "output_tokens"),
    ("THINKING", "thinking_tokens"),
    ("FIRST TOKEN MS", "first_token_ms_mean"),
];

pub(super) fn exchanges(list: &Value) -> String {
    let mut text = table(&EXCHANGES, list);
    if list.get("next_cursor").is_some_and(Value::is_string) {
        text.push_str("There are more: --limit says how many are shown.\n");
    }
    text
}

pub(super) fn usage(by: &'static str, list: &Value) -> String {
    let head = match by {
        "key" => "KEY",
        "model" => "MODEL",
        "backend" => "BACKEND",
        _ => "DAY",
    };
    let columns: Vec<Column> = std::iter::once((head, by)).chain(SUMS).collect();
    table(&columns, list)
}

/// Facts first, then what was asked, thought and answered.
pub(super) fn exchange(exchange: &Value) -> String {
    const CONTENT: [&str; 5] = ["request", "response", "text", "thinking", "tool_calls"];
    let mut text = String::new();
    for (name, value) in exchange.as_object().into_iter().flatten() {
        if !CONTENT.contains(&name.as_str()) && !value.is_null() && name != "object" {
            let _ = writeln!(text, "{name:<20} {}", cell(name, value));
        }
    }
    for (name, head) in [
        ("request", "REQUEST"),
        ("thinking", "THINKING"),
        ("text", "TEXT"),
        ("tool_calls", "TOOL CALLS"),
    ] {
        let shown = match exchange.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(words)) => printable(words),
            Some(json) => printable(&serde_json::to_string_pretty(json).unwrap_or_default()),
        };
        let _ = write!(text, "\n{head}\n{shown}\n");
    }
    text
}

pub(super) fn stats(stats: &Value) -> String {
    let mut text = String::new();
    lines(&mut text, "", stats);
    text
}

fn lines(text: &mut String, above: &str, value: &Value) {
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = format!("{above}{name}");
        match value {
            Value::Object(_) => lines(text, &format!("{name}."), value),
            Value::Null => {}
            _ if name == "object" => {}
            value => {
                let _ = writeln!(text, "{name:<24} {}", cell(&name, value));
            }
        }
    }
}

fn table(columns: &[Column], list: &Value) -> String {
    let rows = list
        .get("data")
        .and_then(Value::as_array)
        .map_or(&[][..], Vec::as_slice);
    let heads = columns.iter().map(|(head, _)| (*head).to_owned()).collect();
    let mut cells: Vec<Vec<String>> = vec![heads];
    for row in rows {
        let of = |(_, field): &Column| {
            let field = match *field {
                // A refusal is a complete answer too; what it was says more.
                "status" if row.get("refused").is_some_and(Value::is_string) => "refused",
                field => field,
            };
            row.get(field)
                .map_or_else(|| "-".to_owned(), |value| cell(field, value))
        };
        cells.push(columns.iter().map(of).collect());
    }
    let width = |column: usize| cells.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let mut text = String::new();
    for row in &cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn cell(field: &str, value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        // To the millisecond: a table is read by people.
        Value::String(time) if field == "started_at" && time.len() == "2026-11-22T00:00:00.000000Z".len() => {
            format!("{}Z", printable(&time[..23]))
        }
        Value::String(words) => printable(words).replace(['\n', '\t'], " "),
        Value::Number(number) if number.is_f64() => number
            .as_f64()
            .map_or_else(String::new, |number| format!("{number:.1}")),
        other => other.to_string(),
    }
}

/// Without what a terminal would obey.
pub(super) fn printable(text: &str) -> String {
    // Beside control characters those that turn the direction of writing around.
    let is_shown = |char: char| match char {
        '\n' | '\t' => true,
        '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => false,
        char => !char.is_control(),
    };
    text.chars()
        .map(|char| if is_shown(char) { char } else { '\u{fffd}' })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_in_them() {
        let list = json!({ "data": [
            { "key": "alice", "requests": 12, "first_token_ms_mean": 1.25 },
            { "key": null, "requests": 1 },
        ]});
        let shown = table(
            &[("KEY", "key"), ("REQUESTS", "requests"), ("MS", "first_token_ms_mean")],
            &list,
        );
        assert_eq!(shown, "KEY    REQUESTS  MS\nalice  12        1.2\n-      1         -\n");
    }

    #[test]
    fn a_refusal_stands_where_the_status_does() {
        let list = json!({ "data": [
            { "status": "complete", "refused": null },
            { "status": "complete", "refused": "rate_limit_exceeded" },
        ]});
        assert_eq!(
            table(&[("STATUS", "status")], &list),
            "STATUS\ncomplete\nrate_limit_exceeded\n"
        );
    }

    #[test]
    fn a_terminal_is_told_nothing() {
        let shown =
            exchange(&json!({ "id": "x\u{1b}[2J", "text": "line\nnext\u{7}\u{202e}", "request": {"a": "\u{9b}1m"} }));
        assert!(shown.contains("line\nnext"));
        assert!(
            shown.chars().all(|char| char == '\n' || !char.is_control()),
            "{shown:?}"
        );
    }
}
