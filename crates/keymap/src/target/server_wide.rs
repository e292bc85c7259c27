//! Paths that show or change the whole server, whoever's key asks for them.

/// What stands for the server as a whole at llama-server and at Ollama, by segment; `*` ends a segment that only
/// begins so. Whatever lies below one of them belongs to it.
const SERVER_WIDE: [&[&str]; 12] = [
    &["slots"],
    &["props"],
    &["lora-adapters"],
    &["models", "load"],
    &["models", "unload"],
    &["api", "pull"],
    &["api", "push"],
    &["api", "create"],
    &["api", "delete"],
    &["api", "copy"],
    &["api", "blobs"],
    &["v1", "stream*"],
];

/// Whether a decoded path is refused to keys unless a rule names it.
///
/// Doubled slashes count as one, because a backend that decodes `/models%2F%2Fload` may clean it afterwards. Capitals
/// do not matter, since nothing that is meant to be reached differs from these by capitals alone.
pub fn is_server_wide(path: &str) -> bool {
    SERVER_WIDE.iter().any(|wanted| {
        let mut segments = path.split('/').filter(|segment| !segment.is_empty());
        wanted
            .iter()
            .all(|wanted| segments.next().is_some_and(|segment| is_segment(segment, wanted)))
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
