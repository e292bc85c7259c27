//! A circuit breaker's condition, in Traefik's language.
//!
//! ```text
//!  text ──lexer──▶ tokens ──parser──▶ Condition ──holds(measured)──▶ open the circuit?
//!
//!  NetworkErrorRatio() > 0.30 || (LatencyAtQuantileMS(50.0) > 100 && !(ResponseCodeRatio(500, 600, 0, 600) <= 0.25))
//! ```
//!
//! It measures nothing: whoever does hands in the [`Measured`]. Text and nesting are bounded, so evaluating a condition
//! costs no more than it is long.

mod lexer;
mod parser;

use crate::rule::RuleError;

/// A page of text; a condition is one line.
pub const CONDITION_BYTES_MAX: usize = 4 * 1024;

/// What was measured over the breaker's window.
pub trait Measured {
    /// Attempts that got no answer, among all; 0 where there were none.
    fn network_error_ratio(&self) -> f64;

    /// Answers whose status is in `counted`, among those whose status is in `among`; 0 where there were none.
    fn response_code_ratio(&self, counted: CodeRange, among: CodeRange) -> f64;

    /// The time of an answer that `quantile` percent (0 to 100) of the answers took at most, in milliseconds.
    fn latency_at_quantile_ms(&self, quantile: f64) -> f64;
}

/// Statuses from the first up to, and without, the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeRange {
    pub from: u16,
    pub to: u16,
}

impl CodeRange {
    pub fn contains(self, status: u16) -> bool {
        (self.from..self.to).contains(&status)
    }
}

/// When a circuit opens.
#[derive(Debug, Clone, PartialEq)]
pub struct Condition(Expression);

#[derive(Debug, Clone, PartialEq)]
enum Expression {
    Compare(Quantity, Comparison, f64),
    Not(Box<Expression>),
    All(Box<[Expression]>),
    Any(Box<[Expression]>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quantity {
    NetworkErrorRatio,
    ResponseCodeRatio { counted: CodeRange, among: CodeRange },
    LatencyAtQuantileMs(f64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
}

impl Condition {
    /// # Errors
    /// The first mistake, at its offset in the text.
    pub fn parse(text: &str) -> Result<Self, RuleError> {
        if text.len() > CONDITION_BYTES_MAX {
            return Err(RuleError {
                offset: 0,
                value: format!("{} bytes", text.len()),
                rule: format!("A circuit breaker's expression is at most {CONDITION_BYTES_MAX} bytes long."),
                fix: "Write it more simply.".into(),
            });
        }
        parser::parse(text).map(Self)
    }

    pub fn holds(&self, measured: &impl Measured) -> bool {
        holds(&self.0, measured)
    }
}

fn holds(expression: &Expression, measured: &impl Measured) -> bool {
    match expression {
        Expression::Compare(quantity, comparison, than) => comparison.holds(quantity.of(measured), *than),
        Expression::Not(inner) => !holds(inner, measured),
        Expression::All(parts) => parts.iter().all(|part| holds(part, measured)),
        Expression::Any(parts) => parts.iter().any(|part| holds(part, measured)),
    }
}

impl Quantity {
    fn of(self, measured: &impl Measured) -> f64 {
        match self {
            Self::NetworkErrorRatio => measured.network_error_ratio(),
            Self::ResponseCodeRatio { counted, among } => measured.response_code_ratio(counted, among),
            Self::LatencyAtQuantileMs(quantile) => measured.latency_at_quantile_ms(quantile),
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "the language has == and !=, and means them")]
    fn holds(self, value: f64, than: f64) -> bool {
        match self {
            Self::Less => value < than,
            Self::LessOrEqual => value <= than,
            Self::Equal => value == than,
            Self::NotEqual => value != than,
            Self::GreaterOrEqual => value >= than,
            Self::Greater => value > than,
        }
    }
}

#[cfg(test)]
mod tests;
