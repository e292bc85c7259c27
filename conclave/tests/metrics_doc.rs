//! docs/METRICS.md is made of what both planes show, and of `metrics_doc/page.md` around it.
//!
//! `CONCLAVE_WRITE_DOCS=1` writes it; otherwise it is compared.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

const PAGE: &str = include_str!("metrics_doc/page.md");
const UNITS: [&str; 3] = ["seconds", "bytes", "tokens"];

#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: String,
    labels: Vec<String>,
    has_sample: bool,
}

/// By name, in alphabetical order.
fn families(text: &str) -> BTreeMap<String, Family> {
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    for line in text.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some("HELP"), Some(name), help) => {
                families.entry(name.to_owned()).or_default().help = help.unwrap_or_default().to_owned();
            }
            (Some("#"), Some("TYPE"), Some(name), Some(kind)) => {
                families.entry(name.to_owned()).or_default().kind = kind.to_owned();
            }
            _ => {
                let name_end = line.find(['{', ' ']).expect("a sample");
                let family = owner(&mut families, &line[..name_end]);
                family.has_sample = true;
                for label in labels(line) {
                    if label != "le" && !family.labels.contains(&label) {
                        family.labels.push(label);
                    }
                }
            }
        }
    }
    families
}

/// A histogram's samples are called after it.
fn owner<'a>(families: &'a mut BTreeMap<String, Family>, sample: &str) -> &'a mut Family {
    let whole = ["_bucket", "_sum", "_count"]
        .iter()
        .filter_map(|end| sample.strip_suffix(end))
        .find(|name| families.get(*name).is_some_and(|family| family.kind == "histogram"));
    let name = whole.unwrap_or(sample).to_owned();
    families.get_mut(&name).unwrap_or_else(|| panic!("{name} has no TYPE"))
}

/// The specimen's values are empty or plain, so that commas part labels.
fn labels(line: &str) -> Vec<String> {
    let Some((_, rest)) = line.split_once('{') else {
        return Vec::new();
    };
    let inner = rest.split_once('}').expect("closed").0;
    let name = |pair: &str| pair.split_once('=').expect("a pair").0.to_owned();
    inner.split(',').map(name).collect()
}

fn table(families: &BTreeMap<String, Family>) -> String {
    let mut table = "| metric | type | labels | unit | what |\n|---|---|---|---|---|\n".to_owned();
    for (name, family) in families {
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let (kind, help) = (&family.kind, &family.help);
        let labels = labels.join(", ");
        writeln!(table, "| `{name}` | {kind} | {labels} | {} | {help} |", unit(name)).expect("a string");
    }
    table.trim_end().to_owned()
}

fn unit(name: &str) -> &'static str {
    let base = name.trim_end_matches("_total");
    UNITS.into_iter().find(|unit| base.ends_with(unit)).unwrap_or("")
}

fn both() -> [(&'static str, BTreeMap<String, Family>); 2] {
    let edge = edge::metrics_specimen().expect("the edge's families");
    [
        ("edge", families(&edge)),
        ("aggregator", families(&aggregator::metrics_specimen())),
    ]
}

#[test]
fn the_page_is_what_the_code_says() {
    let page = both().iter().fold(PAGE.to_owned(), |page, (plane, families)| {
        page.replace(&format!("{{{{{plane}}}}}"), &table(families))
    });
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    if std::env::var_os("CONCLAVE_WRITE_DOCS").is_some() {
        std::fs::write(&path, &page).expect("docs/METRICS.md can be written");
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/METRICS.md is not what the code says; run: CONCLAVE_WRITE_DOCS=1 cargo test -p conclave --test metrics_doc"
    );
}

#[test]
fn every_family_is_named_explained_and_shown_with_its_labels() {
    for (plane, families) in both() {
        assert!(families.len() > 15, "{plane}: {}", families.len());
        for (name, family) in families {
            assert!(
                family.has_sample,
                "{name}: its plane's specimen must touch it, or its labels are not known"
            );
            assert!(
                family.help.ends_with('.'),
                "{name}: a sentence says what it is: {:?}",
                family.help
            );
            assert!(name.starts_with("conclave_") || name.starts_with("gen_ai_"), "{name}");
            let is_counter = family.kind == "counter";
            assert_eq!(name.ends_with("_total"), is_counter, "{name} is a {}", family.kind);
        }
    }
}
