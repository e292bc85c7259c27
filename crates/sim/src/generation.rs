//! One generation: waits for a slot, lets the time of the prefill pass, then makes a token at a time.
//!
//! ```text
//!  queued ──▶ slot ──▶ head ──▶ prefill, a batch at a time ──▶ token, token, … ──▶ slot freed ──▶ last chunk
//!          (stream only)        (progress after each)             (Gone ends it anywhere)
//! ```
//! Invariant: the slot is freed, and the generation counted as finished, before the client sees the end of the answer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::answer::Answer;
use crate::dialect::{Dialect, Outcome, Progress, Prompt};
use crate::http::{Conn, Gone, Head, Watch};
use crate::observe::{Counter, Observed};
use crate::scheduler::{Lease, Scheduler, Wish};
use crate::settings::Pace;
use crate::text;
use crate::wire::Timings;

/// A generation to run: what a handler makes of a request.
pub(crate) struct Job {
    pub wish: Wish,
    pub answer: Answer,
    pub dialect: Box<dyn Dialect>,
    pub report_progress: bool,
    pub timings_per_token: bool,
    /// The request named a conversation, so the real server goes on without the client.
    pub outlives_client: bool,
}

/// What a generation needs of the server.
pub(crate) struct Engine<'a> {
    pub scheduler: &'a Scheduler,
    pub observed: &'a Arc<Observed>,
    pub pace: Pace,
    pub unstreamed_poll: Duration,
}

/// How the answer's head is to be sent.
pub(crate) struct Envelope<'a> {
    pub stream_head: Head<'a>,
    pub body_head: Head<'a>,
    pub chunked: bool,
}

pub(crate) async fn run(engine: Engine<'_>, conn: &mut Conn, job: Job, envelope: Envelope<'_>) -> Result<(), Gone> {
    let Job {
        wish,
        answer,
        dialect,
        report_progress,
        timings_per_token,
        outlives_client,
    } = job;
    let stream = wish.stream;
    let since = Instant::now();
    let watch = if stream {
        Watch::Always
    } else {
        Watch::Polled {
            since,
            every: engine.unstreamed_poll,
        }
    };
    let prompt_tokens = wish.prompt.len();
    let lease = tokio::select! {
        biased;
        lease = engine.scheduler.acquire(wish) => lease,
        gone = conn.gone(watch) => return Err(gone),
    };
    let prompt = Prompt {
        tokens: prompt_tokens,
        cached_tokens: lease.task.cached_tokens,
    };
    let mut run = Run {
        counted: Counted::start(engine.observed, prompt),
        pace: engine.pace,
        conn,
        answer,
        dialect,
        lease,
        prompt,
        stream,
        watch,
        report_progress,
        timings_per_token,
        outlives_client,
        out: Vec::new(),
    };
    if stream {
        run.conn.begin_stream(&envelope.stream_head, envelope.chunked).await?;
    }
    let prefill = run.prefill().await?;
    let (text, decode) = run.decode(prefill).await?;
    run.finish(&envelope, &text, prefill, decode).await
}

struct Run<'a> {
    conn: &'a mut Conn,
    answer: Answer,
    dialect: Box<dyn Dialect>,
    lease: Lease,
    counted: Counted,
    pace: Pace,
    prompt: Prompt,
    stream: bool,
    watch: Watch,
    report_progress: bool,
    timings_per_token: bool,
    outlives_client: bool,
    /// The events of the next chunk.
    out: Vec<u8>,
}

impl Run<'_> {
    /// Evaluates what is not in the cache, batch by batch.
    async fn prefill(&mut self) -> Result<Duration, Gone> {
        let begun = Instant::now();
        let (total, cached) = (self.prompt.tokens, self.prompt.cached_tokens);
        self.progress(cached, Duration::ZERO).await?;
        let mut processed = cached;
        while processed < total {
            processed = (processed + self.pace.batch_tokens).min(total);
            let batch_end = begun + self.pace.prefill(processed - cached);
            if let Err(gone) = self.wait(batch_end).await {
                // A batch under way cannot be called back; the slot stays occupied until it is through.
                tokio::time::sleep_until(batch_end).await;
                self.lease.keep_evaluated(processed);
                return Err(gone);
            }
            self.lease
                .task
                .processed
                .store((processed - cached) as u64, Ordering::Relaxed);
            self.progress(processed, begun.elapsed()).await?;
        }
        let prefill = begun.elapsed();
        self.counted
            .observed
            .add(Counter::PrefillMicros, prefill.as_micros() as u64);
        Ok(prefill)
    }

    /// Makes the answer's tokens; returns its text (kept only where it is sent whole) and the time since the first.
    async fn decode(&mut self, prefill: Duration) -> Result<(String, Duration), Gone> {
        let begun = Instant::now();
        let mut text = String::new();
        let kind = self.answer.kind.clone();
        if self.stream {
            self.dialect.begin(&mut self.out, &kind, self.prompt);
        }
        let mut made = 0_usize;
        self.conn.cut_after_tokens(0)?;
        while let Some(piece) = self.answer.next_piece() {
            made += 1;
            self.lease.push(text::token(piece));
            self.counted.observed.add(Counter::TokensGenerated, 1);
            if self.stream {
                let prompt_n = self.prompt.tokens - self.prompt.cached_tokens;
                let cached = self.prompt.cached_tokens;
                let timings = self
                    .timings_per_token
                    .then(|| Timings::new(cached, prompt_n, prefill, made, begun.elapsed()));
                self.dialect.token(&mut self.out, &kind, piece, timings.as_ref());
                self.flush().await?;
            } else {
                text.push_str(piece);
            }
            self.conn.cut_after_tokens(made as u64)?;
            if !self.answer.is_over() {
                // From the first token's time on, not from the last one's: a late wake-up must not slow the rest.
                self.wait(begun + self.pace.token_interval * u32::try_from(made).unwrap_or(u32::MAX))
                    .await?;
            }
        }
        let decode = begun.elapsed();
        self.counted
            .observed
            .add(Counter::DecodeMicros, decode.as_micros() as u64);
        Ok((text, decode))
    }

    async fn finish(
        self,
        envelope: &Envelope<'_>,
        text: &str,
        prefill: Duration,
        decode: Duration,
    ) -> Result<(), Gone> {
        let Run {
            conn,
            answer,
            mut dialect,
            lease,
            mut counted,
            prompt,
            stream,
            mut out,
            ..
        } = self;
        let tokens = lease.task.decoded.load(Ordering::Relaxed) as usize;
        let prompt_n = prompt.tokens - prompt.cached_tokens;
        let timings = Timings::new(prompt.cached_tokens, prompt_n, prefill, tokens, decode);
        let outcome = Outcome {
            prompt,
            tokens,
            finish: answer.finish(),
            timings,
            slot: lease.slot,
        };
        drop(lease);
        counted.finish();
        if stream {
            dialect.end(&mut out, &outcome);
            conn.chunk(&out).await?;
            conn.end_stream(dialect.done()).await
        } else {
            let body = dialect.whole(&answer.kind, text, &outcome);
            conn.respond(&envelope.body_head, &body, false).await
        }
    }

    async fn progress(&mut self, processed: usize, time: Duration) -> Result<(), Gone> {
        if !(self.stream && self.report_progress) {
            return Ok(());
        }
        let time_ms = time.as_millis() as u64;
        let progress = Progress {
            total: self.prompt.tokens,
            cache: self.prompt.cached_tokens,
            processed,
            time_ms,
        };
        self.dialect.progress(&mut self.out, &progress);
        self.flush().await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        let sent = self.conn.chunk(&self.out).await;
        self.out.clear();
        match sent {
            Err(Gone) if self.outlives_client => {
                self.conn.mute();
                Ok(())
            }
            sent => sent,
        }
    }

    async fn wait(&mut self, until: Instant) -> Result<(), Gone> {
        match self.conn.wait(until, self.watch).await {
            Err(Gone) if self.outlives_client => {
                self.conn.mute();
                tokio::time::sleep_until(until).await;
                Ok(())
            }
            waited => waited,
        }
    }
}

/// Counts a generation as started, and at its end as finished or, if it never got there, cancelled.
struct Counted {
    observed: Arc<Observed>,
    finished: bool,
}

impl Counted {
    fn start(observed: &Arc<Observed>, prompt: Prompt) -> Self {
        observed.add(Counter::PromptTokensCached, prompt.cached_tokens as u64);
        observed.add(
            Counter::PromptTokensEvaluated,
            (prompt.tokens - prompt.cached_tokens) as u64,
        );
        observed.add(Counter::GenerationsStarted, 1);
        Self {
            observed: Arc::clone(observed),
            finished: false,
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.observed.add(Counter::GenerationsFinished, 1);
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        if !self.finished {
            self.observed.add(Counter::GenerationsCancelled, 1);
        }
    }
}
