//! What is wrong with a file: where, which value, which rule it breaks, and what to do about it.

use std::fmt;
use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The file (or, across files, the router) is not taken.
    Error,
    /// The file is taken; something in it has no effect here.
    Warning,
}

/// Line and column, both from 1; the column counts characters. 0 where a problem concerns the whole file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

/// One problem of one file. `value` never holds a key: arguments that may be keys are masked before they get here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    pub path: PathBuf,
    pub position: Position,
    /// What stands there, masked where it may be a key, and cut to a readable length.
    pub value: String,
    /// The rule it breaks, as a sentence.
    pub rule: String,
    /// What to write instead, as a sentence.
    pub fix: String,
}

impl Problem {
    /// `path:line:column`, or the path alone where the problem concerns the whole file.
    pub fn place(&self) -> String {
        match self.position {
            Position { line: 0, .. } => self.path.display().to_string(),
            Position { line, column } => format!("{}:{line}:{column}", self.path.display()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{}: {severity}: {}", self.place(), self.rule)?;
        if !self.value.is_empty() {
            write!(f, "\n    value: {}", self.value)?;
        }
        if !self.fix.is_empty() {
            write!(f, "\n    fix:   {}", self.fix)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_concerns_a_whole_file_has_no_line() {
        let shown = |line, column| {
            let problem = Problem {
                severity: Severity::Error,
                path: "a.yml".into(),
                position: Position { line, column },
                value: String::new(),
                rule: "It is gone.".to_owned(),
                fix: "Put it back.".to_owned(),
            };
            problem.to_string()
        };
        assert_eq!(shown(0, 0), "a.yml: error: It is gone.\n    fix:   Put it back.");
        assert_eq!(shown(3, 1), "a.yml:3:1: error: It is gone.\n    fix:   Put it back.");
    }
}
