//! Any text is a mapping or is refused for a reason that stands within it; and what checks compiles.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use keymap::{Compiler, Severity, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (mapping, problems) = check(Path::new("a.yml"), text);
    let refused = problems.iter().any(|problem| problem.severity == Severity::Error);
    assert_eq!(mapping.is_none(), refused);
    // YAML's lines end in a carriage return too.
    let lines = u32::try_from(text.split(['\n', '\r']).count()).unwrap_or(u32::MAX);
    assert!(problems.iter().all(|problem| problem.position.line <= lines + 1));
    let Some(mapping) = mapping else { return };
    let mut compiler = Compiler::new(None);
    compiler.set("a.yml", Some(Arc::new(mapping)));
    let (table, _) = compiler.table();
    compiler.set("a.yml", None);
    assert_eq!((compiler.table().0.routers(), compiler.table().0.keys()), (0, 0), "{}", table.routers());
});
