//! Prometheus' text format, read. Pure; what is no sample is passed over.

use std::collections::BTreeMap;

/// Far more than both planes have together; what is beyond is not read.
const SAMPLES_MAX: usize = 100_000;

/// One scrape.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Page {
    samples: Vec<Sample>,
}

#[derive(Debug, Clone, PartialEq)]
struct Sample {
    name: String,
    labels: Vec<(String, String)>,
    value: f64,
}

impl Sample {
    fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Page {
    pub(super) fn parse(text: &str) -> Self {
        let samples = text.lines().filter_map(sample).take(SAMPLES_MAX);
        Self {
            samples: samples.collect(),
        }
    }

    /// All samples of a name together; `None` where there is none.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        self.sum_where(name, &[])
    }

    /// Those with these labels.
    pub(super) fn sum_where(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let fits = |sample: &&Sample| labels.iter().all(|(label, value)| sample.label(label) == Some(*value));
        let mut fitting = self.of(name).filter(fits).peekable();
        fitting.peek()?;
        Some(fitting.map(|sample| sample.value).sum())
    }

    /// Summed by what one label says.
    pub(super) fn by(&self, name: &str, label: &str) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.of(name) {
            if let Some(value) = sample.label(label) {
                *sums.entry(value.to_owned()).or_default() += sample.value;
            }
        }
        sums
    }

    /// The values of two labels that occur together.
    pub(super) fn pairs(&self, name: &str, labels: (&str, &str)) -> Vec<(String, String)> {
        let mut pairs: Vec<_> = self
            .of(name)
            .filter_map(|sample| Some((sample.label(labels.0)?.to_owned(), sample.label(labels.1)?.to_owned())))
            .collect();
        pairs.sort();
        pairs.dedup();
        pairs
    }

    fn of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Sample> {
        self.samples.iter().filter(move |sample| sample.name == name)
    }
}

fn sample(line: &str) -> Option<Sample> {
    if line.starts_with('#') {
        return None;
    }
    let name_end = line.find(['{', ' '])?;
    let (name, rest) = line.split_at(name_end);
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(inner) => labels(inner)?,
        None => (Vec::new(), rest),
    };
    // A moment may follow.
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// What is between the braces, and what follows them.
fn labels(mut rest: &str) -> Option<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(after) = rest.strip_prefix('}') {
            return Some((labels, after));
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, after) = quoted(value)?;
        labels.push((name.to_owned(), value));
        rest = after;
    }
}

/// Up to the closing quotation mark. What a terminal would obey is shown and not obeyed.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => match characters.next()?.1 {
                'n' => value.push('␊'),
                escaped => value.push(escaped),
            },
            control if control.is_control() => value.push('\u{fffd}'),
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_and_all_else_is_passed_over() {
        let page = Page::parse(
            "# HELP a_total How many.\n# TYPE a_total counter\n\
             a_total{router=\"x\",code=\"200\"} 7\na_total{router=\"y\",code=\"200\"} 1 1700000000\n\
             a_total{router=\"x\",code=\"500\"} 2.5e0\nplain 3\nbroken{\nbroken{x=\"\nnovalue{x=\"1\"} \n\
             odd{name=\"a\\\"b\\\\c\\nd\u{1b}[2J\"} 1\n",
        );
        assert_eq!(page.sum("a_total"), Some(10.5));
        assert_eq!(page.sum_where("a_total", &[("code", "200")]), Some(8.0));
        assert_eq!(page.sum_where("a_total", &[("code", "404")]), None);
        assert_eq!(page.sum("plain"), Some(3.0));
        assert_eq!(page.sum("broken"), None);
        let by = page.by("a_total", "router");
        assert_eq!((by["x"], by["y"]), (9.5, 1.0));
        assert_eq!(page.pairs("a_total", ("router", "code")).len(), 3);
        assert_eq!(
            page.by("odd", "name").into_keys().next().as_deref(),
            Some("a\"b\\c␊d\u{fffd}[2J")
        );
    }
}
