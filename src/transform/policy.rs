//! What becomes of a record for which a transform cannot do its work.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What becomes of a record for which a transform cannot do its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Otherwise {
    /// It fails: it goes to the dead letter, or stops the bridge when there is none.
    Fail,
    /// It goes on, and what could not be done is left out.
    Keep,
}

impl Otherwise {
    /// For serde defaults.
    pub(super) const fn fail() -> Self {
        Self::Fail
    }

    /// For serde defaults.
    pub(super) const fn keep() -> Self {
        Self::Keep
    }

    /// Nothing when the record may go on, the reason when it may not.
    pub(super) fn allow(self, reason: impl FnOnce() -> String) -> Result<(), String> {
        match self {
            Self::Fail => Err(reason()),
            Self::Keep => Ok(()),
        }
    }
}
