//! A spliced body is a body, with what was asked for in it.
#![no_main]

use dialect::splice::Body;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(mut body) = Body::scan(bytes) else { return };
    if body.set_model("m").and_then(Body::ask_usage).is_err() {
        return;
    }
    let after = body.apply();
    let again = Body::scan(&after).expect("JSON before, JSON after");
    assert_eq!(
        (again.model(), again.include_usage()),
        (Ok(Some("m".to_owned())), Ok(true))
    );
});
