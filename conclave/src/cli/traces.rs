//! Traces: what can be typed.

use clap::Args;

#[derive(Debug, Args)]
#[command(next_help_heading = "Traces")]
pub(crate) struct TraceArgs {
    /// OpenTelemetry collector that gets a span of each request, over OTLP (http/protobuf); /v1/traces is put behind it.
    /// [default: the variable OTEL_EXPORTER_OTLP_ENDPOINT, else no traces]
    #[arg(long, value_name = "URL", env = "CONCLAVE_OTLP_ENDPOINT")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Share of the traces beginning here that are kept, 0 to 1; one that began elsewhere goes on as its traceparent says
    /// [default: the variable OTEL_TRACES_SAMPLER_ARG, else 1]
    #[arg(long, value_name = "RATIO", env = "CONCLAVE_OTLP_SAMPLE")]
    pub(crate) otlp_sample: Option<f64>,
}
