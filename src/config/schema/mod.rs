//! The JSON Schema of a whole configuration, put together from Gantry's own options and those of every plugin.

mod editors;
mod slot;

use std::sync::LazyLock;

use gantry_sdk::plugin::{ConnectionPlugin, SinkPlugin, SourcePlugin, TransformPlugin};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value as Json, json};

use super::{plugins::Registered, settings};
use crate::{registry, transform::filter};

pub(super) use slot::{Slot, constants, kind_of, words};

/// The JSON Schema (draft 2020-12) of a whole configuration, for editors: what loading takes, and nothing else.
pub fn schema() -> Json {
    let mut schema = whole().clone();
    editors::allow_references(&mut schema);
    schema
}

/// The same for values whose references and environment variables are put in.
pub(super) fn whole() -> &'static Json {
    static WHOLE: LazyLock<Json> = LazyLock::new(compose);
    &WHOLE
}

/// Gantry's own options around the bridges; what connectors read is left open.
pub(super) fn root() -> Json {
    of::<settings::Root>()
}

/// Gantry's own options of one bridge; what connectors and transforms read is left open.
pub(super) fn bridge() -> Json {
    of::<settings::Bridge>()
}

fn of<T: JsonSchema>() -> Json {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    SchemaGenerator::new(settings).into_root_schema_for::<T>().to_value()
}

fn compose() -> Json {
    let mut definitions = Map::new();
    let mut bridge = bridge();
    let mut root = root();

    let sources = section::<SourcePlugin>(&mut definitions);
    let sink = section::<SinkPlugin>(&mut definitions);
    let transforms = section::<TransformPlugin>(&mut definitions);
    let named = section::<ConnectionPlugin>(&mut definitions);

    strip(&mut bridge);
    put(&mut bridge, "/properties/source", sources);
    put(&mut bridge, "/properties/sink", sink.clone());
    put(&mut bridge, "/properties/sinks/items", branch(&sink, &transforms));
    put(&mut bridge, "/properties/transforms/items", transforms);
    exclude(&mut bridge, "sink", "sinks");
    let mut dead_letter = sink;
    dead_letter["type"] = json!(["object", "null"]);
    dead_letter["properties"][settings::REJECT] = json!({
        "type": ["object", "null"],
        "description": "The source's own dead letter: its broker puts the record aside.",
        "additionalProperties": false,
    });
    put(&mut bridge, "/properties/errors/properties/dead_letter", dead_letter);
    put(&mut root, "/properties/connections/additionalProperties", named);
    put(&mut root, "/properties/bridges/additionalProperties", bridge);
    put(
        &mut root,
        "/properties/bridges/propertyNames",
        json!({ "pattern": r"^[^/%\\\x00-\x1f\x7f]+$", "not": { "enum": [".", ".."] } }),
    );
    if !definitions.is_empty() {
        root["$defs"] = Json::Object(definitions);
    }
    let mut whole = json!({ "$schema": "https://json-schema.org/draft/2020-12/schema" });
    if let (Json::Object(whole), Json::Object(root)) = (&mut whole, root) {
        whole.extend(root);
    }
    whole
}

/// Puts a schema in place of an open one and keeps the description of the place.
fn put(schema: &mut Json, pointer: &str, mut part: Json) {
    let (parent, key) = pointer.rsplit_once('/').unwrap_or(("", pointer));
    let Some(Json::Object(parent)) = schema.pointer_mut(parent) else {
        unreachable!("settings.rs has no {pointer}; the tests print the schema");
    };
    if let Some(description) = parent.get(key).and_then(|open| open.get("description")) {
        part["description"] = description.clone();
    }
    parent.insert(key.to_owned(), part);
}

/// `{ NAME: { … } }` with exactly one of the names of a kind.
fn section<P: Registered>(definitions: &mut Map<String, Json>) -> Json {
    let properties: Map<String, Json> =
        P::all().iter().map(|plugin| (plugin.name().to_owned(), options(plugin, definitions))).collect();
    json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "minProperties": 1,
        "maxProperties": 1,
    })
}

/// One of several sinks: `{ NAME: { … }, when: { … } }`, with or without the condition.
fn branch(sink: &Json, transforms: &Json) -> Json {
    let mut branch = sink.clone();
    let mut when = transforms["properties"][filter::NAME].clone();
    when["type"] = json!("object");
    when["description"] = json!("Which records go there: those that a `filter` with these options keeps. Absent: all.");
    branch["properties"][settings::CONDITION] = when;
    if let Json::Object(keywords) = &mut branch {
        let count = |count: u32| json!({ "minProperties": count, "maxProperties": count });
        keywords.remove("minProperties");
        keywords.remove("maxProperties");
        // Not as forms, `anyOf`: these are none of their own.
        keywords.insert("if".to_owned(), json!({ "required": [settings::CONDITION] }));
        keywords.insert("then".to_owned(), count(2));
        keywords.insert("else".to_owned(), count(1));
    }
    branch
}

/// Lets an object have exactly one of two keys.
fn exclude(schema: &mut Json, one: &str, other: &str) {
    schema["if"] = json!({ "required": [one] });
    schema["then"] = json!({ "not": { "required": [other] } });
    schema["else"] = json!({ "required": [other] });
}

/// The options of one plugin, as a person may write them.
fn options<P: Registered>(plugin: &P, definitions: &mut Map<String, Json>) -> Json {
    let mut options = plugin.schema().to_value();
    hoist(&mut options, &format!("{}.{}", P::KIND.word(), plugin.name()), definitions);
    strip(&mut options);
    if !plugin.summary().is_empty() {
        options["description"] = json!(plugin.summary());
    }
    if registry::connections().iter().any(|connection| connection.name == plugin.name())
        && let Some(connection) = options.pointer_mut("/properties/connection")
    {
        let name = json!({ "type": "string", "description": "The name of a connection." });
        *connection = json!({
            "description": "How to reach the broker: the name of a connection, or its options right here.",
            "anyOf": [name, connection.take()],
        });
    }
    if options.get("required").is_none() {
        // `console:` without options.
        options["type"] = json!(["object", "null"]);
    }
    options
}

/// A schema that becomes a part of another: what only a root says goes.
fn strip(schema: &mut Json) {
    if let Json::Object(keywords) = schema {
        keywords.remove("$schema");
        keywords.remove("title");
    }
}

/// Moves the definitions of a recursive schema to the whole one's, under names of their own.
fn hoist(schema: &mut Json, prefix: &str, definitions: &mut Map<String, Json>) {
    let own = schema.as_object_mut().and_then(|keywords| keywords.remove("$defs"));
    let Some(Json::Object(own)) = own else { return };
    redirect(schema, prefix);
    for (name, mut definition) in own {
        redirect(&mut definition, prefix);
        definitions.insert(format!("{prefix}.{name}"), definition);
    }
}

fn redirect(schema: &mut Json, prefix: &str) {
    match schema {
        Json::Object(keywords) => {
            for (keyword, value) in keywords {
                match value {
                    Json::String(target) if keyword == "$ref" => {
                        if let Some(name) = target.strip_prefix("#/$defs/") {
                            *target = format!("#/$defs/{prefix}.{name}");
                        }
                    }
                    _ => redirect(value, prefix),
                }
            }
        }
        Json::Array(items) => items.iter_mut().for_each(|item| redirect(item, prefix)),
        _ => {}
    }
}
