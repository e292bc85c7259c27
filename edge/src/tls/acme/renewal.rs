//! Keeps certificates coming: what is due is ordered, one after the other, and the rest is waited for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use instant_acme::Account;
use tokio::sync::Notify;

use super::challenges::Challenges;
use super::issued::Issued;
use super::order::{self, Failed, FailedKind};
use super::schedule::{back_off, jitter};
use super::settings::AcmeSettings;
use super::store::Store;
use crate::tls::follow::Follower;
use crate::tls::tally::Tally;

/// Waits are cut into these: a machine that slept, or whose clock was set, is on time again soon.
const NAP_MAX: Duration = Duration::from_secs(3600);

/// Between two orders of one certificate, whatever the authority issues.
const APART_MIN: Duration = Duration::from_secs(10);

/// One order, everything included.
const ORDER_MAX: Duration = Duration::from_secs(15 * 60);

/// How often an authority is asked when to renew, whatever it says.
const ASK_MIN: Duration = Duration::from_secs(3600);
const ASK_MAX: Duration = Duration::from_secs(24 * 3600);

pub(super) struct Renewal {
    settings: AcmeSettings,
    store: Store,
    challenges: Arc<Challenges>,
    /// Takes in what was stored.
    follower: Weak<Follower>,
    tally: Arc<Tally>,
    wanted: Vec<Wanted>,
}

/// One certificate, and when something is done about it.
struct Wanted {
    names: Vec<String>,
    /// `None`: there is none.
    issued: Option<Issued>,
    due: SystemTime,
    /// When the authority is next asked for a better time.
    asks: SystemTime,
    failures: u32,
    /// From 0 to 1: where in its time this one is renewed.
    jitter: f64,
}

impl Renewal {
    pub(super) fn new(
        settings: AcmeSettings,
        store: Store,
        challenges: Arc<Challenges>,
        follower: Weak<Follower>,
        tally: Arc<Tally>,
    ) -> Self {
        let now = SystemTime::now();
        let wanted = settings
            .certificates
            .iter()
            .map(|names| Wanted::new(names, &store, now));
        Self {
            wanted: wanted.collect(),
            settings,
            store,
            challenges,
            follower,
            tally,
        }
    }

    pub(super) async fn run(mut self, hastened: &Notify) {
        loop {
            self.round().await;
            let now = SystemTime::now();
            let next = self.wanted.iter().map(|wanted| wanted.due.min(wanted.asks)).min();
            let nap = next.and_then(|next| next.duration_since(now).ok()).unwrap_or_default();
            tokio::select! {
                () = tokio::time::sleep(nap.clamp(Duration::from_secs(1), NAP_MAX)) => {}
                () = hastened.notified() => self.wanted.iter_mut().for_each(|wanted| wanted.hasten(now)),
            }
        }
    }

    /// All that is due now.
    async fn round(&mut self) {
        let now = SystemTime::now();
        let mut account = None;
        for index in 0..self.wanted.len() {
            if self.wanted[index].asks <= now {
                self.ask(index, &mut account).await;
            }
            if self.wanted[index].due <= now {
                self.order(index, &mut account).await;
            }
        }
    }

    async fn order(&mut self, index: usize, account: &mut Option<Account>) {
        let names = self.wanted[index].names.clone();
        let ordered = tokio::time::timeout(ORDER_MAX, self.obtain(&names, account)).await;
        let ordered = ordered.unwrap_or_else(|_| Err(Failed::too_slow()));
        let now = SystemTime::now();
        let wanted = &mut self.wanted[index];
        match ordered {
            Ok(issued) => {
                self.tally.orders_complete.fetch_add(1, Ordering::Relaxed);
                wanted.has(issued, now);
                tracing::info!(names = names.join(" "), "a certificate was issued");
                if let Some(follower) = self.follower.upgrade() {
                    follower.look_now();
                }
            }
            Err(failed) => {
                self.tally.orders_failed.fetch_add(1, Ordering::Relaxed);
                wanted.failed(&failed, now);
                if failed.kind == FailedKind::UnknownAccount {
                    self.store.set_account_aside();
                    *account = None;
                }
            }
        }
    }

    async fn obtain(&self, names: &[String], account: &mut Option<Account>) -> Result<Issued, Failed> {
        let account = self.account(account).await?;
        let ordered = order::place(&account, names, self.settings.challenge, &self.challenges).await?;
        Ok(self.store.keep(names, &ordered.key, &ordered.chain)?)
    }

    /// One a round: what the authority offers is read anew for each.
    async fn account(&self, account: &mut Option<Account>) -> Result<Account, Failed> {
        match account {
            Some(account) => Ok(account.clone()),
            None => Ok(account
                .insert(order::account(&self.settings, &self.store).await?)
                .clone()),
        }
    }

    /// When the authority would have it renewed (RFC 9773), where it says so: after a mishap of its own it wants
    /// certificates back early.
    async fn ask(&mut self, index: usize, account: &mut Option<Account>) {
        let account = self.account(account).await.ok();
        let now = SystemTime::now();
        let wanted = &mut self.wanted[index];
        wanted.asks = now + ASK_MAX;
        let (Some(account), Some(issued)) = (account, &wanted.issued) else {
            return;
        };
        let Some(id) = &issued.id else {
            return;
        };
        match account.renewal_info(id).await {
            Ok((info, again)) => {
                let window = info.suggested_window;
                let window = (SystemTime::from(window.start), SystemTime::from(window.end));
                wanted.due = issued.life.suggested(window, wanted.jitter);
                wanted.asks = now + again.clamp(ASK_MIN, ASK_MAX);
            }
            Err(error) => tracing::debug!(%error, "the authority suggests no time of renewal"),
        }
    }
}

impl Wanted {
    fn new(names: &[String], store: &Store, now: SystemTime) -> Self {
        let issued = store.issued(names).unwrap_or_else(|fault| {
            tracing::error!("another certificate is ordered, for the one that is there cannot be used: {fault}");
            None
        });
        let mut wanted = Self {
            names: names.to_vec(),
            issued: None,
            due: now,
            asks: now + ASK_MAX,
            failures: 0,
            jitter: jitter(),
        };
        if let Some(issued) = issued {
            wanted.due = issued.life.renewal(wanted.jitter);
            wanted.asks = now;
            wanted.issued = Some(issued);
        }
        wanted
    }

    fn has(&mut self, issued: Issued, now: SystemTime) {
        self.jitter = jitter();
        self.due = issued.life.renewal(self.jitter).max(now + APART_MIN);
        self.asks = now + ASK_MIN;
        self.failures = 0;
        self.issued = Some(issued);
    }

    fn failed(&mut self, failed: &Failed, now: SystemTime) {
        self.failures = self.failures.saturating_add(1);
        let wait = back_off(self.failures, failed.kind == FailedKind::RateLimited, jitter());
        self.due = now + wait;
        let left = self
            .issued
            .as_ref()
            .and_then(|issued| issued.life.end.duration_since(now).ok());
        let consequence = match left {
            Some(left) => format!("the one there is ends in {} hours", left.as_secs() / 3600),
            None => "clients that ask for it are turned away".to_owned(),
        };
        tracing::error!(
            names = self.names.join(" "),
            again_in_seconds = wait.as_secs(),
            "a certificate was not issued ({consequence}): {failed}"
        );
    }

    /// What failed is tried now; what is valid and not due stays as it is.
    fn hasten(&mut self, now: SystemTime) {
        if self.failures > 0 {
            self.due = now;
        }
    }
}
