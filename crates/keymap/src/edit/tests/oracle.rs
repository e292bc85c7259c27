//! Files put together at random, edited, and read again: what was meant, and nothing else.

use document::{Node, Value};
use proptest::prelude::*;

use super::*;

/// How one router is written in block style; `{n}`, `{r}` and `{s}` stand for name, rule and service.
const BLOCK: &[&str] = &[
    "    {n}:\n      rule: {r}\n      service: {s}\n",
    "    {n}: # c: {x}\n      service: {s}\n\n      # x\n      rule: '{r}' # y\n",
    "    \"{n}\":\n        rule: \"{r}\"\n        middlewares: [ a, b ]\n        service: {s}\n",
    "    {n}: { rule: '{r}', service: {s} }\n",
    "    {n}: {\n      service: {s}, # c\n      rule: \"{r}\",\n    }\n",
    "    {n}:\n      service: {s}\n      rule: >-\n        {r}\n\n",
    "    {n}:\n      service: {s}\n      rule: |\n        {r}\n",
    "    {n}:\n      priority: 3\n      rule:\n        {r}\n      service: {s}\n",
];
const FLOW: &[&str] = &[
    "{n}: { rule: '{r}', service: {s} }",
    "'{n}': {service: {s}, rule: \"{r}\"}",
    "\n    {n}: {service: {s}, # c\n      rule:\n        '{r}'}",
];
const BETWEEN: &[&str] = &[
    "",
    "\n",
    "    # comment\n",
    "  # less\n\n",
    "\t\n",
    "      # more { } \" '\n",
];
const RULES: &[&str] = &[
    "Key(`KEY`)",
    "HeaderRegexp(`Authorization`, `^Bearer KEY$`)",
    "Path(`/v1`) && Key(`KEY`)",
    "(Key(`KEY`) && Path(`/ä`)) || Key(`KEY`) && !Method(`GET`)",
    "Header(`api-key`, `KEY`) && Model(`m`)",
];

#[derive(Debug, Clone)]
struct Sample {
    text: String,
    names: Vec<String>,
}

fn sample() -> impl Strategy<Value = Sample> {
    let router = (0..BLOCK.len() * FLOW.len(), 0..BETWEEN.len(), 0..RULES.len());
    let routers = proptest::collection::vec(router, 1..6);
    (routers, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(routers, flow, services_first, windows, newline)| {
            let names: Vec<_> = (0..routers.len()).map(|n| format!("r{n}")).collect();
            let fill = |form: &str, index: usize, rule: usize| {
                let rule = RULES[rule].replace("KEY", &format!("key-{index}"));
                form.replace("{n}", &names[index])
                    .replace("{r}", &rule)
                    .replace("{s}", "gpu")
                    .replace("{x}", "'\"")
            };
            let mut section = String::from(if flow { "  routers: {" } else { "  routers: # all\n" });
            for (index, (form, between, rule)) in routers.iter().enumerate() {
                if flow {
                    section.push_str(&fill(FLOW[form % FLOW.len()], index, *rule));
                    section.push_str(if index + 1 < routers.len() || form % 2 == 0 {
                        ", "
                    } else {
                        ""
                    });
                } else {
                    section.push_str(BETWEEN[*between]);
                    section.push_str(&fill(BLOCK[form % BLOCK.len()], index, *rule));
                }
            }
            if flow {
                section.push_str("\n  } # end\n");
            }
            let services = "  services:\n    gpu: { loadBalancer: { servers: [ { url: http://127.0.0.1:1 } ] } }\n";
            let mut text = if services_first {
                format!("# top\nhttp:\n{services}{section}")
            } else {
                format!("# top\nhttp:\n{section}{services}")
            };
            if !newline {
                text.truncate(text.trim_end().len());
            }
            if windows {
                text = text.replace('\n', "\r\n");
            }
            Sample { text, names }
        },
    )
}

/// Everything a text says, router by router, and the rest.
fn meaning(text: &str) -> (Vec<(String, String)>, String) {
    let root = document::parse(text).expect("YAML");
    let Value::Map(http) = field(&root, "http") else {
        panic!("a map")
    };
    let Value::Map(routers) = field(&http_node(&root), "routers") else {
        panic!("a map")
    };
    let routers = routers
        .iter()
        .map(|entry| (entry.key.to_string(), shape(&entry.value)))
        .collect();
    let rest = http
        .iter()
        .filter(|entry| entry.key != "routers")
        .map(|entry| shape(&entry.value))
        .collect();
    (routers, rest)
}

fn http_node<'t>(root: &Node<'t>) -> Node<'t> {
    let Value::Map(entries) = &root.value else {
        panic!("a map")
    };
    entries
        .iter()
        .find(|entry| entry.key == "http")
        .expect("http")
        .value
        .clone()
}

fn field<'t>(node: &Node<'t>, name: &str) -> Value<'t> {
    let Value::Map(entries) = &node.value else {
        panic!("a map")
    };
    entries
        .iter()
        .find(|entry| entry.key == name)
        .expect("a field")
        .value
        .value
        .clone()
}

/// Without positions, which an edit moves.
fn shape(node: &Node<'_>) -> String {
    match &node.value {
        Value::Null => "~".into(),
        Value::Scalar(text) => format!("{:?}", &**text),
        Value::List(items) => format!("[{}]", items.iter().map(shape).collect::<Vec<_>>().join(",")),
        Value::Map(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|entry| format!("{}:{}", entry.key, shape(&entry.value)))
                .collect();
            format!("{{{}}}", entries.join(","))
        }
    }
}

fn comments(text: &str) -> usize {
    text.matches("# comment").count()
        + text.matches("# more").count()
        + text.matches("# less").count()
        + text.matches("# top").count()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, ..ProptestConfig::default() })]

    #[test]
    fn a_revocation_takes_one_router(sample in sample(), pick in any::<proptest::sample::Index>()) {
        let name = pick.get(&sample.names).clone();
        let scene = Scene::new(&[("team.yml", &sample.text)]);
        scene.revoke(&[&name]).map_err(|error| TestCaseError::fail(format!("{error}\n{}", sample.text)))?;
        let after = scene.text("team.yml");
        let (mut routers, rest) = meaning(&sample.text);
        routers.retain(|(router, _)| *router != name);
        prop_assert_eq!(meaning(&after), (routers, rest), "{}\n---\n{}", &sample.text, &after);
        prop_assert_eq!(comments(&after), comments(&sample.text), "{}\n---\n{}", &sample.text, &after);
    }

    #[test]
    fn a_rotation_changes_one_rule(sample in sample(), pick in any::<proptest::sample::Index>()) {
        let index = pick.index(sample.names.len());
        let name = &sample.names[index];
        let scene = Scene::new(&[("team.yml", &sample.text)]);
        let key = scene.rotate(name, false).map_err(|error| TestCaseError::fail(format!("{error}\n{}", sample.text)))?;
        let after = scene.text("team.yml");
        let old = format!("key-{index}");
        let (before, rest) = meaning(&sample.text);
        let (routers, rest_after) = meaning(&after);
        prop_assert_eq!(rest, rest_after);
        for ((name_before, shape_before), (name_after, shape_after)) in before.iter().zip(&routers) {
            prop_assert_eq!(name_before, name_after);
            prop_assert_eq!(shape_before == shape_after, name_before != name);
        }
        prop_assert!(!after.contains(&old), "{}", &after);
        // Line for line the same but for where the rule stands.
        let changed = sample.text.lines().zip(after.lines()).filter(|(before, after)| before != after);
        prop_assert!(changed.into_iter().all(|(before, after)| before.contains(&old) && after.contains(&key.hash().to_hex())));
        prop_assert_eq!(sample.text.lines().count(), after.lines().count());
        prop_assert!(scene.pins().contains(&(name.clone(), vec![key.hash()])));
    }
}
