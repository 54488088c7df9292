//! What the documentation shows is what the program takes.
//!
//! Every fence marked `yaml` in README.md, CONTRIBUTING.md, docs/ and the connectors' READMEs is a whole configuration, and so
//! is every file under examples/. Each must pass `gantry check --strict`: what people copy has no error, and nothing that will
//! hurt. A fence that is only a part of a configuration is marked `yaml fragment` and is left out. References to secrets get a
//! value here: `…URL…` an AMQP URL, any other one `localhost:9092`, which is good for an address and for a password.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use gantry::telemetry::names;
use regex::Regex;
use serde_json::Value as Json;

use crate::support::Files;

/// A configuration, and where it stands.
struct Example {
    place: String,
    text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The files below a directory of the repository with one of these extensions, in order.
fn files(below: &str, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(below)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            open.extend(entries.map(|entry| entry.expect("a directory's entry").path()));
        } else if path.extension().is_some_and(|own| extensions.iter().any(|one| own == *one)) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The `yaml` fences of a page.
fn fences(path: &Path) -> Vec<Example> {
    let mut found: Vec<Example> = Vec::new();
    let mut open: Option<(String, bool)> = None;
    for (number, line) in read(path).lines().enumerate() {
        let fence = line.trim_start().strip_prefix("```");
        match (&mut open, fence) {
            (None, Some(info)) => {
                let wanted = info.trim() == "yaml";
                if wanted {
                    found.push(Example { place: format!("{}:{}", shown(path), number + 1), text: String::new() });
                }
                open = Some((line[..line.len() - line.trim_start().len()].to_owned(), wanted));
            }
            (Some(_), Some("")) => open = None,
            (Some((indent, true)), _) => {
                let text = &mut found.last_mut().expect("the fence was opened").text;
                text.push_str(line.strip_prefix(indent.as_str()).unwrap_or(line));
                text.push('\n');
            }
            (Some((_, false)) | None, _) => {}
        }
    }
    assert!(open.is_none(), "{}: a fence is not closed", shown(path));
    found
}

fn pages() -> Vec<PathBuf> {
    let mut pages = files("docs", &["md"]);
    pages.extend(
        ["README.md", "CONTRIBUTING.md"].map(|page| root().join(page)).into_iter().filter(|page| page.exists()),
    );
    pages.extend(files("connectors", &["md"]));
    pages
}

fn examples() -> Vec<Example> {
    let mut all: Vec<Example> = pages().iter().flat_map(|page| fences(page)).collect();
    all.extend(files("examples", &["yaml", "yml"]).iter().map(|path| Example { place: shown(path), text: read(path) }));
    all
}

/// The text with every reference pointing to a variable, and the values of those.
fn with_secrets(text: &str) -> (String, Vec<(String, String)>) {
    let elsewhere = Regex::new(r"\$\{(?:file|dir):[^}]*\}").expect("it is a constant");
    let text = elsewhere.replace_all(text, "$${env:FROM_A_FILE}").into_owned();
    let reference = Regex::new(r"\$\{env:([^}]+)\}").expect("it is a constant");
    let names: BTreeSet<&str> =
        reference.captures_iter(&text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let value =
        |name: &str| if name.contains("URL") { "amqp://guest:guest@localhost:5672/%2f" } else { "localhost:9092" };
    let variables = names.into_iter().map(|name| (name.to_owned(), value(name).to_owned())).collect();
    (text, variables)
}

#[test]
fn every_example_passes_the_strict_check() {
    let examples = examples();
    assert!(examples.iter().any(|example| example.place.starts_with("examples/")), "there are examples");
    assert!(examples.iter().any(|example| example.place.starts_with("docs/")), "there are examples in the docs");
    let mut wrong = Vec::new();
    for Example { place, text } in examples {
        let (text, variables) = with_secrets(&text);
        let variables: Vec<(&str, &str)> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let ended = Files::of(&[("example.yaml", &text)]).gantry(&["check", "--strict", "example.yaml"], &variables);
        if ended.code != Some(0) {
            wrong.push(format!("{place}\n{}{}", ended.out, ended.err));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_file_fits_the_printed_schema() {
    let files = Files::of(&[]);
    let schema = files.gantry(&["schema"], &[]).json();
    let validator = jsonschema::validator_for(&schema).expect("it is a schema");
    for path in self::files("examples", &["yaml", "yml"]) {
        let yaml = yaml_rust2::YamlLoader::load_from_str(&read(&path)).expect("it is YAML");
        let value = to_json(&yaml[0]);
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", shown(&path));
    }
}

fn to_json(yaml: &yaml_rust2::Yaml) -> Json {
    use yaml_rust2::Yaml;
    match yaml {
        Yaml::Boolean(value) => Json::from(*value),
        Yaml::Integer(value) => Json::from(*value),
        Yaml::Real(text) => text.parse::<f64>().map_or(Json::Null, Json::from),
        Yaml::String(text) => Json::from(text.as_str()),
        Yaml::Array(items) => items.iter().map(to_json).collect(),
        Yaml::Hash(entries) => {
            entries.iter().map(|(key, value)| (key.as_str().unwrap_or_default().to_owned(), to_json(value))).collect()
        }
        Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Json::Null,
    }
}

/// docs/configuration.md has a row for each of Gantry's own options, with its default.
#[test]
fn the_reference_names_every_option_and_its_default() {
    let page = read(&root().join("docs/configuration.md"));
    let schema = Files::of(&[]).gantry(&["schema"], &[]).json();
    let mut rows = Vec::new();
    let bridge = &schema["properties"]["bridges"]["additionalProperties"];
    for (prefix, part) in [("", &schema), ("bridges.NAME.", bridge)] {
        collect(prefix, part, &mut rows);
    }
    assert!(rows.len() >= 20, "{rows:?}");
    let missing: Vec<&String> = rows.iter().filter(|row| !page.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/configuration.md lacks rows that begin with: {missing:#?}");
}

/// `| path | default |` of each option, sections of connectors left out.
fn collect(prefix: &str, schema: &Json, rows: &mut Vec<String>) {
    for (key, option) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{prefix}{key}");
        let is_section = option["maxProperties"] == 1;
        let inner = option["properties"].as_object().is_some_and(|inner| !inner.is_empty());
        if inner && !is_section {
            collect(&format!("{path}."), option, rows);
        } else {
            let default = match &option["default"] {
                Json::String(text) => format!("`{text}`"),
                Json::Null => "–".to_owned(),
                Json::Object(entries) if entries.is_empty() => "–".to_owned(),
                Json::Array(items) if items.is_empty() => "–".to_owned(),
                other => format!("`{other}`"),
            };
            rows.push(format!("| `{path}` | {default} |"));
        }
    }
}

/// The page of a connector or of the transforms has every option of it, in code type.
#[test]
fn the_pages_of_connectors_and_transforms_name_every_option() {
    let list = Files::of(&[]).gantry(&["list", "--json"], &[]).json();
    let mut missing = Vec::new();
    for entry in list.as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        let page = match (entry["kind"].as_str(), name) {
            (Some("transform"), _) => "docs/transforms.md".to_owned(),
            (Some("section"), _) => "docs/configuration.md".to_owned(),
            (_, "generate" | "console" | "null") => "docs/connectors/generate.md".to_owned(),
            _ => format!("docs/connectors/{name}.md"),
        };
        let text = fs::read_to_string(root().join(&page)).unwrap_or_default();
        let code: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
        for option in entry["schema"]["properties"].as_object().into_iter().flat_map(serde_json::Map::keys) {
            let is_word =
                |code: &&str| code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|word| word == option);
            if !code.iter().any(is_word) {
                missing.push(format!("{page}: `{option}` of {name}"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A metric that was renamed must not leave a panel empty, nor an alert that never fires.
#[test]
fn dashboards_and_alerts_ask_for_metrics_that_exist_and_labels_that_they_have() {
    let queries = queries();
    assert!(queries.len() > 25, "{queries:?}");
    let selector = Regex::new(r"\b((?:gantry|process)_[a-z_]+)(?:\{([^}]*)\})?").expect("it compiles");
    let label = Regex::new(r#"([a-z_]+)(?:=|!=|=~|!~)""#).expect("it compiles");
    let mut wrong = Vec::new();
    for (place, query) in &queries {
        for found in selector.captures_iter(query) {
            let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| found[1].strip_suffix(suffix));
            let metric = names::ALL.iter().find(|metric| metric.name == &found[1] || Some(metric.name) == base);
            let Some(metric) = metric else {
                wrong.push(format!("{place}: there is no metric {}", &found[1]));
                continue;
            };
            let labels = found.get(2).map_or("", |labels| labels.as_str());
            // `job` and `instance` are Prometheus's own.
            for label in label.captures_iter(labels).map(|label| label.extract::<1>().1[0]) {
                if !metric.labels.contains(&label) && !["job", "instance"].contains(&label) {
                    wrong.push(format!("{place}: {} has no label {label}", metric.name));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every query of the dashboards and alerts, and where it stands.
fn queries() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for path in files("deploy/grafana/dashboards", &["json"]) {
        let dashboard: Json = serde_json::from_str(&read(&path)).expect("it is JSON");
        for panel in dashboard["panels"].as_array().expect("panels") {
            for target in panel["targets"].as_array().into_iter().flatten() {
                let query = target["expr"].as_str().expect("a query");
                queries.push((format!("{}: {}", shown(&path), panel["title"]), query.to_owned()));
            }
        }
    }
    queries.extend(
        alerts()
            .into_iter()
            .map(|alert| (format!("alert {}", alert["alert"]), alert["expr"].as_str().expect("a query").to_owned())),
    );
    queries
}

fn alerts() -> Vec<Json> {
    let yaml = yaml_rust2::YamlLoader::load_from_str(&read(&root().join("deploy/prometheus/alerts.yml")));
    let rules = to_json(&yaml.expect("it is YAML")[0]);
    rules["groups"]
        .as_array()
        .expect("groups")
        .iter()
        .flat_map(|group| group["rules"].as_array().expect("rules"))
        .cloned()
        .collect()
}

/// Where promtool is there, .ci/run lets it judge the rules and run their tests; here is what it does not ask for.
#[test]
fn every_alert_says_how_bad_it_is_and_what_to_do_and_fires_in_a_test() {
    let tests = read(&root().join("deploy/prometheus/alerts_test.yml"));
    for alert in alerts() {
        let name = alert["alert"].as_str().expect("a name");
        assert!(matches!(alert["labels"]["severity"].as_str(), Some("warning" | "critical")), "{name}");
        for annotation in ["summary", "description"] {
            assert!(alert["annotations"][annotation].is_string(), "{name} has no {annotation}");
        }
        assert!(tests.contains(&format!("alertname: {name}\n        exp_alerts:")), "{name} never fires in a test");
    }
}
