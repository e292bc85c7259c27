//! What must hold of each carrier, and where the two must agree.

use super::case::{Body, Case, Exchange, How, When};
use super::client::Answer;
use super::origin::Attempt;
use super::wire::{Head, Stop};
use super::world::Observed;

/// Something that should not be: what the two sides show instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) exchange: usize,
    pub(crate) what: &'static str,
    pub(crate) forwarder: String,
    pub(crate) pingora: String,
}

/// A header line that the server may see differently: it names the run, for the test itself.
const SERVER_SIDE_EXEMPT: &str = "x-case";

/// A header line that the client may see differently: it is the edge's clock, since the server sends none.
const CLIENT_SIDE_EXEMPT: &str = "date";

pub(crate) fn findings(case: &Case, observed: &[Observed; 2]) -> Vec<Finding> {
    let mut findings = Findings::default();
    let last = case.exchanges.len() - 1;
    for (index, exchange) in case.exchanges.iter().enumerate() {
        findings.exchange = index;
        let leaves = case.leaving.is_some() && index == last;
        if !leaves {
            answers(
                exchange,
                observed.each_ref().map(|side| side.told.answers.get(index)),
                &mut findings,
            );
        }
        let is_cut_short = leaves || exchange.reply.early.is_some() || exchange.breaks_chunks();
        requests(
            is_cut_short,
            observed.each_ref().map(|side| side.attempts[index].last()),
            &mut findings,
        );
    }
    findings.compare(
        "usable",
        observed.each_ref().map(|side| format!("{:?}", side.told.is_usable)),
    );
    rules(case, observed, &mut findings);
    findings.found
}

#[derive(Default)]
struct Findings {
    exchange: usize,
    found: Vec<Finding>,
}

impl Findings {
    fn compare(&mut self, what: &'static str, [forwarder, pingora]: [String; 2]) {
        if forwarder != pingora {
            self.found.push(Finding {
                exchange: self.exchange,
                what,
                forwarder,
                pingora,
            });
        }
    }

    /// One finding for each line that only one of them has.
    fn compare_lines(&mut self, what: &'static str, [forwarder, pingora]: [Vec<String>; 2]) {
        for line in without(&forwarder, &pingora) {
            self.compare(what, [line, String::new()]);
        }
        for line in without(&pingora, &forwarder) {
            self.compare(what, [String::new(), line]);
        }
    }

    /// A rule that neither may break.
    fn must(&mut self, what: &'static str, holds: [bool; 2]) {
        if holds != [true, true] {
            let [forwarder, pingora] = holds.map(|holds| if holds { "kept" } else { "broken" }.to_owned());
            self.found.push(Finding {
                exchange: self.exchange,
                what,
                forwarder,
                pingora,
            });
        }
    }
}

/// What the client was told.
fn answers(exchange: &Exchange, answers: [Option<&Answer>; 2], findings: &mut Findings) {
    if let [Some(true), Some(true)] = answers.map(|answer| Some(breaks_off(exchange) && answer.is_some())) {
        // Which way a cut is told, and after how much, is a question of when.
        let told = answers.map(|answer| answer.is_some_and(|answer| is_told_of_the_cut(exchange, answer)));
        return findings.must("a cut is told", told);
    }
    findings.compare("ended", answers.map(|answer| shown(answer, ending)));
    findings.compare(
        "status",
        answers.map(|answer| shown(answer, |answer| format!("{:?}", answer.status()))),
    );
    findings.compare(
        "version",
        answers.map(|answer| shown(answer, |answer| start(answer, 0))),
    );
    findings.compare("reason", answers.map(|answer| shown(answer, |answer| start(answer, 2))));
    let is_http_10 = exchange.request.is_http_10;
    findings.compare_lines("header", answers.map(|answer| client_headers(answer, is_http_10)));
    findings.compare(
        "body",
        answers.map(|answer| shown(answer, |answer| body(&answer.payload))),
    );
    findings.compare(
        "trailers",
        answers.map(|answer| shown(answer, |answer| format!("{:?}", answer.trailers))),
    );
    findings.compare("interim answers", answers.map(|answer| shown(answer, interims)));
}

/// What the server was asked.
fn requests(is_cut_short: bool, attempts: [Option<&Attempt>; 2], findings: &mut Findings) {
    if !is_cut_short {
        findings.compare("asked", attempts.map(|attempt| attempt.is_some().to_string()));
    }
    if let [Some(_), Some(_)] = attempts {
        let head = |attempt: Option<&Attempt>| attempt.map(|attempt| attempt.head.clone()).unwrap_or_default();
        findings.compare("request line", attempts.map(|attempt| request_line(&head(attempt))));
        findings.compare_lines("request header", attempts.map(|attempt| server_headers(&head(attempt))));
        if !is_cut_short {
            let payload =
                |attempt: Option<&Attempt>| attempt.map_or_else(String::new, |attempt| body(&attempt.payload));
            findings.compare("request body", attempts.map(payload));
        }
    }
}

/// What holds of either carrier by itself.
fn rules(case: &Case, sides: &[Observed; 2], findings: &mut Findings) {
    let each = |holds: &dyn Fn(&Observed) -> bool| sides.each_ref().map(holds);
    findings.must(
        "no request is made out of another's bytes",
        each(&|side| side.strays.is_empty()),
    );
    findings.must(
        "a client that goes takes its request with it",
        each(&|side| side.told.cancelled != Some(false)),
    );
    findings.must(
        "what an answer says of the connection is so",
        each(&|side| {
            let Some((last, is_usable)) = side.told.answers.last().zip(side.told.is_usable) else {
                return true;
            };
            let is_http_10 = case.exchanges[side.told.answers.len() - 1].request.is_http_10;
            is_usable == last.keeps_connection(is_http_10)
        }),
    );
    for (index, exchange) in case.exchanges.iter().enumerate() {
        findings.exchange = index;
        let left_early = matches!(case.leaving.map(|leaving| leaving.when), Some(When::InRequest(_)))
            && index + 1 == case.exchanges.len();
        let attempts = |holds: &dyn Fn(&Attempt) -> bool| each(&|side| side.attempts[index].iter().all(holds));
        findings.must(
            "the server gets plain HTTP in time",
            attempts(&|attempt| attempt.trouble.is_none()),
        );
        let sent = exchange.request.body.payload();
        findings.must(
            "the server gets the body that was sent",
            attempts(&|attempt| sent.starts_with(&attempt.payload) && (!attempt.is_whole || sent == attempt.payload)),
        );
        findings.must(
            "what was not sent whole does not arrive whole",
            attempts(&|attempt| !(left_early && attempt.is_whole && !sent.is_empty())),
        );
        findings.must(
            "what Connection names goes no further",
            attempts(&|attempt| {
                !exchange.request.lines.contains(&"Connection: X-Hop") || attempt.head.get("x-hop").is_none()
            }),
        );
        let answered = |holds: &dyn Fn(&Answer) -> bool| each(&|side| side.told.answers.get(index).is_none_or(holds));
        findings.must(
            "the client gets plain HTTP in time",
            answered(&|answer| !matches!(answer.stop, Some(Stop::Malformed(_) | Stop::Hung))),
        );
        findings.must(
            "what the server's Connection names goes no further",
            answered(&|answer| {
                let names_it = exchange.reply.lines.contains(&"Connection: X-Reply-Hop");
                !names_it
                    || answer
                        .head
                        .as_ref()
                        .is_none_or(|head| head.get("x-reply-hop").is_none())
            }),
        );
        findings.must(
            "the client gets the server's body, whole if it seems so",
            each(&|side| {
                let (Some(answer), Some(attempt)) = (side.told.answers.get(index), side.attempts[index].last()) else {
                    return true;
                };
                !attempt.answered || gets_the_servers_body(exchange, answer)
            }),
        );
    }
}

fn gets_the_servers_body(exchange: &Exchange, answer: &Answer) -> bool {
    if answer.status() != Some(exchange.reply.status) || exchange.reply.oddity.is_some() {
        return true;
    }
    let sent = if exchange.has_reply_body() {
        exchange.reply.body.payload()
    } else {
        Vec::new()
    };
    let is_whole = answer.payload == sent && answer.trailers.len() <= 1;
    sent.starts_with(&answer.payload) && (is_whole || answer.stop.is_some() || breaks_off(exchange))
}

/// Whether the server breaks off after its head. Before, a 502 is all that can be said.
fn breaks_off(exchange: &Exchange) -> bool {
    let Some(fault) = exchange.reply.fault else {
        return false;
    };
    fault.at.index(exchange.reply_wire().len()) >= exchange.reply_head().len()
}

/// By a 502 if nothing was sent on, by a cut answer else. Where the body ends by closing, an end is no cut; and a
/// client of HTTP/1.0 cannot be told.
fn is_told_of_the_cut(exchange: &Exchange, answer: &Answer) -> bool {
    let ends_by_closing = matches!(exchange.reply.body, Body::UntilClose(_));
    let is_no_cut = ends_by_closing && exchange.reply.fault.is_some_and(|fault| fault.how == How::Close);
    let is_cut = matches!(answer.stop, Some(Stop::Closed | Stop::Reset));
    let is_refused = answer.status() == Some(502) && answer.stop.is_none();
    is_cut || is_refused || is_no_cut || exchange.request.is_http_10
}

fn shown(answer: Option<&Answer>, show: impl Fn(&Answer) -> String) -> String {
    // A connection that ends before an answer, and one that has ended before the request, tell the same.
    match answer {
        Some(answer) if answer.head.is_some() || !matches!(answer.stop, Some(Stop::Closed | Stop::Reset)) => {
            show(answer)
        }
        _ => "nothing".to_owned(),
    }
}

fn ending(answer: &Answer) -> String {
    match answer.stop {
        Some(Stop::Closed | Stop::Reset) => "cut".to_owned(),
        stop => format!("{stop:?}"),
    }
}

/// One word of the status line.
fn start(answer: &Answer, word: usize) -> String {
    let start = answer.head.as_ref().map_or("", |head| &head.start);
    start.splitn(3, ' ').nth(word).unwrap_or_default().to_owned()
}

/// Without 100: who waits for it goes on when it comes, and whether it was the edge or the server that said so, or
/// whether it comes to one who did not ask, changes nothing.
fn interims(answer: &Answer) -> String {
    let others: Vec<_> = answer.interims.iter().filter(|status| **status != 100).collect();
    format!("{others:?}")
}

fn body(payload: &[u8]) -> String {
    let begin: String = payload.iter().take(60).copied().map(char::from).collect();
    format!("{} bytes: {begin:?}", payload.len())
}

fn client_headers(answer: Option<&Answer>, is_http_10: bool) -> Vec<String> {
    let head = answer.and_then(|answer| answer.head.as_ref());
    let mut lines = head.map_or_else(Vec::new, |head| lines(head, CLIENT_SIDE_EXEMPT));
    // Under HTTP/1.1 it says what goes without saying.
    lines.retain(|line| is_http_10 || line != "connection: keep-alive");
    lines
}

fn server_headers(head: &Head) -> Vec<String> {
    lines(head, SERVER_SIDE_EXEMPT)
}

fn lines(head: &Head, exempt: &str) -> Vec<String> {
    let kept = head.headers.iter().filter(|(name, _)| name != exempt);
    // The client's id holds the run's name; any other is the server's or the edge's, and none of its business.
    let line = |(name, value): &(String, String)| match name.as_str() {
        "x-request-id" if value.starts_with("request-") => format!("{name}: as sent"),
        _ => format!("{name}: {value}"),
    };
    let mut lines: Vec<String> = kept.map(line).collect();
    lines.sort();
    lines
}

/// The lines that the other has not, as often as it has not.
fn without(lines: &[String], other: &[String]) -> Vec<String> {
    let mut other = other.to_vec();
    let mut only = Vec::new();
    for line in lines {
        match other.iter().position(|same| same == line) {
            Some(at) => drop(other.swap_remove(at)),
            None => only.push(line.chars().take(80).collect()),
        }
    }
    only
}

/// The run's name is cut out of the query.
fn request_line(head: &Head) -> String {
    let mut parts = head.start.split(' ');
    let (method, target, version) = (parts.next(), parts.next().unwrap_or_default(), parts.next());
    let path = target.split("?tag=").next().unwrap_or_default();
    format!("{} {path} {}", method.unwrap_or_default(), version.unwrap_or_default())
}
