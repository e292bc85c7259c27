//! Changes one value in a JSON body and leaves every other byte as it came.
//!
//! For requests that pass through: only `model` may have to change, and `stream_options.include_usage` be asked for.
//! The places are found by a full parse of the document's outer level, so that a `"model"` inside a message is never
//! mistaken for it; a name given twice is refused, for two readers could read two things.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use serde_json::value::RawValue;

use crate::json::read::spans;

/// A body whose outer level is known.
pub struct Body<'a> {
    bytes: &'a [u8],
    fields: Vec<(Cow<'a, str>, &'a RawValue)>,
    edits: Vec<(Range<usize>, Vec<u8>)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpliceError {
    NotAnObject,
    /// The name that stands there twice.
    Twice(String),
    /// The name whose value has another type than the dialect's.
    WrongType(&'static str),
}

impl<'a> Body<'a> {
    /// # Errors
    /// Where `bytes` are not one well-formed JSON object.
    pub fn scan(bytes: &'a [u8]) -> Result<Self, SpliceError> {
        let raw: &RawValue = serde_json::from_slice(bytes).map_err(|_| SpliceError::NotAnObject)?;
        let fields = spans(raw).ok_or(SpliceError::NotAnObject)?;
        Ok(Self {
            bytes,
            fields,
            edits: Vec::new(),
        })
    }

    /// The value of `model`.
    ///
    /// # Errors
    /// Where it is given twice or is no string.
    pub fn model(&self) -> Result<Option<String>, SpliceError> {
        self.read("model")
    }

    /// Whether the client asked for a stream; `None` where it left that to the dialect.
    ///
    /// # Errors
    /// Where it is given twice or is no boolean.
    pub fn stream(&self) -> Result<Option<bool>, SpliceError> {
        self.read("stream")
    }

    /// Whether the client asked for the usage of a stream (OpenAI).
    ///
    /// # Errors
    /// Where `stream_options` is given twice or is no object.
    pub fn include_usage(&self) -> Result<bool, SpliceError> {
        let Some(options) = self.field("stream_options")? else {
            return Ok(false);
        };
        let fields = options_fields(options)?;
        Ok(once(&fields, "include_usage")?.is_some_and(|value| value.get() == "true"))
    }

    /// Sets `model`, adding it where there is none.
    ///
    /// # Errors
    /// Where it is given twice.
    pub fn set_model(&mut self, model: &str) -> Result<&mut Self, SpliceError> {
        let value = serde_json::to_vec(model).unwrap_or_default();
        match self.field("model")? {
            Some(old) => self.replace(old, value),
            None => self.insert_first(self.opening(), self.fields.is_empty(), "model", &value),
        }
        Ok(self)
    }

    /// Asks for the usage of the stream. Nothing changes where the client did.
    ///
    /// # Errors
    /// Where `stream_options` is given twice or is no object.
    pub fn ask_usage(&mut self) -> Result<&mut Self, SpliceError> {
        match self.field("stream_options")? {
            None => {
                let value = br#"{"include_usage":true}"#;
                self.insert_first(self.opening(), self.fields.is_empty(), "stream_options", value);
            }
            Some(options) if options.get() == "null" => self.replace(options, br#"{"include_usage":true}"#.to_vec()),
            Some(options) => {
                let fields = options_fields(options)?;
                match once(&fields, "include_usage")? {
                    Some(value) if value.get() == "true" => {}
                    Some(value) => self.replace(value, b"true".to_vec()),
                    None => self.insert_first(
                        self.place(options).start + 1,
                        fields.is_empty(),
                        "include_usage",
                        b"true",
                    ),
                }
            }
        }
        Ok(self)
    }

    /// The body with its changes.
    pub fn apply(mut self) -> Vec<u8> {
        self.edits.sort_by_key(|(range, _)| range.start);
        let grown: usize = self.edits.iter().map(|(_, value)| value.len()).sum();
        let mut out = Vec::with_capacity(self.bytes.len() + grown);
        let mut copied = 0;
        for (range, value) in &self.edits {
            out.extend_from_slice(&self.bytes[copied..range.start]);
            out.extend_from_slice(value);
            copied = range.end;
        }
        out.extend_from_slice(&self.bytes[copied..]);
        out
    }

    fn field(&self, name: &str) -> Result<Option<&'a RawValue>, SpliceError> {
        once(&self.fields, name)
    }

    fn read<T: serde::de::DeserializeOwned>(&self, name: &'static str) -> Result<Option<T>, SpliceError> {
        let Some(raw) = self.field(name)? else { return Ok(None) };
        serde_json::from_str(raw.get()).map_err(|_| SpliceError::WrongType(name))
    }

    /// Just behind the document's `{`.
    fn opening(&self) -> usize {
        memchr::memchr(b'{', self.bytes).map_or(0, |brace| brace + 1)
    }

    fn place(&self, raw: &RawValue) -> Range<usize> {
        // A raw value borrows from the body, so its place is the distance of the two addresses.
        let start = raw.get().as_ptr() as usize - self.bytes.as_ptr() as usize;
        start..start + raw.get().len()
    }

    fn replace(&mut self, old: &RawValue, value: Vec<u8>) {
        self.edits.push((self.place(old), value));
    }

    fn insert_first(&mut self, at: usize, alone: bool, name: &str, value: &[u8]) {
        // A second insertion into an empty object stands behind the first.
        let behind = alone && self.edits.iter().any(|(range, _)| *range == (at..at));
        let mut field = format!("{}\"{name}\":", if behind { "," } else { "" }).into_bytes();
        field.extend_from_slice(value);
        if !alone {
            field.push(b',');
        }
        self.edits.push((at..at, field));
    }
}

fn options_fields(options: &RawValue) -> Result<Vec<(Cow<'_, str>, &RawValue)>, SpliceError> {
    if options.get() == "null" {
        return Ok(Vec::new());
    }
    spans(options).ok_or(SpliceError::WrongType("stream_options"))
}

fn once<'a>(fields: &[(Cow<'a, str>, &'a RawValue)], name: &str) -> Result<Option<&'a RawValue>, SpliceError> {
    let mut found = fields.iter().filter(|(field, _)| field == name).map(|(_, raw)| *raw);
    let first = found.next();
    if found.next().is_some() {
        Err(SpliceError::Twice(name.to_owned()))
    } else {
        Ok(first)
    }
}

impl fmt::Display for SpliceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAnObject => f.write_str("the body must be one JSON object"),
            Self::Twice(name) => write!(
                f,
                "{name}: may be given once, and is given twice; remove one of the two"
            ),
            Self::WrongType(name) => write!(f, "{name}: has a value of the wrong type; see the API's reference"),
        }
    }
}

impl std::error::Error for SpliceError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_model(body: &str) -> Result<String, SpliceError> {
        let mut scanned = Body::scan(body.as_bytes())?;
        scanned.set_model("new \"m\"")?;
        Ok(String::from_utf8(scanned.apply()).unwrap())
    }

    fn with_usage(body: &str) -> Result<String, SpliceError> {
        let mut scanned = Body::scan(body.as_bytes())?;
        scanned.ask_usage()?;
        Ok(String::from_utf8(scanned.apply()).unwrap())
    }

    #[test]
    fn only_the_model_changes() {
        let cases = [
            (r#"{"model":"a"}"#, r#"{"model":"new \"m\""}"#),
            (
                " {\n\t\"x\" : [1.0e5, \"\\u00e9\"],\r\n \"model\" :\"a\" , \"y\":{\"model\":\"b\"} }\n",
                " {\n\t\"x\" : [1.0e5, \"\\u00e9\"],\r\n \"model\" :\"new \\\"m\\\"\" , \"y\":{\"model\":\"b\"} }\n",
            ),
            (
                r#"{"mod\u0065l":"a","é":"\"model\":\"z\""}"#,
                r#"{"mod\u0065l":"new \"m\"","é":"\"model\":\"z\""}"#,
            ),
            (r#"{"messages":[]}"#, r#"{"model":"new \"m\"","messages":[]}"#),
            ("{ }", r#"{"model":"new \"m\"" }"#),
        ];
        for (body, expected) in cases {
            assert_eq!(with_model(body).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn usage_is_asked_for_once() {
        let cases = [
            (
                r#"{"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                r#"{"stream_options":null}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options": { }}"#,
                r#"{"stream_options": {"include_usage":true }}"#,
            ),
            (
                r#"{"stream_options":{"x":1}}"#,
                r#"{"stream_options":{"include_usage":true,"x":1}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage": false}}"#,
                r#"{"stream_options":{"include_usage": true}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":true}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
        ];
        for (body, expected) in cases {
            assert_eq!(with_usage(body).as_deref(), Ok(expected));
        }
        let asked = |body: &str| Body::scan(body.as_bytes()).unwrap().include_usage();
        assert_eq!(asked(cases[5].0), Ok(true));
        assert_eq!(asked(cases[4].0), Ok(false));
        assert_eq!(asked("{}"), Ok(false));
    }

    #[test]
    fn both_at_once_and_what_was_asked() {
        let body = br#"{"stream":true,"model":"a"}"#;
        let mut scanned = Body::scan(body).unwrap();
        assert_eq!(
            (scanned.model(), scanned.stream()),
            (Ok(Some("a".to_owned())), Ok(Some(true)))
        );
        scanned.set_model("b").unwrap().ask_usage().unwrap();
        assert_eq!(
            scanned.apply(),
            br#"{"stream_options":{"include_usage":true},"stream":true,"model":"b"}"#
        );
    }

    /// Found by fuzzing: two insertions into `{}` had no comma between them.
    #[test]
    fn an_empty_body_takes_both() {
        let mut scanned = Body::scan(b"{ }").unwrap();
        scanned.set_model("b").unwrap().ask_usage().unwrap();
        assert_eq!(
            scanned.apply(),
            br#"{"model":"b","stream_options":{"include_usage":true} }"#
        );
    }

    #[test]
    fn what_two_readers_could_read_differently_is_refused() {
        assert_eq!(
            with_model(r#"{"model":"a","model":"b"}"#),
            Err(SpliceError::Twice("model".to_owned()))
        );
        assert_eq!(
            with_model(r#"{"model":"a","mo\u0064el":"b"}"#),
            Err(SpliceError::Twice("model".to_owned()))
        );
        let twice = r#"{"stream_options":{},"stream_options":{}}"#;
        assert_eq!(with_usage(twice), Err(SpliceError::Twice("stream_options".to_owned())));
        assert_eq!(
            with_usage(r#"{"stream_options":[]}"#),
            Err(SpliceError::WrongType("stream_options"))
        );
        for broken in ["", "[]", "{", "{}x", "nul", "{\"a\":\"\u{1}\"}"] {
            assert_eq!(with_model(broken), Err(SpliceError::NotAnObject), "{broken:?}");
        }
        let model = Body::scan(br#"{"model":1}"#).map(|body| body.model());
        assert_eq!(model.unwrap_or(Ok(None)), Err(SpliceError::WrongType("model")));
    }
}
