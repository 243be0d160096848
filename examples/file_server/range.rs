//! The `Range` field: which bytes of a file a request asks for (RFC 9110, section 14).
//!
//! One range of bytes is honoured. Several at once are answered with the whole file, which the
//! standard allows and which leaves no room for range bombs.

/// What to send of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// 200: there is no range that we honour.
    Whole,
    /// 206: `length` bytes, at least one, from `offset` on.
    Part { offset: u64, length: u64 },
    /// 416: the range begins behind the end.
    Unsatisfiable,
}

/// Selects from a file of `size` bytes by the value of `Range`. What is malformed counts as absent.
pub(crate) fn select(value: &[u8], size: u64) -> Selection {
    let Some((first, last)) = parse(value) else {
        return Selection::Whole;
    };
    match (first, last) {
        (Some(first), Some(last)) if last < first => Selection::Whole,
        (Some(first), _) if first >= size => Selection::Unsatisfiable,
        (Some(first), last) => {
            let last = last.map_or(size - 1, |last| last.min(size - 1));
            Selection::Part {
                offset: first,
                length: last - first + 1,
            }
        }
        (None, Some(0)) => Selection::Unsatisfiable,
        // The standard calls the last n bytes of nothing satisfiable, but no Content-Range can say
        // so.
        (None, Some(_)) if size == 0 => Selection::Whole,
        (None, Some(suffix)) => {
            let length = suffix.min(size);
            Selection::Part {
                offset: size - length,
                length,
            }
        }
        (None, None) => Selection::Whole,
    }
}

/// Splits `bytes=first-last`; either number may be missing, but not both.
fn parse(value: &[u8]) -> Option<(Option<u64>, Option<u64>)> {
    let text = std::str::from_utf8(value).ok()?;
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || range.contains(',') {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    let (first, last) = (parse_number(first)?, parse_number(last)?);
    (first.is_some() || last.is_some()).then_some((first, last))
}

/// A number, or `Some(None)` where there is none. One that is too large for any file stands for the
/// largest.
fn parse_number(digits: &str) -> Option<Option<u64>> {
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some((!digits.is_empty()).then(|| digits.parse().unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select_what_the_standard_says() {
        use Selection::{Unsatisfiable, Whole};
        let part = |offset, length| Selection::Part { offset, length };
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
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=0-1,", 10, Whole),
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
                select(value.as_bytes(), size),
                expected,
                "{value:?} of {size}"
            );
        }
    }

    #[test]
    fn a_part_always_lies_within_the_file() {
        for size in 0..12 {
            for first in 0..14 {
                for last in 0..14 {
                    let value = format!("bytes={first}-{last}");
                    if let Selection::Part { offset, length } = select(value.as_bytes(), size) {
                        assert!(length > 0 && offset + length <= size, "{value} of {size}");
                    }
                }
            }
        }
    }
}
