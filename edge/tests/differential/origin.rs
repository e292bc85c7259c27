//! The one server behind both edges. A request names the conversation it belongs to; the server plays that one's
//! answer and keeps what it saw.

use std::collections::HashMap;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::case::{Body as CaseBody, Case, Exchange, How, When};
use super::wire::{Head, PATIENCE, Stop, Wire};

/// One time that a request came.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempt {
    pub(crate) head: Head,
    pub(crate) payload: Vec<u8>,
    pub(crate) trailers: Vec<(String, String)>,
    pub(crate) is_whole: bool,
    /// The edge closed the connection before it had the answer.
    pub(crate) edge_gone: bool,
    /// So much of the answer as there will be was sent.
    pub(crate) answered: bool,
    pub(crate) trouble: Option<Stop>,
}

/// One conversation through one edge.
pub(crate) struct Play {
    case: Case,
    attempts: Mutex<Vec<Vec<Attempt>>>,
    changed: Condvar,
}

impl Play {
    fn of(case: &Case) -> Self {
        Self {
            case: case.clone(),
            attempts: Mutex::new(vec![Vec::new(); case.exchanges.len()]),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn attempts(&self) -> MutexGuard<'_, Vec<Vec<Attempt>>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the last attempt at an exchange comes to this in time.
    pub(crate) fn comes_to(&self, index: usize, state: impl Fn(&Attempt) -> bool) -> bool {
        let attempts = self.attempts();
        let waited = self.changed.wait_timeout_while(attempts, PATIENCE, |attempts| {
            !attempts[index].last().is_some_and(&state)
        });
        waited.is_ok_and(|(attempts, _)| attempts[index].last().is_some_and(&state))
    }

    fn note(&self, index: usize, attempt: usize, note: impl FnOnce(&mut Attempt)) {
        note(&mut self.attempts()[index][attempt]);
        self.changed.notify_all();
    }

    /// Plays one answer. False where the connection ends.
    fn answer(&self, index: usize, head: Head, wire: &mut Wire, is_reused: bool) -> bool {
        let exchange = &self.case.exchanges[index];
        let attempt = {
            let mut attempts = self.attempts();
            attempts[index].push(Attempt {
                head: head.clone(),
                ..Attempt::default()
            });
            attempts[index].len() - 1
        };
        self.changed.notify_all();
        let early = exchange.reply.early.map(|early| exchange.request.held(early));
        let mut body = match head.request_body() {
            Ok(body) => body,
            Err(stop) => {
                self.note(index, attempt, |seen| seen.trouble = Some(stop));
                return false;
            }
        };
        if head.get("expect").is_some() && early.is_none_or(|(held_at, _)| held_at > 0) {
            wire.send(b"HTTP/1.1 100 Continue\r\n\r\n", &[]);
        }
        let read = body.read(wire, early.map(|(_, payload)| payload));
        self.note(index, attempt, |seen| {
            seen.payload.clone_from(&body.payload);
            seen.trailers.clone_from(&body.trailers);
            seen.is_whole = body.is_whole;
            seen.edge_gone = matches!(read, Err(Stop::Closed | Stop::Reset));
            seen.trouble = read.err().filter(|_| !seen.edge_gone);
        });
        if read.is_err() || (exchange.reply.is_stale_when_reused && is_reused && attempt == 0) {
            return false;
        }
        let keeps = self.send_answer(index, attempt, wire);
        if early.is_some() {
            if !keeps {
                wire.leave(How::Close);
            }
            // The rest of the upload is nobody's: reading it only lets the edge get rid of it.
            let reads_on = exchange.reply.early.is_some_and(|early| early.reads_on);
            return reads_on && body.read(wire, None).is_ok() && keeps;
        }
        keeps
    }

    fn send_answer(&self, index: usize, attempt: usize, wire: &mut Wire) -> bool {
        let exchange = &self.case.exchanges[index];
        let answer = exchange.reply_wire();
        let is_last = index + 1 == self.case.exchanges.len();
        let leaving = self.case.leaving.filter(|_| is_last);
        if let Some(When::InAnswer(at)) = leaving.map(|leaving| leaving.when) {
            wire.send(&answer[..at.index(answer.len())], &exchange.reply.cuts);
            self.note(index, attempt, |seen| seen.answered = true);
            let stop = wire.drain();
            self.note(index, attempt, |seen| seen.edge_gone = stop != Stop::Hung);
            return false;
        }
        if let Some(fault) = exchange.reply.fault {
            wire.send(&answer[..fault.at.index(answer.len())], &exchange.reply.cuts);
            wire.leave(fault.how);
            self.note(index, attempt, |seen| seen.answered = true);
            return false;
        }
        // Noted first: once the client has its answer, the test reads what was noted.
        self.note(index, attempt, |seen| seen.answered = true);
        wire.send(&answer, &exchange.reply.cuts);
        !ends_connection(exchange)
    }
}

pub(crate) fn ends_connection(exchange: &Exchange) -> bool {
    let reply = &exchange.reply;
    let says = |token: &str| reply.lines.iter().any(|line| *line == format!("Connection: {token}"));
    let until_close = matches!(reply.body, CaseBody::UntilClose(_)) && exchange.has_reply_body();
    reply.drops_idle
        || until_close
        || reply.oddity.is_some()
        || says("close")
        || (reply.is_http_10 && !says("keep-alive"))
}

/// Where the conversations are found.
#[derive(Clone, Default)]
pub(crate) struct Origin {
    plays: Arc<Mutex<HashMap<u64, Arc<Play>>>>,
    /// Requests that belong to no conversation: made out of another's bytes.
    strays: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    /// Listens on every loopback address, so that a conversation can have an address, and a pool, of its own.
    pub(crate) fn start() -> (Self, u16) {
        let listener = TcpListener::bind(SocketAddr::from(([0, 0, 0, 0], 0))).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let origin = Self::default();
        let serving = origin.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let origin = serving.clone();
                std::thread::spawn(move || origin.serve(stream));
            }
        });
        (origin, port)
    }

    pub(crate) fn play(&self, run: u64, case: &Case) -> Arc<Play> {
        let play = Arc::new(Play::of(case));
        self.plays.lock().expect("no panic").insert(run, play.clone());
        play
    }

    pub(crate) fn forget(&self, run: u64) {
        self.plays.lock().expect("no panic").remove(&run);
    }

    pub(crate) fn strays(&self) -> Vec<String> {
        std::mem::take(&mut *self.strays.lock().expect("no panic"))
    }

    fn serve(&self, stream: TcpStream) {
        let mut wire = Wire::over(stream);
        let mut is_reused = false;
        loop {
            let head = match wire.head() {
                Ok(head) => head,
                Err(Stop::Malformed(why)) => return self.stray(why.to_owned()),
                Err(_) => return,
            };
            let tag = head.get("x-case").unwrap_or_default().to_owned();
            let (run, index) = tag.split_once('-').unwrap_or_default();
            let play = run
                .parse()
                .ok()
                .and_then(|run| self.plays.lock().expect("no panic").get(&run).cloned());
            let goes_on = match (play, index.parse::<usize>()) {
                (Some(play), Ok(index)) if index < play.case.exchanges.len() => {
                    play.answer(index, head, &mut wire, is_reused)
                }
                (Some(_), _) if index == "probe" => {
                    wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nalive", &[]);
                    true
                }
                // A client that left early may have been forwarded late: its conversation is over.
                (None, Ok(_)) if !run.is_empty() => return,
                _ => return self.stray(format!("{head:?}")),
            };
            if !goes_on {
                return;
            }
            is_reused = true;
        }
    }

    fn stray(&self, what: String) {
        self.strays.lock().expect("no panic").push(what);
    }
}
