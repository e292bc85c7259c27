//! Servers with slots and caches, a strategy in front of them, and what came of it.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::time::{Duration, Instant};

use affinity::{Candidate, Capacity, Held, Index, Policy, Reason, Server};

use crate::traffic::{Piece, Request};

const SLOTS: usize = 4;
const BYTES_PER_TOKEN: f64 = 4.0;
const PREFILL_TOKENS_PER_SECOND: f64 = 1500.0;
const DECODE_TOKENS_PER_SECOND: f64 = 60.0;

/// A cache keeps and drops text in blocks of this size.
const CACHE_BLOCK_BYTES: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strategy {
    RoundRobin,
    LeastBusy,
    Prefix,
    /// The same policy, told what the caches hold in truth. No bound on what is possible, as it looks no step ahead.
    AllKnowing,
}

pub(crate) struct Fleet {
    strategy: Strategy,
    policy: Policy,
    index: Index,
    born: Instant,
    servers: Vec<Simulated>,
    /// All that was ever read, by any server.
    everything: Cache,
    turn: u64,
    outcome: Outcome,
}

struct Simulated {
    identity: Server,
    cache: Cache,
    /// When each slot is free again, seconds.
    slots: [f64; SLOTS],
    /// Ends of the requests it has, seconds.
    ends: Vec<f64>,
}

#[derive(Clone, Default)]
pub(crate) struct Outcome {
    prompt_bytes: usize,
    reused_bytes: usize,
    reusable_bytes: usize,
    wait_seconds: f64,
    served: Vec<usize>,
    hits: usize,
    spreads: usize,
    spills: usize,
    misses: usize,
}

impl Fleet {
    pub(crate) fn new(strategy: Strategy, servers: usize, cache_bytes: usize) -> Self {
        let born = Instant::now();
        let index = Index::new(Capacity::default(), born);
        let simulated = |_| Simulated {
            identity: index.enrol(),
            cache: Cache::new(cache_bytes),
            slots: [0.0; SLOTS],
            ends: Vec::new(),
        };
        Self {
            strategy,
            policy: Policy::default(),
            servers: (0..servers).map(simulated).collect(),
            index,
            born,
            everything: Cache::new(usize::MAX),
            turn: 0,
            outcome: Outcome {
                served: vec![0; servers],
                ..Outcome::default()
            },
        }
    }

    /// Sends a request somewhere, and returns when it is answered.
    pub(crate) fn serve(&mut self, request: &Request) -> f64 {
        let position = self.choose(request);
        let server = &mut self.servers[position];
        let bytes: usize = request.prompt.iter().map(|piece| piece.bytes).sum();
        let reused = server.cache.held(&request.prompt);
        let prefill = (bytes - reused) as f64 / BYTES_PER_TOKEN / PREFILL_TOKENS_PER_SECOND;
        let decode = request.answer.bytes as f64 / BYTES_PER_TOKEN / DECODE_TOKENS_PER_SECOND;
        let (begin, end) = server.take_slot(request.at_seconds, prefill + decode);
        server.cache.add(request.prompt.iter().chain([&request.answer]));
        self.outcome.reusable_bytes += self.everything.held(&request.prompt);
        self.everything.add(request.prompt.iter().chain([&request.answer]));
        self.outcome.prompt_bytes += bytes;
        self.outcome.reused_bytes += reused;
        self.outcome.wait_seconds += begin - request.at_seconds;
        self.outcome.served[position] += 1;
        end
    }

    pub(crate) fn outcome(self) -> Outcome {
        self.outcome
    }

    fn choose(&mut self, request: &Request) -> usize {
        for server in &mut self.servers {
            server.ends.retain(|end| *end > request.at_seconds);
        }
        if self.strategy == Strategy::RoundRobin {
            self.turn += 1;
            return self.turn as usize % self.servers.len();
        }
        let now = self.born + Duration::from_secs_f64(request.at_seconds);
        let mut trail = self.index.trail(&[b"service", b"model"]);
        request
            .prompt
            .iter()
            .for_each(|piece| trail.piece(b"role", &piece.text()));
        let known = self.index.known(&trail, now);
        let held = |server: &Simulated| match self.strategy {
            Strategy::Prefix => known.of(&server.identity),
            Strategy::AllKnowing => Held {
                bytes: server.cache.held(&request.prompt) as u64,
                ..known.of(&server.identity)
            },
            _ => Held::default(),
        };
        let candidate = |server: &Simulated| Candidate {
            in_flight: server.ends.len() as u32,
            slots: Some(SLOTS as u32),
            weight: 1,
            held: held(server),
        };
        let candidates: Vec<_> = self.servers.iter().map(candidate).collect();
        let choice = self.policy.choose(&candidates, self.turn).expect("a server");
        self.turn += u64::from(choice.by_turn);
        self.assert_bound(&candidates, choice.position);
        self.index.note(&trail, &self.servers[choice.position].identity, now);
        *match choice.reason {
            Reason::Hit { .. } => &mut self.outcome.hits,
            Reason::Spread { .. } => &mut self.outcome.spreads,
            Reason::Spill { .. } => &mut self.outcome.spills,
            Reason::Miss => &mut self.outcome.misses,
        } += 1;
        choice.position
    }

    fn assert_bound(&self, candidates: &[Candidate], chosen: usize) {
        let least = candidates.iter().map(|c| c.in_flight).min().unwrap_or_default();
        let work = candidates[chosen].in_flight;
        let is_within = work <= least + self.policy.ahead_max || work * 100 <= least * self.policy.ratio_percent_max;
        assert!(
            is_within,
            "{work} in flight on the chosen server, {least} on the least busy"
        );
    }
}

impl Simulated {
    fn take_slot(&mut self, now: f64, seconds: f64) -> (f64, f64) {
        self.slots.sort_by(f64::total_cmp);
        let begin = self.slots[0].max(now);
        self.slots[0] = begin + seconds;
        self.ends.push(begin + seconds);
        (begin, begin + seconds)
    }
}

impl Piece {
    fn text(&self) -> Vec<u8> {
        let mut text = vec![b' '; self.bytes];
        text[..8].copy_from_slice(&self.id.to_le_bytes());
        text
    }

    fn blocks(&self) -> impl Iterator<Item = ((u64, usize), usize)> {
        let bytes = |at: usize| (self.bytes - at).min(CACHE_BLOCK_BYTES);
        (0..self.bytes)
            .step_by(CACHE_BLOCK_BYTES)
            .map(move |at| ((self.id, at), bytes(at)))
    }
}

/// The least recently used block goes first; what counts is the run of blocks from the beginning on.
struct Cache {
    blocks: HashMap<(u64, usize), u64>,
    uses: BTreeMap<u64, (u64, usize)>,
    clock: u64,
    blocks_max: usize,
}

impl Cache {
    fn new(bytes: usize) -> Self {
        Self {
            blocks: HashMap::new(),
            uses: BTreeMap::new(),
            clock: 0,
            blocks_max: bytes / CACHE_BLOCK_BYTES,
        }
    }

    fn held(&self, prompt: &[Piece]) -> usize {
        let blocks = prompt.iter().flat_map(Piece::blocks);
        blocks
            .take_while(|(block, _)| self.blocks.contains_key(block))
            .map(|(_, bytes)| bytes)
            .sum()
    }

    /// The end is used first, as it is of use only with all that precedes it.
    fn add<'a>(&mut self, pieces: impl Iterator<Item = &'a Piece>) {
        let blocks: Vec<_> = pieces.flat_map(Piece::blocks).collect();
        for (block, _) in blocks.into_iter().rev() {
            self.clock += 1;
            if let Some(last) = self.blocks.insert(block, self.clock) {
                self.uses.remove(&last);
            }
            self.uses.insert(self.clock, block);
        }
        while self.blocks.len() > self.blocks_max {
            let Some((_, block)) = self.uses.pop_first() else { break };
            self.blocks.remove(&block);
        }
    }
}

impl Outcome {
    pub(crate) fn hit_rate(&self) -> f64 {
        self.reused_bytes as f64 / self.prompt_bytes as f64
    }

    /// What one cache of unlimited size would have hit: no choice among any servers can do better.
    pub(crate) fn hit_rate_max(&self) -> f64 {
        self.reusable_bytes as f64 / self.prompt_bytes as f64
    }

    /// The part of the prompts that had to be read: comparable between strategies, whose conversations may differ in pace.
    pub(crate) fn evaluated(&self) -> f64 {
        1.0 - self.hit_rate()
    }

    pub(crate) fn wait_seconds(&self) -> f64 {
        self.wait_seconds / self.served.iter().sum::<usize>() as f64
    }

    /// No server starves, and none gets everything: each one's share, as a multiple of an equal share.
    pub(crate) fn assert_balanced(&self, least: f64, most: f64) {
        let (min, max) = self.shares();
        assert!(min >= least && max <= most, "{self}");
    }

    fn shares(&self) -> (f64, f64) {
        let equal = self.served.iter().sum::<usize>() as f64 / self.served.len() as f64;
        let share = |served: Option<&usize>| served.copied().unwrap_or_default() as f64 / equal;
        (share(self.served.iter().min()), share(self.served.iter().max()))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.shares();
        write!(
            f,
            "reused {:4.1} % of {:4.1} %  waited {:6.3} s  shares {least:.2} to {most:.2}  hits {} spreads {} spills {} misses {}",
            self.hit_rate() * 100.0,
            self.hit_rate_max() * 100.0,
            self.wait_seconds(),
            self.hits,
            self.spreads,
            self.spills,
            self.misses
        )
    }
}
