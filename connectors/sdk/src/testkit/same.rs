//! Values and headers, compared.

use crate::{Headers, Value};

/// Equal to the last bit, which `==` on floats is not.
pub fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::F32(one), Value::F32(other)) => one.to_bits() == other.to_bits(),
        (Value::F64(one), Value::F64(other)) => one.to_bits() == other.to_bits(),
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other))
        }
        (Value::Table(one), Value::Table(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|((name, one), (own, other))| name == own && same(one, other))
        }
        (one, other) => one == other,
    }
}

/// The same names and values in the same order.
///
/// # Panics
/// At the first difference, with both sides.
pub fn assert_same(found: &Headers, expected: &Headers) {
    assert_eq!(found.len(), expected.len(), "{found:?} is not {expected:?}");
    for ((name, value), (own, original)) in found.iter().zip(expected) {
        assert_eq!(name, own);
        assert!(same(value, original), "{name}: {value:?} is not {original:?}");
    }
}
