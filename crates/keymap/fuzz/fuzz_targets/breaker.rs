//! Any text is a condition or a mistake within it; and a condition says of any figures what its negation does not.
#![no_main]

use keymap::breaker::{CodeRange, Condition, Measured};
use libfuzzer_sys::fuzz_target;

struct Figures(f64, f64, f64);

impl Measured for Figures {
    fn network_error_ratio(&self) -> f64 {
        self.0
    }

    fn response_code_ratio(&self, counted: CodeRange, among: CodeRange) -> f64 {
        assert!(counted.from < counted.to && among.from < among.to);
        self.1
    }

    fn latency_at_quantile_ms(&self, quantile: f64) -> f64 {
        assert!((0.0..=100.0).contains(&quantile));
        self.2
    }
}

fuzz_target!(|input: (f64, f64, f64, &str)| {
    let (errors, codes, latency, text) = input;
    match Condition::parse(text) {
        Err(error) => assert!(error.offset <= text.len() && !error.rule.is_empty()),
        Ok(condition) => {
            let figures = Figures(errors, codes, latency);
            if let Ok(negated) = Condition::parse(&format!("!({text})")) {
                assert_ne!(condition.holds(&figures), negated.holds(&figures));
            }
        }
    }
});
