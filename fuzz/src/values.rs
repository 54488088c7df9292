//! Header values, compared.

use gantry_sdk::{Headers, Value};

/// Equal to the last bit, which `==` on floats is not.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::F32(left), Value::F32(right)) => left.to_bits() == right.to_bits(),
        (Value::F64(left), Value::F64(right)) => left.to_bits() == right.to_bits(),
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| same(left, right))
        }
        (Value::Table(left), Value::Table(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|((a, left), (b, right))| a == b && same(left, right))
        }
        (left, right) => left == right,
    }
}

/// The same names and values in the same order.
pub(super) fn assert_same(found: &Headers, expected: &Headers) {
    assert_eq!(found.len(), expected.len());
    for ((name, value), (own, original)) in found.iter().zip(expected) {
        assert_eq!(name, own);
        assert!(same(value, original), "{name}: {value:?} is not {original:?}");
    }
}

/// How deep lists and tables lie in one another.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::List(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Table(fields) => 1 + fields.iter().map(|(_, value)| depth(value)).max().unwrap_or_default(),
        _ => 0,
    }
}
