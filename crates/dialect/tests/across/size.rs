//! Long conversations take long in proportion, and not in proportion's square.

use dialect::chat::{Policy, RenderOptions};
use dialect::{Dialect, anthropic, openai};

/// Each call with its result, all results last: the worst case for whoever walks back.
#[test]
fn a_long_history_of_tools_is_one_pass() {
    let ids = || 0..30_000;
    let calls: Vec<_> = ids()
        .map(|id| format!(r#"{{"id":"c{id}","function":{{"name":"f{id}"}}}}"#))
        .collect();
    let results: Vec<_> = ids()
        .map(|id| format!(r#"{{"role":"tool","tool_call_id":"c{id}","content":""}}"#))
        .collect();
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{}]}},{}]}}"#,
        calls.join(","),
        results.join(",")
    );
    let started = std::time::Instant::now();
    let request = openai::request::parse(body.as_bytes()).expect("a good request");
    let options = RenderOptions {
        policy: Policy::Drop,
        ..RenderOptions::default()
    };
    for dialect in Dialect::ALL {
        let rendered = dialect.render_request(&request, &options).expect("expressible");
        if dialect == Dialect::Ollama {
            assert!(String::from_utf8_lossy(&rendered).contains(r#""tool_name":"f29999""#));
        }
    }
    let rendered = anthropic::request::render(&request, &options).expect("expressible");
    assert!(anthropic::request::parse(&rendered).is_ok());
    // Quadratic, it takes minutes in a debug build; linear, about a second.
    assert!(started.elapsed().as_secs() < 30, "{:?}", started.elapsed());
}
