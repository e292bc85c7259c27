//! `conclave check` on a `config.yaml`: every problem is named, with its place, and no key is shown.

use std::path::Path;
use std::process::{Command, Output};

fn check(folder: &Path, configurations: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    command.arg("check").arg("--mappings").arg(folder.join("mappings"));
    for name in configurations {
        command.arg("--config").arg(folder.join(name));
    }
    command
        .env_remove("ADMIN_TOKEN")
        .env_remove("CONCLAVE_CONFIG")
        .env("CHECK_TEST_KEY", "sk-canary-variable")
        .output()
        .expect("conclave runs")
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("mappings")).expect("created");
    folder
}

const BROKEN: &str = "\
server: { host: 127.0.0.1, port: 99999 }
backends:
  - name: local
    type: olama
    url: http://localhost:11434
  - name: local
    type: openai
    url: 10.0.0.1:8000
    api_key: ${CHECK_TEST_KEY} with blanks
  - name: remote
    type: anthropic
    url: https://api.anthropic.com
    api_key: ${CHECK_TEST_NOT_SET}
    weigth: 3
routing:
  strategy: fastest
  heartbeat_interval: never
  fallbacks:
    big: [small]
    small: [big]
admin: { auth: { type: bearer, token: '${ADMIN_TOKEN}' } }
";

#[test]
fn a_broken_configuration_is_told_whole() {
    let folder = folder();
    std::fs::write(folder.path().join("config.yaml"), BROKEN).expect("written");
    let output = check(folder.path(), &["config.yaml"]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for (place, word) in [
        ("config.yaml:1:34: error", "`port`"),
        ("config.yaml:4:11: error", "`type`"),
        ("config.yaml:6:11: error", "line 3 has this one already"),
        ("config.yaml:8:10: error", "scheme"),
        ("config.yaml:9:14: error", "`api_key`"),
        ("config.yaml:13:14: error", "`CHECK_TEST_NOT_SET` is not set"),
        ("config.yaml:14:5: warning", "no such field"),
        ("config.yaml:16:13: error", "`strategy`"),
        ("config.yaml:17:23: error", "`heartbeat_interval`"),
        ("config.yaml:19:5: error", "must not lead back"),
    ] {
        let line = report.lines().find(|line| line.contains(place));
        assert!(line.is_some_and(|line| line.contains(word)), "{place} {word}\n{report}");
    }
    assert!(
        report.contains("Did you mean `ollama`?") && report.contains("Did you mean `weight`?"),
        "{report}"
    );
    assert!(!report.contains("canary"), "{report}");
}

#[test]
fn a_good_one_passes_and_so_does_traefiks_beside_it() {
    let folder = folder();
    let good = "backends:\n  - { name: a, type: openai, url: 'http://h:1', api_key: '${CHECK_TEST_KEY}' }\n";
    std::fs::write(folder.path().join("config.yaml"), good).expect("written");
    std::fs::write(
        folder.path().join("traefik.yml"),
        "entryPoints:\n  web:\n    address: ':8080'\n",
    )
    .expect("written");
    let output = check(folder.path(), &["config.yaml", "traefik.yml"]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert!(report.contains("0 errors, 0 warnings"), "{report}");
}

/// Ten templates with a mistake each, and where it is told.
const BROKEN_TEMPLATES: [(&str, &str, &str, &str); 10] = [
    ("a-syntax.yaml", "members: [\n", "1:10", "Brackets must match"),
    (
        "b-shape.yaml",
        "shape: debat\nmembers:\n  - {name: a}\n  - {name: b}\n",
        "1:8",
        "`shape` takes",
    ),
    ("c-no-members.yaml", "description: Nobody.\n", "1:1", "has `members`"),
    (
        "d-name.yml",
        "members:\n  - {name: not a name}\n",
        "2:12",
        "letters, digits",
    ),
    (
        "e-twice.yaml",
        "members:\n  - {name: a}\n  - {name: a}\n",
        "3:5",
        "a name of its own",
    ),
    (
        "f-field.yaml",
        "members:\n  - {name: a, temprature: 1}\n",
        "2:15",
        "no such field",
    ),
    (
        "g-temperature.yaml",
        "temperature: hot\nmembers:\n  - {name: a}\n",
        "1:14",
        "`temperature` takes a number",
    ),
    (
        "h-quorum.yaml",
        "quorum: 3\nmembers:\n  - {name: a}\n",
        "1:9",
        "there are 1",
    ),
    (
        "i-rounds.yaml",
        "shape: review\nrounds: 2\nmembers:\n  - {name: a}\n",
        "2:9",
        "answer once",
    ),
    (
        "j-council.yaml",
        "model: council/debate\nmembers:\n  - {name: a}\n",
        "1:8",
        "models, not councils",
    ),
];

#[test]
fn a_folder_of_ten_broken_templates_is_told_whole() {
    let folder = folder();
    let templates = folder.path().join("council_templates");
    std::fs::create_dir(&templates).expect("created");
    for (name, text, _, _) in BROKEN_TEMPLATES {
        std::fs::write(templates.join(name), text).expect("written");
    }
    std::fs::write(templates.join("good.yaml"), "members:\n  - {name: a, persona: x}\n").expect("written");
    let config = format!("council: {{ templates_dir: '{}' }}\n", templates.display());
    std::fs::write(folder.path().join("config.yaml"), config).expect("written");
    let output = check(folder.path(), &["config.yaml"]);
    let report = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{report}");
    for (name, _, place, rule) in BROKEN_TEMPLATES {
        let line = report
            .lines()
            .find(|line| line.contains(&format!("{name}:{place}: error")));
        assert!(
            line.is_some_and(|line| line.contains(rule)),
            "{name}:{place} {rule}\n{report}"
        );
    }
    assert!(
        report.contains("10 errors, 0 warnings") && !report.contains("good.yaml"),
        "{report}"
    );
    assert!(
        report.contains("Did you mean `debate`?") && report.contains("Did you mean `temperature`?"),
        "{report}"
    );
}

#[test]
fn a_folder_of_templates_that_is_not_there_is_an_error_where_it_was_asked_for() {
    let folder = folder();
    let output = Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(["check", "--council-templates", "nowhere", "--mappings"])
        .arg(folder.path().join("mappings"))
        .output()
        .expect("conclave runs");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("--council-templates nowhere"), "{told}");
}

#[test]
fn a_configuration_given_to_the_other_command_is_refused_with_its_name() {
    let folder = folder();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("written");
    put("config.yaml", "backends: []\n");
    put("traefik.yml", "entryPoints:\n  web:\n    address: \":0\"\n");
    for (command, file, fix) in [
        ("edge", "config.yaml", "`conclave aggregator`"),
        ("aggregator", "traefik.yml", "`conclave edge`"),
        ("up", "traefik.yml", "`conclave edge`"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_conclave"))
            .args([command, "--config"])
            .arg(folder.path().join(file))
            .arg("--mappings")
            .arg(folder.path().join("mappings"))
            .output()
            .expect("conclave runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{command}: {told}");
        assert!(told.contains(file) && told.contains(fix), "{command}: {told}");
    }
}
