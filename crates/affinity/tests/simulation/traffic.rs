//! Who asks what, and when: conversations of Zipf's popularity, each waiting for its answer before it goes on.

/// The size of a run.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) conversations: usize,
    pub(crate) requests: usize,
    pub(crate) system_prompts: usize,
    pub(crate) arrivals_per_second: f64,
    pub(crate) cache_bytes: usize,
    pub(crate) seed: u64,
}

/// A text that is like no other, given by its number and its length.
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) id: u64,
    pub(crate) bytes: usize,
}

pub(crate) struct Request {
    conversation: usize,
    pub(crate) at_seconds: f64,
    pub(crate) prompt: Vec<Piece>,
    pub(crate) answer: Piece,
}

pub(crate) struct Traffic {
    shape: Shape,
    random: Random,
    now_seconds: f64,
    cumulated: Vec<f64>,
    conversations: Vec<Conversation>,
    pieces: u64,
}

#[derive(Clone, Default)]
struct Conversation {
    pieces: Vec<Piece>,
    free_at_seconds: f64,
}

/// A conversation of this many turns is over, and another takes its place.
const TURNS_MAX: usize = 16;

impl Traffic {
    pub(crate) fn new(shape: Shape) -> Self {
        let mut sum = 0.0;
        let weight = |rank: usize| 1.0 / (rank as f64 + 1.0).powf(0.9);
        let cumulated = (0..shape.conversations).map(|rank| {
            sum += weight(rank);
            sum
        });
        Self {
            shape,
            random: Random(shape.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1),
            now_seconds: 0.0,
            cumulated: cumulated.collect(),
            conversations: vec![Conversation::default(); shape.conversations],
            pieces: shape.system_prompts as u64,
        }
    }

    pub(crate) fn next(&mut self) -> Request {
        self.now_seconds += -self.random.unit().max(1e-12).ln() / self.shape.arrivals_per_second;
        let conversation = self.idle_conversation();
        let mut prompt = std::mem::take(&mut self.conversations[conversation].pieces);
        if prompt.is_empty() || prompt.len() > 2 * TURNS_MAX {
            let id = self.random.below(self.shape.system_prompts);
            prompt = vec![Piece {
                id: id as u64,
                bytes: 2000 + 700 * (id % 6),
            }];
        }
        prompt.push(self.piece(100, 700));
        Request {
            conversation,
            at_seconds: self.now_seconds,
            prompt,
            answer: self.piece(200, 1500),
        }
    }

    /// The client has its answer, and may go on.
    pub(crate) fn answered(&mut self, request: &Request, end_seconds: f64) {
        let conversation = &mut self.conversations[request.conversation];
        conversation.pieces.clone_from(&request.prompt);
        conversation.pieces.push(request.answer);
        conversation.free_at_seconds = end_seconds;
    }

    /// By popularity; where all that were drawn wait for answers, the one that has waited longest is made to wait no more.
    fn idle_conversation(&mut self) -> usize {
        let total = self.cumulated.last().copied().unwrap_or_default();
        for _ in 0..200 {
            let drawn = self.random.unit() * total;
            let found = self
                .cumulated
                .partition_point(|sum| *sum < drawn)
                .min(self.conversations.len() - 1);
            if self.conversations[found].free_at_seconds <= self.now_seconds {
                return found;
            }
        }
        let free = |at: &usize| self.conversations[*at].free_at_seconds;
        let first = (0..self.conversations.len())
            .min_by(|a, b| free(a).total_cmp(&free(b)))
            .unwrap_or_default();
        self.now_seconds = self.now_seconds.max(free(&first));
        first
    }

    fn piece(&mut self, from: usize, to: usize) -> Piece {
        self.pieces += 1;
        Piece {
            id: self.pieces,
            bytes: from + self.random.below(to - from),
        }
    }
}

/// Xorshift: the runs must be equal, not unpredictable.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 16) as usize % bound
    }
}
