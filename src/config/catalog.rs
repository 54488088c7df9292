//! Connectors, transforms and Gantry's own sections with their options, for people: what `gantry list` prints.

use serde_json::Value as Json;

use super::{
    plugins::Registered,
    schema::{self, Slot},
    suggest,
};
use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin, TransformPlugin};

/// A connector's source, sink or connection, a transform, or a section of Gantry's own options.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `source`, `sink`, `transform`, `connection` or `section`.
    pub kind: &'static str,
    /// The key that selects it in YAML.
    pub name: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What a source or a sink can do, each by its name.
    pub capabilities: Vec<(&'static str, bool)>,
    /// The JSON Schema of its options.
    pub schema: Json,
}

/// One option.
#[derive(Debug, Clone)]
pub struct OptionRow {
    /// Where it stands below the section, like `declare.partitions`.
    pub path: String,
    /// What it takes, in words.
    pub kind: String,
    /// Whether it must be written.
    pub required: bool,
    /// What it is when it is not written, if that is anything.
    pub default: Option<String>,
    /// What it does.
    pub description: String,
}

/// All of them, in the order of the registry.
pub fn entries() -> Vec<Entry> {
    let mut all = Vec::new();
    all.extend(of_kind::<SourcePlugin>());
    all.extend(of_kind::<SinkPlugin>());
    all.extend(of_kind::<TransformPlugin>());
    all.extend(of_kind::<ConnectionPlugin>());
    all.extend(sections());
    all
}

fn sections() -> [Entry; 7] {
    let (root, bridge) = (schema::root(), schema::bridge());
    let section = |name, summary, schema: &Json| {
        let capabilities = Vec::new();
        Entry { kind: "section", name, summary, capabilities, schema: schema.clone() }
    };
    let (of_process, of_bridge) = (&root["properties"], &bridge["properties"]);
    [
        section("control", "the port for metrics, health and the REST API", &of_process["control"]),
        section("log", "what is logged and how", &of_process["log"]),
        section("limits", "how much may be in flight in all tasks together", &of_process["limits"]),
        section("bridges", "a bridge, below its name", &bridge),
        section("errors", "of a bridge: what to do with what fails", &of_bridge["errors"]),
        section("hops", "of a bridge: how it counts what goes round", &of_bridge["hops"]),
        section("limits", "of a bridge: how much may be in flight in one task", &of_bridge["limits"]),
    ]
}

fn of_kind<P: Registered>() -> impl Iterator<Item = Entry> {
    P::all().iter().map(|plugin| Entry {
        kind: P::KIND.word(),
        name: plugin.name(),
        summary: plugin.summary(),
        capabilities: plugin.capabilities(),
        schema: plugin.schema().to_value(),
    })
}

/// What to say when nothing has this name.
pub fn unknown(entries: &[Entry], name: &str) -> Option<String> {
    let known = || entries.iter().map(|entry| entry.name);
    (!known().any(|known| known == name)).then(|| {
        let mut names: Vec<&str> = known().collect();
        names.sort_unstable();
        names.dedup();
        suggest::instead(name, names)
    })
}

/// Its options, one row each, in the order they are declared. A connection's are listed with the connection.
pub fn options(entry: &Entry) -> Vec<OptionRow> {
    let has_connection = entry.kind != "connection" && connections().any(|name| name == entry.name);
    let mut lister = Lister { has_connection, rows: Vec::new(), listed: Vec::new() };
    lister.list(&Slot::root(&entry.schema), "");
    lister.rows
}

fn connections() -> impl Iterator<Item = &'static str> {
    ConnectionPlugin::all().iter().map(|plugin| plugin.name)
}

struct Lister<'s> {
    has_connection: bool,
    rows: Vec<OptionRow>,
    /// The sets of options that are listed, and where: the same set elsewhere is referred to there. That ends schemas
    /// that hold themselves too.
    listed: Vec<(&'s Json, String)>,
}

impl<'s> Lister<'s> {
    fn list(&mut self, slot: &Slot<'s>, at: &str) {
        let objects: Vec<&'s Json> =
            slot.forms().iter().copied().filter(|form| form.get("properties").is_some()).collect();
        self.listed.extend(objects.iter().map(|object| (&object["properties"], at.to_owned())));
        // Where there are several forms, which key must be there depends on the form.
        let required = match objects.as_slice() {
            [object] => object.get("required").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default(),
            _ => &[],
        };
        for key in slot.known_keys() {
            let Some(below) = slot.key(key) else { continue };
            let path = if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
            let is_connection = self.has_connection && at.is_empty() && key == "connection";
            let row = self.rows.len();
            self.rows.push(OptionRow {
                kind: if is_connection { "a connection's name, or its options".to_owned() } else { kind(&below) },
                required: required.iter().any(|required| required == key),
                default: default(&below),
                description: text(&below, "description").or_else(|| of_variant(&objects, key)).unwrap_or_default(),
                path: path.clone(),
            });
            if is_connection {
                continue;
            }
            for (slot, at) in [(Some(below.clone()), path.clone()), (below.item(), format!("{path}[]"))] {
                let Some(slot) = slot else { continue };
                match self.listed_before(&slot).map(|before| format!("\nIt has the options of `{before}`.")) {
                    Some(remark) => self.rows[row].description += &remark,
                    None => self.list(&slot, &at),
                }
            }
        }
    }

    fn listed_before(&self, slot: &Slot<'_>) -> Option<&str> {
        let properties = slot.forms().iter().find_map(|form| form.get("properties"))?;
        let found = self.listed.iter().find(|(listed, at)| *listed == properties && !at.is_empty());
        found.map(|(_, at)| at.as_str())
    }
}

/// Where one of several forms has this key alone, the form's description is the key's.
fn of_variant(forms: &[&Json], key: &str) -> Option<String> {
    let is_its_own = |form: &&&Json| matches!(form["properties"].as_object(), Some(keys) if keys.len() == 1 && keys.contains_key(key));
    let variant = forms.iter().filter(|_| forms.len() > 1).find(is_its_own)?;
    variant.get("description")?.as_str().map(str::to_owned)
}

fn text(slot: &Slot<'_>, keyword: &str) -> Option<String> {
    slot.forms().iter().find_map(|form| form.get(keyword)?.as_str()).map(str::to_owned)
}

fn default(slot: &Slot<'_>) -> Option<String> {
    let default = slot.forms().iter().find_map(|form| form.get("default"))?;
    match default {
        Json::Null => None,
        Json::Object(entries) if entries.is_empty() => None,
        Json::Array(items) if items.is_empty() => None,
        // The options in it have defaults of their own.
        Json::Object(_) => None,
        Json::String(text) if text.is_empty() => Some("\"\"".to_owned()),
        Json::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What an option takes, in words.
fn kind(slot: &Slot<'_>) -> String {
    let constants = schema::constants(slot);
    if !constants.is_empty() {
        return suggest::list(constants, "or");
    }
    if slot.is_secret() {
        return "secret text".to_owned();
    }
    if slot.is_template() {
        return "template".to_owned();
    }
    let mut words = Vec::new();
    for form in slot.forms() {
        for word in schema::words(form) {
            let word = match (word, form.get("examples")) {
                ("text", Some(Json::Array(examples))) if form.get("pattern").is_some() => {
                    let texts: Vec<&str> = examples.iter().filter_map(Json::as_str).take(2).collect();
                    if texts.is_empty() { word.to_owned() } else { format!("text like {}", texts.join(" or ")) }
                }
                ("a list", _) => match slot.item().map(|item| kind(&item)) {
                    Some(item) if item != "anything" => format!("a list of: {item}"),
                    _ => word.to_owned(),
                },
                _ => word.to_owned(),
            };
            if !words.contains(&word) {
                words.push(word);
            }
        }
    }
    if words.is_empty() { "anything".to_owned() } else { suggest::list(words, "or") }
}
