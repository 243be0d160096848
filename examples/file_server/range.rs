//! The `Range` field: which bytes of a file a request asks for (RFC 9110, section 14).
//!
//! Several ranges at once are a way to ask for much with little (a "range bomb"), so what is sent
//! for them is bounded:
//!
//! 1. more ranges than the server's limit are answered with the whole file, which the standard
//!    allows;
//! 2. ranges that overlap or touch become one, in the place of the first of them. So no byte is sent
//!    twice, and the parts together are no longer than the file.

/// What to send of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// 200: there is no range that we honour.
    Whole,
    /// 206
    Part(Part),
    /// 206 as multipart/byteranges: two or more, none of which overlap or touch, in the order in
    /// which they were asked for.
    Parts(Vec<Part>),
    /// 416: every range begins behind the end.
    Unsatisfiable,
}

/// `length` bytes, at least one, from `offset` on, all of them in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// Selects from a file of `size` bytes by the value of `Range`, of which up to `ranges_max` ranges
/// are honoured. What is malformed counts as absent.
pub(crate) fn select(value: &[u8], size: u64, ranges_max: usize) -> Selection {
    match list_of(value) {
        None => Selection::Whole,
        Some(list) if list.contains(',') => select_several(list, size, ranges_max),
        Some(_) if ranges_max == 0 => Selection::Whole,
        Some(range) => match part_of(range.trim(), size) {
            None => Selection::Whole,
            Some(None) => Selection::Unsatisfiable,
            Some(Some(part)) => Selection::Part(part),
        },
    }
}

fn select_several(list: &str, size: u64, ranges_max: usize) -> Selection {
    // Empty members of a list are forgiven (RFC 9110, 5.6.1.2), but they count.
    if list.split(',').count() > ranges_max {
        return Selection::Whole;
    }
    let members = list.split(',').map(str::trim);
    let mut parts = Vec::new();
    let mut is_empty = true;
    for range in members.filter(|range| !range.is_empty()) {
        match part_of(range, size) {
            None => return Selection::Whole,
            Some(None) => {}
            Some(Some(part)) => insert(&mut parts, part),
        }
        is_empty = false;
    }
    match parts.as_slice() {
        [] if is_empty => Selection::Whole,
        [] => Selection::Unsatisfiable,
        [part] => Selection::Part(*part),
        _ => Selection::Parts(parts),
    }
}

/// What follows `bytes=`.
fn list_of(value: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(value).ok()?;
    let (unit, list) = text.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(list)
}

/// What `first-last`, `first-` or `-suffix` means for a file of `size` bytes: `None` if it is
/// malformed, `Some(None)` if the file has no byte of it.
fn part_of(range: &str, size: u64) -> Option<Option<Part>> {
    let (first, last) = range.split_once('-')?;
    let (offset, end) = match (parse_number(first)?, parse_number(last)?) {
        (None, None) => return None,
        (Some(first), Some(last)) if last < first => return None,
        // The standard calls the last n bytes of nothing satisfiable, but no Content-Range can say
        // so.
        (None, Some(1..)) if size == 0 => return None,
        (None, Some(suffix)) => (size.saturating_sub(suffix), size),
        (Some(first), last) => {
            let end = last.map_or(size, |last| last.saturating_add(1).min(size));
            (first, end)
        }
    };
    Some((offset < end).then(|| Part {
        offset,
        length: end - offset,
    }))
}

/// A number, or `Some(None)` where there is none. One that is too large for any file stands for the
/// largest.
fn parse_number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

/// Adds a part to parts that do not touch each other, so that they still do not.
fn insert(parts: &mut Vec<Part>, mut part: Part) {
    let mut place = parts.len();
    while let Some(index) = parts.iter().position(|other| other.touches(part)) {
        part = part.joined_with(parts.remove(index));
        place = place.min(index);
    }
    parts.insert(place.min(parts.len()), part);
}

impl Part {
    /// These bytes of all that the file has.
    pub(crate) fn of(self, bytes: &[u8]) -> &[u8] {
        let [offset, length] = [self.offset, self.length]
            .map(|number| usize::try_from(number).expect("what is in memory fits into memory"));
        &bytes[offset..][..length]
    }

    /// The offset behind its last byte.
    pub(crate) fn end(self) -> u64 {
        self.offset + self.length
    }

    fn touches(self, other: Part) -> bool {
        self.offset <= other.end() && other.offset <= self.end()
    }

    fn joined_with(self, other: Part) -> Part {
        let offset = self.offset.min(other.offset);
        Part {
            offset,
            length: self.end().max(other.end()) - offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select_what_the_standard_says() {
        use Selection::{Unsatisfiable, Whole};
        let part = |offset, length| Selection::Part(Part { offset, length });
        let table = [
            ("bytes=0-0", 10, part(0, 1)),
            ("bytes=0-9", 10, part(0, 10)),
            ("bytes=0-10", 10, part(0, 10)),
            ("bytes=0-", 10, part(0, 10)),
            ("bytes=9-", 10, part(9, 1)),
            ("bytes=3-5", 10, part(3, 3)),
            ("bytes=-1", 10, part(9, 1)),
            ("bytes=-10", 10, part(0, 10)),
            ("bytes=-11", 10, part(0, 10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=-0", 0, Unsatisfiable),
            ("bytes=-5", 0, Whole),
            ("bytes=5-3", 10, Whole),
            ("bytes=0-18446744073709551615", 10, part(0, 10)),
            ("bytes=0-99999999999999999999999", 10, part(0, 10)),
            ("bytes=18446744073709551615-", 10, Unsatisfiable),
            (
                "bytes=18446744073709551616-18446744073709551617",
                10,
                Unsatisfiable,
            ),
            ("bytes=-18446744073709551616", 10, part(0, 10)),
            ("bytes=0-", u64::MAX, part(0, u64::MAX)),
            (
                "bytes=18446744073709551614-",
                u64::MAX,
                part(u64::MAX - 1, 1),
            ),
            ("Bytes=1-2", 10, part(1, 2)),
            ("bytes= 1-2", 10, part(1, 2)),
            ("bytes=0-1,", 10, part(0, 2)),
            ("bytes=,", 10, Whole),
            ("lines=0-1", 10, Whole),
            ("bytes", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=--1", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1-2x", 10, Whole),
            ("bytes=0x1-2", 10, Whole),
            ("bytes=1 - 2", 10, Whole),
            ("bytes=\u{661}-2", 10, Whole),
            ("", 10, Whole),
        ];
        for (value, size, expected) in table {
            assert_eq!(
                select(value.as_bytes(), size, 8),
                expected,
                "{value:?} of {size}"
            );
        }
    }

    /// Mutants: parts that are not joined; the joined part at the end of the list.
    #[test]
    fn several_ranges_keep_their_order_and_no_byte_comes_twice() {
        let parts = |expected: &[(u64, u64)]| {
            let part = |&(offset, length)| Part { offset, length };
            Selection::Parts(expected.iter().map(part).collect())
        };
        let part = |offset, length| Selection::Part(Part { offset, length });
        let table = [
            ("bytes=0-1,4-5", parts(&[(0, 2), (4, 2)])),
            ("bytes=8-9 , \t 0-1", parts(&[(8, 2), (0, 2)])),
            ("bytes=0-0,-1", parts(&[(0, 1), (19, 1)])),
            ("bytes=0-0,,-1", parts(&[(0, 1), (19, 1)])),
            ("bytes=0-0,99-,-1", parts(&[(0, 1), (19, 1)])),
            ("bytes=0-0,99-", part(0, 1)),
            ("bytes=20-,99-", Selection::Unsatisfiable),
            ("bytes=0-1,2-3", part(0, 4)),
            ("bytes=0-,-5", part(0, 20)),
            ("bytes=5-9,0-3,2-7", part(0, 10)),
            (
                "bytes=10-11,0-1,14-15,8-12",
                parts(&[(8, 5), (0, 2), (14, 2)]),
            ),
            ("bytes=0-1,10-11,4-5,1-4", parts(&[(0, 6), (10, 2)])),
            ("bytes=0-1,4-3", Selection::Whole),
            ("bytes=0-1,x", Selection::Whole),
            (
                "bytes=0-0,2-2,4-4,6-6,8-8,10-10,12-12,14-14,16-16",
                Selection::Whole,
            ),
            ("bytes=,,,,,,,0-0", part(0, 1)),
            ("bytes=,,,,,,,,0-0", Selection::Whole),
        ];
        for (value, expected) in table {
            assert_eq!(select(value.as_bytes(), 20, 8), expected, "{value:?}");
        }
        assert_eq!(select(b"bytes=0-1,4-5", 20, 1), Selection::Whole);
        assert_eq!(select(b"bytes=0-1", 20, 1), part(0, 2));
        assert_eq!(select(b"bytes=0-1", 20, 0), Selection::Whole);
    }

    /// Every list of three ranges with ends below 6 of a file of 5 bytes, against a set of bytes.
    #[test]
    fn what_is_selected_is_what_was_asked_for_whatever_the_ranges() {
        let size = 5;
        let ranges: Vec<(u64, u64)> = (0..6)
            .flat_map(|first| (first..6).map(move |last| (first, last)))
            .collect();
        for &a in &ranges {
            for &b in &ranges {
                for &c in &ranges {
                    let value = format!("bytes={}-{},{}-{},{}-{}", a.0, a.1, b.0, b.1, c.0, c.1);
                    let mut wanted: Vec<u64> = [a, b, c]
                        .into_iter()
                        .flat_map(|(first, last)| first..=last.min(size - 1))
                        .collect();
                    wanted.sort_unstable();
                    wanted.dedup();
                    let parts = match select(value.as_bytes(), size, 3) {
                        Selection::Parts(parts) => parts,
                        Selection::Part(part) => vec![part],
                        Selection::Unsatisfiable => vec![],
                        Selection::Whole => panic!("{value}"),
                    };
                    // Each byte once, or the sorted list would be longer.
                    let mut selected: Vec<u64> = parts
                        .iter()
                        .flat_map(|part| part.offset..part.end())
                        .collect();
                    selected.sort_unstable();
                    assert_eq!(selected, wanted, "{value}");
                }
            }
        }
    }
}
