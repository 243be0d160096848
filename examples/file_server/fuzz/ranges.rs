//! `Range`, against sets of bytes.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{joined, judge_cases};
use crate::range::{Part, Selection, select};

/// Numbers on both sides of the sizes and of what a number can hold.
const NUMBERS: &[&[u8]] = &[
    b"0",
    b"1",
    b"2",
    b"5",
    b"9",
    b"10",
    b"11",
    b"12",
    b"31",
    b"60",
    b"62",
    b"63",
    b"64",
    b"99",
    b"",
    b"007",
    b"18446744073709551614",
    b"18446744073709551615",
    b"18446744073709551616",
];

/// What a value may have that no range has.
const ODDITIES: &[&[u8]] = &[
    b"-",
    b",",
    b" ",
    b"\t",
    b"x",
    b"+",
    b"=",
    b"\xc3\xa4",
    b"1",
    b"1-2",
];

/// A range, with something odd at its end once in a while.
fn range() -> impl Strategy<Value = Vec<u8>> {
    let number = || (0..NUMBERS.len()).prop_map(|index| NUMBERS[index]);
    let odd = prop_oneof![12 => Just(Vec::new()), 1 => joined(ODDITIES, 0..3)];
    let hyphen = super::mostly_first(&[b"-", b" - ", b"--", b""]);
    (number(), hyphen, number(), odd)
        .prop_map(|(first, hyphen, last, odd)| [first, hyphen, last, &odd].concat())
}

/// Mutants: ranges that are not joined; an end that is not cut to the size; `saturating_add`
/// replaced by `+`; parts that lie as far apart as one byte joined.
#[test]
fn ranges_select_the_bytes_that_were_asked_for() {
    let value = prop::collection::vec(range(), 0..5).prop_map(|ranges| ranges.join(&b", "[..]));
    let unit = super::mostly_first(&[b"bytes=", b"bytes =", b"Bytes=", b"byte=", b"bytes", b""]);
    let size = prop_oneof![8 => 0..64_u64, 1 => (0..3_u64).prop_map(|below| u64::MAX - below)];
    judge_cases(
        "ranges",
        (unit, value, size, 0..6_usize),
        |(unit, list, size, max)| {
            let value = [unit, &list].concat();
            let selection = select(&value, size, max);
            prop_assert_eq!(&selection, &expected(&value, size, max));
            lies_within(&selection, size)?;
            Ok(selection != Selection::Whole)
        },
    );
}

/// Every part is within the file, and no two overlap.
fn lies_within(selection: &Selection, size: u64) -> Result<(), TestCaseError> {
    let parts: &[Part] = match selection {
        Selection::Whole | Selection::Unsatisfiable => &[],
        Selection::Part(part) => std::slice::from_ref(part),
        Selection::Parts(parts) => parts,
    };
    let mut sorted: Vec<_> = parts
        .iter()
        .map(|part| (part.offset, part.length))
        .collect();
    sorted.sort_unstable();
    let mut behind = None;
    for (offset, length) in sorted {
        prop_assert!(length > 0 && length <= size && offset <= size - length);
        prop_assert!(behind.is_none_or(|behind| behind < offset), "they touch");
        behind = Some(offset + length);
    }
    Ok(())
}

/// What the standard and the bounds of this server make of it.
fn expected(value: &[u8], size: u64, max: usize) -> Selection {
    let Some(wanted) = read(value, max) else {
        return Selection::Whole;
    };
    let size = i128::from(size);
    let mut spans = Vec::new();
    for (first, last) in wanted {
        let (first, last) = match (first, last) {
            (Some(first), Some(last)) if last < first => return Selection::Whole,
            (Some(first), last) => (first, last.unwrap_or(i128::MAX).min(size - 1)),
            (None, Some(suffix)) if size == 0 && suffix > 0 => return Selection::Whole,
            (None, Some(suffix)) => ((size - suffix).max(0), size - 1),
            (None, None) => return Selection::Whole,
        };
        if first <= last {
            spans.push((first, last));
        }
    }
    merge(&mut spans);
    let part = |&(first, last): &(i128, i128)| Part {
        offset: u64::try_from(first).expect("within the file"),
        length: u64::try_from(last - first + 1).expect("within the file"),
    };
    match spans.as_slice() {
        [] => Selection::Unsatisfiable,
        [span] => Selection::Part(part(span)),
        spans => Selection::Parts(spans.iter().map(part).collect()),
    }
}

/// As often as two spans overlap or touch, the later one in the list is put into the earlier one.
fn merge(spans: &mut Vec<(i128, i128)>) {
    let touching = |spans: &[(i128, i128)]| {
        for later in 1..spans.len() {
            for earlier in 0..later {
                let (a, b) = (spans[earlier], spans[later]);
                if a.0 <= b.1 + 1 && b.0 <= a.1 + 1 {
                    return Some((earlier, later));
                }
            }
        }
        None
    };
    while let Some((earlier, later)) = touching(spans) {
        let (a, b) = (spans[earlier], spans.remove(later));
        spans[earlier] = (a.0.min(b.0), a.1.max(b.1));
    }
}

type Bounds = (Option<i128>, Option<i128>);

/// The ranges as they are written; `None` if the field is to be ignored.
fn read(value: &[u8], max: usize) -> Option<Vec<Bounds>> {
    let text = String::from_utf8(value.to_vec()).ok()?;
    let equals = text.find('=')?;
    if text[..equals].trim().to_lowercase() != "bytes" {
        return None;
    }
    let members: Vec<&str> = text[equals + 1..].split(',').collect();
    if members.len() > max {
        return None;
    }
    let mut ranges = Vec::new();
    for member in members.into_iter().map(str::trim) {
        if member.is_empty() {
            continue;
        }
        let hyphen = member.find('-')?;
        ranges.push((number(&member[..hyphen])?, number(&member[hyphen + 1..])?));
    }
    (!ranges.is_empty()).then_some(ranges)
}

fn number(digits: &str) -> Option<Option<i128>> {
    if digits.is_empty() {
        return Some(None);
    }
    let mut sum = 0_i128;
    for digit in digits.chars() {
        let digit = "0123456789".find(digit)?;
        // Beyond every size, one number is as good as another.
        sum = (sum * 10 + digit as i128).min(i128::from(u64::MAX));
    }
    Some(Some(sum))
}
