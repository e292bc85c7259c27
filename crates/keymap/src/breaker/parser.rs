//! Tokens → expression. `!` binds tightest, then `&&`, then `||`.
//!
//! ```text
//!  any     = all { "||" all }
//!  all     = one { "&&" one }
//!  one     = "!" one | "(" any ")" | function comparison number
//! ```

use super::lexer::{Kind, Lexer, Token};
use super::{CodeRange, Expression, Quantity};
use crate::rule::RuleError;

/// How deep parentheses and `!` may nest: parsing and evaluating recurse as deep.
const NEST_MAX: u32 = 32;

const FUNCTIONS: &str = "Write NetworkErrorRatio(), ResponseCodeRatio(500, 600, 0, 600) or LatencyAtQuantileMS(50.0).";

pub(super) fn parse(text: &str) -> Result<Expression, RuleError> {
    let mut lexer = Lexer::new(text);
    let next = lexer.token()?;
    let mut parser = Parser { lexer, next };
    let expression = parser.any(0)?;
    match parser.next.kind {
        Kind::End => Ok(expression),
        _ => Err(refusal(
            parser.next.offset,
            "Comparisons are joined by && or ||.",
            "Put && or || before it, or take it out.",
        )),
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    next: Token<'a>,
}

impl<'a> Parser<'a> {
    fn any(&mut self, depth: u32) -> Result<Expression, RuleError> {
        let mut parts = vec![self.all(depth)?];
        while self.next.kind == Kind::Or {
            self.advance()?;
            parts.push(self.all(depth)?);
        }
        Ok(joined(parts, Expression::Any))
    }

    fn all(&mut self, depth: u32) -> Result<Expression, RuleError> {
        let mut parts = vec![self.one(depth)?];
        while self.next.kind == Kind::And {
            self.advance()?;
            parts.push(self.one(depth)?);
        }
        Ok(joined(parts, Expression::All))
    }

    fn one(&mut self, depth: u32) -> Result<Expression, RuleError> {
        let offset = self.next.offset;
        if depth > NEST_MAX {
            let rule = format!("Parentheses and ! nest at most {NEST_MAX} deep.");
            return Err(refusal(offset, &rule, "Write it more simply."));
        }
        match self.next.kind {
            Kind::Not => {
                self.advance()?;
                Ok(Expression::Not(Box::new(self.one(depth + 1)?)))
            }
            Kind::Open => {
                self.advance()?;
                let inner = self.any(depth + 1)?;
                self.expect(Kind::Close, "A parenthesis that is opened is closed.", "Add ).")?;
                Ok(inner)
            }
            Kind::Name(name) => self.comparison(name, offset),
            _ => Err(refusal(offset, "A comparison begins with a function.", FUNCTIONS)),
        }
    }

    fn comparison(&mut self, name: &str, offset: usize) -> Result<Expression, RuleError> {
        self.advance()?;
        let quantity = quantity(name, &self.arguments()?, offset)?;
        let Kind::Compare(comparison) = self.next.kind else {
            let rule = "A function is compared with a number.";
            return Err(refusal(self.next.offset, rule, "Write for example > 0.25 after it."));
        };
        self.advance()?;
        let than = self.number()?;
        Ok(Expression::Compare(quantity, comparison, than))
    }

    fn arguments(&mut self) -> Result<Vec<f64>, RuleError> {
        /// One more than any function takes, so that a longer list is told from a right one.
        const ARGUMENTS_MAX: usize = 5;
        self.expect(Kind::Open, "A function's name is followed by parentheses.", FUNCTIONS)?;
        let mut arguments = Vec::new();
        while self.next.kind != Kind::Close {
            if !arguments.is_empty() {
                self.expect(Kind::Comma, "Arguments are parted by commas.", FUNCTIONS)?;
            }
            let offset = self.next.offset;
            arguments.push(self.number()?);
            if arguments.len() > ARGUMENTS_MAX {
                return Err(refusal(offset, "No function takes so many arguments.", FUNCTIONS));
            }
        }
        self.advance()?;
        Ok(arguments)
    }

    fn number(&mut self) -> Result<f64, RuleError> {
        let Kind::Number(number) = self.next.kind else {
            return Err(refusal(
                self.next.offset,
                "A number must stand here.",
                "Write for example 0.25 or 100.",
            ));
        };
        self.advance()?;
        Ok(number)
    }

    fn expect(&mut self, kind: Kind<'_>, rule: &str, fix: &str) -> Result<(), RuleError> {
        if self.next.kind == kind {
            self.advance()
        } else {
            Err(refusal(self.next.offset, rule, fix))
        }
    }

    fn advance(&mut self) -> Result<(), RuleError> {
        self.next = self.lexer.token()?;
        Ok(())
    }
}

fn joined(mut parts: Vec<Expression>, join: fn(Box<[Expression]>) -> Expression) -> Expression {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts.into()),
    }
}

fn quantity(name: &str, arguments: &[f64], offset: usize) -> Result<Quantity, RuleError> {
    let range = |from: f64, to: f64| Some((code(from)?, code(to)?)).filter(|(from, to)| from < to);
    match (name, arguments) {
        ("NetworkErrorRatio", []) => Ok(Quantity::NetworkErrorRatio),
        ("LatencyAtQuantileMS", [quantile]) if *quantile <= 100.0 => Ok(Quantity::LatencyAtQuantileMs(*quantile)),
        ("LatencyAtQuantileMS", [_]) => Err(refusal(offset, "A quantile is from 0 to 100.", FUNCTIONS)),
        ("ResponseCodeRatio", &[a, b, c, d]) => match (range(a, b), range(c, d)) {
            (Some((from, to)), Some((among_from, among_to))) => Ok(Quantity::ResponseCodeRatio {
                counted: CodeRange { from, to },
                among: CodeRange {
                    from: among_from,
                    to: among_to,
                },
            }),
            _ => Err(refusal(
                offset,
                "Statuses are whole numbers up to 1000, and a range's first is below its last.",
                FUNCTIONS,
            )),
        },
        ("NetworkErrorRatio", _) => Err(refusal(offset, "NetworkErrorRatio takes no argument.", FUNCTIONS)),
        ("LatencyAtQuantileMS", _) => Err(refusal(offset, "LatencyAtQuantileMS takes one argument.", FUNCTIONS)),
        ("ResponseCodeRatio", _) => Err(refusal(offset, "ResponseCodeRatio takes four arguments.", FUNCTIONS)),
        _ => Err(refusal(
            offset,
            "There is no function of this name; capitals count.",
            FUNCTIONS,
        )),
    }
}

fn code(number: f64) -> Option<u16> {
    const CODE_MAX: f64 = 1000.0;
    (number.fract() == 0.0 && (0.0..=CODE_MAX).contains(&number)).then_some(number as u16)
}

fn refusal(offset: usize, rule: &str, fix: &str) -> RuleError {
    RuleError {
        offset,
        value: String::new(),
        rule: rule.into(),
        fix: fix.into(),
    }
}
