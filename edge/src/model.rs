//! The `model` that a request asks for: of a JSON object's top level, of a form's field, or of the path ([`in_path`]).
//! Nothing else is kept.

mod form;
mod path;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub(crate) use path::{InPath, in_path};

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ModelError {
    /// Two readers of such a body may see two models: the one that was checked and the one that answers.
    Twice,
}

/// What a body names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct InBody<'a> {
    pub(crate) name: Cow<'a, str>,
    /// Where it stands, in a form.
    pub(crate) place: Option<Range<usize>>,
}

/// `None` where the body is neither a JSON object nor a form, or names no model as a text: rules on the model then do not
/// match.
pub(crate) fn in_body<'a>(content_type: &str, body: &'a [u8]) -> Result<Option<InBody<'a>>, ModelError> {
    if let Some(place) = form::model(content_type, body)? {
        let name = std::str::from_utf8(&body[place.clone()]).ok();
        return Ok(name.map(|name| InBody {
            name: name.into(),
            place: Some(place),
        }));
    }
    Ok(of_json(body)?.map(|name| InBody { name, place: None }))
}

fn of_json(body: &[u8]) -> Result<Option<Cow<'_, str>>, ModelError> {
    match serde_json::from_slice::<Named<'_>>(body) {
        Ok(Named { twice: true, .. }) => Err(ModelError::Twice),
        Ok(named) => Ok(named.model),
        Err(_) => Ok(None),
    }
}

struct Named<'a> {
    model: Option<Cow<'a, str>>,
    twice: bool,
}

impl<'de> Deserialize<'de> for Named<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(TopLevel)
    }
}

struct TopLevel;

impl<'de> Visitor<'de> for TopLevel {
    type Value = Named<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut named = Named {
            model: None,
            twice: false,
        };
        let mut seen = false;
        while let Some(Text(name)) = map.next_key()? {
            if name != "model" {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            named.twice |= seen;
            seen = true;
            match map.next_value()? {
                TextOrNot::Text(model) => named.model = Some(model),
                TextOrNot::Other => {}
            }
        }
        Ok(named)
    }
}

/// A string, borrowed where it has no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

enum TextOrNot<'a> {
    Text(Cow<'a, str>),
    Other,
}

impl<'de> Deserialize<'de> for TextOrNot<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = TextOrNot<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(TextOrNot::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOrNot::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(TextOrNot::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(TextOrNot::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(TextOrNot::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(TextOrNot::Other)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(TextOrNot::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(TextOrNot::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(TextOrNot::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_level_model_counts_and_nothing_else() {
        let cases: [(&str, Result<Option<&str>, ModelError>); 9] = [
            (r#"{"messages":[{"model":"inner"}],"model":"outer"}"#, Ok(Some("outer"))),
            (r#"{"model":"a\u002db"}"#, Ok(Some("a-b"))),
            (r#"{"mod\u0065l":"escaped"}"#, Ok(Some("escaped"))),
            (r#"{"model":"a","model":"b"}"#, Err(ModelError::Twice)),
            (r#"{"model":"a","mod\u0065l":"a"}"#, Err(ModelError::Twice)),
            (r#"{"model":7}"#, Ok(None)),
            (r#"{"prompt":"x"}"#, Ok(None)),
            (r#"["model"]"#, Ok(None)),
            ("", Ok(None)),
        ];
        for (body, expected) in cases {
            let found = of_json(body.as_bytes());
            assert_eq!(
                found.as_ref().map(|model| model.as_deref()),
                expected.as_ref().map(|m| *m),
                "{body}"
            );
        }
    }
}
