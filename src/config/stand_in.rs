//! What stands in for a text with references where its place takes something else: no secret, and of the right kind.

use serde_json::Value as Json;

use super::{
    schema::{self, Slot},
    secrets::{self, Part},
};

/// What stands in for a text with references; `None`: the text itself.
pub(super) fn for_text(slot: &Slot<'_>, text: &str) -> Option<Json> {
    let keyword = |keyword: &str| slot.forms().iter().find_map(|form| form.get(keyword));
    if slot.is_template() {
        return Some(Json::from(in_template(text)));
    }
    if let Some(constant) = schema::constants(slot).first() {
        return Some(Json::from(constant.as_str()));
    }
    let takes_text = slot.accepts(&Json::from(""));
    if takes_text && keyword("pattern").is_none() {
        return None;
    }
    let accepted = |value: &&Json| !value.is_null() && slot.accepts(value);
    let default = keyword("default").filter(accepted);
    let example = || keyword("examples").and_then(|examples| examples.get(0)).filter(accepted);
    let least = || keyword("minimum").filter(accepted);
    let simple = || [Json::from(1), Json::from(false)].into_iter().find(|value| slot.accepts(value));
    default.or_else(example).or_else(least).cloned().or_else(simple)
}

/// References as a template's literal text: its own braces are written twice.
fn in_template(text: &str) -> String {
    let Ok(parts) = secrets::parse(text) else { return text.to_owned() };
    let shown = |part: &Part| match part {
        Part::Literal(literal) => literal.clone(),
        Part::Reference(reference) => reference.to_string().replace('{', "{{").replace('}', "}}"),
    };
    parts.iter().map(shown).collect()
}
