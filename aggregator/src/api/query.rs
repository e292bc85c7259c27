//! The query of an admin request: every parameter known, read once, in its form; else a 400 that says which.
//!
//! A parameter that is not understood is never passed over: of a `DELETE` it may have been what kept everything else.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;

use super::time::{self, When};
use crate::error::ApiError;
use crate::store::{Filter, Span, Status};

const LIMIT_DEFAULT: usize = 50;
const LIMIT_MAX: usize = 1_000;
/// A model's name or some words; longer ones are mistakes.
const VALUE_BYTES_MAX: usize = 4096;
const CURSOR: &str = "the `next_cursor` of the page before";

/// What is wrong with a query. It quotes the names of parameters alone, and those only where they look like names.
#[derive(Debug)]
pub(crate) enum BadQuery {
    Unreadable,
    Unknown(String),
    Repeated(String),
    Value { name: &'static str, wanted: &'static str },
}

impl BadQuery {
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unreadable => "The query cannot be read: it must be percent-encoded UTF-8.".to_owned(),
            Self::Unknown(name) => format!("{} is no parameter of this endpoint.", shown(name)),
            Self::Repeated(name) => format!("{} is given more than once.", shown(name)),
            Self::Value { name, wanted } => format!("`{name}` takes {wanted}."),
        }
    }
}

fn shown(name: &str) -> String {
    let is_name = name.len() <= 40 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    match is_name && !name.is_empty() {
        true => format!("`{name}`"),
        false => "A name in the query".to_owned(),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// An exchange a line, whole.
    JsonLines,
    /// A conversation a line, for fine-tuning.
    Chat,
}

/// What is left of a query while it is read.
pub(crate) struct Query(Vec<(String, String)>);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = ApiError;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Self::of(&head.uri)
    }
}

impl Query {
    pub(crate) fn of(uri: &Uri) -> Result<Self, ApiError> {
        // Percent-decoded, in order, repeated ones too.
        let pairs = axum::extract::Query::try_from_uri(uri);
        let axum::extract::Query(pairs) = pairs.map_err(|_| ApiError::BadQuery(BadQuery::Unreadable))?;
        Self::of_pairs(pairs)
    }

    pub(crate) fn of_pairs(pairs: Vec<(String, String)>) -> Result<Self, ApiError> {
        for (index, (name, _)) in pairs.iter().enumerate() {
            if pairs[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(ApiError::BadQuery(BadQuery::Repeated(name.clone())));
            }
        }
        Ok(Self(pairs))
    }

    /// What `read` makes of it, which must take all there is.
    pub(crate) fn whole<T>(mut self, read: impl FnOnce(&mut Self) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let read = read(&mut self)?;
        match self.0.into_iter().next() {
            None => Ok(read),
            Some((name, _)) => Err(ApiError::BadQuery(BadQuery::Unknown(name))),
        }
    }

    /// All that lists are filtered by.
    pub(crate) fn filter(&mut self) -> Result<Filter, ApiError> {
        let tokens = "a whole number of tokens";
        let duration = "a number of milliseconds";
        let status = "`complete`, `client_gone`, `upstream_failed` or `interrupted`";
        Ok(Filter {
            key: self.text("key")?,
            model: self.text("model")?,
            backend: self.text("backend")?,
            status: self.parsed("status", status, Status::from_name)?,
            parent: self.parsed("parent", "an exchange's id", |text| text.parse().ok())?,
            started_us: self.started()?,
            tokens: Span {
                from: self.parsed("min_tokens", tokens, |text| text.parse().ok())?,
                to: self.parsed("max_tokens", tokens, |text| text.parse().ok())?,
            },
            duration_us: Span {
                from: self.parsed("min_duration_ms", duration, microseconds)?,
                to: self.parsed("max_duration_ms", duration, microseconds)?,
            },
            text: self.text("text")?,
        })
    }

    /// From a moment on and before another; a `to` that is a day includes it.
    fn started(&mut self) -> Result<Span<i64>, ApiError> {
        let end = |when: When| if when.is_day { when.us + time::DAY_US } else { when.us };
        Ok(Span {
            from: self.when("from")?.map(|when| when.us),
            to: self.when("to")?.map(end),
        })
    }

    fn when(&mut self, name: &'static str) -> Result<Option<When>, ApiError> {
        let wanted = "a time such as `2026-11-22T10:00:00Z`, or a day such as `2026-11-22`";
        self.parsed(name, wanted, time::parse)
    }

    /// The UTC day of a time, as days since 1970.
    pub(crate) fn day(&mut self, name: &'static str) -> Result<Option<i64>, ApiError> {
        Ok(self.when(name)?.map(|when| when.us.div_euclid(time::DAY_US)))
    }

    pub(crate) fn limit(&mut self) -> Result<usize, ApiError> {
        let limit = self.parsed("limit", "a whole number from 1 to 1000", |text| {
            text.parse::<usize>().ok()
        })?;
        Ok(limit.unwrap_or(LIMIT_DEFAULT).clamp(1, LIMIT_MAX))
    }

    /// The last name of the page before, in a list that is in the order of its names.
    pub(crate) fn after(&mut self) -> Result<Option<String>, ApiError> {
        self.parsed("cursor", CURSOR, |text| Some(text.to_owned()))
    }

    /// Words to look for, in small letters.
    pub(crate) fn search(&mut self) -> Result<Option<String>, ApiError> {
        Ok(self.text("search")?.map(|text| text.to_lowercase()))
    }

    /// The place that a list's cursor stands for.
    pub(crate) fn place(&mut self) -> Result<Option<i64>, ApiError> {
        self.parsed("cursor", CURSOR, |text| i64::from_str_radix(text, 16).ok())
    }

    pub(crate) fn format(&mut self) -> Result<Format, ApiError> {
        let format = self.parsed("format", "`jsonl` or `chat`", |text| match text {
            "jsonl" => Some(Format::JsonLines),
            "chat" => Some(Format::Chat),
            _ => None,
        })?;
        Ok(format.unwrap_or(Format::JsonLines))
    }

    /// A parameter's value; one that is there and empty would filter for nothing, and is a mistake.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<Option<String>, ApiError> {
        let wanted = "a text that is neither empty nor longer than 4096 bytes";
        let fits = |text: &str| !text.trim().is_empty() && text.len() <= VALUE_BYTES_MAX;
        self.parsed(name, wanted, |text| fits(text).then(|| text.to_owned()))
    }

    pub(crate) fn parsed<T>(
        &mut self,
        name: &'static str,
        wanted: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ApiError> {
        let Some(index) = self.0.iter().position(|(found, _)| found == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(index);
        match parse(&value) {
            Some(value) => Ok(Some(value)),
            None => Err(ApiError::BadQuery(BadQuery::Value { name, wanted })),
        }
    }
}

/// Of milliseconds, with or without a fraction.
fn microseconds(text: &str) -> Option<u64> {
    let ms: f64 = text.parse().ok()?;
    (0.0..=1e12).contains(&ms).then_some((ms * 1_000.0) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query {
        Query::of(&format!("/?{text}").parse().unwrap()).unwrap()
    }

    fn message(error: ApiError) -> String {
        match error {
            ApiError::BadQuery(bad) => bad.message(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_filter_is_read() {
        let all = query(
            "key=alice&model=tiny%2Fa&backend=gpu&status=client_gone&from=2026-11-22&to=2026-11-22&text=a+b&min_tokens=1\
             &max_tokens=2&min_duration_ms=0.5&max_duration_ms=1000&parent=01900000-0000-7000-8000-000000000000",
        );
        let filter = all.whole(Query::filter).unwrap();
        assert_eq!(filter.model.as_deref(), Some("tiny/a"));
        assert_eq!(filter.text.as_deref(), Some("a b"));
        assert_eq!(filter.status, Some(Status::ClientGone));
        let Span { from, to } = filter.started_us;
        assert_eq!(
            to.unwrap() - from.unwrap(),
            time::DAY_US,
            "the day that is named last is in it"
        );
        assert_eq!(
            filter.duration_us,
            Span {
                from: Some(500),
                to: Some(1_000_000)
            }
        );
        assert_eq!(
            filter.tokens,
            Span {
                from: Some(1),
                to: Some(2)
            }
        );
        assert!(filter.parent.is_some());
    }

    #[test]
    fn what_is_not_understood_is_refused_and_values_are_not_repeated() {
        for (text, expected) in [
            ("status=canary", "`status` takes"),
            ("from=canary", "`from` takes"),
            ("min_tokens=-1", "`min_tokens` takes"),
            ("max_duration_ms=NaN", "`max_duration_ms` takes"),
            ("key=", "`key` takes"),
            ("text=+", "`text` takes"),
            ("parent=canary", "`parent` takes"),
            ("keys=canary", "`keys` is no parameter"),
            ("Key=canary", "`Key` is no parameter"),
            ("sk-canary=1", "A name in the query is no parameter"),
        ] {
            let message = message(query(text).whole(Query::filter).expect_err(text));
            assert!(
                message.starts_with(expected) && !message.contains("canary"),
                "{text}: {message}"
            );
        }
        let twice = Query::of(&"/?key=a&key=b".parse().unwrap()).map(|_| ());
        assert_eq!(message(twice.unwrap_err()), "`key` is given more than once.");
    }

    #[test]
    fn limits_and_cursors() {
        assert_eq!(query("").limit().unwrap(), 50);
        assert_eq!(query("limit=5000").limit().unwrap(), 1000);
        assert!(query("limit=many").limit().is_err());
        assert_eq!(query("cursor=ff").place().unwrap(), Some(255));
        assert!(query("cursor=zz").place().is_err());
    }
}
