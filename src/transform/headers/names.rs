//! Which headers are meant, and what they are called from now on.

use std::collections::BTreeSet;

use bytestring::ByteString;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::transform::regex::Pattern;

/// Headers by their names, or by expressions that their names match.
#[derive(Debug)]
pub(super) struct Names {
    names: BTreeSet<String>,
    matching: Vec<Pattern>,
}

/// A new name for the headers that match.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct RenameMatching {
    /// What the old name matches, anywhere unless it says `^` or `$`.
    pub regex: Pattern,
    /// The whole new name. `$1`, `$name` and `${1}` are what the groups found, `$$` is a dollar.
    pub to: String,
}

impl Names {
    pub(super) fn new(names: &BTreeSet<String>, matching: &[Pattern]) -> Self {
        Self { names: names.clone(), matching: matching.to_vec() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.names.is_empty() && self.matching.is_empty()
    }

    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(name) || self.matching.iter().any(|pattern| pattern.is_match(name.as_bytes()))
    }
}

impl RenameMatching {
    pub(super) fn check(&self) -> Option<String> {
        if self.to.is_empty() {
            return Some("is empty; a header has a name".to_owned());
        }
        self.regex.unknown_group(&self.to).map(|group| {
            format!(
                "\"${group}\": the regex has no group of that name; write ${{1}} before a letter, and $$ for a dollar"
            )
        })
    }

    /// The new name of a header; `None` when the old one does not match.
    pub(super) fn new_name(&self, name: &str) -> Option<Result<ByteString, String>> {
        let new_name = self.regex.rewritten(name, &self.to)?;
        Some(match ByteString::try_from(new_name) {
            Ok(new_name) if !new_name.is_empty() => Ok(new_name),
            Ok(_) => Err("rename_matching leaves a header without a name".to_owned()),
            Err(_) => Err("rename_matching makes a name that is not UTF-8".to_owned()),
        })
    }
}
