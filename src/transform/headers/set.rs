//! The headers that are set.

use std::{borrow::Cow, collections::BTreeMap};

use bytestring::ByteString;
use gantry_sdk::{Headers, Record};

use super::Setting;
use crate::transform::policy::Otherwise;

/// The headers that are set.
#[derive(Debug)]
pub(super) enum Set {
    /// The same for every record, so all share one list.
    Same(Headers),
    /// Of each record its own.
    Own(Vec<(ByteString, Setting)>),
}

impl Set {
    pub(super) fn new(settings: BTreeMap<String, Setting>) -> Self {
        let settings: Vec<_> = settings.into_iter().map(|(name, setting)| (name.into(), setting)).collect();
        let constant = |(name, setting): &(ByteString, Setting)| Some((name.clone(), setting.constant()?));
        match settings.iter().map(constant).collect() {
            Some(headers) => Self::Same(headers),
            None => Self::Own(settings),
        }
    }

    /// Those of this record, without what it lacks. The error says what that is, unless it may be missing.
    pub(super) fn of(&self, record: &Record, missing: Otherwise) -> Result<Cow<'_, Headers>, String> {
        let settings = match self {
            Self::Same(headers) => return Ok(Cow::Borrowed(headers)),
            Self::Own(settings) => settings,
        };
        let mut headers = Vec::with_capacity(settings.len());
        for (name, setting) in settings {
            match setting.value(record) {
                Some(value) => headers.push((name.clone(), value)),
                None => missing.allow(|| setting.lacking(record))?,
            }
        }
        Ok(Cow::Owned(headers.into()))
    }
}
