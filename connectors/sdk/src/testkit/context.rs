//! What a task would tell a connector.

use crate::Context;

/// A task's first words to a connector, everything at its default. Tests change what they are about.
pub fn context() -> Context {
    Context::new("test".into(), 64 << 20)
}
