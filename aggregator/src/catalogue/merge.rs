//! Many lists → one, as `routheon-server` merges them. Pure.
//!
//! `models` and `data` are aligned by id and sorted by code point; of two backends with one id the first wins; an
//! id that only one list has is filled in the other. `"object":"list"`, which OpenAI's clients expect, is added.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use bytes::Bytes;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::list::{Entry, ModelList};

/// What the backends say of one id.
#[derive(Default)]
struct Row<'a> {
    model: Option<&'a RawValue>,
    datum: Option<&'a RawValue>,
}

/// The lists come in the order of their backends' URLs: the first to name an id describes it.
pub(crate) fn merge<'a>(lists: impl IntoIterator<Item = &'a ModelList>) -> Bytes {
    let mut rows: BTreeMap<&str, Row<'_>> = BTreeMap::new();
    for list in lists {
        for Entry { id, json } in &list.models {
            rows.entry(id).or_default().model.get_or_insert(json);
        }
        for Entry { id, json } in &list.data {
            rows.entry(id).or_default().datum.get_or_insert(json);
        }
    }
    serialise(&rows)
}

fn serialise(rows: &BTreeMap<&str, Row<'_>>) -> Bytes {
    let mut body = String::from(r#"{"object":"list","models":["#);
    for (index, (id, row)) in rows.iter().enumerate() {
        separate(&mut body, index);
        match row.model {
            Some(json) => body.push_str(json.get()),
            None => {
                let id = quoted(id);
                body.push_str(&format!(r#"{{"model":{id},"name":{id}}}"#));
            }
        }
    }
    body.push_str(r#"],"data":["#);
    for (index, (id, row)) in rows.iter().enumerate() {
        separate(&mut body, index);
        match row.datum {
            Some(json) => body.push_str(json.get()),
            None => body.push_str(&format!(r#"{{"id":{}}}"#, quoted(id))),
        }
    }
    body.push_str("]}");
    Bytes::from(body)
}

/// One model's entry as it came, under the name that was asked for, and which backends serve it.
pub(crate) fn described(id: &str, datum: Option<&RawValue>, backends: Vec<Value>) -> String {
    // Field by field, so that numbers and unknown fields stay as they came.
    let fields: Option<Fields<'_>> = datum.and_then(|datum| serde_json::from_str(datum.get()).ok());
    let mut body = format!(r#"{{"id":{},"object":"model""#, quoted(id));
    for (name, value) in fields.iter().flat_map(|fields| &fields.0) {
        if !matches!(&**name, "id" | "object" | "backends") {
            body.push_str(&format!(",{}:{}", quoted(name), value.get()));
        }
    }
    body.push_str(&format!(r#","backends":{}}}"#, Value::from(backends)));
    body
}

/// An object's fields in their order.
struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Fields<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visit<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for Visit<'a> {
            type Value = Fields<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Visit(PhantomData))
    }
}

fn separate(body: &mut String, index: usize) {
    if index > 0 {
        body.push(',');
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn merged(lists: &[Value]) -> Value {
        let lists: Vec<ModelList> = lists
            .iter()
            .map(|list| ModelList::parse(list.to_string().as_bytes()).unwrap())
            .collect();
        serde_json::from_slice(&merge(&lists)).unwrap()
    }

    #[test]
    fn no_backend_gives_two_empty_lists() {
        assert_eq!(merged(&[]), json!({"object": "list", "models": [], "data": []}));
    }

    #[test]
    fn lists_are_aligned_sorted_by_code_point_and_filled() {
        let one = json!({"models": [{"model": "b", "name": "B"}], "data": [{"id": "b", "n": 1}, {"id": "é"}]});
        let two = json!({"models": [{"name": "Z"}, {"model": "😀"}], "data": [{"id": "a"}, {"id": "\u{ffff}"}]});
        let all = merged(&[one, two]);
        let ids: Vec<&str> = all["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["id"].as_str().unwrap())
            .collect();
        assert_eq!(ids, ["Z", "a", "b", "é", "\u{ffff}", "😀"]);
        assert_eq!(
            all["models"],
            json!([{"name": "Z"}, {"model": "a", "name": "a"}, {"model": "b", "name": "B"},
                   {"model": "é", "name": "é"}, {"model": "\u{ffff}", "name": "\u{ffff}"}, {"model": "😀"}])
        );
        assert_eq!(all["data"][0], json!({"id": "Z"}));
        assert_eq!(all["data"][2], json!({"id": "b", "n": 1}));
    }

    #[test]
    fn the_first_backend_to_name_an_id_describes_it_per_list() {
        let first = json!({"data": [{"id": "m", "from": 1}, {"id": "m", "from": "twice"}]});
        let second = json!({"models": [{"model": "m", "from": 2}], "data": [{"id": "m", "from": 2}]});
        let all = merged(&[first, second]);
        assert_eq!(all["data"], json!([{"id": "m", "from": 1}]));
        assert_eq!(all["models"], json!([{"model": "m", "from": 2}]));
    }

    #[test]
    fn what_came_stays_as_it_came() {
        let body = r#"{"data":[{"id":"m","z":1.00,"a":123456789012345678901234567890,"meta":{"y":1,"b":[1e3]}}]}"#;
        let list = ModelList::parse(body.as_bytes()).unwrap();
        let merged = String::from_utf8(merge([&list]).to_vec()).unwrap();
        assert!(
            merged.contains(r#"{"id":"m","z":1.00,"a":123456789012345678901234567890,"meta":{"y":1,"b":[1e3]}}"#),
            "{merged}"
        );
    }

    #[test]
    fn a_described_model_keeps_its_fields_and_names_its_backends() {
        let datum: Box<RawValue> = serde_json::from_str(
            r#"{"id":"m","z":1.00,"object":"x","backends":9,"meta":{"n":12345678901234567890123}}"#,
        )
        .unwrap();
        let shown = described("b/m", Some(&datum), vec![json!({"name": "b"})]);
        assert_eq!(
            shown,
            r#"{"id":"b/m","object":"model","z":1.00,"meta":{"n":12345678901234567890123},"backends":[{"name":"b"}]}"#
        );
        assert_eq!(
            described("m", None, Vec::new()),
            r#"{"id":"m","object":"model","backends":[]}"#
        );
    }

    #[test]
    fn an_id_cannot_break_out_of_its_quotes() {
        let all = merged(&[json!({"data": [{"id": "a\"},{\"id\":\"b\n"}]})]);
        assert_eq!(
            all["models"],
            json!([{"model": "a\"},{\"id\":\"b\n", "name": "a\"},{\"id\":\"b\n"}])
        );
    }
}
