//! Tokens → expression, `&&` before `||`, with every `!` pushed down to the matchers on the way.
//!
//! A fault in an argument is noted and parsing goes on, so that one run reports them all; a fault in the grammar ends
//! it, because what follows would be guessed.

use zeroize::Zeroizing;

use super::RuleError;
use super::expression::{Atom, Expression};
use super::lexer::{Kind, Lexer, Token};
use super::matcher;
use super::name::Name;

/// How deep parentheses may nest. Evaluation recurses as deep, on the stack of a thread that serves requests.
const DEPTH_MAX: usize = 100;

pub(super) fn parse(text: &str) -> Result<Expression, Vec<RuleError>> {
    let mut parser = Parser {
        lexer: Lexer::new(text),
        ahead: None,
        depth: 0,
        errors: Vec::new(),
    };
    match parser.rule() {
        Ok(expression) if parser.errors.is_empty() => Ok(expression),
        Ok(_) => Err(parser.errors),
        Err(fault) => {
            parser.errors.push(fault);
            Err(parser.errors)
        }
    }
}

struct Parser<'a> {
    lexer: Lexer<'a>,
    ahead: Option<Token<'a>>,
    depth: usize,
    /// Faults in names and arguments.
    errors: Vec<RuleError>,
}

impl<'a> Parser<'a> {
    fn rule(&mut self) -> Result<Expression, RuleError> {
        let expression = self.disjunction(false)?;
        let end = self.next()?;
        match end.kind {
            Kind::End => Ok(expression),
            Kind::Close => Err(fault(
                &end,
                "Every ) closes a (.",
                "Take the parenthesis out, or open it.",
            )),
            _ => Err(fault(
                &end,
                "Matchers are joined by && or ||.",
                "Write && or || before it.",
            )),
        }
    }

    /// Under a `!`, De Morgan turns `||` into `&&` and the reverse.
    fn disjunction(&mut self, negated: bool) -> Result<Expression, RuleError> {
        let mut branches = vec![self.conjunction(negated)?];
        while self.takes(&Kind::Or)? {
            branches.push(self.conjunction(negated)?);
        }
        Ok(if negated {
            Expression::all(branches)
        } else {
            Expression::any(branches)
        })
    }

    fn conjunction(&mut self, negated: bool) -> Result<Expression, RuleError> {
        let mut branches = vec![self.operand(negated)?];
        while self.takes(&Kind::And)? {
            branches.push(self.operand(negated)?);
        }
        Ok(if negated {
            Expression::any(branches)
        } else {
            Expression::all(branches)
        })
    }

    fn operand(&mut self, mut negated: bool) -> Result<Expression, RuleError> {
        while self.takes(&Kind::Not)? {
            negated = !negated;
        }
        let first = self.next()?;
        match first.kind {
            Kind::Open => self.group(&first, negated),
            Kind::Name(name) => self.matcher(first.offset, name, negated),
            Kind::End => Err(fault(
                &first,
                "A rule, and each side of && and ||, names a matcher.",
                "Add the matcher.",
            )),
            _ => Err(fault(
                &first,
                "Here a matcher, ! or ( must stand.",
                "Write a matcher such as Path(`/v1`) here.",
            )),
        }
    }

    fn group(&mut self, open: &Token<'_>, negated: bool) -> Result<Expression, RuleError> {
        if self.depth == DEPTH_MAX {
            let rule = format!("Parentheses nest at most {DEPTH_MAX} deep.");
            return Err(fault(open, &rule, "Take out parentheses that change nothing."));
        }
        self.depth += 1;
        let inner = self.disjunction(negated)?;
        self.depth -= 1;
        let close = self.next()?;
        if close.kind != Kind::Close {
            return Err(fault(
                &close,
                "Every ( is closed by a ).",
                "Close the parenthesis, or join with && or ||.",
            ));
        }
        Ok(inner)
    }

    fn matcher(&mut self, offset: usize, name: &'a str, negated: bool) -> Result<Expression, RuleError> {
        let open = self.next()?;
        if open.kind != Kind::Open {
            // The word may be a key that somebody wrote down bare.
            return Err(RuleError {
                offset,
                value: "…".into(),
                rule: "A matcher has its arguments in parentheses, and matchers are joined by && or ||.".into(),
                fix: "Write it as Name(`argument`).".into(),
            });
        }
        let arguments = self.arguments()?;
        match Name::parse(name).and_then(|name| matcher::build(name, &arguments)) {
            Ok(matcher) => Ok(Expression::Atom(Atom { negated, matcher })),
            Err(refusal) => {
                self.errors.push(refusal.at(offset, name, &arguments));
                // Stands in for the atom; the errors keep it from being used.
                Ok(Expression::all(Vec::new()))
            }
        }
    }

    /// After the opening parenthesis, up to and including the closing one. A comma may follow the last argument.
    fn arguments(&mut self) -> Result<Vec<Zeroizing<String>>, RuleError> {
        let mut arguments = Vec::new();
        loop {
            let token = self.next()?;
            match token.kind {
                Kind::Close => return Ok(arguments),
                Kind::Text(text) => arguments.push(text),
                _ => {
                    let fix = "Put the argument between backticks.";
                    return Err(fault(&token, "A matcher's arguments are strings.", fix));
                }
            }
            let separator = self.next()?;
            match separator.kind {
                Kind::Comma => {}
                Kind::Close => return Ok(arguments),
                _ => {
                    let fix = "Add the comma or the closing parenthesis.";
                    return Err(fault(&separator, "A comma or ) follows an argument.", fix));
                }
            }
        }
    }

    fn takes(&mut self, wanted: &Kind<'_>) -> Result<bool, RuleError> {
        let token = self.next()?;
        let taken = token.kind == *wanted;
        if !taken {
            self.ahead = Some(token);
        }
        Ok(taken)
    }

    fn next(&mut self) -> Result<Token<'a>, RuleError> {
        match self.ahead.take() {
            Some(token) => Ok(token),
            None => self.lexer.token(),
        }
    }
}

/// A fault at a token. Names and strings are masked: out of place, either may be a key.
fn fault(token: &Token<'_>, rule: &str, fix: &str) -> RuleError {
    let value = match token.kind {
        Kind::Name(_) | Kind::Text(_) => "…",
        Kind::And => "&&",
        Kind::Or => "||",
        Kind::Not => "!",
        Kind::Open => "(",
        Kind::Close => ")",
        Kind::Comma => ",",
        Kind::End => "",
    };
    RuleError {
        offset: token.offset,
        value: value.into(),
        rule: rule.into(),
        fix: fix.into(),
    }
}
