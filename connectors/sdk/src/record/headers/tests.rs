use proptest::prelude::*;

use super::*;

fn value(number: u8) -> Value {
    Value::U8(number)
}

fn listed(headers: &[(&str, u8)]) -> Vec<Header> {
    headers.iter().map(|(name, number)| ((*name).into(), value(*number))).collect()
}

/// Everything that can be done to headers, by a name and a number.
type Write = fn(&mut Headers, &str, u8);

const WRITES: [Write; 7] = [
    |headers, name, number| headers.push(name, value(number)),
    |headers, name, number| headers.set(name, value(number)),
    |headers, name, _| {
        headers.remove(name);
    },
    |headers, name, number| headers.set_all(&listed(&[(name, number), ("all", number), (name, 0)]).into()),
    |headers, _, number| {
        headers.retain(|(_, value)| *value != Value::U8(number));
    },
    |headers, _, number| headers.make_mut().iter_mut().take(1).for_each(|(_, own)| *own = value(number)),
    |headers, _, _| {
        headers.retain(|_| false);
    },
];

#[test]
fn what_is_written_to_a_clone_no_other_sees() {
    let came = listed(&[("a", 1), ("b", 2), ("a", 3), ("c", 4)]);
    for (place, write) in WRITES.into_iter().enumerate() {
        let original = Headers::from(came.clone());
        let mut record = original.clone();
        write(&mut record, "a", 2);
        assert_ne!(record.to_vec(), came, "write {place} does something");
        assert_eq!(original.to_vec(), came, "write {place}");
        // A clone that was written to is shared as well: records of several sinks.
        let (before, other) = (record.to_vec(), record.clone());
        for again in WRITES {
            again(&mut record, "c", 9);
            again(&mut record, "new", 9);
        }
        assert_eq!((other.to_vec(), original.to_vec()), (before, came.clone()), "write {place}, then others");
    }
}

#[test]
fn a_shared_list_is_not_copied() {
    let original = Headers::from(listed(&[("a", 1), ("b", 2), ("c", 3)]));
    let mut record = original.clone();
    record.set("b", value(4));
    record.remove("a");
    record.push("a", value(5));
    assert_eq!(record.to_vec(), listed(&[("c", 3), ("b", 4), ("a", 5)]));
    let places = [original.get("c"), record.get("c")].map(|found| std::ptr::from_ref(found.expect("it is there")));
    assert_eq!(places[0], places[1]);
    let constants = Headers::from(listed(&[("c", 7), ("d", 8)]));
    let mut other = original.clone();
    other.set_all(&constants);
    assert_eq!(other.to_vec(), listed(&[("a", 1), ("b", 2), ("c", 7), ("d", 8)]));
    let places = [constants.get("c"), other.get("c")].map(|found| std::ptr::from_ref(found.expect("it is there")));
    assert_eq!(places[0], places[1]);
    other.set("d", value(9));
    assert_eq!(constants.to_vec(), listed(&[("c", 7), ("d", 8)]), "constants serve every record");
    assert_eq!(original.to_vec(), listed(&[("a", 1), ("b", 2), ("c", 3)]));
}

#[test]
fn there_may_be_more_headers_than_marks() {
    let names: Vec<_> = (0..200).map(|number| format!("h{number}")).collect();
    let came: Headers = names.iter().map(|name| (ByteString::from(name.as_str()), value(1))).collect();
    for place in [0, 63, 64, 65, 199] {
        let mut record = came.clone();
        assert_eq!(record.remove(&names[place]), 1);
        record.set(names[0].as_str(), value(2));
        let expected = names[1..].iter().filter(|name| **name != names[place]).chain([&names[0]]);
        assert!(record.iter().map(|(name, _)| &**name).eq(expected.map(String::as_str)), "{place}");
        assert_eq!((came.len(), came.get(&names[place])), (200, Some(&value(1))));
    }
}

proptest! {
    /// However headers came to be, they are what a plain list would be.
    #[test]
    fn is_a_list(
        came in prop::collection::vec(("[a-c]", 0u8..4), 0..70),
        writes in prop::collection::vec((0..WRITES.len(), "[a-d]", 0u8..4, any::<bool>()), 0..12),
    ) {
        let mut list: Vec<Header> = came.iter().map(|(name, number)| (name.as_str().into(), value(*number))).collect();
        let mut headers = Headers::from(list.clone());
        let mut kept = Vec::new();
        for (write, name, number, is_shared) in writes {
            if is_shared {
                kept.push((headers.clone(), list.clone()));
            }
            WRITES[write](&mut headers, &name, number);
            let number = value(number);
            match write {
                0 => list.push((name.into(), number)),
                1 => { list.retain(|(own, _)| *own != name); list.push((name.into(), number)) }
                2 => list.retain(|(own, _)| *own != name),
                3 => {
                    list.retain(|(own, _)| *own != name && own != "all");
                    list.extend([(name.clone().into(), number.clone()), ("all".into(), number), (name.into(), value(0))]);
                }
                4 => list.retain(|(_, own)| *own != number),
                5 => list.iter_mut().take(1).for_each(|(_, own)| *own = number.clone()),
                _ => list.clear(),
            }
            prop_assert_eq!(headers.to_vec(), list.clone());
            prop_assert_eq!((headers.len(), headers.iter().len()), (list.len(), list.len()));
            prop_assert_eq!(headers.is_empty(), list.is_empty());
            prop_assert_eq!(&headers, &Headers::from(list.clone()));
        }
        for (headers, list) in kept {
            prop_assert_eq!(headers.to_vec(), list, "a clone that was kept");
        }
    }
}
