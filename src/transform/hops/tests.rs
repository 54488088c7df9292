use bytes::Bytes;
use gantry_sdk::Record;

use super::*;

fn record(headers: &[(&str, Value)]) -> Record {
    Record {
        headers: headers.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        ..Record::default()
    }
}

fn text(text: &'static str) -> Value {
    Value::String(Bytes::from_static(text.as_bytes()))
}

/// One record through one bridge: the count that it goes on with, or what became of it.
fn pass(hops: &Hops, record: Record) -> Result<Record, String> {
    let mut batch = Working::new(vec![record]);
    (PLUGIN.create)(&hops.step("b")).expect("it is right").apply(&mut batch);
    let (mut records, filtered, failed) = batch.finish();
    match (records.pop(), filtered, failed.as_slice()) {
        (Some(record), 0, []) => Ok(record),
        (None, 1, []) => Err("filtered".to_owned()),
        (None, 0, [(0, failure)]) => Err(failure.reason.to_string()),
        other => panic!("in more than one place, or in none: {other:?}"),
    }
}

#[test]
fn a_circle_of_two_lets_a_record_pass_once() {
    let hops = Hops::default();
    let there = pass(&hops, record(&[("other", Value::Bool(true))])).expect("it has passed none");
    assert_eq!(there.headers.get("x-gantry-hops"), Some(&Value::I32(1)));
    assert_eq!(there.headers.get("other"), Some(&Value::Bool(true)));
    assert_eq!(pass(&hops, there).expect_err("its echo"), "filtered");
}

#[test]
fn a_higher_limit_counts_on_in_whatever_type_it_comes_back() {
    let hops = Hops { limit: 3, ..Hops::default() };
    for two in [Value::I8(2), Value::U16(2), Value::I32(2), Value::I64(2), Value::U64(2), text("2")] {
        let passed = pass(&hops, record(&[("x-gantry-hops", two.clone())])).expect("the third bridge");
        assert_eq!(passed.headers.len(), 1, "{two:?}");
        assert_eq!(passed.headers.get("x-gantry-hops"), Some(&Value::I32(3)), "{two:?}");
    }
    for many in [Value::U8(3), Value::U64(u64::MAX), text("4711")] {
        assert_eq!(pass(&hops, record(&[("x-gantry-hops", many)])).expect_err("too many"), "filtered");
    }
}

#[test]
fn what_is_no_count_is_none_and_is_replaced() {
    let garbage = [
        text("many"),
        text(""),
        text("-1"),
        text("99999999999999999999999"),
        Value::I64(-5),
        Value::Null,
        Value::F64(7.0),
        Value::Bytes(Bytes::from_static(b"\xff")),
    ];
    for garbage in garbage {
        let passed = pass(&Hops::default(), record(&[("x-gantry-hops", garbage.clone())])).expect("as if without");
        assert_eq!(passed.headers.get("x-gantry-hops"), Some(&Value::I32(1)), "{garbage:?}");
    }
}

#[test]
fn of_several_the_highest_counts() {
    let hops = Hops { limit: 2, ..Hops::default() };
    let twice = record(&[("x-gantry-hops", Value::I32(0)), ("x-gantry-hops", text("2"))]);
    assert_eq!(pass(&hops, twice).expect_err("too many"), "filtered");
}

#[test]
fn on_limit_fail_says_why() {
    let hops = Hops { on_limit: OnLimit::Fail, header: "round".to_owned(), ..Hops::default() };
    let reason = pass(&hops, record(&[("round", Value::I32(1))])).expect_err("too many");
    assert_eq!(reason, "hops: it has passed 1 bridge(s), and the limit is 1");
}
