//! Which files secrets are in.

use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use super::{
    reference::{Part, Reference, parse},
    texts::each_text,
};

/// The files that references in these options name, each once.
pub fn files(options: &Json) -> Vec<PathBuf> {
    let mut files = Vec::new();
    each_text(&mut options.clone(), |_, text| {
        for part in parse(text).unwrap_or_default() {
            let Part::Reference(reference) = part else { continue };
            let file = match reference {
                Reference::File { path } => PathBuf::from(path),
                Reference::Dir { path, key } => Path::new(&path).join(key),
                Reference::Env { .. } => continue,
            };
            if !files.contains(&file) {
                files.push(file);
            }
        }
    });
    files
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_that_a_reference_names_is_there_once() {
        let options = json!({
            "urls": ["amqp://${env:USER}:${file:/run/password}@h", "amqp://u:${file:/run/password}@h2"],
            "sasl": { "password": "${dir:/run/secrets:kafka}" },
            "escaped": "$${file:/no}",
        });
        assert_eq!(files(&options), [Path::new("/run/password"), Path::new("/run/secrets/kafka")]);
    }
}
