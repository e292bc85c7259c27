//! NVIDIA's tool: asked in the background, bounded in time and output, never for a request.

use std::fmt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::Command;

use super::GPUS_MAX;
use crate::stats::shape::{Gpu, GpuReadings};

/// Without persistence mode the driver is loaded for each call, which takes a second or two.
const PATIENCE: Duration = Duration::from_secs(10);
/// A card is a line of about a hundred bytes.
const OUTPUT_BYTES_MAX: u64 = 64 * 1024;

const QUERY: &str = "--query-gpu=pci.bus_id,utilization.gpu,memory.total,memory.used,temperature.gpu,power.draw,name";

#[derive(Debug)]
pub(in crate::stats) enum AskError {
    Run(std::io::Error),
    Slow,
    Failed(std::process::ExitStatus),
}

impl fmt::Display for AskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(error) => write!(f, "it cannot be run: {error}"),
            Self::Slow => write!(f, "it took longer than {} s", PATIENCE.as_secs()),
            Self::Failed(status) => write!(f, "it ended with {status}"),
        }
    }
}

/// Runs the tool once. Dropping the future kills it.
pub(in crate::stats) async fn ask(program: &Path) -> Result<Vec<Gpu>, AskError> {
    let mut child = Command::new(program)
        .args([QUERY, "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(AskError::Run)?;
    let output = child.stdout.take().expect("stdout is piped");
    let run = async {
        let mut text = Vec::new();
        output
            .take(OUTPUT_BYTES_MAX)
            .read_to_end(&mut text)
            .await
            .map_err(AskError::Run)?;
        let status = child.wait().await.map_err(AskError::Run)?;
        if status.success() {
            Ok(parse(&String::from_utf8_lossy(&text)))
        } else {
            Err(AskError::Failed(status))
        }
    };
    tokio::time::timeout(PATIENCE, run).await.unwrap_or(Err(AskError::Slow))
}

/// One card a line, in the query's order; the name comes last because it may hold a comma.
fn parse(csv: &str) -> Vec<Gpu> {
    csv.lines().filter_map(parse_line).take(GPUS_MAX).collect()
}

fn parse_line(line: &str) -> Option<Gpu> {
    let mut fields = line.splitn(7, ',').map(str::trim);
    let mut next = || fields.next();
    let bus = next()?.to_lowercase();
    // `[N/A]` and `[Not Supported]` are no numbers, and so no readings.
    let mut number = || next().map(|figure| figure.parse::<f64>().ok());
    let mebibytes = |figure: Option<f64>| figure.map(|figure| (figure * 1024.0 * 1024.0) as u64);
    let readings = GpuReadings {
        usage_percent: number()?,
        memory_total: mebibytes(number()?),
        memory_used: mebibytes(number()?),
        temperature_celsius: number()?,
        power_watts: number()?,
    };
    Some(Gpu::new("nvidia", next()?.to_owned(), bus, &readings))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_become_cards_and_what_is_not_supported_is_null() {
        let csv = "00000000:01:00.0, 42, 24564, 12282, 61, 287.41, NVIDIA GeForce RTX 4090\n\
                   00000000:02:00.0, [N/A], [N/A], [N/A], 50, [Not Supported], NVIDIA GB10, rev 2\n\
                   No devices were found\n";
        assert_eq!(
            serde_json::to_value(parse(csv)).unwrap(),
            json!([
                {"vendor": "nvidia", "name": "NVIDIA GeForce RTX 4090", "bus": "00000000:01:00.0",
                 "usage_percent": 42.0, "memory_total": 25_757_220_864_u64, "memory_used": 12_878_610_432_u64,
                 "memory_percent": 50.0, "memory_total_gb": 23.99, "memory_used_gb": 11.99,
                 "temperature_celsius": 61.0, "power_watts": 287.41},
                {"vendor": "nvidia", "name": "NVIDIA GB10, rev 2", "bus": "00000000:02:00.0",
                 "usage_percent": null, "memory_total": null, "memory_used": null, "memory_percent": null,
                 "memory_total_gb": null, "memory_used_gb": null, "temperature_celsius": 50.0, "power_watts": null},
            ])
        );
    }

    #[tokio::test]
    async fn a_tool_that_is_missing_or_fails_is_an_error() {
        assert!(matches!(
            ask(Path::new("/nonexistent/nvidia-smi")).await,
            Err(AskError::Run(_))
        ));
        assert!(matches!(ask(Path::new("/bin/false")).await, Err(AskError::Failed(_))));
    }
}
