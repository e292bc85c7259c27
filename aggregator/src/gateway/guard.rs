//! Who may ask a model: everybody, or whoever has a key that some router of the mapping files knows.
//!
//! It asks the same table as the edge, and only whether the key is known and its router sound: what a key is limited to
//! is the edge's to enforce. Closed, not open: a key that the edge would refuse for a broken mapping is refused here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::http::request::Parts;
use dialect::{Failure, FailureKind};
use keymap::{Credential, Decision, KeyHash, Model, Table};

use super::refusal::Refusal;
use crate::config_file::InferenceAuth;

/// The keys as of now.
type Keys = Arc<dyn Fn() -> Arc<Table> + Send + Sync>;

/// Who asks; signatures that were given to one are not given to another.
pub(super) type Caller = u64;

/// Marks a request whose sender was admitted elsewhere: by the admin token. No client can send an extension.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Admitted;

/// Whoever has no key.
const NOBODY: Caller = 0;

pub(crate) struct Guard {
    auth: InferenceAuth,
    keys: Keys,
}

impl Guard {
    pub(crate) fn new(auth: InferenceAuth, keys: Keys) -> Self {
        Self { auth, keys }
    }

    /// # Errors
    /// Where a key is demanded and there is none that is known.
    pub(super) fn admit(&self, head: &Parts) -> Result<Caller, Refusal> {
        let credential = Credential::from_headers(&head.headers);
        if self.auth == InferenceAuth::None || head.extensions.get::<Admitted>().is_some() {
            let found = credential.ok().flatten();
            return Ok(found.map_or(NOBODY, |found| caller(&found.hash)));
        }
        let credential = credential.map_err(|_| conflict())?.ok_or_else(unknown)?;
        match self.decide(head, &credential) {
            Decision::Forward(_) | Decision::NeedsModel | Decision::NoRouter => Ok(caller(&credential.hash)),
            Decision::UnknownKey | Decision::Keyless => Err(unknown()),
            Decision::Broken(_) | Decision::FileBroken => Err(broken()),
        }
    }

    /// By which name the mapping files know who asks.
    pub(super) fn name(&self, head: &Parts) -> Option<Arc<str>> {
        let credential = Credential::from_headers(&head.headers).ok().flatten()?;
        match self.decide(head, &credential) {
            Decision::Forward(route) => Some(route.router.name.clone()),
            _ => None,
        }
    }

    fn decide(&self, head: &Parts, credential: &Credential<'_>) -> Decision {
        (self.keys)().decide(&keymap::Request {
            credential: Some(credential),
            method: head.method.as_str(),
            host: "",
            path: head.uri.path(),
            query: None,
            headers: &head.headers,
            // Whose address it is, is the edge's to judge: here a rule on it only makes a known key match nothing.
            client_ip: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            entry_point: None,
            model: Model::Unread,
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard")
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

fn caller(hash: &KeyHash) -> Caller {
    let [a, b, c, d, e, f, g, h, ..] = *hash.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn unknown() -> Refusal {
    let message = "This needs an API key that the mapping files know, in Authorization (Bearer), x-api-key, api-key or \
                   x-goog-api-key.";
    Refusal::new(Failure::new(FailureKind::Authentication, message)).coded("invalid_api_key")
}

fn conflict() -> Refusal {
    let message = "The request brings two different keys; send one.";
    Refusal::new(Failure::new(FailureKind::InvalidRequest, message)).coded("two_credentials")
}

fn broken() -> Refusal {
    let message = "The mapping of this key has a mistake; whoever runs this gateway can mend it.";
    Refusal::new(Failure::new(FailureKind::Overloaded, message)).coded("broken_mapping")
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Request;
    use keymap::Compiler;

    /// The keys of this mapping file.
    fn keys(text: &str) -> Keys {
        let (mapping, problems) = keymap::check(std::path::Path::new("a.yml"), text);
        let mapping = mapping.unwrap_or_else(|| panic!("{problems:#?}"));
        let mut compiler = Compiler::new(None);
        compiler.set("a.yml", Some(Arc::new(mapping)));
        let (table, _) = compiler.table();
        Arc::new(move || Arc::clone(&table))
    }

    #[test]
    fn a_known_key_is_admitted_and_a_broken_router_s_is_not() {
        let text = "http:\n  routers:\n    a: {rule: \"Key(`one`)\", service: s}\n    b: {rule: \"Key(`two`) && Path(`/other`)\", \
                    service: s}\n    c: {rule: \"Key(`three`)\", service: nobody}\n    d: {rule: \"PathPrefix(`/`)\", service: s}\n  \
                    services:\n    s: {loadBalancer: {servers: [{url: \"http://127.0.0.1:1\"}]}}\n";
        let guard = Guard::new(InferenceAuth::Keys, keys(text));
        for (headers, expected) in [
            (&[("authorization", "Bearer one")][..], Ok(())),
            (&[("x-goog-api-key", "one")], Ok(())),
            (&[("authorization", "Bearer two")], Ok(())),
            (&[("authorization", "Bearer three")], Err("broken_mapping")),
            (&[("authorization", "Bearer four")], Err("invalid_api_key")),
            (&[], Err("invalid_api_key")),
            (
                &[("authorization", "Bearer one"), ("x-api-key", "two")],
                Err("two_credentials"),
            ),
        ] {
            let request = headers
                .iter()
                .fold(Request::post("/v1/chat/completions"), |request, (name, value)| {
                    request.header(*name, *value)
                });
            let (head, ()) = request.body(()).unwrap().into_parts();
            let found = guard
                .admit(&head)
                .map(|_| ())
                .map_err(|refusal| refusal.code().unwrap_or_default());
            assert_eq!(found, expected, "{headers:?}");
        }
    }
}
