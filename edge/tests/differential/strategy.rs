//! What conversations are made of.

use proptest::collection::vec;
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::case::{
    Body, Case, Chunking, Early, Exchange, Fault, How, Leaving, Reply, ReplyOddity, Request, RequestOddity, When,
};

const REQUEST_LINES: [&str; 14] = [
    "Connection: keep-alive",
    "Connection: close",
    "Connection: X-Hop",
    "X-Hop: 1",
    "Keep-Alive: timeout=5",
    "TE: trailers",
    "Trailer: X-Trailer",
    "Proxy-Connection: keep-alive",
    "X-Empty:",
    "X-Twice: a",
    "X-Twice: b",
    "Cookie: a=b; c=d",
    "X-Spaces: \t in and around \t ",
    "X-Latin: caf\u{e9}\u{ff}",
];

const REPLY_LINES: [&str; 13] = [
    "Connection: keep-alive",
    "Connection: close",
    "Connection: X-Reply-Hop",
    "X-Reply-Hop: 1",
    "Keep-Alive: timeout=5, max=10",
    "Set-Cookie: a=b",
    "Set-Cookie: c=d",
    "Server: llama.cpp",
    "X-Empty:",
    "X-Latin: caf\u{e9}\u{ff}",
    "Content-Type: text/event-stream",
    "X-Request-Id: the-servers-own",
    "Upgrade: h2c",
];

const REQUEST_ODDITIES: [RequestOddity; 42] = [
    RequestOddity::Start("POST  /v1 HTTP/1.1"),
    RequestOddity::Start("POST /v1\tHTTP/1.1"),
    RequestOddity::Start("POST /v1 HTTP/1.2"),
    RequestOddity::Start("POST /v1 HTTP/2.0"),
    RequestOddity::Start("POST /v1 HTTP/0.9"),
    RequestOddity::Start("POST /v1 http/1.1"),
    RequestOddity::Start("POST /v1"),
    RequestOddity::Start("post /v1 HTTP/1.1"),
    RequestOddity::Start("PURGE /v1 HTTP/1.1"),
    RequestOddity::Start("P(ST /v1 HTTP/1.1"),
    RequestOddity::Start("TRACE /v1 HTTP/1.1"),
    RequestOddity::Start("CONNECT edge:80 HTTP/1.1"),
    RequestOddity::Start("POST http://other.example/v1 HTTP/1.1"),
    RequestOddity::Start("POST * HTTP/1.1"),
    RequestOddity::Start("POST /caf\u{e9} HTTP/1.1"),
    RequestOddity::Start("POST /v1#fragment HTTP/1.1"),
    RequestOddity::Start("POST /a b HTTP/1.1"),
    RequestOddity::Start("\r\nPOST /v1 HTTP/1.1"),
    RequestOddity::Start("POST /v1/../v2?a=%zz HTTP/1.1"),
    RequestOddity::Line("X-A : space before the colon\r\n"),
    RequestOddity::Line("X-A: 1\r\n folded\r\n"),
    RequestOddity::Line(" X-A: leading space\r\n"),
    RequestOddity::Line("no colon\r\n"),
    RequestOddity::Line("X-A: nul\0\r\n"),
    RequestOddity::Line("X-A: bare\rcr\r\n"),
    RequestOddity::Line("X-A: bare lf\n"),
    RequestOddity::Line("X(A): 1\r\n"),
    RequestOddity::Line(": no name\r\n"),
    RequestOddity::Line("Host: second.example\r\n"),
    RequestOddity::Line("Content-Length: 2\r\n"),
    RequestOddity::Line("Transfer-Encoding: chunked\r\n"),
    RequestOddity::Framing("Content-Length: {}\r\nContent-Length: {}\r\n"),
    RequestOddity::Framing("Content-Length: {}, {}\r\n"),
    RequestOddity::Framing("Content-Length: +{}\r\n"),
    RequestOddity::Framing("Content-Length: -1\r\n"),
    RequestOddity::Framing("Content-Length: 99999999999999999999\r\n"),
    RequestOddity::Framing("Transfer-Encoding: identity\r\n"),
    RequestOddity::Framing("Transfer-Encoding: gzip, chunked\r\n"),
    RequestOddity::Framing("Transfer-Encoding: xchunked\r\n"),
    RequestOddity::NoHost,
    RequestOddity::Lines(300),
    RequestOddity::LongLine(9000),
];

const CHUNK_ODDITIES: [RequestOddity; 6] = [
    RequestOddity::ChunkSize("zz"),
    RequestOddity::ChunkSize("-3"),
    RequestOddity::ChunkSize("0x3"),
    RequestOddity::ChunkSize(""),
    RequestOddity::ChunkSize(" 3"),
    RequestOddity::ChunkSize("fffffffffffffffff3"),
];

const REPLY_ODDITIES: [ReplyOddity; 32] = [
    ReplyOddity::Start("NOT HTTP AT ALL"),
    ReplyOddity::Start("HTTP/1.1 200"),
    ReplyOddity::Start("HTTP/1.1 200 "),
    ReplyOddity::Start("HTTP/1.1  200 OK"),
    ReplyOddity::Start("HTTP/2.0 200 OK"),
    ReplyOddity::Start("HTTP/1.2 200 OK"),
    ReplyOddity::Start("http/1.1 200 OK"),
    ReplyOddity::Start("ICY 200 OK"),
    ReplyOddity::Start("HTTP/1.1 20 OK"),
    ReplyOddity::Start("HTTP/1.1 099 Low"),
    ReplyOddity::Start("HTTP/1.1 999 High"),
    ReplyOddity::Start("HTTP/1.1 101 Switching Protocols"),
    ReplyOddity::Start("HTTP/1.1 200 caf\u{e9}"),
    ReplyOddity::Start("\r\nHTTP/1.1 200 OK"),
    ReplyOddity::Line("X-A : space before the colon\r\n"),
    ReplyOddity::Line("X-A: 1\r\n folded\r\n"),
    ReplyOddity::Line("no colon\r\n"),
    ReplyOddity::Line("X-A: nul\0\r\n"),
    ReplyOddity::Line("X-A: bare lf\n"),
    ReplyOddity::Line("X(A): 1\r\n"),
    ReplyOddity::Line("Content-Length: 2\r\n"),
    ReplyOddity::Framing("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n"),
    ReplyOddity::Framing("Content-Length: {}\r\nContent-Length: {}\r\n"),
    ReplyOddity::Framing("Content-Length: {}, {}\r\n"),
    ReplyOddity::Framing("Content-Length: +{}\r\n"),
    ReplyOddity::Framing("Content-Length: -1\r\n"),
    ReplyOddity::Framing("Content-Length: 99999999999999999999\r\n"),
    ReplyOddity::Framing("Transfer-Encoding: identity\r\n"),
    ReplyOddity::Framing("Transfer-Encoding: gzip, chunked\r\n"),
    ReplyOddity::Framing("Transfer-Encoding: chunked, chunked\r\n"),
    ReplyOddity::Lines(300),
    ReplyOddity::LongLine(9000),
];

pub(crate) fn case() -> impl Strategy<Value = Case> {
    (
        vec(exchange(), 1..=3),
        any::<bool>(),
        vec(any::<Index>(), 0..4),
        special(),
    )
        .prop_map(|(mut exchanges, pipelined, cuts, special)| {
            let leaving = match exchanges.last_mut() {
                Some(last) => special.put_into(last),
                None => None,
            };
            if leaving.is_some() {
                // Whatever went before must not have ended the connection.
                let last = exchanges.len() - 1;
                exchanges[..last].iter_mut().for_each(|before| *before = plain());
            }
            exchanges.iter_mut().for_each(settle);
            // Whoever waits for something before sending on cannot send ahead.
            let waits = |exchange: &Exchange| exchange.request.expects_continue || exchange.reply.early.is_some();
            // Who has said that this request is the last sends nothing behind it.
            let says_last = |exchange: &Exchange| {
                exchange.request.is_http_10 || exchange.request.lines.contains(&"Connection: close")
            };
            let before_last = &exchanges[..exchanges.len() - 1];
            let pipelined =
                pipelined && leaving.is_none() && !exchanges.iter().any(waits) && !before_last.iter().any(says_last);
            Case {
                exchanges,
                pipelined,
                cuts,
                leaving,
            }
        })
}

/// What the last exchange has that the others have not: at most one of them.
#[derive(Debug, Clone)]
enum Special {
    None,
    Early(Early),
    Fault(Fault),
    Leaving(Leaving),
    RequestOddity(RequestOddity),
    ReplyOddity(ReplyOddity),
}

impl Special {
    fn put_into(self, exchange: &mut Exchange) -> Option<Leaving> {
        exchange.request.key_is_known |= !matches!(self, Self::None);
        match self {
            Self::None => {}
            Self::Early(early) => {
                if matches!(exchange.request.body, Body::None | Body::Length(0)) {
                    exchange.request.body = Body::Length(40);
                }
                exchange.reply.early = Some(early);
                exchange.reply.is_stale_when_reused = false;
                exchange.request.is_http_10 = false;
            }
            Self::Fault(fault) => exchange.reply.fault = Some(fault),
            Self::RequestOddity(oddity) => exchange.request = odd_request(exchange.request.clone(), oddity),
            Self::ReplyOddity(oddity) => {
                if !matches!(oddity, ReplyOddity::Framing(framing) if framing.contains("Transfer")) {
                    exchange.reply.body = Body::Length(12);
                } else {
                    exchange.reply.body = chunks(vec![5, 7]);
                }
                exchange.reply.oddity = Some(oddity);
            }
            Self::Leaving(leaving) => {
                exchange.reply.is_stale_when_reused = false;
                exchange.request.is_http_10 = false;
                exchange.request.expects_continue = false;
                return Some(leaving);
            }
        }
        None
    }
}

/// A body whose end is clear whichever way the oddity is read, so that nobody waits for what never comes.
fn odd_request(request: Request, oddity: RequestOddity) -> Request {
    let body = match oddity {
        RequestOddity::ChunkSize(_) => chunks(vec![5, 3]),
        RequestOddity::Framing(framing) if framing.starts_with("Transfer") => chunks(vec![5, 3]),
        RequestOddity::Line("Transfer-Encoding: chunked\r\n" | "Content-Length: 2\r\n") => chunks(vec![5, 3]),
        _ => Body::Length(12),
    };
    Request {
        method: "POST",
        is_http_10: false,
        body,
        expects_continue: false,
        oddity: Some(oddity),
        ..request
    }
}

fn chunks(sizes: Vec<usize>) -> Body {
    Body::Chunked(Chunking {
        sizes,
        has_extensions: false,
        has_trailers: false,
    })
}

fn plain() -> Exchange {
    Exchange {
        request: Request {
            method: "POST",
            is_http_10: false,
            lines: Vec::new(),
            body: Body::Length(2),
            expects_continue: false,
            key_is_known: true,
            oddity: None,
        },
        reply: Reply {
            interims: Vec::new(),
            status: 200,
            is_http_10: false,
            lines: Vec::new(),
            body: Body::Length(2),
            cuts: Vec::new(),
            early: None,
            fault: None,
            is_stale_when_reused: false,
            drops_idle: false,
            oddity: None,
        },
    }
}

/// Takes out what contradicts itself.
fn settle(exchange: &mut Exchange) {
    if matches!(exchange.request.body, Body::None) || exchange.request.is_http_10 {
        exchange.request.expects_continue = false;
    }
    // HTTP/1.0 knows no chunks.
    if exchange.reply.is_http_10 && matches!(exchange.reply.body, Body::Chunked(_)) {
        exchange.reply.body = Body::UntilClose(20);
    }
}

fn special() -> impl Strategy<Value = Special> {
    let how = || select(vec![How::HalfClose, How::Close, How::Reset]);
    let early = (any::<Index>(), any::<bool>()).prop_map(|(after, reads_on)| Special::Early(Early { after, reads_on }));
    let fault = (any::<Index>(), select(vec![How::Close, How::Reset]));
    let when = prop_oneof![
        any::<Index>().prop_map(When::InRequest),
        any::<Index>().prop_map(When::InAnswer)
    ];
    prop_oneof![
        5 => Just(Special::None),
        2 => early,
        3 => fault.prop_map(|(at, how)| Special::Fault(Fault { at, how })),
        3 => (when, how()).prop_map(|(when, how)| Special::Leaving(Leaving { when, how })),
        2 => select(REQUEST_ODDITIES.to_vec()).prop_map(Special::RequestOddity),
        1 => select(CHUNK_ODDITIES.to_vec()).prop_map(Special::RequestOddity),
        2 => select(REPLY_ODDITIES.to_vec()).prop_map(Special::ReplyOddity),
    ]
}

fn exchange() -> impl Strategy<Value = Exchange> {
    (request(), reply()).prop_map(|(request, reply)| Exchange { request, reply })
}

fn request() -> impl Strategy<Value = Request> {
    (
        select(vec!["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"]),
        prop::bool::weighted(0.1),
        lines(&REQUEST_LINES),
        prop_oneof![2 => Just(Body::None), 3 => length().prop_map(Body::Length), 3 => chunking().prop_map(Body::Chunked)],
        prop::bool::weighted(0.15),
        prop::bool::weighted(0.95),
    )
        .prop_map(|(method, is_http_10, lines, body, expects_continue, key_is_known)| Request {
            method,
            is_http_10,
            lines,
            body,
            expects_continue,
            key_is_known,
            oddity: None,
        })
}

fn reply() -> impl Strategy<Value = Reply> {
    let body = prop_oneof![
        4 => length().prop_map(Body::Length),
        4 => chunking().prop_map(Body::Chunked),
        1 => length().prop_map(Body::UntilClose),
    ];
    (
        prop_oneof![6 => Just(vec![]), 1 => vec(select(vec![100_u16, 102, 103]), 1..3)],
        prop_oneof![6 => Just(200_u16), 4 => select(vec![201, 204, 206, 304, 400, 404, 413, 500, 503])],
        prop::bool::weighted(0.1),
        lines(&REPLY_LINES),
        body,
        vec(any::<Index>(), 0..4),
        (prop::bool::weighted(0.2), prop::bool::weighted(0.1)),
    )
        .prop_map(
            |(interims, status, is_http_10, lines, body, cuts, (is_stale_when_reused, drops_idle))| Reply {
                interims,
                status,
                is_http_10,
                lines,
                body,
                cuts,
                early: None,
                fault: None,
                is_stale_when_reused,
                drops_idle,
                oddity: None,
            },
        )
}

/// Few of them: each has its say now and then.
fn lines<const N: usize>(of: &'static [&'static str; N]) -> impl Strategy<Value = Vec<&'static str>> {
    weighted(0.6, subsequence(of.to_vec(), 0..=3)).prop_map(Option::unwrap_or_default)
}

/// Small, with some around the bounds: what is kept of a body for a second attempt is 64 KiB.
fn length() -> impl Strategy<Value = usize> {
    prop_oneof![10 => 0..200_usize, 1 => 65_530..65_545_usize, 1 => Just(150_000_usize)]
}

fn chunking() -> impl Strategy<Value = Chunking> {
    let sizes = prop_oneof![8 => vec(1..60_usize, 0..5), 1 => vec(20_000..40_000_usize, 1..4)];
    (sizes, prop::bool::weighted(0.2), prop::bool::weighted(0.2)).prop_map(|(sizes, has_extensions, has_trailers)| {
        Chunking {
            sizes,
            has_extensions,
            has_trailers,
        }
    })
}
