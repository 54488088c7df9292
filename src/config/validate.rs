//! What a JSON Schema finds wrong with a value, in words for people.
//!
//! Every problem at once, each at its own path. A value is shown only where the schema does not call it a secret, and only
//! if a person wrote it there: what a reference brought is never quoted.

use gantry_sdk::{
    Template,
    config::{KeyPath, Problem, Step},
};
use jsonschema::{
    ValidationError,
    error::ValidationErrorKind as Kind,
    paths::{Location, LocationSegment},
};
use serde_json::{Map, Value as Json};

use super::{
    schema::{self, Slot, kind_of},
    secrets, suggest,
};

/// Of the unknown keys of one map no more are told than this.
const UNKNOWN_KEYS: usize = 50;

/// All that is wrong with the value, by paths relative to it. `quotable` is the same value as it may be quoted.
pub(super) fn problems(schema: &Json, value: &Json, quotable: &Json) -> Vec<Problem> {
    let options = jsonschema::options().should_validate_formats(true);
    let options = options.with_format("template", |text: &str| Template::parse(text).is_ok());
    match options.build(schema) {
        Ok(validator) => {
            let report = Report { schema, value, quotable };
            report.explain_all(&validator.iter_errors(value).collect::<Vec<_>>())
        }
        // A connector's own mistake, which its tests find.
        Err(error) => vec![Problem::error("", format!("its schema is broken: {}", error.masked()))],
    }
}

struct Report<'a> {
    schema: &'a Json,
    value: &'a Json,
    quotable: &'a Json,
}

/// A value, and what may be said of it.
struct Instance<'a> {
    value: &'a Json,
    /// What of it may be quoted, if that is something else: a text with references.
    concealed: Option<&'a Json>,
}

impl Instance<'_> {
    /// What to call it when it must not be quoted.
    fn brought(&self) -> Option<String> {
        let references = secrets::references(self.concealed?.as_str().unwrap_or_default());
        Some(match references.is_empty() {
            true => "it".to_owned(),
            false => format!("what {} brings", suggest::list(references, "and")),
        })
    }
}

impl<'a> Report<'a> {
    /// One mistake is told once: what is missing because its key is misspelt is told with that key.
    fn explain_all(&self, errors: &[ValidationError<'_>]) -> Vec<Problem> {
        let is_misspelt = |error: &ValidationError<'_>| match error.kind() {
            Kind::Required { property } => {
                let here = errors.iter().filter(|other| other.instance_path() == error.instance_path());
                here.filter_map(|other| match other.kind() {
                    Kind::AdditionalProperties { unexpected } => Some(unexpected),
                    _ => None,
                })
                .flatten()
                .take(UNKNOWN_KEYS)
                .any(|key| self.meant(error.instance_path(), key) == property.as_str())
            }
            _ => false,
        };
        errors.iter().filter(|error| !is_misspelt(error)).flat_map(|error| self.explain(error)).collect()
    }

    /// The known key that an unknown one may stand for.
    fn meant(&self, location: &Location, key: &str) -> Option<&'a str> {
        suggest::nearest(key, self.locate(location).1?.known_keys())
    }

    fn explain(&self, error: &ValidationError<'_>) -> Vec<Problem> {
        let (at, slot, instance) = self.locate(error.instance_path());
        let Some(slot) = slot else {
            return vec![Problem::error(&at, error.masked().to_string())];
        };
        match error.kind() {
            Kind::AdditionalProperties { unexpected } => {
                unknown_keys(&at, &slot, unexpected.iter().map(String::as_str))
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.no_form_fits(&at, &slot, &instance, context, error.instance_path())
            }
            kind => {
                let message = message(kind, &slot, &instance).unwrap_or_else(|| error.masked().to_string());
                vec![Problem::error(&at, message)]
            }
        }
    }

    /// Path, place in the schema, and value of a location.
    fn locate(&self, location: &Location) -> (KeyPath, Option<Slot<'a>>, Instance<'a>) {
        let (mut steps, mut slot) = (Vec::new(), Some(Slot::root(self.schema)));
        let (mut value, mut quotable) = (self.value, self.quotable);
        for segment in location {
            let step = step(value, &segment);
            slot = slot.and_then(|slot| match &step {
                Step::Key(key) => slot.key(key),
                Step::Index(_) => slot.item(),
            });
            value = step.of(value).unwrap_or(&Json::Null);
            quotable = step.of(quotable).unwrap_or(&Json::Null);
            steps.push(step);
        }
        (
            steps.into_iter().collect(),
            slot,
            Instance { value, concealed: Some(quotable).filter(|quotable| *quotable != value) },
        )
    }

    /// None of several forms fits: say what is wrong with the one that is meant.
    fn no_form_fits(
        &self,
        at: &KeyPath,
        slot: &Slot<'_>,
        instance: &Instance<'_>,
        forms: &[Vec<ValidationError<'static>>],
        here: &Location,
    ) -> Vec<Problem> {
        let is_here = |error: &&ValidationError<'_>| error.instance_path().as_str() == here.as_str();
        let fits = |errors: &&Vec<ValidationError<'_>>| !errors.iter().filter(is_here).any(is_of_another_form);
        let candidates: Vec<_> = forms.iter().filter(fits).collect();
        let Some(best) = candidates.iter().min_by_key(|errors| errors.len()) else {
            return vec![Problem::error(at, mismatch(slot, instance))];
        };
        let unknown = |errors: &Vec<ValidationError<'_>>| -> Vec<String> {
            let here = errors.iter().filter(is_here);
            let keys = here.filter_map(|error| match error.kind() {
                Kind::AdditionalProperties { unexpected } => Some(unexpected.clone()),
                _ => None,
            });
            keys.flatten().collect()
        };
        let known = slot.known_keys();
        let nowhere: Vec<String> = unknown(best).into_iter().filter(|key| !known.contains(&key.as_str())).collect();
        if candidates.len() > 1 && !nowhere.is_empty() {
            return unknown_keys(at, slot, nowhere.iter().map(String::as_str));
        }
        self.explain_all(best)
    }
}

/// The step into a value: the validator takes a key of digits for an index.
fn step(value: &Json, segment: &LocationSegment<'_>) -> Step {
    match (value, segment) {
        (Json::Array(_), LocationSegment::Index(index)) => Step::Index(*index),
        (_, key) => Step::Key(key.to_string()),
    }
}

fn is_of_another_form(error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. })
}

fn unknown_keys<'k>(at: &KeyPath, slot: &Slot<'_>, keys: impl Iterator<Item = &'k str>) -> Vec<Problem> {
    let known = slot.known_keys();
    let mut keys = keys.fuse();
    let mut problems: Vec<Problem> = keys
        .by_ref()
        .take(UNKNOWN_KEYS)
        .map(|key| {
            let message = if known.contains(&key) {
                format!("cannot stand here with the others: write only one of {}", suggest::list(&known, "and"))
            } else {
                format!("unknown key; {}", suggest::instead(key, known.iter().copied()))
            };
            Problem::error(at.key(key), message)
        })
        .collect();
    let more = keys.count();
    if more > 0 {
        problems.push(Problem::error(at, format!("… and {more} more unknown keys")));
    }
    problems
}

fn message(kind: &Kind, slot: &Slot<'_>, instance: &Instance<'_>) -> Option<String> {
    Some(match kind {
        Kind::Type { .. } | Kind::Enum { .. } | Kind::Constant { .. } => mismatch(slot, instance),
        Kind::Pattern { .. } => match examples(slot) {
            Some(examples) => format!("{} is not right: write it like {examples}", shown(slot, instance)),
            None => return None,
        },
        Kind::Format { format } if format == "template" => {
            let wrong = Template::parse(instance.value.as_str()?).err()?;
            match instance.brought() {
                Some(what) => format!("{what} makes no template: a record's field is {{field}}, a literal brace {{{{"),
                None => wrong,
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let description = slot.key(name).and_then(|slot| description(&slot)).unwrap_or_default();
            format!("\"{name}\" is missing{description}")
        }
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::MinLength { limit: 1 } | Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            "must not be empty".to_owned()
        }
        Kind::MinItems { limit } | Kind::MinProperties { limit } => format!("must have at least {limit} entries"),
        Kind::MaxItems { limit } | Kind::MaxProperties { limit } => format!("must have at most {limit} entries"),
        Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
        Kind::UniqueItems => "the same item stands in it twice".to_owned(),
        Kind::OneOfMultipleValid { .. } => "it is not clear which form is meant: write only one".to_owned(),
        _ => return None,
    })
}

/// What would be right, and what is there.
fn mismatch(slot: &Slot<'_>, instance: &Instance<'_>) -> String {
    let value = instance.value;
    let brought = instance.brought();
    let constants = schema::constants(slot);
    if let (Json::String(text), false) = (value, constants.is_empty()) {
        let known = suggest::list(&constants, "or");
        return match (brought, suggest::nearest(text, constants.iter().map(String::as_str))) {
            _ if slot.is_secret() => format!("must be {known}"),
            (Some(what), _) => format!("{what} is not known: it can be {known}"),
            (None, Some(meant)) => format!("\"{text}\" is not known: did you mean \"{meant}\"? It can be {known}"),
            (None, None) => format!("\"{text}\" is not known: it can be {known}"),
        };
    }
    let mut expected: Vec<&str> = slot.forms().iter().flat_map(|form| schema::words(form)).collect();
    expected.dedup();
    let expected = match (expected.is_empty(), constants.is_empty()) {
        (_, false) => suggest::list(&constants, "or"),
        (false, _) => suggest::list(expected, "or"),
        (true, _) => "something else".to_owned(),
    };
    if let Some(what) = brought {
        let single = !slot.accepts(&Json::Array(Vec::new())) && !slot.accepts(&Json::Object(Map::new()));
        return match single {
            true => format!("expected {expected}; {what} is something else"),
            false => format!(
                "expected {expected}; {what} is a single value: write the {} here, with references for its values",
                if slot.accepts(&Json::Array(Vec::new())) { "list" } else { "map" }
            ),
        };
    }
    let hint = match (value, examples(slot)) {
        (Json::Number(number), Some(examples))
            if examples.starts_with(|c: char| c.is_ascii_digit()) && !slot.is_secret() =>
        {
            return format!("{number} has no unit: write it like {examples}");
        }
        (_, Some(examples)) => format!(": write it like {examples}"),
        (Json::Number(_) | Json::Bool(_), None) if slot.accepts(&Json::from("")) => ": put it in quotes".to_owned(),
        (Json::String(_), None) if slot.accepts(&Json::Array(Vec::new())) => ": write it as [ … ]".to_owned(),
        _ => String::new(),
    };
    format!("expected {expected}, found {}{hint}", word_for(value))
}

pub(super) fn examples(slot: &Slot<'_>) -> Option<String> {
    let examples = slot.forms().iter().find_map(|form| form.get("examples")?.as_array())?;
    let texts: Vec<&str> = examples.iter().filter_map(Json::as_str).collect();
    (!texts.is_empty()).then(|| suggest::list(texts, "or"))
}

/// The first sentence of a description, to stand behind a colon.
pub(super) fn description(slot: &Slot<'_>) -> Option<String> {
    let text = slot.forms().iter().find_map(|form| form.get("description")?.as_str())?;
    let paragraph = text.split("\n\n").next().unwrap_or(text).replace('\n', " ");
    let sentence = paragraph.split(". ").next().unwrap_or_default().trim_end_matches('.');
    (!sentence.is_empty()).then(|| format!(": {sentence}"))
}

fn shown(slot: &Slot<'_>, instance: &Instance<'_>) -> String {
    match instance.brought() {
        Some(what) => what,
        None if slot.is_secret() => "it".to_owned(),
        None => instance.value.to_string(),
    }
}

/// What a value is, in a word; never the value.
pub(super) fn word_for(value: &Json) -> &'static str {
    match kind_of(value) {
        "null" => "nothing",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "string" => "text",
        "array" => "a list",
        _ => "a map",
    }
}

#[cfg(test)]
mod tests;
