//! Many streams at once. The origin writes into each token when it was sent; the time from there to here is the way
//! through the proxy, on one clock. Every stream must bring every token, once and in order, and its proper end.

mod reader;

use std::io::ErrorKind;

use anyhow::{bail, ensure};
use clap::Args;
use mio::{Events, Poll, Token};
use serde_json::json;

use crate::clock::{Alarm, NANOS_PER_S, now_ns, seconds_to_ns};
use crate::events::{END, OPEN, SUMMARY, Schedule, WINDOW, tell};
use crate::http::{Progress, Responses};
use crate::keys::Dice;
use crate::latencies::Latencies;
use crate::link::{Link, Received, SCRATCH_BYTES};
use crate::request::{TargetArgs, stream_body};
use reader::Reader;

const ALARM: Token = Token(usize::MAX);
const NANOS_PER_MS: u64 = 1_000_000;
/// New streams a second, at most: opening is not what is measured.
const OPENED_PER_S: u64 = 4_000;
/// How long streams may take beyond their own length.
const LATE_NS: u64 = 20 * NANOS_PER_S;
/// Between the event that lets the orchestrator read memory and the window.
const SAMPLING_NS: u64 = 300 * NANOS_PER_MS;

#[derive(Args)]
pub(crate) struct StreamsArgs {
    #[command(flatten)]
    target: TargetArgs,
    #[arg(long, default_value_t = 100)]
    streams: usize,
    /// Milliseconds between two tokens of a stream
    #[arg(long, default_value_t = 50)]
    interval_ms: u64,
    /// Seconds between the last opening and the window
    #[arg(long, default_value_t = 1.0)]
    settle: f64,
    /// Seconds that count
    #[arg(long, default_value_t = 5.0)]
    duration: f64,
    #[arg(long, default_value_t = 1)]
    keys: u64,
}

pub(crate) fn run(args: &StreamsArgs) -> anyhow::Result<()> {
    let mut run = Run::new(args)?;
    run.serve()?;
    run.tell_summary();
    Ok(())
}

struct Client {
    link: Link,
    responses: Responses,
    reader: Reader,
    opened_ns: u64,
}

struct Run<'a> {
    args: &'a StreamsArgs,
    poll: Poll,
    alarm: Alarm,
    clients: Vec<Option<Client>>,
    pace: Pace,
    seen: Seen,
}

/// When what happens, fixed beforehand: the tokens that make up the run are asked for at its start.
struct Pace {
    start_ns: u64,
    opening_interval_ns: u64,
    open_ns: u64,
    window_ns: u64,
    end_ns: u64,
    deadline_ns: u64,
    tokens: u64,
}

/// What the streams brought.
struct Seen {
    begun: u64,
    whole: u64,
    failed: u64,
    last_failure: Option<String>,
    latencies: Latencies,
    first: Latencies,
}

impl Pace {
    fn new(args: &StreamsArgs) -> Self {
        let streams = args.streams.max(1) as u64;
        let interval_ns = args.interval_ms.max(1) * NANOS_PER_MS;
        // Spread over at least one interval, so that tokens do not come in bursts.
        let opening_ns = interval_ns.max(streams * NANOS_PER_S / OPENED_PER_S);
        let start_ns = now_ns();
        let open_ns = start_ns + opening_ns + seconds_to_ns(args.settle);
        let window_ns = open_ns + SAMPLING_NS;
        let end_ns = window_ns + seconds_to_ns(args.duration);
        let tokens = (end_ns - start_ns) / interval_ns + 2;
        Self {
            start_ns,
            opening_interval_ns: opening_ns / streams,
            open_ns,
            window_ns,
            end_ns,
            deadline_ns: start_ns + 2 * tokens * interval_ns + LATE_NS,
            tokens,
        }
    }

    fn opening_due(&self, opened: usize) -> u64 {
        self.start_ns + opened as u64 * self.opening_interval_ns
    }
}

impl<'a> Run<'a> {
    fn new(args: &'a StreamsArgs) -> anyhow::Result<Self> {
        let poll = Poll::new()?;
        let alarm = Alarm::new(poll.registry(), ALARM)?;
        Ok(Self {
            args,
            poll,
            alarm,
            clients: Vec::new(),
            pace: Pace::new(args),
            seen: Seen {
                begun: 0,
                whole: 0,
                failed: 0,
                last_failure: None,
                latencies: Latencies::new()?,
                first: Latencies::new()?,
            },
        })
    }

    fn serve(&mut self) -> anyhow::Result<()> {
        let body = stream_body(self.pace.tokens, self.args.interval_ms);
        let template = self.args.target.template(&body)?;
        let mut dice = Dice::new(0x5eed);
        let mut wire = Vec::new();
        let mut events = Events::with_capacity(1024);
        let mut scratch = vec![0; SCRATCH_BYTES];
        let Pace {
            open_ns,
            window_ns,
            end_ns,
            deadline_ns,
            ..
        } = self.pace;
        let mut schedule = Schedule::new(vec![(open_ns, OPEN), (window_ns, WINDOW), (end_ns, END)]);
        while self.seen.whole + self.seen.failed < self.args.streams as u64 {
            let now = now_ns();
            schedule.tell_due(now);
            while self.clients.len() < self.args.streams && now >= self.pace.opening_due(self.clients.len()) {
                template.write(&mut wire, dice.below(self.args.keys));
                self.open(&wire)?;
            }
            if now > deadline_ns {
                return Ok(());
            }
            let mut wake_ns = schedule.next_ns().unwrap_or(deadline_ns + 1);
            if self.clients.len() < self.args.streams {
                wake_ns = wake_ns.min(self.pace.opening_due(self.clients.len()));
            }
            self.alarm.set(wake_ns)?;
            if let Err(error) = self.poll.poll(&mut events, None)
                && error.kind() != ErrorKind::Interrupted
            {
                return Err(error.into());
            }
            for event in &events {
                if event.token() != ALARM {
                    self.ready(event.token().0, &mut scratch);
                }
            }
        }
        // Streams that all failed early must not leave the orchestrator waiting for its window.
        schedule.tell_due(u64::MAX);
        Ok(())
    }

    fn open(&mut self, wire: &[u8]) -> anyhow::Result<()> {
        let mut link = Link::connect(self.args.target.target, self.poll.registry(), Token(self.clients.len()))?;
        link.send(wire)?;
        self.clients.push(Some(Client {
            link,
            responses: Responses::default(),
            reader: Reader::new(self.pace.tokens),
            opened_ns: now_ns(),
        }));
        Ok(())
    }

    /// What has come on one stream.
    fn ready(&mut self, index: usize, scratch: &mut [u8]) {
        let Some(client) = self.clients[index].as_mut() else {
            return;
        };
        match client.read(scratch, &mut self.seen, &self.pace) {
            Ok(false) => {}
            Ok(true) => {
                self.seen.whole += 1;
                self.clients[index] = None;
            }
            Err(error) => {
                self.seen.failed += 1;
                self.seen.last_failure = Some(format!("{error:#}"));
                self.clients[index] = None;
            }
        }
    }

    fn tell_summary(&self) {
        let seen = &self.seen;
        tell(
            SUMMARY,
            json!({
                "streams": self.args.streams,
                "begun": seen.begun,
                "whole": seen.whole,
                "failed": seen.failed,
                "unfinished": self.args.streams as u64 - seen.whole - seen.failed,
                "tokens": seen.latencies.count(),
                "tokens_per_stream": self.pace.tokens,
                "latency": seen.latencies.summary(),
                "first_token": seen.first.summary(),
                "last_failure": seen.last_failure,
            }),
        );
    }
}

impl Client {
    /// Reads what is there; whether the stream has come to its proper end.
    fn read(&mut self, scratch: &mut [u8], seen: &mut Seen, pace: &Pace) -> anyhow::Result<bool> {
        self.link.flush()?;
        loop {
            let (len, more) = match self.link.receive(scratch)? {
                Received::Bytes { len, more } => (len, more),
                Received::Nothing => return Ok(false),
                Received::Closed if self.responses.closed().is_some() => {
                    self.reader.finish()?;
                    return Ok(true);
                }
                Received::Closed => bail!("closed after {} tokens", self.reader.tokens()),
            };
            let arrived_ns = now_ns();
            let counts = arrived_ns >= pace.window_ns && arrived_ns < pace.end_ns;
            let (reader, opened_ns) = (&mut self.reader, self.opened_ns);
            let progress = self.responses.take(&scratch[..len], |part| {
                reader.take(part, |number, sent_ns| {
                    if number == 0 {
                        seen.begun += 1;
                        seen.first.record(arrived_ns.saturating_sub(opened_ns));
                    }
                    if counts {
                        seen.latencies.record(arrived_ns.saturating_sub(sent_ns));
                    }
                });
            })?;
            self.reader.check()?;
            match progress {
                Progress::Whole(head) => {
                    ensure!(head.status == 200, "status {}", head.status);
                    self.reader.finish()?;
                    return Ok(true);
                }
                Progress::More if !more => return Ok(false),
                Progress::More => {}
            }
        }
    }
}
