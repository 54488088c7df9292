//! Options with what their references bring, and what may be said of them.
//!
//! # The contract
//! A text that people see is made from what a person wrote, never from what a reference brought. So it cannot hold a
//! secret, whatever its length and its characters: nobody looks for secrets in texts to take them out again.
//!
//! - What reads options to find problems reads them twice: once with what the references bring, once with *stand-ins* for
//!   it ([`View::stand_in`]). A problem is told in its own words only when the stand-ins, which are no secret, lead to the
//!   very same words. Else it is told in words of this module ([`View::concealed`]).
//! - A secret in plain text is treated the same.

use std::fmt;

use gantry_sdk::config::{KeyPath, Problem, Severity, Step};
use serde_json::Value as Json;

use super::{redact, schema::Slot, secrets, stand_in, suggest, typed, validate};

/// No more references are named in one message.
const NAMED: usize = 3;

/// A place in a configuration, seen three ways. They have the same shape: references stand for single values.
#[derive(Clone, Copy)]
pub(super) struct View<'a> {
    /// As a person wrote it.
    pub(super) written: &'a Json,
    /// With what the references bring. It is never shown.
    pub(super) resolved: &'a Json,
    /// As a person wrote it, without secrets in plain text: what may be quoted.
    pub(super) quotable: &'a Json,
}

/// The same, owned.
#[derive(Clone)]
pub(super) struct Options {
    pub(super) written: Json,
    pub(super) resolved: Json,
    pub(super) quotable: Json,
}

// === impl View ===

static NOTHING: Json = Json::Null;

impl<'a> View<'a> {
    /// What stands under a key; nothing when it is not there.
    pub(super) fn key(self, key: &str) -> Self {
        let below = |value: &'a Json| value.get(key).unwrap_or(&NOTHING);
        Self { written: below(self.written), resolved: below(self.resolved), quotable: below(self.quotable) }
    }

    /// What stands some steps below, if anything does.
    pub(super) fn at(self, steps: &[Step]) -> Option<Self> {
        let below = |value: &'a Json| steps.iter().try_fold(value, |value, step| step.of(value));
        Some(Self { written: below(self.written)?, resolved: below(self.resolved)?, quotable: below(self.quotable)? })
    }

    pub(super) fn to_options(self) -> Options {
        Options { written: self.written.clone(), resolved: self.resolved.clone(), quotable: self.quotable.clone() }
    }

    /// Whether something in here must not be quoted.
    pub(super) fn conceals(self) -> bool {
        self.resolved != self.quotable
    }

    /// The same with something harmless in place of what must not be quoted: the reference itself where any text may
    /// stand, else a value of the kind that the place takes.
    pub(super) fn stand_in(self, slot: &Slot<'_>) -> Json {
        let mut stand_in = self.quotable.clone();
        stand(Some(slot.clone()), &mut stand_in, self.resolved);
        stand_in
    }

    /// What `find` finds here. `slot` is the place's own.
    pub(super) fn problems(self, slot: &Slot<'_>, find: impl Fn(&Json) -> Vec<Problem>) -> Vec<Problem> {
        let found = find(self.resolved);
        if found.is_empty() || !self.conceals() {
            return found;
        }
        let public = find(&self.stand_in(slot));
        let mut told: Vec<Problem> = Vec::new();
        for problem in found {
            let problem = match public.contains(&problem) {
                true => problem,
                false => self.concealed(slot, problem.severity, self.known_part(problem.path, &public)),
            };
            if !told.contains(&problem) {
                told.push(problem);
            }
        }
        told
    }

    /// A problem of which nothing but its place may be told.
    pub(super) fn concealed(self, slot: &Slot<'_>, severity: Severity, at: KeyPath) -> Problem {
        let mut brought = Vec::new();
        collect(self.quotable, self.resolved, &mut KeyPath::root(), &mut |path, reference| {
            if path.is_related(&at) {
                brought.push(reference);
            }
        });
        let own = !brought.is_empty();
        if !own {
            let all = &mut |_: &KeyPath, reference| brought.push(reference);
            collect(self.quotable, self.resolved, &mut KeyPath::root(), all);
        }
        let what = what_brings(&brought);
        let place = slot.clone().at(self.quotable, at.steps()).filter(|_| !at.is_root());
        let takes = place.and_then(|slot| takes(&slot));
        let message = match (own, severity) {
            (true, Severity::Error) => format!("{what} is not right here{}", takes.unwrap_or_default()),
            (true, Severity::Warning) => format!("{what} will hurt here{}", takes.unwrap_or_default()),
            (false, Severity::Error) => format!("does not go together with {what}"),
            (false, Severity::Warning) => format!("will hurt together with {what}"),
        };
        Problem { severity, path: at, message }
    }

    /// A path that says nothing of what a reference brought: one that the stand-ins lead to, or that a person wrote.
    fn known_part(self, path: KeyPath, public: &[Problem]) -> KeyPath {
        if public.iter().any(|problem| problem.path == path) {
            return path;
        }
        let mut value = self.quotable;
        let known = path.steps().iter().take_while(|step| step.of(value).map(|below| value = below).is_some());
        known.cloned().collect()
    }
}

/// The words for what these references bring.
fn what_brings(references: &[String]) -> String {
    let mut named: Vec<&str> = Vec::new();
    for reference in references.iter().map(String::as_str) {
        if !named.contains(&reference) {
            named.push(reference);
        }
    }
    let more = named.len() > NAMED;
    named.truncate(NAMED);
    let plain = |name: &&str| name.is_empty();
    match named.as_slice() {
        [] => "a value that is not shown".to_owned(),
        [one] if plain(one) => "the secret in plain text".to_owned(),
        _ if more => format!("what {} and others bring", named.join(", ")),
        [one] => format!("what {one} brings"),
        _ => format!("what {} bring", suggest::list(named.into_iter().filter(|name| !name.is_empty()), "and")),
    }
}

/// What a place takes, to stand behind a message.
fn takes(slot: &Slot<'_>) -> Option<String> {
    if let Some(examples) = validate::examples(slot) {
        return Some(format!(": write it like {examples}"));
    }
    validate::description(slot).map(|description| format!("; it takes{description}"))
}

/// Visits every text that must not be quoted, with its path and each of its references; an empty one for plain text.
fn collect(quotable: &Json, resolved: &Json, at: &mut KeyPath, visit: &mut impl FnMut(&KeyPath, String)) {
    match (quotable, resolved) {
        (Json::Object(quotable), Json::Object(resolved)) => {
            for (key, quotable) in quotable {
                if let Some(resolved) = resolved.get(key) {
                    at.within(Step::Key(key.clone()), |at| collect(quotable, resolved, at, visit));
                }
            }
        }
        (Json::Array(quotable), Json::Array(resolved)) => {
            for (index, (quotable, resolved)) in quotable.iter().zip(resolved).enumerate() {
                at.within(Step::Index(index), |at| collect(quotable, resolved, at, visit));
            }
        }
        (Json::String(text), resolved) if resolved.as_str() != Some(text) => {
            let references = secrets::references(text);
            if references.is_empty() {
                visit(at, String::new());
            }
            references.into_iter().for_each(|reference| visit(at, reference));
        }
        _ => {}
    }
}

fn stand(slot: Option<Slot<'_>>, quotable: &mut Json, resolved: &Json) {
    match (quotable, resolved) {
        (Json::Object(quotable), Json::Object(resolved)) => {
            for (key, quotable) in quotable {
                if let Some(resolved) = resolved.get(key) {
                    stand(slot.as_ref().and_then(|slot| slot.key(key)), quotable, resolved);
                }
            }
        }
        (Json::Array(quotable), Json::Array(resolved)) => {
            for (quotable, resolved) in quotable.iter_mut().zip(resolved) {
                stand(slot.as_ref().and_then(Slot::item), quotable, resolved);
            }
        }
        (quotable @ Json::String(_), resolved) if quotable != resolved => {
            if let Some(stand_in) =
                slot.and_then(|slot| stand_in::for_text(&slot, quotable.as_str().unwrap_or_default()))
            {
                *quotable = stand_in;
            }
        }
        _ => {}
    }
}

// === impl Options ===

impl Options {
    /// Options as they were written, whose references are read now. The problem says what is missing, and where.
    pub(super) fn read(written: &Json, slot: &Slot<'_>) -> Result<Self, Problem> {
        let mut resolved = secrets::resolve(written)?;
        typed::references(slot, written, &mut resolved);
        let quotable = quotable(slot, written);
        Ok(Self { written: written.clone(), resolved, quotable })
    }

    pub(super) fn view(&self) -> View<'_> {
        View { written: &self.written, resolved: &self.resolved, quotable: &self.quotable }
    }

    /// Each of the three ways.
    pub(super) fn each(&mut self) -> [&mut Json; 3] {
        [&mut self.written, &mut self.resolved, &mut self.quotable]
    }
}

/// What may be quoted of options as they were written: `$${` is what it stands for, a secret in plain text is hidden.
pub(super) fn quotable(slot: &Slot<'_>, written: &Json) -> Json {
    let mut quotable = written.clone();
    redact::each_plain_secret(slot, &mut quotable, |_, text, hidden| *text = hidden);
    secrets::each_text(&mut quotable, |_, text| {
        if text.contains("$${")
            && secrets::references(text).is_empty()
            && let Ok(Some(plain)) = secrets::expand(text)
        {
            *text = plain;
        }
    });
    quotable
}

/// Nothing of it is shown.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests;
