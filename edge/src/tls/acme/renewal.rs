//! Keeps certificates coming: what is due is ordered, one after the other, and the rest is waited for.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use instant_acme::Account;
use tokio::sync::Notify;

use super::challenges::Challenges;
use super::issued::Issued;
use super::order::{self, Failed, FailedKind};
use super::settings::AcmeSettings;
use super::store::Store;
use super::wanted::Wanted;
use crate::tls::follow::Follower;
use crate::tls::tally::Tally;

/// Waits are cut into these: a machine that slept, or whose clock was set, is on time again soon.
const NAP_MAX: Duration = Duration::from_secs(3600);

/// One order, everything included.
const ORDER_MAX: Duration = Duration::from_secs(15 * 60);

pub(super) struct Renewal {
    settings: AcmeSettings,
    store: Store,
    challenges: Arc<Challenges>,
    /// Takes in what was stored.
    follower: Weak<Follower>,
    tally: Arc<Tally>,
    wanted: Vec<Wanted>,
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
        let ordered = tokio::time::timeout(ORDER_MAX, self.obtain(&self.wanted[index], account)).await;
        let ordered = ordered.unwrap_or_else(|_| Err(Failed::too_slow()));
        let now = SystemTime::now();
        let wanted = &mut self.wanted[index];
        match ordered {
            Ok(issued) => {
                self.tally.orders_complete.fetch_add(1, Ordering::Relaxed);
                wanted.has(issued, now);
                tracing::info!(names = wanted.names.join(" "), "a certificate was issued");
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

    async fn obtain(&self, wanted: &Wanted, account: &mut Option<Account>) -> Result<Issued, Failed> {
        let account = self.account(account).await?;
        let names = &wanted.names;
        let replaced = wanted.issued.as_ref().and_then(|issued| issued.id.clone());
        let ordered = order::place(&account, names, replaced, self.settings.challenge, &self.challenges).await?;
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
        wanted.not_suggested(now);
        let id = wanted.issued.as_ref().and_then(|issued| issued.id.as_ref());
        let (Some(account), Some(id)) = (account, id) else {
            return;
        };
        match account.renewal_info(id).await {
            Ok((info, again)) => wanted.suggested(&info, again, now),
            Err(error) => tracing::debug!(%error, "the authority suggests no time of renewal"),
        }
    }
}
