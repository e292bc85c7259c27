//! Spans as OTLP's request, in protobuf. The messages are OpenTelemetry's own.

use std::time::{SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans, Status, status::StatusCode};
use prost::Message as _;

use crate::{Kind, Plane, Span, Value};

/// `service` names the whole installation: `conclave` where nobody said otherwise.
pub fn encode(spans: Vec<Span>, service: &str) -> Vec<u8> {
    let (edge, aggregator): (Vec<_>, Vec<_>) = spans.into_iter().partition(|span| span.plane == Plane::Edge);
    let resource_spans = [("edge", edge), ("aggregator", aggregator)]
        .into_iter()
        .filter(|(_, spans)| !spans.is_empty())
        .map(|(plane, spans)| of_plane(service, plane, spans));
    let request = ExportTraceServiceRequest {
        resource_spans: resource_spans.collect(),
    };
    request.encode_to_vec()
}

fn of_plane(service: &str, plane: &'static str, spans: Vec<Span>) -> ResourceSpans {
    let version = env!("CARGO_PKG_VERSION");
    let attributes = [
        ("service.name", format!("{service}-{plane}")),
        ("service.version", version.to_owned()),
    ];
    ResourceSpans {
        resource: Some(Resource {
            attributes: attributes.map(|(name, text)| key_value(name, string(text))).into(),
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "conclave".to_owned(),
                version: version.to_owned(),
                ..InstrumentationScope::default()
            }),
            spans: spans.into_iter().map(message).collect(),
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn message(span: Span) -> proto::Span {
    use proto::span::SpanKind;
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Client => SpanKind::Client,
        Kind::Internal => SpanKind::Internal,
    };
    let mut attributes: Vec<_> = span
        .attributes
        .into_iter()
        .map(|(name, value)| key_value(name, any(value)))
        .collect();
    attributes.extend(span.error.map(|word| key_value("error.type", string(word.to_owned()))));
    proto::Span {
        trace_id: span.context.trace_id.to_vec(),
        span_id: span.context.span_id.to_vec(),
        trace_state: span.state.as_deref().unwrap_or_default().to_owned(),
        parent_span_id: span.parent.map(|id| id.to_vec()).unwrap_or_default(),
        name: span.name.into_owned(),
        kind: kind.into(),
        start_time_unix_nano: unix_ns(span.began),
        end_time_unix_nano: unix_ns(span.ended),
        attributes,
        status: span.error.map(|_| Status {
            code: StatusCode::Error.into(),
            ..Status::default()
        }),
        ..proto::Span::default()
    }
}

fn key_value(name: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: name.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn any(value: Value) -> any_value::Value {
    match value {
        Value::Word(word) => string(word.to_owned()),
        Value::Name(name) => string((*name).to_owned()),
        Value::Count(count) => any_value::Value::IntValue(count),
        Value::Number(number) => any_value::Value::DoubleValue(number),
    }
}

fn string(text: String) -> any_value::Value {
    any_value::Value::StringValue(text)
}

fn unix_ns(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Sampling, Tracer};
    use std::time::Duration;

    #[test]
    fn each_plane_is_a_service_of_its_own() {
        let (tracer, batches) = Tracer::new(Sampling { ratio: 1.0 });
        for (plane, kind) in [
            (Plane::Edge, Kind::Server),
            (Plane::Aggregator, Kind::Client),
            (Plane::Aggregator, Kind::Internal),
        ] {
            let begun = tracer.begin(None, None).expect("sampled");
            let attributes = vec![("gen_ai.operation.name", "chat".into()), ("tokens", 7_u64.into())];
            begun.end((plane, kind), "chat", attributes, Some("timeout"));
        }
        let bytes = encode(batches.next(Duration::ZERO).expect("spans"), "conclave");
        let read = ExportTraceServiceRequest::decode(&*bytes).expect("OTLP");
        let counts: Vec<_> = read
            .resource_spans
            .iter()
            .map(|resource| {
                let name = &resource.resource.as_ref().expect("a resource").attributes[0].value;
                let name = name.as_ref().and_then(|any| any.value.clone()).expect("a value");
                (name, resource.scope_spans[0].spans.len())
            })
            .collect();
        let service = |plane: &str| string(format!("conclave-{plane}"));
        assert_eq!(counts, [(service("edge"), 1), (service("aggregator"), 2)]);
        let span = &read.resource_spans[0].scope_spans[0].spans[0];
        assert_eq!(
            span.status.as_ref().map(|status| status.code),
            Some(StatusCode::Error.into())
        );
        assert_eq!(span.attributes.last().map(|it| &*it.key), Some("error.type"));
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
    }
}
