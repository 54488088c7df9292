//! The `json` transform, against a model that builds every body anew instead of changing it in place.

use gantry::registry;
use gantry_sdk::Working;
use serde_json::{Map, Value as Json, json as literal};

use super::{
    input,
    json_pick::{Whole, whole},
};

pub(super) fn run(data: &[u8]) {
    let (lines, body) = input::lines(data);
    let Some(edits) = lines.into_iter().map(Edit::read).collect::<Option<Vec<_>>>() else { return };
    let plugin = registry::transforms().iter().find(|plugin| plugin.name == "json").expect("it is built in");
    let Ok(mut transform) = (plugin.create)(&options(&edits)) else { return };
    let mut batch = Working::new(vec![input::record(body)]);
    transform.apply(&mut batch);
    let (kept, _, failed) = batch.finish();
    assert_eq!(kept.len() + failed.len(), 1, "a record is lost, or there twice");

    let original = match whole(body) {
        Whole::Json(original) => original,
        Whole::NotJson => {
            assert!(kept.is_empty(), "what is not JSON went on");
            return;
        }
        Whole::Tolerated => return,
    };
    // The words of the operations go through serde_json as well.
    if data.windows(6).any(|window| window == b"$serde") {
        return;
    }
    let expected = match model(&edits, &original) {
        Modelled::Unclear => return,
        Modelled::Fails => {
            assert!(kept.is_empty(), "{:?} went on", kept[0].value);
            return;
        }
        Modelled::Yields(expected) => expected,
    };
    let found = kept.first().unwrap_or_else(|| panic!("{:?}", failed[0].1.reason)).value.as_deref();
    let extracted = edits.iter().any(|edit| matches!(edit, Edit::Extract(_)));
    // As text: two objects are equal whatever the order of their fields.
    let [before, after] = [&original, &expected].map(Json::to_string);
    let found = match expected {
        Json::Null if extracted => return assert_eq!(found, None),
        Json::String(text) if extracted => return assert_eq!(found, Some(text.as_bytes())),
        _ => found.expect("it has a body"),
    };
    let found = found.strip_prefix(b"\xef\xbb\xbf").unwrap_or(found);
    let read = serde_json::from_slice::<Json>(found).expect("what is written is JSON").to_string();
    assert_eq!(read, after);
    if edits.is_empty() || before == after && edits.iter().all(|edit| matches!(edit, Edit::Drop(_))) {
        assert_eq!(kept[0].value.as_deref(), Some(body), "bytes that nothing touches are others");
    }
}

/// One line of the input: `drop items.*.sku`.
enum Edit<'a> {
    Extract(Path<'a>),
    Rename(Path<'a>, &'a str),
    Drop(Path<'a>),
    Mask(Path<'a>),
    Insert(Path<'a>, Json),
}

type Path<'a> = Vec<&'a str>;

impl<'a> Edit<'a> {
    fn read(line: &'a [u8]) -> Option<Self> {
        let mut words = str::from_utf8(line).ok()?.splitn(3, ' ');
        let (operation, path) = (words.next()?, words.next()?.split('.').collect());
        Some(match (operation, words.next()) {
            ("extract", None) => Self::Extract(path),
            ("rename", Some(name)) => Self::Rename(path, name),
            ("drop", None) => Self::Drop(path),
            ("mask", None) => Self::Mask(path),
            // Text would be a template: that is another target's.
            ("insert", Some(value)) => {
                Self::Insert(path, serde_json::from_str(value).ok().filter(|v: &Json| !v.is_string())?)
            }
            _ => return None,
        })
    }
}

/// The operations as options of the transform.
fn options(edits: &[Edit<'_>]) -> Json {
    let mut options = literal!({ "drop": [], "mask": [], "rename": {}, "insert": {}, "mask_with": "#" });
    for edit in edits {
        match edit {
            Edit::Extract(path) => options["extract"] = path.join(".").into(),
            Edit::Rename(path, name) => options["rename"][path.join(".")] = (*name).into(),
            Edit::Drop(path) => options["drop"].as_array_mut().expect("a list").push(path.join(".").into()),
            Edit::Mask(path) => options["mask"].as_array_mut().expect("a list").push(path.join(".").into()),
            Edit::Insert(path, value) => options["insert"][path.join(".")] = value.clone(),
        }
    }
    options
}

enum Modelled {
    Yields(Json),
    Fails,
    /// The documentation does not say: two operations of one kind speak of the same place.
    Unclear,
}

fn model(edits: &[Edit<'_>], original: &Json) -> Modelled {
    let mut json = original.clone();
    // Of two lines that speak of one path the later is the option.
    if let Some(path) =
        edits.iter().rev().find_map(|edit| if let Edit::Extract(path) = edit { Some(path) } else { None })
    {
        match found(&json, path) {
            Some(field) => json = field.clone(),
            None => return Modelled::Fails,
        }
    }
    let mut renames: Vec<(&Path<'_>, &str)> = Vec::new();
    let mut inserts: Vec<(&Path<'_>, &Json)> = Vec::new();
    for edit in edits {
        match edit {
            Edit::Rename(path, name) => {
                renames.retain(|(own, _)| *own != path);
                renames.push((path, name));
            }
            Edit::Insert(path, value) => {
                inserts.retain(|(own, _)| *own != path);
                inserts.push((path, value));
            }
            _ => {}
        }
    }
    match renamed(&json, &renames) {
        Some(renamed) => json = renamed,
        None => return Modelled::Unclear,
    }
    let drops: Vec<_> =
        edits.iter().filter_map(|edit| if let Edit::Drop(path) = edit { Some(&**path) } else { None }).collect();
    json = without(&json, &drops);
    for edit in edits {
        if let Edit::Mask(path) = edit {
            json = masked(&json, path);
        }
    }
    inserts.sort_by_key(|(path, _)| path.join("."));
    for (path, value) in inserts {
        match inserted(&json, path, value, true) {
            Some(inserted) => json = inserted,
            None => return Modelled::Fails,
        }
    }
    Modelled::Yields(json)
}

fn index(step: &str) -> Option<usize> {
    step.parse().ok()
}

fn found<'a>(json: &'a Json, path: &[&str]) -> Option<&'a Json> {
    let Some((step, rest)) = path.split_first() else { return Some(json) };
    match json {
        Json::Object(fields) => found(fields.get(*step)?, rest),
        Json::Array(items) => found(items.get(index(step)?)?, rest),
        _ => None,
    }
}

/// Every field and item made anew by `make`, which is told the name or the place; what it does not give is left out.
fn rebuilt(json: &Json, mut make: impl FnMut(Step<'_>, &Json) -> Option<Json>) -> Json {
    match json {
        Json::Object(fields) => {
            let made = fields.iter().filter_map(|(name, field)| Some((name.clone(), make(Step::Name(name), field)?)));
            Json::Object(made.collect())
        }
        Json::Array(items) => {
            let made = items.iter().enumerate().filter_map(|(place, item)| make(Step::Place(place), item));
            Json::Array(made.collect())
        }
        scalar => scalar.clone(),
    }
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Name(&'a str),
    Place(usize),
}

impl Step<'_> {
    fn fits(self, step: &str) -> bool {
        step == "*"
            || match self {
                Self::Name(name) => name == step,
                Self::Place(place) => index(step) == Some(place),
            }
    }
}

/// All paths speak of the body as it came in, also of places in lists.
fn without(json: &Json, paths: &[&[&str]]) -> Json {
    rebuilt(json, |at, child| {
        let below: Vec<&[&str]> = paths
            .iter()
            .filter_map(|path| path.split_first())
            .filter(|(step, _)| at.fits(step))
            .map(|(_, rest)| rest)
            .collect();
        let dropped = below.iter().any(|rest| rest.is_empty());
        (!dropped).then(|| without(child, &below))
    })
}

fn masked(json: &Json, path: &[&str]) -> Json {
    let Some((step, rest)) = path.split_first() else { return "#".into() };
    rebuilt(json, |at, child| Some(if at.fits(step) { masked(child, rest) } else { child.clone() }))
}

/// `None` when two paths that are written differently rename fields of one object.
fn renamed(json: &Json, renames: &[(&Path<'_>, &str)]) -> Option<Json> {
    let split: Vec<(&[&str], &str, &str)> =
        renames.iter().filter_map(|(path, new)| path.split_last().map(|(old, object)| (object, *old, *new))).collect();
    renamed_below(json, &split.iter().map(|(object, old, new)| (*object, *object, *old, *new)).collect::<Vec<_>>())
}

/// Each rename: what is left of the way to its object, the whole way, the old name and the new one.
fn renamed_below(json: &Json, renames: &[(&[&str], &[&str], &str, &str)]) -> Option<Json> {
    let mut unclear = false;
    let mut json = rebuilt(json, |at, child| {
        let below: Vec<_> = renames
            .iter()
            .filter_map(|(left, whole, old, new)| {
                let (step, rest) = left.split_first()?;
                at.fits(step).then_some((rest, *whole, *old, *new))
            })
            .collect();
        let made = renamed_below(child, &below);
        unclear |= made.is_none();
        made
    });
    let here: Vec<_> = renames.iter().filter(|(left, ..)| left.is_empty()).collect();
    unclear |= here.windows(2).any(|pair| pair[0].1 != pair[1].1);
    if unclear {
        return None;
    }
    if let Json::Object(fields) = &mut json {
        let new_name = |name: &str| here.iter().find(|(_, _, old, _)| *old == name).map(|(.., new)| *new);
        let taken: Vec<&str> = fields.keys().filter_map(|name| new_name(name)).collect();
        let mut renamed = Map::new();
        for (name, value) in fields.iter() {
            match new_name(name) {
                Some(new) => _ = renamed.insert(new.to_owned(), value.clone()),
                None if taken.contains(&name.as_str()) => {}
                None => _ = renamed.insert(name.clone(), value.clone()),
            }
        }
        *fields = renamed;
    }
    Some(json)
}

fn inserted(json: &Json, path: &[&str], value: &Json, is_body: bool) -> Option<Json> {
    let Some((step, rest)) = path.split_first() else { return Some(value.clone()) };
    match json {
        Json::Null if !is_body => inserted(&literal!({}), path, value, true),
        Json::Object(fields) => {
            let mut fields = fields.clone();
            let below = inserted(fields.get(*step).unwrap_or(&Json::Null), rest, value, false)?;
            fields.insert((*step).to_owned(), below);
            Some(Json::Object(fields))
        }
        Json::Array(items) => {
            let mut items = items.clone();
            let place = items.get_mut(index(step)?)?;
            *place = inserted(place, rest, value, false)?;
            Some(Json::Array(items))
        }
        _ => None,
    }
}
