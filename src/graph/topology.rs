//! Which brokers and endpoints are the same, and what reaches what without a bridge.

use std::collections::BTreeSet;

use gantry_sdk::{
    Description, Endpoint,
    endpoint::{Name, Route},
};
use regex::Regex;

use super::{Flow, FlowEnd};

/// Whether both are the same broker: they have an address in common, or need none.
pub(crate) fn same_broker(one: &FlowEnd, other: &FlowEnd) -> bool {
    let (own, others) = (&one.description.broker, &other.description.broker);
    let shared = own.iter().any(|address| others.contains(address));
    one.connector == other.connector && (shared || (own.is_empty() && others.is_empty()))
}

/// An endpoint that both surely mean, by the name that is known. What only records decide is not known.
pub(crate) fn overlap<'a>(one: &'a Endpoint, other: &'a Endpoint) -> Option<&'a str> {
    if one.kind != other.kind {
        return None;
    }
    match (&one.name, &other.name) {
        (Name::Exact(own), Name::Exact(others)) if own == others => Some(own),
        (Name::Exact(name), Name::Matching(regex)) | (Name::Matching(regex), Name::Exact(name)) => {
            // The client library's own dialect may know more; what is no regular expression here matches nothing.
            Regex::new(regex).is_ok_and(|regex| regex.is_match(name)).then_some(name)
        }
        (Name::Matching(own), Name::Matching(others)) if own == others => Some(own),
        _ => None,
    }
}

/// The routes inside brokers that any section of the configuration tells.
pub(super) struct Topology<'f> {
    routes: Vec<(&'f FlowEnd, &'f Route)>,
}

impl<'f> Topology<'f> {
    pub(super) fn new(flows: &'f [Flow]) -> Self {
        let ends = flows.iter().flat_map(Flow::ends);
        Self { routes: ends.flat_map(|end| end.description.routes.iter().map(move |route| (end, route))).collect() }
    }

    /// What of `reader`'s input records get to that are written to `writer`'s endpoints, straight or by routes.
    pub(super) fn reaches(&self, writer: &'f FlowEnd, reader: &'f FlowEnd) -> Option<&'f Endpoint> {
        if !same_broker(writer, reader) {
            return None;
        }
        let mut reached: Vec<&Endpoint> = writer.description.endpoints.iter().collect();
        let mut seen: BTreeSet<&Endpoint> = reached.iter().copied().collect();
        while let Some(endpoint) = reached.pop() {
            if let Some(input) = input_at(&reader.description, endpoint) {
                return Some(input);
            }
            let here = self.routes.iter().filter(|(end, route)| same_broker(end, writer) && route.from == *endpoint);
            reached.extend(here.map(|(_, route)| &route.to).filter(|to| seen.insert(to)));
        }
        None
    }
}

/// The endpoint where they meet: the one of the two whose name is known.
fn input_at<'a>(reader: &'a Description, endpoint: &'a Endpoint) -> Option<&'a Endpoint> {
    let met = reader.endpoints.iter().find(|input| overlap(input, endpoint).is_some())?;
    Some(if matches!(met.name, Name::Exact(_)) { met } else { endpoint })
}
