//! A template with the groups of a regular expression in it.

use bytes::Bytes;
use gantry_sdk::{Record, Template};
use regex::bytes::Captures;

use crate::transform::{field, regex::Pattern};

/// What `to` says, compiled.
#[derive(Debug)]
pub(super) struct Target(Vec<Part>);

#[derive(Debug)]
enum Part {
    Template(Template),
    Group(usize),
}

impl Target {
    /// Compiles it. A dollar means something only when there is an expression.
    pub(super) fn parse(text: &str, pattern: Option<&Pattern>) -> Result<Self, String> {
        let Some(pattern) = pattern else { return Ok(Self(vec![Part::Template(Template::parse(text)?)])) };
        let (mut parts, mut literal) = (Vec::new(), String::new());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('$') {
            literal.push_str(before);
            if let Some(after) = after.strip_prefix('$') {
                literal.push('$');
                rest = after;
            } else {
                let (group, after) = group(after, pattern)?;
                template(&mut literal, &mut parts)?;
                parts.push(Part::Group(group));
                rest = after;
            }
        }
        literal.push_str(rest);
        template(&mut literal, &mut parts)?;
        Ok(Self(parts))
    }

    /// What it yields; `None` when the record lacks a field. A group that took no part in the match is empty.
    pub(super) fn render(&self, record: &Record, captures: Option<&Captures<'_>>) -> Option<Bytes> {
        if let [Part::Template(template)] = self.0.as_slice() {
            return template.render(record);
        }
        let mut out = Vec::new();
        for part in &self.0 {
            match part {
                Part::Template(template) => out.extend_from_slice(&template.render(record)?),
                Part::Group(group) => {
                    let found = captures.and_then(|captures| captures.get(*group));
                    out.extend_from_slice(found.map_or(&[], |found| found.as_bytes()));
                }
            }
        }
        Some(out.into())
    }

    /// Why it yields nothing for this record.
    pub(super) fn lacking(&self, record: &Record) -> String {
        let templates = self.0.iter().filter_map(|part| match part {
            Part::Template(template) => Some(template),
            Part::Group(_) => None,
        });
        let mut failed = templates.filter(|template| template.render(record).is_none());
        failed.next().map_or_else(String::new, |template| field::lacking(template, record))
    }
}

fn template(literal: &mut String, parts: &mut Vec<Part>) -> Result<(), String> {
    if !literal.is_empty() {
        parts.push(Part::Template(Template::parse(&std::mem::take(literal))?));
    }
    Ok(())
}

/// The group whose number or name the text begins with, and the rest. As in Java, a number is as long as there is such
/// a group: with one group, `$10` is group 1 and a zero.
fn group<'t>(text: &'t str, pattern: &Pattern) -> Result<(usize, &'t str), String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    if digits > 0 {
        let numbers = (1..=digits).rev().filter_map(|length| Some((text[..length].parse::<usize>().ok()?, length)));
        let mut known = numbers.filter(|(number, _)| *number < pattern.groups());
        let (number, length) = known.next().ok_or_else(|| {
            let number = &text[..digits];
            format!("\"${number}\": the regex has no group {number}; \"$$\" is a literal dollar")
        })?;
        return Ok((number, &text[length..]));
    }
    let (name, rest) = text.split_at(text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len()));
    match pattern.group(name) {
        Some(number) => Ok((number, rest)),
        None => Err(format!("\"${name}\": the regex has no group of that name; \"$$\" is a literal dollar")),
    }
}
