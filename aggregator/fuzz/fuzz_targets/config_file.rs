//! Any text is a configuration, a council's template aside, or is refused for a reason that stands within it; and no
//! variable's value is ever shown.
#![no_main]

use std::path::Path;

use aggregator::ConfigFile;
use document::Severity;
use libfuzzer_sys::fuzz_target;

const SECRET: &str = "value-of-a-variable";

fuzz_target!(|text: &str| {
    if text.contains(SECRET) {
        return;
    }
    let lookup = |name: &str| (!name.starts_with('N')).then(|| SECRET.to_owned());
    let (file, problems) = ConfigFile::check(Path::new("config.yaml"), text, &lookup);
    let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(file.is_none(), refused);
    // YAML breaks a line at a carriage return that stands alone, too.
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
    for problem in &problems {
        assert!(problem.position.line <= lines + 1);
        assert!(!problem.to_string().contains(SECRET), "a variable's value is shown");
    }
    let _ = ConfigFile::recognises(text);
});
