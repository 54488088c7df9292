//! Questions about one place of a schema: what may stand there, and must it be hidden.

use gantry_sdk::config::Step;
use serde_json::{Map, Value as Json};

/// A place in a schema, for the value that stands there.
#[derive(Debug, Clone)]
pub(in crate::config) struct Slot<'s> {
    root: &'s Json,
    /// The forms that the value may take: the schema itself and what it combines.
    forms: Vec<&'s Json>,
}

impl<'s> Slot<'s> {
    /// The place of the whole value.
    pub(in crate::config) fn root(root: &'s Json) -> Self {
        Self::of(root, root)
    }

    fn of(root: &'s Json, schema: &'s Json) -> Self {
        let mut forms = Vec::new();
        collect_forms(root, schema, &mut forms);
        Self { root, forms }
    }

    /// The place some steps below this one, for the value that stands here; `None` when it does not lead so far.
    pub(in crate::config) fn at(self, value: &Json, steps: &[Step]) -> Option<Self> {
        let [step, rest @ ..] = steps else { return Some(self) };
        let value = step.of(value)?;
        match step {
            Step::Key(key) => self.key(key)?.at(value, rest),
            Step::Index(_) => self.item()?.at(value, rest),
        }
    }

    /// The forms that the value may take, combinations taken apart.
    pub(in crate::config) fn forms(&self) -> &[&'s Json] {
        &self.forms
    }

    /// The place of an entry.
    pub(in crate::config) fn key(&self, key: &str) -> Option<Self> {
        let named = self.forms.iter().find_map(|form| form.get("properties")?.get(key));
        let open =
            || self.forms.iter().find_map(|form| form.get("additionalProperties").filter(|open| open.is_object()));
        named.or_else(open).map(|schema| Self::of(self.root, schema))
    }

    /// The place of a list's item.
    pub(in crate::config) fn item(&self) -> Option<Self> {
        self.forms.iter().find_map(|form| form.get("items")).map(|schema| Self::of(self.root, schema))
    }

    /// The keys that an object may have here.
    pub(in crate::config) fn known_keys(&self) -> Vec<&'s str> {
        let properties = self.forms.iter().filter_map(|form| form.get("properties")?.as_object());
        properties.flat_map(Map::keys).map(String::as_str).collect()
    }

    /// Whether a value of this kind may stand here.
    pub(in crate::config) fn accepts(&self, value: &Json) -> bool {
        self.forms.iter().any(|form| accepts(form, value))
    }

    /// Whether a template stands here.
    pub(in crate::config) fn is_template(&self) -> bool {
        self.forms.iter().any(|form| form.get("format").and_then(Json::as_str) == Some("template"))
    }

    /// Whether what stands here must never be shown.
    pub(in crate::config) fn is_secret(&self) -> bool {
        self.forms.iter().any(|form| form.get("writeOnly") == Some(&Json::Bool(true)))
    }
}

fn collect_forms<'s>(root: &'s Json, schema: &'s Json, forms: &mut Vec<&'s Json>) {
    if forms.iter().any(|known| std::ptr::eq(*known, schema)) {
        return;
    }
    forms.push(schema);
    if let Some(target) = schema.get("$ref").and_then(Json::as_str)
        && let Some(schema) = root.pointer(target.trim_start_matches('#'))
    {
        collect_forms(root, schema, forms);
    }
    for keyword in ["anyOf", "oneOf", "allOf"] {
        for form in schema.get(keyword).and_then(Json::as_array).into_iter().flatten() {
            collect_forms(root, form, forms);
        }
    }
}

fn accepts(form: &Json, value: &Json) -> bool {
    if ["anyOf", "oneOf", "allOf", "$ref"].iter().any(|keyword| form.get(keyword).is_some()) {
        // Its parts are forms of their own.
        return false;
    }
    let kind = kind_of(value);
    let fits = |named: &str| named == kind || (named == "number" && kind == "integer");
    if let Some(constant) = form.get("const") {
        return kind_of(constant) == kind;
    }
    if let Some(options) = form.get("enum").and_then(Json::as_array) {
        return options.iter().any(|option| kind_of(option) == kind);
    }
    match form.get("type") {
        Some(Json::String(named)) => fits(named),
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).any(fits),
        _ => form != &Json::Bool(false),
    }
}

/// JSON Schema's word for what a value is.
pub(in crate::config) fn kind_of(value: &Json) -> &'static str {
    match value {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Json::Number(_) => "number",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    }
}

/// The texts that are allowed, when only some are.
pub(in crate::config) fn constants(slot: &Slot<'_>) -> Vec<String> {
    let mut found = Vec::new();
    for form in slot.forms() {
        let options = form.get("enum").and_then(Json::as_array).into_iter().flatten();
        found.extend(options.chain(form.get("const")).filter_map(Json::as_str).map(str::to_owned));
    }
    found
}

/// The kinds of value that a form takes, in words for people.
pub(in crate::config) fn words(form: &Json) -> Vec<&'static str> {
    let word = |kind: &str| match kind {
        "string" => Some("text"),
        "integer" => Some("a whole number"),
        "number" => Some("a number"),
        "boolean" => Some("true or false"),
        "array" => Some("a list"),
        "object" => Some("a map"),
        _ => None,
    };
    match form.get("type") {
        Some(Json::String(one)) => word(one).into_iter().collect(),
        Some(Json::Array(all)) => all.iter().filter_map(Json::as_str).filter_map(word).collect(),
        _ => Vec::new(),
    }
}
