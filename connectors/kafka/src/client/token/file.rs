//! A bearer token in a file that someone else keeps fresh.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

/// A file that holds more holds no token.
const LARGEST: u64 = 1 << 20;

/// Reads the token. The error names the file and never its contents.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let text = bounded(path).map_err(|error| format!("reading the token file {shown}: {error}"))?;
    let token = text.trim().to_owned();
    if token.is_empty() || token.contains('\0') {
        return Err(format!("the token file {shown} holds no token"));
    }
    Ok(token)
}

fn bounded(path: &Path) -> io::Result<String> {
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LARGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST {
        return Err(io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}
