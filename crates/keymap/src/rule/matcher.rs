//! A matcher's name and arguments → [`Matcher`]: how many there are, and what each may be.

use http::header::HeaderName;
use zeroize::Zeroizing;

use super::RuleError;
use super::expression::{CredentialValue, Matcher};
use super::literals;
use super::name::Name;
use super::network::Network;
use super::pattern::Pattern;
use crate::credential::CredentialHeader;
use crate::key::KeyHash;

/// The rule broken and the fix; the parser adds where.
pub(super) struct Refusal {
    pub(super) rule: String,
    pub(super) fix: String,
    /// Whether the arguments may be keys, and must not be shown.
    secret: bool,
}

type Arguments = [Zeroizing<String>];

impl Refusal {
    fn new(rule: impl Into<String>, fix: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            fix: fix.into(),
            secret: false,
        }
    }

    /// The arguments of a matcher that nobody knows may be keys.
    pub(super) fn unknown_name(fix: String) -> Self {
        let unknown = Self::new("There is no matcher of this name; capitals count.", fix);
        Self {
            secret: true,
            ..unknown
        }
    }

    pub(super) fn at(self, offset: usize, name: &str, arguments: &Arguments) -> RuleError {
        let shown: Vec<_> = match self.secret {
            true => arguments.iter().map(|_| "…".to_owned()).collect(),
            false => arguments
                .iter()
                .map(|argument| format!("`{}`", cut(argument)))
                .collect(),
        };
        let value = format!("{}({})", cut(name), shown.join(", "));
        RuleError {
            offset,
            value,
            rule: self.rule,
            fix: self.fix,
        }
    }
}

/// A readable length for a message.
fn cut(text: &str) -> String {
    const CHARACTERS_MAX: usize = 60;
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

pub(super) fn build(name: Name, arguments: &Arguments) -> Result<Matcher, Refusal> {
    check_count(name, arguments)
        .and_then(|()| built(name, arguments))
        .map_err(|mut refusal| {
            refusal.secret = name.is_secret();
            refusal
        })
}

fn check_count(name: Name, arguments: &Arguments) -> Result<(), Refusal> {
    let counts = name.argument_counts();
    if !counts.contains(&arguments.len()) {
        let wanted = counts.iter().map(usize::to_string).collect::<Vec<_>>().join(" or ");
        let plural = if counts == [1] { "argument" } else { "arguments" };
        let rule = format!("This matcher takes {wanted} {plural}, not {}.", arguments.len());
        return Err(Refusal::new(rule, format!("Write {}.", name.usage())));
    }
    if arguments.iter().any(|argument| argument.is_empty()) {
        return Err(Refusal::new(
            "A matcher's argument is not empty.",
            format!("Write {}.", name.usage()),
        ));
    }
    Ok(())
}

fn built(name: Name, arguments: &Arguments) -> Result<Matcher, Refusal> {
    let first = arguments[0].as_str();
    let second = arguments.get(1).map(|argument| argument.as_str());
    Ok(match (name, second) {
        (Name::Header, Some(value)) => header(first, value)?,
        (Name::HeaderRegexp, Some(pattern)) => header_regexp(first, pattern)?,
        (Name::Query | Name::QueryRegexp, None) => Matcher::QueryIs {
            name: first.into(),
            value: "".into(),
        },
        (Name::Query, Some(value)) => Matcher::QueryIs {
            name: first.into(),
            value: value.into(),
        },
        (Name::QueryRegexp, Some(pattern)) => Matcher::QueryLike {
            name: first.into(),
            pattern: Pattern::compile(pattern)?,
        },
        (Name::Host, _) => host(first)?,
        (Name::HostRegexp, _) => Matcher::HostLike(Pattern::compile(ascii(first)?)?),
        (Name::Method, _) => Matcher::Method(first.to_ascii_uppercase().into()),
        (Name::Path, _) => Matcher::Path(rooted(first)?.into()),
        (Name::PathPrefix, _) => Matcher::PathPrefix(rooted(first)?.into()),
        (Name::PathRegexp, _) => Matcher::PathLike(Pattern::compile(first)?),
        (Name::ClientIp, _) => Matcher::ClientIp(network(first)?),
        (Name::Key, _) => Matcher::Key(key(first)?),
        (Name::KeySha256, _) => Matcher::Key(key_sha256(first)?),
        (Name::Model, _) => Matcher::Model(first.into()),
        (Name::Header | Name::HeaderRegexp, None) => unreachable!("the arguments were counted"),
    })
}

fn header(name: &str, value: &str) -> Result<Matcher, Refusal> {
    let name = header_name(name)?;
    Ok(match CredentialHeader::of(&name) {
        Some(header) => Matcher::CredentialIs {
            header,
            values: [CredentialValue::of(header, value.as_bytes())].into(),
        },
        None => Matcher::HeaderIs {
            name,
            value: value.into(),
        },
    })
}

/// A pattern that spells out whole values of a credential header is kept as hashes, like `Header`.
fn header_regexp(name: &str, pattern: &str) -> Result<Matcher, Refusal> {
    let name = header_name(name)?;
    let Some(header) = CredentialHeader::of(&name) else {
        return Ok(Matcher::HeaderLike {
            name,
            pattern: Pattern::compile(pattern)?,
        });
    };
    Ok(match literals::spelled_out(pattern)? {
        Some(values) => {
            let values = values.iter().map(|value| CredentialValue::of(header, value)).collect();
            Matcher::CredentialIs { header, values }
        }
        None => Matcher::CredentialLike {
            header,
            pattern: Pattern::compile(pattern)?,
        },
    })
}

fn header_name(name: &str) -> Result<HeaderName, Refusal> {
    let rule = "A header's name is made of letters, digits and !#$%&'*+-.^_`|~.";
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| Refusal::new(rule, "Write the bare name, without a colon."))
}

/// The request's host has no port, no trailing dot and no capitals; a pattern with a port therefore never matches.
fn host(host: &str) -> Result<Matcher, Refusal> {
    let host = ascii(host)?.to_ascii_lowercase();
    let bare = host.strip_suffix('.').unwrap_or(&host);
    Ok(Matcher::Host(without_brackets(bare).into()))
}

/// An IPv6 address without the brackets that a URL puts around it.
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn ascii(host: &str) -> Result<&str, Refusal> {
    let fix = "Write an international name in its `xn--…` form.";
    if host.is_ascii() {
        Ok(host)
    } else {
        Err(Refusal::new("A host is written in ASCII.", fix))
    }
}

fn rooted(path: &str) -> Result<&str, Refusal> {
    let fix = "Put a / before it; a pattern goes into PathRegexp.";
    if path.starts_with('/') {
        Ok(path)
    } else {
        Err(Refusal::new("A path begins with /.", fix))
    }
}

fn network(text: &str) -> Result<Network, Refusal> {
    let rule = "A client is an IP address, or a network as address/length.";
    Network::parse(text)
        .ok_or_else(|| Refusal::new(rule, "Write for example 192.0.2.7, 192.0.2.0/24 or 2001:db8::/32."))
}

fn key(key: &str) -> Result<KeyHash, Refusal> {
    let scheme = CredentialHeader::Authorization.split(key.as_bytes()).0;
    if !scheme.is_empty() {
        return Err(Refusal::new(
            "Key takes the key alone, without a scheme.",
            "Take `Bearer` out.",
        ));
    }
    if key.trim_matches([' ', '\t']).len() != key.len() {
        let rule = "A key neither begins nor ends with a blank: HTTP takes blanks off.";
        return Err(Refusal::new(rule, "Take the blanks out."));
    }
    Ok(KeyHash::of(key.as_bytes()))
}

fn key_sha256(hex: &str) -> Result<KeyHash, Refusal> {
    let fix = "Write the key's hash as `printf %s \"$KEY\" | sha256sum` prints it, or use Key with the key itself.";
    KeyHash::from_hex(hex).ok_or_else(|| Refusal::new("A SHA-256 is 64 hexadecimal digits.", fix))
}

impl From<super::pattern::PatternError> for Refusal {
    fn from(error: super::pattern::PatternError) -> Self {
        Self::new(
            format!(
                "A regular expression must be valid in Go's syntax (RE2): {}.",
                error.reason
            ),
            error.fix,
        )
    }
}
