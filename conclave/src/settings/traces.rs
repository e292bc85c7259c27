//! Traces: where they go, and how many are kept. OpenTelemetry's own variables count where no flag does.

use anyhow::{Context as _, Result, bail};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use traces::Sampling;

use crate::cli::TraceArgs;
use crate::otlp::Destination;

/// The collector's path for traces.
const PATH: &str = "/v1/traces";

/// A collector, as it is written down: `None` where traces are off.
pub(crate) fn compose(args: &TraceArgs) -> Result<Option<(Destination, Sampling)>> {
    compose_with(args, &|name| {
        std::env::var(name).ok().filter(|value| !value.trim().is_empty())
    })
}

fn compose_with(
    args: &TraceArgs,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<(Destination, Sampling)>> {
    if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let Some(url) = endpoint(args, variable)? else {
        return Ok(None);
    };
    let ratio = match (args.otlp_sample, variable("OTEL_TRACES_SAMPLER_ARG")) {
        (Some(ratio), _) => ratio,
        (None, Some(text)) => text
            .trim()
            .parse()
            .with_context(|| format!("OTEL_TRACES_SAMPLER_ARG: {text:?} is no number; write a share from 0 to 1"))?,
        (None, None) => 1.0,
    };
    if !(0.0..=1.0).contains(&ratio) {
        bail!("--otlp-sample: {ratio} is no share; write a number from 0 to 1");
    }
    let destination = Destination {
        url,
        headers: headers(&variable("OTEL_EXPORTER_OTLP_HEADERS").unwrap_or_default())?,
        service: variable("OTEL_SERVICE_NAME").unwrap_or_else(|| "conclave".to_owned()),
    };
    Ok(Some((destination, Sampling { ratio })))
}

fn endpoint(args: &TraceArgs, variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Url>> {
    const EXACT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    const BASE: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    let (source, text, is_exact) = if let Some(typed) = &args.otlp_endpoint {
        ("--otlp-endpoint", typed.clone(), false)
    } else if let Some(exact) = variable(EXACT) {
        (EXACT, exact, true)
    } else if let Some(base) = variable(BASE) {
        (BASE, base, false)
    } else {
        return Ok(None);
    };
    let url = Url::parse(text.trim()).ok();
    let mut url = url
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .with_context(|| format!("{source}: {text:?} is no address; write it as http://127.0.0.1:4318"))?;
    let path = url.path().trim_end_matches('/').to_owned();
    if !is_exact && !path.ends_with(PATH) {
        url.set_path(&format!("{path}{PATH}"));
    }
    Ok(Some(url))
}

/// `name=value,…`: what a collector asks for, a token for example. Values are told to nobody else.
fn headers(text: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let wrong = "OTEL_EXPORTER_OTLP_HEADERS: what is in it is no list of name=value; separate them by commas";
        let (name, value) = pair.split_once('=').context(wrong)?;
        let name: HeaderName = name.trim().parse().ok().context(wrong)?;
        let mut value = HeaderValue::from_str(value.trim()).ok().context(wrong)?;
        value.set_sensitive(true);
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn composed(flag: Option<&str>, sample: Option<f64>, variables: &[(&str, &str)]) -> Result<Option<(String, f64)>> {
        let args = TraceArgs {
            otlp_endpoint: flag.map(str::to_owned),
            otlp_sample: sample,
        };
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let composed = compose_with(&args, &variable)?;
        Ok(composed.map(|(destination, sampling)| (destination.url.to_string(), sampling.ratio)))
    }

    #[test]
    fn a_flag_wins_over_opentelemetrys_variables() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        let exact = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/x");
        for (flag, variables, expected) in [
            (None, &[][..], None),
            (None, &[base], Some("http://c:4318/v1/traces")),
            (None, &[base, exact], Some("https://c/x")),
            (Some("http://d:1"), &[base, exact], Some("http://d:1/v1/traces")),
            (Some("http://d:1/v1/traces"), &[], Some("http://d:1/v1/traces")),
            (Some("http://d:1/otlp"), &[], Some("http://d:1/otlp/v1/traces")),
            (Some("http://d:1"), &[("OTEL_SDK_DISABLED", "true")], None),
        ] {
            let url = composed(flag, None, variables)
                .expect("it can be read")
                .map(|(url, _)| url);
            assert_eq!(url.as_deref(), expected, "{flag:?} {variables:?}");
        }
        let share = ("OTEL_TRACES_SAMPLER_ARG", "0.25");
        let ratio = |sample| composed(Some("http://d"), sample, &[share]).expect("it can be read");
        assert_eq!(ratio(None).map(|(_, ratio)| ratio), Some(0.25));
        assert_eq!(ratio(Some(0.5)).map(|(_, ratio)| ratio), Some(0.5));
    }

    #[test]
    fn what_is_wrong_is_told_and_a_token_is_not() {
        assert!(composed(Some("collector"), None, &[]).is_err());
        assert!(composed(Some("http://c"), Some(1.5), &[]).is_err());
        assert!(composed(Some("http://c"), None, &[("OTEL_TRACES_SAMPLER_ARG", "all")]).is_err());
        let wrong = composed(Some("http://c"), None, &[("OTEL_EXPORTER_OTLP_HEADERS", "sk-secret")]);
        assert!(!format!("{:#}", wrong.expect_err("no pair")).contains("sk-secret"));
        let read = headers("authorization=Bearer x, a=b").expect("two pairs");
        assert_eq!(read.len(), 2);
        assert!(!format!("{read:?}").contains("Bearer x"));
    }
}
