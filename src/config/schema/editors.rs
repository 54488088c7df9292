//! What only editors must know: a reference (`${env:NAME}`) may stand for any number, switch, duration or word.
//!
//! Loading puts references in before it looks at types; an editor sees them as text.

use serde_json::{Map, Value as Json, json};

const REFERENCE: &str = r"\$\{(env|file|dir):";

/// Lets every place of a schema take a text with a reference.
pub(super) fn allow_references(schema: &mut Json) {
    let Json::Object(keywords) = schema else { return };
    for keyword in ["properties", "$defs"] {
        for below in
            keywords.get_mut(keyword).and_then(Json::as_object_mut).into_iter().flat_map(|all| all.values_mut())
        {
            allow_references(below);
        }
    }
    for keyword in ["additionalProperties", "items"] {
        keywords.get_mut(keyword).into_iter().for_each(allow_references);
    }
    // A reference fits several forms; that must not make it wrong.
    if let Some(forms) = keywords.remove("oneOf") {
        keywords.insert("anyOf".to_owned(), forms);
    }
    for keyword in ["anyOf", "allOf"] {
        for form in keywords.get_mut(keyword).and_then(Json::as_array_mut).into_iter().flatten() {
            allow_references(form);
        }
    }
    allow_here(keywords);
}

fn allow_here(keywords: &mut Map<String, Json>) {
    if keywords.contains_key("enum") || keywords.contains_key("const") {
        let description = keywords.remove("description");
        let words = Json::Object(std::mem::take(keywords));
        keywords.extend(description.map(|text| ("description".to_owned(), text)));
        keywords.insert("anyOf".to_owned(), json!([words, { "type": "string", "pattern": REFERENCE }]));
        return;
    }
    let mut kinds: Vec<String> = match keywords.get("type") {
        Some(Json::String(one)) => vec![one.clone()],
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
        _ => return,
    };
    if kinds.iter().any(|kind| kind == "string") {
        if let Some(Json::String(pattern)) = keywords.get_mut("pattern") {
            *pattern = format!("{pattern}|{REFERENCE}");
        }
    } else if kinds.iter().any(|kind| matches!(kind.as_str(), "integer" | "number" | "boolean")) {
        kinds.push("string".to_owned());
        keywords.insert("type".to_owned(), json!(kinds));
        keywords.insert("pattern".to_owned(), json!(REFERENCE));
    }
}
