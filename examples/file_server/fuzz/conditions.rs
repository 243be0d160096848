//! Conditional requests from their head to the verdict, against the table of RFC 9110, 13.2.2.

use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;

use super::judge_cases;
use crate::conditional::{ETag, Validators, Verdict};
use crate::limits::HeadLimits;
use crate::request::parse;

const NOW: u64 = 1_000_000_000;

/// A member of a list of tags, and what it is to the file's own tag.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Tag {
    Own,
    OwnWeak,
    Other,
    Broken,
}

/// A value of a field.
#[derive(Clone, Debug)]
enum Value {
    Star,
    Tags(Vec<Tag>),
    /// Seconds after the file's modification, in one of the three forms that a date has.
    Date(i64, usize),
    Junk,
}

fn tags() -> impl Strategy<Value = Value> {
    let tag = prop::sample::select(&[Tag::Other, Tag::Own, Tag::OwnWeak, Tag::Broken][..]);
    prop_oneof![
        6 => prop::collection::vec(tag, 0..4).prop_map(Value::Tags),
        1 => Just(Value::Star),
    ]
}

fn date() -> impl Strategy<Value = Value> {
    prop_oneof![6 => (-1..=1_i64, 0..3_usize).prop_map(|(by, form)| Value::Date(by, form)), 1 => Just(Value::Junk)]
}

/// The fields of one request: each value of each field that it has.
#[derive(Clone, Debug)]
struct Fields {
    if_match: Vec<Value>,
    if_none_match: Vec<Value>,
    if_unmodified_since: Vec<Value>,
    if_modified_since: Vec<Value>,
    if_range: Vec<Value>,
    /// Seconds from the file's modification to the request.
    age: u64,
    has_date: bool,
}

fn fields() -> impl Strategy<Value = Fields> {
    let some = |value| prop::collection::vec(value, 0..3);
    let validator = prop_oneof![tags(), date()];
    (
        prop::collection::vec(tags(), 0..3),
        prop::collection::vec(tags(), 0..3),
        some(date().boxed()),
        some(date().boxed()),
        some(validator.boxed()),
        0..3_u64,
        any::<bool>(),
    )
        .prop_map(
            |(
                if_match,
                if_none_match,
                if_unmodified_since,
                if_modified_since,
                if_range,
                age,
                has_date,
            )| Fields {
                if_match,
                if_none_match,
                if_unmodified_since,
                if_modified_since,
                if_range,
                age,
                has_date,
            },
        )
}

/// Mutants: `If-None-Match` by the strong comparison; `If-Modified-Since` in spite of
/// `If-None-Match`; a date in `If-Range` that is earlier than the file's, or of the same second.
#[test]
fn conditions_are_evaluated_as_the_standard_orders() {
    let modified = UNIX_EPOCH + Duration::from_secs(NOW);
    let etag = ETag::new((1, 2), 3, modified, modified);
    let own = String::from_utf8(etag.to_bytes().to_vec()).expect("ASCII");
    let dates: Vec<[String; 3]> = (0..3).map(|by| written(NOW - 1 + by)).collect();
    judge_cases("conditions", fields(), |fields| {
        let current = Validators {
            etag,
            modified: fields.has_date.then_some(NOW),
        };
        let head = head_of(&fields, &own, &dates);
        let request = parse(head.as_bytes(), &HeadLimits::default()).expect("well-formed");
        let verdict = request.conditions.evaluate(&current, NOW + fields.age);
        prop_assert_eq!(verdict, expected(&fields), "{}", head);
        Ok(verdict != Verdict::Proceed)
    });
}

/// A date in its three forms (RFC 9110, 5.6.7).
fn written(second: u64) -> [String; 3] {
    let date = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
    let time = &date[17..25];
    assert!(date.starts_with("Sun, 09 Sep 2001"), "{date}");
    [
        date.clone(),
        format!("Sunday, 09-Sep-01 {time} GMT"),
        format!("Sun Sep  9 {time} 2001"),
    ]
}

fn head_of(fields: &Fields, own: &str, dates: &[[String; 3]]) -> String {
    let mut head = "GET / HTTP/1.1\r\nHost: a\r\n".to_owned();
    for (name, values) in [
        ("If-Match", &fields.if_match),
        ("If-None-Match", &fields.if_none_match),
        ("If-Unmodified-Since", &fields.if_unmodified_since),
        ("If-Modified-Since", &fields.if_modified_since),
        ("If-Range", &fields.if_range),
    ] {
        for value in values {
            head += name;
            head += ": ";
            match value {
                Value::Star => head += "*",
                Value::Junk => head += "yesterday",
                Value::Date(by, form) => head += &dates[(by + 1) as usize][*form],
                Value::Tags(tags) => {
                    for (index, tag) in tags.iter().enumerate() {
                        head += if index > 0 { ", " } else { "" };
                        match tag {
                            Tag::Own => head += own,
                            Tag::OwnWeak => head += &format!("W/{own}"),
                            Tag::Other => head += "\"x,\"",
                            Tag::Broken => head += "x",
                        }
                    }
                }
            }
            head += "\r\n";
        }
    }
    head + "\r\n"
}

fn expected(fields: &Fields) -> Verdict {
    // Step 1, and 2 where it does not apply.
    if !fields.if_match.is_empty() {
        if !has(&fields.if_match, &[Tag::Own]) {
            return Verdict::PreconditionFailed;
        }
    } else if single_date(fields, &fields.if_unmodified_since).is_some_and(|by| by < 0) {
        return Verdict::PreconditionFailed;
    }
    // Step 3, and 4 where it does not apply.
    if !fields.if_none_match.is_empty() {
        if has(&fields.if_none_match, &[Tag::Own, Tag::OwnWeak]) {
            return Verdict::NotModified;
        }
    } else if single_date(fields, &fields.if_modified_since).is_some_and(|by| by >= 0) {
        return Verdict::NotModified;
    }
    // Step 5.
    let confirmed = match fields.if_range.as_slice() {
        [] => true,
        [Value::Tags(tags)] => tags == &[Tag::Own],
        [Value::Date(0, _)] => fields.has_date && fields.age > 0,
        _ => false,
    };
    match confirmed {
        true => Verdict::Proceed,
        false => Verdict::ProceedWhole,
    }
}

/// Whether one of these tags is in the lists, or a star stands for all. What follows a broken member
/// of a list is not read.
fn has(lists: &[Value], wanted: &[Tag]) -> bool {
    lists.iter().any(|list| match list {
        Value::Star => true,
        Value::Tags(tags) => tags
            .iter()
            .take_while(|&&tag| tag != Tag::Broken)
            .any(|tag| wanted.contains(tag)),
        Value::Date(..) | Value::Junk => false,
    })
}

/// The date of a field that stands once, if the file has one to compare it with.
fn single_date(fields: &Fields, values: &[Value]) -> Option<i64> {
    match values {
        [Value::Date(by, _)] if fields.has_date => Some(*by),
        _ => None,
    }
}
