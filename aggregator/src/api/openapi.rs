//! `GET /openapi.json`: what is answered here, for programs. Written as `openapi.yaml`, beside this file.

use std::sync::LazyLock;

use axum::response::Response;
use bytes::Bytes;
use serde_json::Value;

use super::prepared_json;

const SOURCE: &str = include_str!("openapi.yaml");

pub(crate) async fn show() -> Response {
    static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(document().to_string()));
    prepared_json(DOCUMENT.clone())
}

fn document() -> Value {
    let mut document: Value = serde_yaml::from_str(SOURCE).expect("a test has read it");
    document["info"]["version"] = env!("CARGO_PKG_VERSION").into();
    document
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// `(method, path)` as `router.rs` has them: its source is the one list of routes, and axum does not tell them.
    fn routed() -> BTreeSet<(String, String)> {
        let source = include_str!("../router.rs");
        let mut routes = BTreeSet::new();
        for call in source.split(".route(").skip(1) {
            let path = call.split('"').nth(1).expect("a path").replace("{*", "{");
            // What follows the path up to the next route: `get(…).delete(…)`, or a helper for inference, which posts.
            let handlers = call.split_once(',').expect("handlers").1;
            let handlers = handlers.split(".fallback").next().expect("handlers");
            let mut found = false;
            for method in ["get", "post", "delete", "put", "head"] {
                let named = format!("{method}(");
                if handlers
                    .match_indices(&named)
                    .any(|(at, _)| handlers[..at].ends_with([' ', '.', '\n', ':']) || at == 0)
                {
                    routes.insert((method.to_owned(), path.clone()));
                    found = true;
                }
            }
            if !found {
                assert!(handlers.contains("inference::at"), "{path}: {handlers}");
                routes.insert(("post".to_owned(), path));
            }
        }
        routes
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let document = document();
        let described: BTreeSet<(String, String)> = document["paths"]
            .as_object()
            .expect("paths")
            .iter()
            .flat_map(|(path, operations)| {
                let methods = operations.as_object().expect("operations").keys();
                methods.map(|method| (method.clone(), path.clone())).collect::<Vec<_>>()
            })
            .collect();
        // Pages are for people.
        let routed: BTreeSet<_> = routed()
            .into_iter()
            .filter(|(_, path)| path != "/ui" && !path.starts_with("/ui/"))
            .collect();
        assert!(routed.len() > 30, "{routed:?}");
        assert_eq!(described, routed);
    }

    #[test]
    fn every_operation_has_a_name_of_its_own_and_says_what_it_answers() {
        let document = document();
        let mut names = BTreeSet::new();
        for operations in document["paths"].as_object().expect("paths").values() {
            for operation in operations.as_object().expect("operations").values() {
                let name = operation["operationId"].as_str().expect("a name");
                assert!(names.insert(name.to_owned()), "{name} stands twice");
                assert!(operation["summary"].is_string(), "{name}");
                let answers = operation["responses"].as_object().expect("answers");
                assert!(answers.keys().any(|status| status.starts_with('2')), "{name}");
            }
        }
    }
}
