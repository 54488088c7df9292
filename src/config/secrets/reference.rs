//! The syntax of references, and where they are read from.

use std::{
    env, fmt, io,
    path::{Component, Path},
};

use crate::config::files;

/// A file that holds more is no secret but a mistake: a device, a log. Kubernetes takes no larger one either.
const LARGEST: u64 = 1 << 20;

/// A stretch of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Part {
    Literal(String),
    Reference(Reference),
}

/// Where a secret lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum Reference {
    Env { name: String },
    File { path: String },
    Dir { path: String, key: String },
}

const FORMS: &str = "${env:NAME}, ${file:/path} or ${dir:/path:key}";

/// Cuts a text into literals and references. No two literals follow each other.
pub(in crate::config) fn parse(text: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            literal.push_str(&rest[..at - 1]);
            literal.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        literal.push_str(&rest[..at]);
        let inner = &rest[at + 2..];
        let end = inner.find('}').ok_or_else(|| {
            format!("a reference opens with ${{ and does not close: write {FORMS}, or $${{ for a literal ${{")
        })?;
        if !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal)));
        }
        parts.push(Part::Reference(Reference::parse(&inner[..end])?));
        rest = &inner[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Literal(literal));
    }
    Ok(parts)
}

impl Reference {
    fn parse(inner: &str) -> Result<Self, String> {
        let incomplete = || format!("${{{inner}}} is not complete: write {FORMS}");
        match inner.split_once(':') {
            Some(("env", name)) if !name.is_empty() => Ok(Self::Env { name: name.to_owned() }),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File { path: path.to_owned() }),
            Some(("dir", rest)) => match rest.rsplit_once(':') {
                Some((path, key)) if !path.is_empty() && !key.is_empty() => {
                    if !is_file_name(key) {
                        return Err(format!("${{{inner}}}: a key is the name of one file in that directory"));
                    }
                    Ok(Self::Dir { path: path.to_owned(), key: key.to_owned() })
                }
                _ => Err(incomplete()),
            },
            Some(("env" | "file", _)) => Err(incomplete()),
            _ => Err(format!(
                "${{{inner}}} is not a reference: write {FORMS}, or $${{ for a literal ${{; a record's field is {{field}} \
                 without the $"
            )),
        }
    }

    /// The text it stands for. The error names the place, never the content.
    pub(in crate::config) fn read(&self) -> Result<String, String> {
        match self {
            Self::Env { name } => match env::var(name) {
                Ok(value) => Ok(value),
                Err(env::VarError::NotPresent) => Err(format!("the environment variable {name} is not set")),
                Err(env::VarError::NotUnicode(_)) => Err(format!("the environment variable {name} is not UTF-8 text")),
            },
            Self::File { path } => content(Path::new(path)),
            Self::Dir { path, key } => content(&Path::new(path).join(key)),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { name } => write!(f, "${{env:{name}}}"),
            Self::File { path } => write!(f, "${{file:{path}}}"),
            Self::Dir { path, key } => write!(f, "${{dir:{path}:{key}}}"),
        }
    }
}

fn content(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let bytes = bounded(path).map_err(|error| format!("reading the secret file {shown}: {}", files::reason(&error)))?;
    let mut text = String::from_utf8(bytes).map_err(|_| format!("the secret file {shown} is not UTF-8 text"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Ok(text)
}

/// Whether it names something in a directory and nothing above or below.
fn is_file_name(key: &str) -> bool {
    let mut parts = Path::new(key).components();
    !key.contains('/') && matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None))
}

/// Where the kernel shows processes and devices as files: the environment and the memory of others, disks, terminals.
const OF_THE_KERNEL: [&str; 3] = ["/proc", "/sys", "/dev"];

/// The content of a file that may hold a secret, wherever its name leads. A pipe would give its content once, and a secret
/// is read at each connect.
fn bounded(path: &Path) -> io::Result<Vec<u8>> {
    let path = path.canonicalize()?;
    if let Some(of) = OF_THE_KERNEL.iter().find(|of| path.starts_with(of)) {
        return Err(io::Error::other(format!("it leads into {of}, where no secret is kept")));
    }
    files::read(&path, LARGEST)
}

/// The references in a text, as they were written.
pub(in crate::config) fn references(text: &str) -> Vec<String> {
    let parts = parse(text).unwrap_or_default();
    let reference = |part: &Part| match part {
        Part::Reference(reference) => Some(reference.to_string()),
        Part::Literal(_) => None,
    };
    parts.iter().filter_map(reference).collect()
}
