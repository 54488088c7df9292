//! What the runtime gets for references in options: what they bring, at each use and no earlier.

use std::path::PathBuf;

use gantry_runtime::Resolver;
use gantry_sdk::{
    Error, Result,
    config::{KeyPath, Problem, Severity},
    plugin::Plugin,
};
use serde_json::Value as Json;

use super::{schema::Slot, secrets, validate, view::Options};

/// Reads references (`${env:…}`, `${file:…}`, `${dir:…}`) each time that it is asked.
#[derive(Debug, Clone, Copy)]
pub struct References;

impl Resolver for References {
    fn make(&self, plugin: &dyn Plugin, options: &Json, make: &mut dyn FnMut(&Json) -> Result<()>) -> Result<()> {
        Resolved::read(plugin, options)?.make(make)
    }

    fn checked(&self, plugin: &dyn Plugin, options: &Json) -> Result<Json> {
        Resolved::read(plugin, options)?.into_checked()
    }

    fn files(&self, options: &Json) -> Vec<PathBuf> {
        secrets::files(options)
    }
}

/// Options of a connector or a transform with what their references bring now; to be used and dropped.
struct Resolved<'p> {
    plugin: &'p dyn Plugin,
    schema: Json,
    options: Options,
}

impl<'p> Resolved<'p> {
    /// Reads the references of these options.
    fn read(plugin: &'p dyn Plugin, written: &Json) -> Result<Self> {
        let schema = plugin.schema().to_value();
        let options = Options::read(written, &Slot::root(&schema));
        let options = options.map_err(|problem| Error::config(problem.to_string()))?;
        Ok(Self { plugin, schema, options })
    }

    fn make(&self, make: &mut dyn FnMut(&Json) -> Result<()>) -> Result<()> {
        let view = self.options.view();
        let error = match make(view.resolved) {
            Err(error) if view.conceals() => error,
            made => return made,
        };
        let slot = Slot::root(&self.schema);
        if let Err(public) = make(&view.stand_in(&slot))
            && public.chain() == error.chain()
        {
            return Err(public);
        }
        Err(match self.first_problem() {
            Some(problem) => Error::new(error.kind(), problem.to_string()),
            None => Error::new(error.kind(), view.concealed(&slot, Severity::Error, KeyPath::root()).message),
        })
    }

    /// What `gantry check` would say of them.
    fn first_problem(&self) -> Option<Problem> {
        let view = self.options.view();
        let wrong = validate::problems(&self.schema, view.resolved, view.quotable).into_iter().next();
        wrong.or_else(|| {
            let found = view.problems(&Slot::root(&self.schema), |options| self.plugin.check(options));
            found.into_iter().find(|problem| problem.severity == Severity::Error)
        })
    }

    fn into_checked(self) -> Result<Json> {
        match self.first_problem() {
            Some(problem) => Err(Error::config(problem.to_string())),
            None => Ok(self.options.resolved),
        }
    }
}
