//! `/stats`: `routheon-server`'s sections, fields and JSON types; the filter; the tool for NVIDIA's cards.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use aggregator::StatsFilter;
use serde_json::{Value, json};

use crate::service::{Running, quick};

/// Sections, fields and JSON types of routheon-server 1.0.7: `s` text, `i` integer, `f` number with a fraction.
const SHAPE: &[(&str, &[(&str, char)])] = &[
    (
        "system",
        &[
            ("platform", 's'),
            ("platform_release", 's'),
            ("platform_version", 's'),
            ("hostname", 's'),
            ("architecture", 's'),
            ("processor", 's'),
            ("uptime_seconds", 'i'),
            ("uptime_human", 's'),
        ],
    ),
    (
        "cpu",
        &[
            ("usage_percent", 'f'),
            ("load_average", 'o'),
            ("core_count", 'i'),
            ("core_count_logical", 'i'),
        ],
    ),
    (
        "memory",
        &[
            ("total", 'i'),
            ("available", 'i'),
            ("used", 'i'),
            ("free", 'i'),
            ("percent", 'f'),
            ("total_gb", 'f'),
            ("available_gb", 'f'),
            ("used_gb", 'f'),
            ("free_gb", 'f'),
        ],
    ),
    ("swap", VOLUME),
    ("disk", VOLUME),
    (
        "network",
        &[
            ("bytes_sent", 'i'),
            ("bytes_recv", 'i'),
            ("packets_sent", 'i'),
            ("packets_recv", 'i'),
            ("errin", 'i'),
            ("errout", 'i'),
            ("dropin", 'i'),
            ("dropout", 'i'),
        ],
    ),
    ("processes", &[("count", 'i')]),
];

const VOLUME: &[(&str, char)] = &[
    ("total", 'i'),
    ("used", 'i'),
    ("free", 'i'),
    ("percent", 'f'),
    ("total_gb", 'f'),
    ("used_gb", 'f'),
    ("free_gb", 'f'),
];

fn kind(value: &Value) -> char {
    match value {
        Value::String(_) => 's',
        Value::Number(number) if number.is_f64() => 'f',
        Value::Number(_) => 'i',
        Value::Object(_) => 'o',
        _ => '?',
    }
}

fn fields(section: &Value) -> Vec<(&str, char)> {
    section
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), kind(value)))
        .collect()
}

#[tokio::test]
async fn sections_fields_and_types_are_routheon_servers() {
    let mut config = quick();
    config.stats.drm_folder = "/nonexistent".into();
    let service = Running::start(config, Vec::new()).await;
    let stats = service.get("/stats").await;
    let names: Vec<&String> = stats.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "timestamp",
            "system",
            "cpu",
            "memory",
            "swap",
            "disk",
            "network",
            "processes",
            "gpu"
        ]
    );
    for (section, shape) in SHAPE {
        assert_eq!(fields(&stats[section]), *shape, "{section}");
    }
    assert_eq!(
        fields(&stats["cpu"]["load_average"]),
        [("1min", 'f'), ("5min", 'f'), ("15min", 'f')]
    );
    assert_eq!(stats["gpu"], json!([]));
    let timestamp = stats["timestamp"].as_str().unwrap();
    assert_eq!((timestamp.len(), &timestamp[10..11], &timestamp[19..]), (20, "T", "Z"));
    service.stop().await;
}

#[tokio::test]
async fn the_demos_filter_file_shows_what_it_names_and_nothing_else() {
    let text = "enabled_sections:\n  - timestamp\n  - cpu\n  - memory\nenabled_fields:\n  memory:\n    - percent\n    \
                - free_gb\n  cpu: []\n  disk:\n    - percent\n";
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("stats-config.yml");
    std::fs::write(&path, text).unwrap();
    let loaded = StatsFilter::load(&path).unwrap();
    assert_eq!(loaded.warnings, []);
    let mut config = quick();
    config.stats.filter = loaded.filter;
    let service = Running::start(config, Vec::new()).await;
    let stats = service.get("/stats").await;
    let names: Vec<&String> = stats.as_object().unwrap().keys().collect();
    assert_eq!(names, ["timestamp", "cpu", "memory"]);
    assert_eq!(stats["cpu"], json!({}));
    assert_eq!(fields(&stats["memory"]), [("percent", 'f'), ("free_gb", 'f')]);
    service.stop().await;
}

/// A stand-in for NVIDIA's tool.
fn tool(folder: &Path, script: &str) -> std::path::PathBuf {
    let path = folder.join("nvidia-smi");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn nvidias_cards_are_listed_after_the_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let device = folder.path().join("drm/card0/device");
    std::fs::create_dir_all(&device).unwrap();
    for (name, text) in [
        ("vendor", "0x1002\n"),
        ("gpu_busy_percent", "5\n"),
        ("product_name", "Radeon\n"),
    ] {
        std::fs::write(device.join(name), text).unwrap();
    }
    let mut config = quick();
    config.stats.drm_folder = folder.path().join("drm");
    config.stats.nvidia_smi = Some(tool(
        folder.path(),
        "echo '00000000:01:00.0, 7, 8192, 1024, 40, 30.5, NVIDIA X'",
    ));
    config.stats.sample_interval = std::time::Duration::from_millis(200);
    let service = Running::start(config, Vec::new()).await;
    let cards = loop {
        let stats = service.get("/stats").await;
        if stats["gpu"].as_array().unwrap().len() == 2 {
            break stats["gpu"].clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (&cards[0]["vendor"], &cards[0]["usage_percent"]),
        (&json!("amd"), &json!(5.0))
    );
    assert_eq!(
        (&cards[1]["vendor"], &cards[1]["memory_percent"]),
        (&json!("nvidia"), &json!(12.5))
    );
    service.stop().await;
}

#[tokio::test]
async fn a_tool_that_hangs_delays_neither_answers_nor_shutdown() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = quick();
    config.stats.nvidia_smi = Some(tool(folder.path(), "exec sleep 3600"));
    let service = Running::start(config, Vec::new()).await;
    assert_eq!(service.get("/stats").await["gpu"], json!([]));
    let took = service.stop().await;
    assert!(took < std::time::Duration::from_secs(1), "{took:?}");
}
