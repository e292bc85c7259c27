//! This host: CPU, memory, disk, GPU, from the `/stats` board, and how they were lately.

use maud::{Markup, html};
use serde_json::Value;

use crate::history::{History, Sample};
use crate::series::Series;
use crate::ui::parts;
use crate::ui::{format, plot};

/// Points of a small line: more than that nobody sees.
const POINTS: usize = 60;
const GPUS_MAX: usize = 8;

type Of = fn(&Sample) -> Option<f64>;

pub(super) fn section(stats: Option<&Value>, history: &History, series: &Series) -> Markup {
    let samples = history.since(series.from_us);
    html! {
        section.card aria-labelledby="host-title" {
            header { h2 #host-title { "This host" } @if let Some(stats) = stats { span.quiet { (name(stats)) } } }
            @match stats {
                None => p.quiet { "It is being measured for the first time." },
                Some(stats) => {
                    div.gauges {
                        (gauge("CPU", stats["cpu"]["usage_percent"].as_f64(), &cpu(stats), &samples, |sample| sample.cpu_percent))
                        (gauge("Memory", stats["memory"]["percent"].as_f64(), &memory(&stats["memory"]), &samples, |sample| sample.memory_percent))
                        (gauge("Disk", stats["disk"]["percent"].as_f64(), &memory(&stats["disk"]), &samples, |sample| sample.disk_percent))
                        @for card in stats["gpu"].as_array().into_iter().flatten().take(GPUS_MAX) {
                            (gauge(card["name"].as_str().unwrap_or("GPU"), card["usage_percent"].as_f64(), &gpu(card), &samples, |sample| sample.gpu_percent))
                        }
                    }
                    @if stats["gpu"].as_array().is_none_or(Vec::is_empty) { p.quiet { "No GPU is seen here." } }
                }
            }
        }
    }
}

fn name(stats: &Value) -> String {
    let part = |name: &str| stats["system"][name].as_str().unwrap_or_default().to_owned();
    let up = part("uptime_human");
    let host = part("hostname");
    match (host.is_empty(), up.is_empty()) {
        (true, _) => String::new(),
        (false, true) => host,
        (false, false) => format!("{host}, up {up}"),
    }
}

fn gauge(label: &str, percent: Option<f64>, detail: &str, samples: &[Sample], of: Of) -> Markup {
    let now = percent.map_or_else(|| format::NONE.to_owned(), |percent| format!("{percent:.0} %"));
    let points = thinned(samples, of);
    let known = points.iter().flatten().count();
    html! {
        div.gauge {
            dl { (parts::figure(label, &now, detail)) }
            @if known > 1 { (plot::spark(&points, &format!("{label} lately, now {now}"))) }
        }
    }
}

fn thinned(samples: &[Sample], of: Of) -> Vec<Option<f64>> {
    let step = samples.len().div_ceil(POINTS).max(1);
    samples
        .iter()
        .rev()
        .step_by(step)
        .map(of)
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
        .collect()
}

fn cpu(stats: &Value) -> String {
    let cores = stats["cpu"]["core_count_logical"].as_u64();
    let load = stats["cpu"]["load_average"]["1min"].as_f64();
    let cores = cores.map(|cores| format::counted(usize::try_from(cores).unwrap_or(0), "core", "cores"));
    let load = load.map(|load| format!("load {load:.1}"));
    [cores, load].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn memory(section: &Value) -> String {
    match (section["used"].as_u64(), section["total"].as_u64()) {
        (Some(used), Some(total)) => format!("{} of {}", format::bytes(used), format::bytes(total)),
        _ => String::new(),
    }
}

fn gpu(card: &Value) -> String {
    let memory = match (card["memory_used"].as_u64(), card["memory_total"].as_u64()) {
        (Some(used), Some(total)) => Some(format!("{} of {}", format::bytes(used), format::bytes(total))),
        _ => None,
    };
    let heat = card["temperature_celsius"].as_f64().map(|heat| format!("{heat:.0} °C"));
    let power = card["power_watts"].as_f64().map(|power| format!("{power:.0} W"));
    [memory, heat, power]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
