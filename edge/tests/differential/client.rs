//! The client: it says what the case says, and reads what comes.

use std::net::{SocketAddr, TcpStream};

use super::case::{Case, Exchange, How, When};
use super::origin::Play;
use super::wire::{Head, Stop, Wire};

#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) interims: Vec<u16>,
    /// `None`: not one byte came.
    pub(crate) head: Option<Head>,
    pub(crate) payload: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    /// `None`: it ended as its framing says.
    pub(crate) stop: Option<Stop>,
}

impl Answer {
    pub(crate) fn status(&self) -> Option<u16> {
        self.head.as_ref()?.start.split(' ').nth(1)?.parse().ok()
    }

    /// What it says of the connection.
    pub(crate) fn keeps_connection(&self, is_http_10: bool) -> bool {
        let Some(head) = &self.head else { return false };
        let says = |token: &str| {
            head.get("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case(token))
        };
        if is_http_10 { says("keep-alive") } else { !says("close") }
    }

    fn is_clean(&self) -> bool {
        self.head.is_some() && self.stop.is_none()
    }
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Conversation {
    pub(crate) answers: Vec<Answer>,
    /// Whether the connection carried one request more; `None` where that was not asked.
    pub(crate) is_usable: Option<bool>,
    /// The client left, and the edge let go of the server in time.
    pub(crate) cancelled: Option<bool>,
}

/// Who speaks to whom, and under which names.
pub(crate) struct Names<'a> {
    pub(crate) edge: SocketAddr,
    pub(crate) key: &'a str,
    pub(crate) run: u64,
    /// Whether this edge is known to hold on to a server after its client has left in this case.
    pub(crate) holds_on: bool,
}

pub(crate) fn converse(case: &Case, play: &Play, names: &Names<'_>) -> Conversation {
    let mut client = Client {
        wire: Wire::over(TcpStream::connect(names.edge).expect("the edge accepts")),
        case,
        play,
        names,
    };
    let mut told = Conversation::default();
    if case.pipelined {
        let requests = (0..case.exchanges.len()).map(|index| client.request(index));
        let bytes: Vec<u8> = requests.flat_map(|(head, body)| [head, body]).flatten().collect();
        client.wire.send(&bytes, &case.cuts);
    }
    let mut may_ask = true;
    for (index, exchange) in case.exchanges.iter().enumerate() {
        let is_last = index + 1 == case.exchanges.len();
        if let Some(leaving) = case.leaving.filter(|_| is_last) {
            told.cancelled = client.leave(index, leaving.when, leaving.how);
            return told;
        }
        let answer;
        (answer, may_ask) = client.exchange(index, exchange);
        let goes_on = answer.is_clean();
        told.answers.push(answer);
        if !goes_on {
            return told;
        }
    }
    told.is_usable = may_ask.then(|| client.is_usable());
    told
}

struct Client<'a> {
    wire: Wire,
    case: &'a Case,
    play: &'a Play,
    names: &'a Names<'a>,
}

impl Client<'_> {
    fn request(&self, index: usize) -> (Vec<u8>, Vec<u8>) {
        let request = &self.case.exchanges[index].request;
        let tag = format!("{}-{index}", self.names.run);
        (request.head(self.names.key, &tag), request.body())
    }

    /// The answer, and whether the request is complete, so that another may follow.
    fn exchange(&mut self, index: usize, exchange: &Exchange) -> (Answer, bool) {
        let is_head = exchange.request.method == "HEAD";
        if self.case.pipelined {
            return (self.answer(is_head), true);
        }
        let (mut head, mut body) = self.request(index);
        let held_at = exchange
            .reply
            .early
            .map_or(body.len(), |early| exchange.request.held(early).0);
        let rest = body.split_off(held_at);
        let mut interims = Vec::new();
        if exchange.request.expects_continue {
            self.wire.send(&head, &self.case.cuts);
            let answer = self.one_answer(is_head);
            if answer.status() != Some(100) {
                return (answer, false);
            }
            interims.push(100);
        } else {
            head.append(&mut body);
            body = head;
        }
        self.wire.send(&body, &self.case.cuts);
        let mut answer = self.answer(is_head);
        interims.append(&mut answer.interims);
        answer.interims = interims;
        self.wire.send(&rest, &[]);
        (answer, true)
    }

    fn answer(&mut self, is_head: bool) -> Answer {
        let mut interims = Vec::new();
        loop {
            let mut answer = self.one_answer(is_head);
            match answer.status() {
                Some(status) if status < 200 && status != 101 => interims.push(status),
                _ => {
                    answer.interims = interims;
                    return answer;
                }
            }
        }
    }

    fn one_answer(&mut self, is_head: bool) -> Answer {
        let mut answer = Answer {
            interims: Vec::new(),
            head: None,
            payload: Vec::new(),
            trailers: Vec::new(),
            stop: None,
        };
        let read = self.wire.head().and_then(|head| {
            answer.head = Some(head.clone());
            let is_empty = is_head
                || answer
                    .status()
                    .is_some_and(|status| status < 200 || matches!(status, 204 | 304));
            let mut body = head.answer_body(is_empty)?;
            let read = body.read(&mut self.wire, None);
            (answer.payload, answer.trailers) = (body.payload, body.trailers);
            read
        });
        answer.stop = read.err();
        answer
    }

    /// Asks for something else. A connection that has ended says nothing.
    fn is_usable(&mut self) -> bool {
        let Names { key, run, .. } = self.names;
        let probe = format!("GET /v1/probe HTTP/1.1\r\nHost: edge\r\nx-api-key: {key}\r\nX-Case: {run}-probe\r\n\r\n");
        self.wire.send(probe.as_bytes(), &[]);
        let answer = self.answer(false);
        answer.status() == Some(200) && answer.payload == b"alive"
    }

    /// Goes away. Returns whether the server was let go of; `None` where it was never asked.
    fn leave(&mut self, index: usize, when: When, how: How) -> Option<bool> {
        let (head, body) = self.request(index);
        let mut bytes = [head, body].concat();
        match when {
            When::InRequest(at) => {
                bytes.truncate(at.index(bytes.len()));
                self.wire.send(&bytes, &self.case.cuts);
            }
            When::InAnswer(_) => {
                self.wire.send(&bytes, &self.case.cuts);
                if !self.play.comes_to(index, |attempt| attempt.answered) {
                    return Some(false);
                }
            }
        }
        self.wire.leave(how);
        if how == How::HalfClose {
            if self.wire.drain() == Stop::Hung {
                return Some(false);
            }
        } else {
            // Dropping the socket is what closes it.
            let gone = TcpStream::connect(self.names.edge).expect("the edge accepts");
            self.wire = Wire::over(gone);
        }
        if self.names.holds_on {
            return None;
        }
        let was_asked = !self.play.attempts()[index].is_empty();
        was_asked.then(|| self.play.comes_to(index, |attempt| attempt.edge_gone))
    }
}
