//! The thread: signs and the clock in, snapshots out.
//!
//! One turn does what is due and no more: names that were touched, a slice of a survey, files to look at once more. So
//! nothing that takes long (a survey of 100,000 files) is in the way of what must be quick (one new file).

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use notify::RecommendedWatcher;

use super::events::{Identity, Sign, Signals, arm};
use super::folder::{Change, Folder};
use super::pending::Pending;
use super::survey::{Survey, list};
use super::{Snapshot, WatchOptions, log};
use crate::load::{TIMESTAMP_GRAIN, problem};
use document::{Position, Problem};

pub(super) type Reaction = Box<dyn Fn(&Arc<Snapshot>) + Send>;

/// How often the folder's identity is asked for: one stat, and the only way to hear of a link that was swapped.
const GLANCE_EVERY: Duration = Duration::from_millis(100);

/// A survey may take this part of one core: one twentieth.
const SURVEY_REST: u32 = 20;

/// One that was asked for comes sooner, but a flood of requests must not keep the thread at it.
const ASKED_SURVEY_REST: u32 = 4;

/// Files to look at once more in one turn.
const FRESH_PER_TURN: usize = 256;

pub(super) struct Follower {
    path: PathBuf,
    poll_interval: Duration,
    signals: Arc<Signals>,
    signs: Receiver<Sign>,
    reactions: Arc<Mutex<Vec<Reaction>>>,
    snapshot: Arc<ArcSwap<Snapshot>>,
    folder: Folder,
    /// `None`: it could not be armed, and the survey does it alone.
    watcher: Option<RecommendedWatcher>,
    /// Of the folder that is watched; `None` while there is none.
    identity: Option<Identity>,
    pending: Pending,
    survey: Option<Survey>,
    /// What the survey has found to look at so far.
    differing: Vec<Arc<str>>,
    fresh: VecDeque<(Instant, Arc<str>)>,
    next_glance: Instant,
    next_survey: Instant,
    next_asked_survey: Instant,
}

impl Follower {
    /// Loads the folder.
    pub(super) fn start(
        path: &Path,
        options: WatchOptions,
        signals: Arc<Signals>,
        signs: Receiver<Sign>,
        reactions: Arc<Mutex<Vec<Reaction>>>,
    ) -> Self {
        let now = Instant::now();
        let mut folder = Folder::new(path, options.entry_points);
        let mut follower = Self {
            path: path.to_owned(),
            poll_interval: options.poll_interval,
            signals,
            signs,
            reactions,
            snapshot: Arc::new(ArcSwap::from_pointee(folder.snapshot())),
            folder,
            watcher: None,
            identity: None,
            pending: Pending::default(),
            survey: None,
            differing: Vec::new(),
            fresh: VecDeque::new(),
            next_glance: now,
            next_survey: now,
            next_asked_survey: now,
        };
        // Watched first, so that what changes during the load is not missed.
        follower.glance(now);
        if follower.identity.is_some() {
            match list(path) {
                Ok(seen) => {
                    let change = follower.folder.fill(seen);
                    follower.publish(change, now);
                }
                Err(error) => follower.trouble(&error),
            }
        }
        follower
    }

    pub(super) fn snapshot(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.snapshot)
    }

    /// Until it is told to stop.
    pub(super) fn run(mut self) {
        while !self.signals.stop.load(Ordering::Acquire) {
            for sign in self.gather() {
                self.note(sign);
            }
            self.turn();
        }
    }

    /// The signs that came until something is due.
    fn gather(&self) -> Vec<Sign> {
        let due = [
            Some(self.next_glance),
            self.pending.next(),
            self.fresh.front().map(|(at, _)| *at),
        ];
        let due = due.into_iter().flatten().min().unwrap_or(self.next_glance);
        let wait = if self.survey.is_some() {
            Duration::ZERO
        } else {
            due.saturating_duration_since(Instant::now())
        };
        let Ok(first) = self.signs.recv_timeout(wait) else {
            return Vec::new();
        };
        std::iter::once(first)
            .chain(self.signs.try_iter().take(super::events::SIGNS_MAX))
            .collect()
    }

    fn note(&mut self, sign: Sign) {
        match sign {
            Sign::Touched { name, settled } => self.pending.touch(name, settled, Instant::now()),
            Sign::Unclear => self.signals.rescan.store(true, Ordering::Release),
            Sign::FolderMoved => {
                self.identity = None;
                self.next_glance = Instant::now();
            }
            Sign::Wake => {}
        }
    }

    fn turn(&mut self) {
        let now = Instant::now();
        let due = self.pending.take_due(now);
        if now >= self.next_glance || !due.is_empty() {
            self.glance(now);
        }
        self.look(due, now);
        self.look_at_fresh(now);
        self.go_on_surveying(now);
    }

    /// Whether the path still leads to the folder that is watched.
    fn glance(&mut self, now: Instant) {
        self.next_glance = now + GLANCE_EVERY;
        match Identity::of(&self.path) {
            Ok(identity) if self.identity.as_ref() == Some(&identity) => {}
            Ok(identity) => {
                self.watcher = arm(&self.path, &self.signals)
                    .inspect_err(|error| log::not_armed(&self.path, error))
                    .ok();
                self.identity = Some(identity);
                self.survey = None;
                self.signals.rescan.store(true, Ordering::Release);
            }
            Err(error) => {
                self.watcher = None;
                self.identity = None;
                self.survey = None;
                self.trouble(&error);
            }
        }
    }

    fn look(&mut self, names: Vec<Arc<str>>, now: Instant) {
        // Without a folder no file is there, and none is gone. Its return is surveyed.
        if names.is_empty() || self.identity.is_none() {
            return;
        }
        let (path, identity) = (&self.path, &self.identity);
        let change = self.folder.look(names, || Identity::of(path).ok() == *identity);
        self.publish(change, now);
    }

    fn look_at_fresh(&mut self, now: Instant) {
        let due = self
            .fresh
            .iter()
            .take(FRESH_PER_TURN)
            .take_while(|(at, _)| *at <= now)
            .count();
        let names: Vec<_> = self
            .fresh
            .drain(..due)
            .map(|(_, name)| name)
            .filter(|name| !self.pending.holds(name))
            .collect();
        self.look(names, now);
    }

    /// Begins a survey where one is due, and goes on with the one under way.
    fn go_on_surveying(&mut self, now: Instant) {
        if self.survey.is_none() && self.identity.is_some() {
            let asked = now >= self.next_asked_survey && self.signals.rescan.swap(false, Ordering::AcqRel);
            if asked || now >= self.next_survey {
                self.survey = Survey::begin(&self.path).inspect_err(|error| self.trouble(error)).ok();
                self.folder.begin_survey();
                self.differing.clear();
            }
        }
        let Some(survey) = &mut self.survey else { return };
        match survey.step() {
            Ok(seen) => self.differing.append(&mut self.folder.differing(seen)),
            Err(error) => {
                self.survey = None;
                return self.trouble(&error);
            }
        }
        if survey.ended {
            let cost = survey.cost;
            self.end_survey(cost);
        }
    }

    fn end_survey(&mut self, cost: Duration) {
        let now = Instant::now();
        self.survey = None;
        self.next_survey = now + self.poll_interval.max(cost * SURVEY_REST);
        self.next_asked_survey = now + cost * ASKED_SURVEY_REST;
        let mended = self.folder.set_problem(None);
        let mut names = std::mem::take(&mut self.differing);
        names.append(&mut self.folder.unlisted());
        // What is being written is looked at when its writer is done.
        names.retain(|name| !self.pending.holds(name));
        self.look(names, now);
        if mended {
            self.show(&Change::default(), now);
        }
    }

    /// The folder cannot be listed: all that is loaded stays, and that is said once.
    fn trouble(&mut self, error: &io::Error) {
        let now = Instant::now();
        self.next_survey = now + self.poll_interval;
        if self.folder.set_problem(Some(folder_problem(&self.path, error))) {
            self.show(&Change::default(), now);
        }
    }

    fn publish(&mut self, change: Change, began: Instant) {
        let again = Instant::now() + TIMESTAMP_GRAIN;
        self.fresh
            .extend(change.fresh.iter().map(|name| (again, Arc::clone(name))));
        for (name, at) in &change.later {
            self.pending.look_again(Arc::clone(name), *at);
        }
        if !change.is_none() {
            self.show(&change, began);
        }
    }

    fn show(&mut self, change: &Change, began: Instant) {
        let snapshot = Arc::new(self.folder.snapshot());
        let before = self.snapshot.swap(Arc::clone(&snapshot));
        log::changed(&self.path, change, &before, &snapshot, began.elapsed());
        for react in self.reactions.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            react(&snapshot);
        }
    }
}

fn folder_problem(path: &Path, error: &io::Error) -> Problem {
    let rule = format!("The mapping folder cannot be listed: {error}.");
    let fix = match custody::fix(error) {
        Some(fix) => format!("{fix}. Until then what was loaded last is served."),
        None => "Bring it back, or let this user read it; until then what was loaded last is served.".to_owned(),
    };
    problem(path, Position::default(), &rule, &fix)
}
