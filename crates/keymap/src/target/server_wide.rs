//! Paths that show or change the whole server, whoever's key asks for them.

/// What stands for the server as a whole at llama-server and at Ollama, by its first segment or its first two; `*` ends
/// a segment that only begins so. Whatever lies below one of them belongs to it.
const SERVER_WIDE: [(&str, Option<&str>); 12] = [
    ("slots", None),
    ("props", None),
    ("lora-adapters", None),
    ("models", Some("load")),
    ("models", Some("unload")),
    ("api", Some("pull")),
    ("api", Some("push")),
    ("api", Some("create")),
    ("api", Some("delete")),
    ("api", Some("copy")),
    ("api", Some("blobs")),
    ("v1", Some("stream*")),
];

/// Whether a decoded path is refused to keys unless a rule names it.
///
/// Doubled slashes count as one, because a backend that decodes `/models%2F%2Fload` may clean it afterwards. Capitals
/// do not matter, since nothing that is meant to be reached differs from these by capitals alone.
pub fn is_server_wide(path: &str) -> bool {
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    let Some(first) = segments.next() else { return false };
    let second = segments.next();
    SERVER_WIDE.iter().any(|(above, below)| {
        is_segment(first, above) && below.is_none_or(|below| second.is_some_and(|second| is_segment(second, below)))
    })
}

fn is_segment(segment: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => segment
            .get(..start.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(start)),
        None => segment.eq_ignore_ascii_case(wanted),
    }
}
