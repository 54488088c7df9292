//! The nearest of the names that would have been right.

/// The nearest of these names, if one is near enough to be meant.
pub(super) fn nearest<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let written = written.to_lowercase();
    let near = |name: &&'n str| {
        let distance = strsim::damerau_levenshtein(&written, &name.to_lowercase());
        let allowed = written.chars().count().max(name.chars().count()).div_ceil(3);
        (distance <= allowed).then_some(distance)
    };
    let found = names.into_iter().filter_map(|name| near(&name).map(|distance| (distance, name))).min();
    found.map(|(_, name)| name)
}

/// What to say after the name that is wrong: the one that is meant, or all of them.
pub(crate) fn instead<'n>(written: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match nearest(written, names.iter().copied()) {
        Some(name) => format!("did you mean \"{name}\"?"),
        None if names.is_empty() => "there is none".to_owned(),
        None => format!("there is {}", list(names, "and")),
    }
}

/// `a, b and c`.
pub(super) fn list<S: AsRef<str>>(names: impl IntoIterator<Item = S>, last: &str) -> String {
    let names: Vec<S> = names.into_iter().collect();
    let names: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [rest @ .., end] => format!("{} {last} {end}", rest.join(", ")),
    }
}
