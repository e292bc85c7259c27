//! Requests over kept-alive connections. Without a rate each connection sends its next request when the last is
//! answered (closed loop: throughput). With a rate requests fall due by the clock whatever the proxy does, and a
//! latency counts from when a request was due, not from when a connection was free to carry it: a proxy that stalls
//! pays for every request that had to wait (coordinated omission).

mod check;
mod pace;
mod tally;

use std::collections::VecDeque;
use std::mem;

use anyhow::bail;
use clap::{Args, ValueEnum};
use mio::{Events, Poll, Token};

use crate::clock::{Alarm, NANOS_PER_S, now_ns};
use crate::events::{END, Schedule, WINDOW};
use crate::http::{Progress, Responses};
use crate::keys::{Dice, WRONG_FROM};
use crate::link::{Link, Received, SCRATCH_BYTES};
use crate::request::{TargetArgs, Template, chat_body, embedding_body};
use check::{Check, Expected};
use pace::Pace;
use tally::Tally;

const ALARM: Token = Token(usize::MAX);
/// A proxy that fails this often is not measured any further.
const FAILURES_MAX: u64 = 2_000;
/// How long answers may still come after the end.
const DRAIN_NS: u64 = 5 * NANOS_PER_S;

#[derive(Args)]
pub(crate) struct RequestsArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Requests a second; without it, as many as go
    #[arg(long)]
    rate: Option<f64>,
    /// Seconds that do not count
    #[arg(long, default_value_t = 1.0)]
    warmup: f64,
    /// Seconds that count
    #[arg(long, default_value_t = 5.0)]
    duration: f64,
    /// Right keys are numbered 0 to this; each request takes one at random
    #[arg(long, default_value_t = 1)]
    keys: u64,
    /// The share of requests that bring a key never seen
    #[arg(long, default_value_t = 0.0)]
    wrong_share: f64,
    #[arg(long, default_value_t = 401)]
    wrong_status: u16,
    #[arg(long, value_enum, default_value_t = Kind::Chat)]
    kind: Kind,
    /// Size of the request's body, for chats
    #[arg(long, default_value_t = 200)]
    body_bytes: usize,
    /// Size of the answer that the origin was told to give
    #[arg(long, default_value_t = 600)]
    answer_bytes: usize,
    /// How answers are checked: byte by byte, by a mark in them (gateways that write JSON anew), or by status alone
    #[arg(long, value_enum, default_value_t = Expect::Exact)]
    expect: Expect,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    Chat,
    Embedding,
}

#[derive(Clone, Copy, ValueEnum)]
enum Expect {
    Exact,
    Mark,
    Status,
}

pub(crate) fn run(args: &RequestsArgs) -> anyhow::Result<()> {
    let mut run = Run::new(args)?;
    run.open_all()?;
    run.serve()?;
    run.tally.tell(args.duration);
    Ok(())
}

struct Client {
    link: Link,
    responses: Responses,
    check: Check,
    /// What is under way on it.
    request: Option<Due>,
}

#[derive(Clone, Copy)]
struct Due {
    at_ns: u64,
    right_key: bool,
}

struct Run<'a> {
    args: &'a RequestsArgs,
    poll: Poll,
    alarm: Alarm,
    clients: Vec<Client>,
    /// In turn, so that every connection carries its share.
    idle: VecDeque<usize>,
    /// Due, and no connection free.
    backlog: VecDeque<u64>,
    template: Template,
    expected: Expected,
    dice: Dice,
    wire: Vec<u8>,
    tally: Tally,
    pace: Pace,
}

impl<'a> Run<'a> {
    fn new(args: &'a RequestsArgs) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        let (body, answer) = match args.kind {
            Kind::Chat => (chat_body(args.body_bytes), crate::answer::chat(args.answer_bytes)),
            Kind::Embedding => (embedding_body(), crate::answer::embedding(args.answer_bytes)),
        };
        let expected = match args.expect {
            Expect::Exact => Expected::Exact(answer),
            Expect::Mark => Expected::Mark,
            Expect::Status => Expected::Anything,
        };
        Ok(Self {
            args,
            poll,
            alarm,
            clients: Vec::new(),
            idle: VecDeque::new(),
            backlog: VecDeque::new(),
            template: args.target.template(&body)?,
            expected,
            dice: Dice::new(0x5eed),
            wire: Vec::new(),
            tally: Tally::new()?,
            pace: Pace::new(args),
        })
    }

    fn open_all(&mut self) -> anyhow::Result<()> {
        for index in 0..self.args.connections {
            self.clients.push(Client {
                link: self.connect(index)?,
                responses: Responses::default(),
                check: Check::default(),
                request: None,
            });
            self.idle.push_back(index);
        }
        self.pace = Pace::new(self.args);
        if self.args.rate.is_none() {
            for index in mem::take(&mut self.idle) {
                self.send(index, now_ns());
            }
        }
        Ok(())
    }

    fn connect(&self, index: usize) -> anyhow::Result<Link> {
        Ok(Link::connect(
            self.args.target.target,
            self.poll.registry(),
            Token(index),
        )?)
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH_BYTES];
        let mut schedule = Schedule::new(vec![(self.pace.window_ns, WINDOW), (self.pace.end_ns, END)]);
        loop {
            let now = now_ns();
            schedule.tell_due(now);
            self.send_due(now);
            let wake_ns = match schedule.next_ns() {
                Some(at_ns) => at_ns.min(self.pace.next_ns),
                None if self.under_way() == 0 || now >= self.pace.end_ns + DRAIN_NS => {
                    self.tally.unanswered = self.under_way() as u64;
                    return Ok(());
                }
                None => self.pace.end_ns + DRAIN_NS,
            };
            self.alarm.set(wake_ns)?;
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != std::io::ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            for event in &events {
                if event.token() != ALARM {
                    self.ready(event.token().0, &mut scratch)?;
                }
            }
        }
    }

    fn under_way(&self) -> usize {
        self.backlog.len() + self.clients.iter().filter(|client| client.request.is_some()).count()
    }

    fn send_due(&mut self, now: u64) {
        while self.pace.next_ns <= now.min(self.pace.end_ns) {
            let at_ns = self.pace.next_ns;
            self.pace.step();
            match self.idle.pop_front() {
                Some(index) => self.send(index, at_ns),
                None => self.backlog.push_back(at_ns),
            }
        }
    }

    fn send(&mut self, index: usize, at_ns: u64) {
        let right_key = self.args.wrong_share <= 0.0 || self.dice.share() >= self.args.wrong_share;
        let number = match right_key {
            true => self.dice.below(self.args.keys),
            // Never the same twice: an attack that a cache of wrong keys does not stop.
            false => WRONG_FROM + self.dice.below(WRONG_FROM),
        };
        self.template.write(&mut self.wire, number);
        let client = &mut self.clients[index];
        client.request = Some(Due { at_ns, right_key });
        // An error here shows as a closed connection when it is read.
        let _ = client.link.send(&self.wire);
    }

    /// What has come on one connection.
    fn ready(&mut self, index: usize, scratch: &mut [u8]) -> anyhow::Result<()> {
        let flushed = self.clients[index].link.flush();
        loop {
            let client = &mut self.clients[index];
            let received = client.link.receive(scratch);
            match received {
                Ok(Received::Bytes { len, more }) if flushed.is_ok() => {
                    let Client { responses, check, .. } = client;
                    match responses.take(&scratch[..len], |part| check.take(part, &self.expected)) {
                        Ok(Progress::Whole(head)) => return self.answered(index, head.status, head.reusable),
                        Ok(Progress::More) if more => {}
                        Ok(Progress::More) => return Ok(()),
                        Err(error) => return self.lost(index, &format!("{error:#}")),
                    }
                }
                Ok(Received::Nothing) => return Ok(()),
                Ok(_) => return self.closed(index),
                Err(error) => return self.lost(index, &error.kind().to_string()),
            }
        }
    }

    fn answered(&mut self, index: usize, status: u16, reusable: bool) -> anyhow::Result<()> {
        let now = now_ns();
        let client = &mut self.clients[index];
        let Some(due) = client.request.take() else {
            return self.lost(index, "an answer that nobody asked for");
        };
        let whole = client.check.finish(&self.expected);
        let right = if due.right_key {
            status == 200 && whole
        } else {
            status == self.args.wrong_status
        };
        self.tally.count_status(status);
        if !right {
            self.failed(&format!("status {status}, body as expected: {whole}"))?;
        }
        // Open loop: a request belongs to the window in which it was due. Closed: in which it was answered.
        let at = if self.args.rate.is_some() { due.at_ns } else { now };
        if at >= self.pace.window_ns && at < self.pace.end_ns {
            self.tally.record(due.right_key, now.saturating_sub(due.at_ns));
        }
        if now >= self.pace.window_ns && now < self.pace.end_ns {
            self.tally.answered_in_window += 1;
        }
        if !reusable {
            self.reconnect(index)?;
        }
        self.next(index, now);
        Ok(())
    }

    /// Gives a free connection something to do.
    fn next(&mut self, index: usize, now: u64) {
        if let Some(at_ns) = self.backlog.pop_front() {
            self.send(index, at_ns);
        } else if self.args.rate.is_none() && now < self.pace.end_ns {
            self.send(index, now);
        } else {
            self.idle.push_back(index);
        }
    }

    fn closed(&mut self, index: usize) -> anyhow::Result<()> {
        let client = &mut self.clients[index];
        if let Some(head) = client.responses.closed() {
            return self.answered(index, head.status, false);
        }
        if client.request.is_none() {
            // An idle connection that the proxy has had enough of: it stays in the list of free ones.
            return self.reconnect(index);
        }
        self.lost(index, "closed before the answer was whole")
    }

    /// The connection and what was under way on it are lost.
    fn lost(&mut self, index: usize, how: &str) -> anyhow::Result<()> {
        let asked = self.clients[index].request.take().is_some();
        self.failed(how)?;
        self.reconnect(index)?;
        if asked {
            self.next(index, now_ns());
        }
        Ok(())
    }

    fn failed(&mut self, how: &str) -> anyhow::Result<()> {
        self.tally.fail(how);
        if self.tally.failed > FAILURES_MAX {
            self.tally.tell(self.args.duration);
            bail!("more than {FAILURES_MAX} requests failed; the last: {how}");
        }
        Ok(())
    }

    fn reconnect(&mut self, index: usize) -> anyhow::Result<()> {
        self.tally.reconnects += 1;
        let link = self.connect(index)?;
        let client = &mut self.clients[index];
        client.link = link;
        client.responses = Responses::default();
        client.check = Check::default();
        Ok(())
    }
}
