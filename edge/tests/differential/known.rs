//! Where the two carriers are known to differ. Everything else that differs fails the test.
//!
//! An entry whose side is mended goes: that it no longer applies is not noticed by itself.

use super::case::{Body, Case, Exchange, ReplyOddity, RequestOddity, When};
use super::origin::ends_connection;
use super::verdict::Finding;

/// Who does what the standard asks; `Either` where it leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    Forwarder,
    Pingora,
    Either,
}

pub(crate) struct Difference {
    pub(crate) right: Right,
    pub(crate) why: &'static str,
    covers: fn(&Case, &Exchange, &Finding) -> bool,
}

pub(crate) const KNOWN: [Difference; 22] = [
    Difference {
        right: Right::Forwarder,
        why: "Keep-Alive and Upgrade concern one connection and go no further (RFC 9110, 7.6.1); pingora passes a \
              server's on.",
        covers: |_, _, f| f.what == "header" && (only_pingora(f, "keep-alive:") || only_pingora(f, "upgrade:")),
    },
    Difference {
        right: Right::Forwarder,
        why: "A client of HTTP/1.0 knows neither chunks nor interim answers (RFC 9112, 6.1; RFC 9110, 15.2): the \
              forwarder ends its body by closing, pingora sends both, and goes on with a connection that was \
              announced to persist.",
        covers: |case, _, f| {
            let begins = case.exchanges.iter().position(|exchange| exchange.request.is_http_10);
            let is_connection = f.what == "header" && f.both(|line| line.starts_with("connection:") || line.is_empty());
            let is_form = only_pingora(f, "transfer-encoding: chunked") || f.what == "interim answers";
            begins.is_some_and(|begins| begins < f.exchange || is_connection || is_form || f.what == "usable")
        },
    },
    Difference {
        right: Right::Either,
        why: "After a 502 of its own pingora ends the client's connection and says so; the forwarder goes on with it.",
        covers: |_, exchange, f| {
            let failed =
                exchange.reply.fault.is_some() || exchange.reply.oddity.is_some() || exchange.reply.early.is_some();
            failed && (f.what == "usable" || only_pingora(f, "connection: close"))
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "A version is each hop's own (RFC 9110, 6.2): pingora passes a server's HTTP/1.0 on.",
        covers: |_, exchange, f| exchange.reply.is_http_10 && f.what == "version",
    },
    Difference {
        right: Right::Either,
        why: "An answer to HEAD, or a 304, may leave out how its body would be framed (RFC 9110, 9.3.2): the forwarder \
              leaves out the coding.",
        covers: |_, exchange, f| {
            !exchange.has_reply_body() && f.what == "header" && only_pingora(f, "transfer-encoding:")
        },
    },
    Difference {
        right: Right::Pingora,
        why: "A proxy forwards an expectation (RFC 9110, 10.1.1); the forwarder tells the client to go on by itself, as \
              most do, because the next hop is a server that reads every prompt.",
        covers: |_, _, f| f.what == "request header" && only_pingora(f, "expect: 100-continue"),
    },
    Difference {
        right: Right::Forwarder,
        why: "A length that is a list, or a transfer coding that we cannot undo, is not passed on in an answer: where it \
              ends would be the client's guess (RFC 9112, 6.3). pingora passes it on as it came.",
        covers: |_, exchange, _| match exchange.reply.oddity {
            Some(ReplyOddity::Framing(framing)) => framing.starts_with("Transfer") || framing.contains(", "),
            _ => false,
        },
    },
    Difference {
        right: Right::Either,
        why: "Space before a colon and folded lines in an answer may be mended (RFC 9112, 5.1 and 5.2): pingora does, the \
              forwarder refuses the answer.",
        covers: |_, exchange, _| {
            let lines = ["X-A : space before the colon\r\n", "X-A: 1\r\n folded\r\n"];
            matches!(exchange.reply.oddity, Some(ReplyOddity::Line(line)) if lines.contains(&line))
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "A chunk without a size is malformed (RFC 9112, 7.1); pingora takes it for the last.",
        covers: |_, exchange, _| matches!(exchange.request.oddity, Some(RequestOddity::ChunkSize(""))),
    },
    Difference {
        right: Right::Forwarder,
        why: "A length given as a list is a 400 or one length (RFC 9112, 6.3): pingora passes the list on.",
        covers: |_, exchange, _| {
            matches!(
                exchange.request.oddity,
                Some(RequestOddity::Framing("Content-Length: {}, {}\r\n"))
            )
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "Two equal lengths are refused or become one (RFC 9112, 6.3): the forwarder refuses them in requests and makes \
              one of them in answers; pingora passes both on.",
        covers: |_, exchange, _| {
            const TWICE: &str = "Content-Length: {}\r\nContent-Length: {}\r\n";
            matches!(exchange.request.oddity, Some(RequestOddity::Framing(TWICE)))
                || matches!(exchange.reply.oddity, Some(ReplyOddity::Framing(TWICE)))
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "What the server's Connection names goes no further (RFC 9110, 7.6.1); pingora passes it on.",
        covers: |_, _, f| {
            f.what == "what the server's Connection names goes no further" || only_pingora(f, "x-reply-hop:")
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "An answer's trailers may be dropped (RFC 9110, 6.5.1); the forwarder passes them on.",
        covers: |_, _, f| f.what == "trailers" && f.pingora == "[]",
    },
    Difference {
        right: Right::Either,
        why: "After an early answer either may end the connection, and says nothing of it.",
        covers: |_, exchange, f| {
            exchange.reply.early.is_some() && f.what == "what an answer says of the connection is so"
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "A server that has sent an interim answer has taken the request up: pingora sends it again all the same when \
              a reused connection ends there (RFC 9110, 9.2.2), and the client gets the interim answer twice.",
        covers: |_, exchange, f| exchange.reply.fault.is_some() && f.what == "interim answers",
    },
    Difference {
        right: Right::Either,
        why: "An interim answer before one that is refused may have left already, or not.",
        covers: |_, exchange, f| exchange.reply.oddity.is_some() && f.what == "interim answers",
    },
    Difference {
        right: Right::Forwarder,
        why: "A server that closes after an answer may do so just as the next request is on its way: pingora then gives \
              up now and then, on a busy machine. The forwarder must not.",
        covers: |case, _, f| {
            let before = f.exchange.checked_sub(1).map(|before| &case.exchanges[before]);
            let gave_up = f.what == "status" && f.forwarder == "Some(502)";
            before.is_some_and(ends_connection) && !gave_up
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "A request line with a space or a foreign byte in its target is a 400 (RFC 9112, 3.2); pingora mends \
              it if the line comes in one piece, and refuses it else.",
        covers: |_, exchange, _| {
            let mended = [
                "POST /a b HTTP",
                "POST /caf\u{e9} HTTP",
                "POST  /v1 HTTP",
                "POST /v1\tHTTP",
            ];
            let is_mended = |start: &str| mended.iter().any(|begin| start.starts_with(begin));
            matches!(exchange.request.oddity, Some(RequestOddity::Start(start)) if is_mended(start))
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "After a server's head has begun, pingora notices a client's departure only with the next of the answer.",
        covers: |case, _, f| f.what == CANCELLED && pingora_holds_on(case) && f.forwarder == "kept",
    },
    Difference {
        right: Right::Either,
        why: "A client that waited to be told to go on may keep its connection or not: pingora ends it, unless the body \
              came before the answer began.",
        covers: |case, exchange, f| {
            let waited_before = case.exchanges[..f.exchange]
                .iter()
                .any(|before| before.request.expects_continue);
            let is_end = f.what == "usable" || only_pingora(f, "connection: close");
            waited_before || (exchange.request.expects_continue && is_end)
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "Any one of several Connection lines may say close (RFC 9110, 5.3); pingora reads the first.",
        covers: |case, exchange, f| {
            let is_said = |exchange: &Exchange| exchange.request.lines.contains(&"Connection: close");
            let said_before = case.exchanges[..f.exchange].iter().any(is_said);
            let is_end = f.what == "usable" || (f.what == "header" && f.forwarder == "connection: close");
            said_before || (is_said(exchange) && is_end)
        },
    },
    Difference {
        right: Right::Forwarder,
        why: "A request that two readers could take for two things is refused (RFC 9112, 6.1 to 6.3, 3.2): a coding beside \
              or behind which a length hides, a coding that an HTTP/1.0 client cannot mean, no Host. The forwarder says \
              so in JSON and ends the connection; pingora forwards it or says nothing.",
        covers: |case, exchange, f| {
            // What else differs follows from that; that the forwarder takes what pingora refuses is never excused.
            let is_told = f.what != "status" || ["Some(400)", "Some(405)", "Some(431)"].contains(&f.forwarder.as_str());
            case.exchanges[..f.exchange].iter().any(is_refused) || (is_refused(exchange) && is_told)
        },
    },
];

const CANCELLED: &str = "a client that goes takes its request with it";

/// The entry for this, if it is known.
pub(crate) fn difference(case: &Case, finding: &Finding) -> Option<&'static Difference> {
    let exchange = &case.exchanges[finding.exchange];
    KNOWN.iter().find(|known| (known.covers)(case, exchange, finding))
}

/// A client that left after part of the server's head: nobody waits for what is known not to come.
pub(crate) fn pingora_holds_on(case: &Case) -> bool {
    let (Some(leaving), Some(last)) = (case.leaving, case.exchanges.last()) else {
        return false;
    };
    let When::InAnswer(at) = leaving.when else { return false };
    (1..last.reply_head().len()).contains(&at.index(last.reply_wire().len()))
}

/// What the forwarder answers 400 for, by its framing or its head.
fn is_refused(exchange: &Exchange) -> bool {
    let request = &exchange.request;
    request.oddity.is_some() || (request.is_http_10 && matches!(request.body, Body::Chunked(_)))
}

fn only_pingora(finding: &Finding, line: &str) -> bool {
    finding.forwarder.is_empty() && finding.pingora.starts_with(line)
}

impl Finding {
    fn both(&self, holds: impl Fn(&str) -> bool) -> bool {
        holds(&self.forwarder) && holds(&self.pingora)
    }
}
