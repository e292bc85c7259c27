//! One order, from the account to the certificate. What went wrong is said with the step it went wrong in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error, ExternalAccountKey,
    Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use zeroize::Zeroizing;

use super::challenges::{Challenges, Open};
use super::directory::Directory;
use super::settings::{AcmeSettings, ChallengeKind};
use super::store::Store;
use crate::tls::fault::TlsFault;

/// An authority looks from several places, one after the other.
const LOOKS_MAX: Duration = Duration::from_secs(180);

const POLLS: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(LOOKS_MAX);

/// What the authority calls an account that it does not know.
const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";
const RATE_LIMITED: &str = "urn:ietf:params:acme:error:rateLimited";

/// What an authority says, in a log line.
const DETAIL_CHARACTERS_MAX: usize = 500;

/// Why there is no certificate.
#[derive(Debug)]
pub(super) struct Failed {
    step: &'static str,
    cause: String,
    fix: &'static str,
    pub(super) kind: FailedKind,
}

/// What is done about it, beside trying again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailedKind {
    Other,
    UnknownAccount,
    RateLimited,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}. {}", self.step, self.cause, self.fix)
    }
}

impl Failed {
    fn at(step: &'static str, fix: &'static str) -> impl FnOnce(Error) -> Self {
        move |error| Self {
            kind: match &error {
                Error::Api(problem) => match problem.r#type.as_deref() {
                    Some(UNKNOWN_ACCOUNT) => FailedKind::UnknownAccount,
                    Some(RATE_LIMITED) => FailedKind::RateLimited,
                    _ => FailedKind::Other,
                },
                _ => FailedKind::Other,
            },
            cause: described(&error),
            step,
            fix,
        }
    }

    pub(super) fn too_slow() -> Self {
        Self::because(
            "ordering",
            "the authority took longer than a quarter of an hour",
            "It is tried again.",
        )
    }

    fn because(step: &'static str, cause: impl fmt::Display, fix: &'static str) -> Self {
        Self {
            step,
            cause: plain(&cause.to_string()),
            fix,
            kind: FailedKind::Other,
        }
    }
}

impl From<TlsFault> for Failed {
    fn from(fault: TlsFault) -> Self {
        Self::because("on this side", fault, "")
    }
}

/// A private key and the chain of the certificate for it, in PEM.
pub(super) struct Ordered {
    pub(super) key: Zeroizing<String>,
    pub(super) chain: String,
}

/// The account that the folder holds, else a new one.
pub(super) async fn account(settings: &AcmeSettings, store: &Store) -> Result<Account, Failed> {
    const REACH: &str = "Check --acme-directory, the way out, and --acme-ca where the authority is your own.";
    let directory = Directory::new(settings.directory_ca.as_deref())?;
    let builder = Account::builder_with_http(Box::new(directory));
    if let Some(text) = store.account()? {
        let credentials: AccountCredentials = serde_json::from_slice(&text).map_err(|_| {
            let file = store.account_file();
            let fix = "Move the file away: another account is then made.";
            Failed::because("reading the account", format!("{} is damaged", file.display()), fix)
        })?;
        let known = builder.from_credentials(credentials).await;
        return known.map_err(Failed::at("reaching the authority", REACH));
    }
    let contacts: Vec<_> = settings.contacts.iter().map(|mail| format!("mailto:{mail}")).collect();
    let contacts: Vec<_> = contacts.iter().map(String::as_str).collect();
    let wanted = NewAccount {
        contact: &contacts,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let external = settings.external_account.as_ref();
    let external = external.map(|account| ExternalAccountKey::new(account.id.clone(), &account.key));
    let made = builder
        .create(&wanted, settings.directory.clone(), external.as_ref())
        .await;
    let (account, credentials) = made.map_err(Failed::at("making an account", REACH))?;
    let text = serde_json::to_vec(&credentials).map(Zeroizing::new);
    let text = text.map_err(|error| Failed::because("keeping the account", error, ""))?;
    store.keep_account(&text)?;
    tracing::info!(directory = settings.directory, "an account with the authority was made");
    Ok(account)
}

/// For a refused order, and for one that nothing came of.
const ORDER: &str = "Check that the authority issues for these names.";

/// Proves every name and takes what is issued.
pub(super) async fn place(
    account: &Account,
    names: &[String],
    replaced: Option<CertificateIdentifier<'_>>,
    kind: ChallengeKind,
    challenges: &Arc<Challenges>,
) -> Result<Ordered, Failed> {
    let mut order = new_order(account, names, replaced).await?;
    let open = prove(&mut order, kind, challenges).await?;
    let looked = order.poll_ready(&POLLS).await;
    let is_ready = matches!(looked, Ok(OrderStatus::Ready | OrderStatus::Valid));
    drop(open);
    if !is_ready {
        return Err(not_proven(&mut order, kind, looked.err()).await);
    }
    let key = order.finalize().await.map(Zeroizing::new);
    let key = key.map_err(Failed::at("asking for the certificate", ORDER))?;
    let chain = order.poll_certificate(&POLLS).await;
    let chain = chain.map_err(Failed::at("fetching the certificate", "It is tried again."))?;
    Ok(Ordered { key, chain })
}

/// Says what is replaced to authorities that want to know, for they spare such orders some of their limits (RFC 9773, 5).
/// Where they do not agree, as to what another account ordered, it is an order as any other.
async fn new_order(
    account: &Account,
    names: &[String],
    replaced: Option<CertificateIdentifier<'_>>,
) -> Result<Order, Failed> {
    let identifiers: Vec<_> = names.iter().cloned().map(Identifier::Dns).collect();
    let refused = |error| Failed::at("placing the order", ORDER)(error);
    if let Some(replaced) = replaced {
        let order = NewOrder::new(&identifiers).replaces(replaced);
        match account.new_order(&order).await.map_err(refused) {
            Err(failed) if failed.kind == FailedKind::Other => {
                tracing::debug!("what the order replaces was not agreed on: {failed}");
            }
            known => return known,
        }
    }
    account.new_order(&NewOrder::new(&identifiers)).await.map_err(refused)
}

/// Answers for every name that was not proven lately, for as long as what is returned lives.
async fn prove(order: &mut Order, kind: ChallengeKind, challenges: &Arc<Challenges>) -> Result<Vec<Open>, Failed> {
    const STEP: &str = "proving a name";
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(next) = authorizations.next().await {
        let mut authorization = next.map_err(Failed::at(STEP, "It is tried again."))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let wanted = match kind {
            ChallengeKind::Http01 => ChallengeType::Http01,
            ChallengeKind::TlsAlpn01 => ChallengeType::TlsAlpn01,
        };
        let Some(mut challenge) = authorization.challenge(wanted) else {
            let cause = format!("the authority does not offer {kind}");
            return Err(Failed::because(STEP, cause, "Choose the other with --acme-challenge."));
        };
        let name = challenge.identifier().to_string();
        let proof = challenge.key_authorization();
        let digest = proof.digest();
        open.push(challenges.open(kind, &name, &challenge.token, proof.as_str(), digest.as_ref())?);
        let told = challenge.set_ready().await;
        told.map_err(Failed::at(STEP, "It is tried again."))?;
    }
    Ok(open)
}

/// What the authority found when it looked, which is with the names and not with the order.
async fn not_proven(order: &mut Order, kind: ChallengeKind, error: Option<Error>) -> Failed {
    let mut found = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        let problems = state.challenges.iter().filter_map(|challenge| challenge.error.as_ref());
        let details: Vec<_> = problems.filter_map(|problem| problem.detail.clone()).collect();
        if !details.is_empty() {
            found.push(format!("{}: {}", state.identifier(), details.join("; ")));
        }
    }
    let cause = match (found.is_empty(), &error) {
        (false, _) => found.join("; "),
        (true, Some(error)) => described(error),
        (true, None) => "the authority did not say why".to_owned(),
    };
    Failed::because(
        "proving a name",
        cause,
        match kind {
            ChallengeKind::Http01 => "Port 80 of each name must lead to an address of --listen or --redirect-listen.",
            ChallengeKind::TlsAlpn01 => {
                "Port 443 of each name must lead to an address of --tls-listen, with nothing \
                                         between that ends TLS."
            }
        },
    )
}

/// With what is behind it: an error of the network says little by itself.
fn described(error: &Error) -> String {
    let mut text = match error {
        Error::Api(problem) => problem.detail.clone().unwrap_or_else(|| error.to_string()),
        error => error.to_string(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    plain(&text)
}

/// What comes from outside, in one line of bounded length.
pub(super) fn plain(text: &str) -> String {
    let text: String = text
        .chars()
        .take(DETAIL_CHARACTERS_MAX)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    text.trim_end_matches('.').to_owned()
}
