//! Validators of a file, and the conditions that a request may put on them (RFC 9110, sections 8.8
//! and 13).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::SystemTime;

use crate::fields::{Lists, Single};

/// A strong entity tag: another file, another size or another time of change give another tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ETag {
    size: u64,
    identity: u64,
}

/// Bytes of a written tag: two quotes, two words of 16 digits, a hyphen.
const ETAG_BYTES: usize = 35;

impl ETag {
    /// The tag of the file `inode` on `device`, as it was at `modified` (seconds and nanoseconds).
    /// `changed` is when anything about it last changed: nobody can set it, so that a file with
    /// other content and the same size has another tag even if its `modified` was put back.
    ///
    /// Device, inode and time go in as a hash, so that the tag tells no stranger about the disk.
    /// The hash has fixed keys: a tag survives a restart of the server.
    pub(crate) fn new(
        (device, inode): (u64, u64),
        size: u64,
        modified: SystemTime,
        changed: SystemTime,
    ) -> ETag {
        let mut hasher = DefaultHasher::new();
        (device, inode, size, modified, changed).hash(&mut hasher);
        ETag {
            size,
            identity: hasher.finish(),
        }
    }

    /// The tag of a page that is made for each request: other bytes give another tag.
    pub(crate) fn of_page(page: &[u8]) -> ETag {
        let mut hasher = DefaultHasher::new();
        page.hash(&mut hasher);
        ETag {
            size: page.len() as u64,
            identity: hasher.finish(),
        }
    }

    /// The tag as it stands in a header field, with its quotes.
    pub(crate) fn to_bytes(self) -> [u8; ETAG_BYTES] {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'"'; ETAG_BYTES];
        let digit = |word: u64, place: usize| DIGITS[(word >> (60 - 4 * place)) as usize & 15];
        for place in 0..16 {
            text[1 + place] = digit(self.size, place);
            text[18 + place] = digit(self.identity, place);
        }
        text[17] = b'-';
        text
    }
}

/// What is known about the state of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Validators {
    pub(crate) etag: ETag,
    /// `Last-Modified` in seconds since 1970, if that field can say it.
    pub(crate) modified: Option<u64>,
}

/// The fields of a request that make it conditional. Repeated lists are one list. A repeated date
/// counts as absent, as an invalid one does; a repeated `If-Range` confirms nothing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions<'b> {
    pub(crate) if_match: Lists<'b>,
    pub(crate) if_none_match: Lists<'b>,
    pub(crate) if_modified_since: Single<'b>,
    pub(crate) if_unmodified_since: Single<'b>,
    pub(crate) if_range: Single<'b>,
}

/// What the conditions make of a GET or HEAD.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Answer; `Range` may be honoured.
    Proceed,
    /// Answer, but with the whole: the part that the client has is of another state of the file.
    ProceedWhole,
    /// 304
    NotModified,
    /// 412
    PreconditionFailed,
}

impl Conditions<'_> {
    /// Evaluates in the order of RFC 9110, 13.2.2. `now` is in seconds since 1970.
    pub(crate) fn evaluate(&self, current: &Validators, now: u64) -> Verdict {
        if !self.if_match.is_empty() {
            if !self
                .if_match
                .iter()
                .any(|list| lists(list, current.etag, Comparison::Strong))
            {
                return Verdict::PreconditionFailed;
            }
        } else if let (Some(date), Some(modified)) = (
            self.if_unmodified_since.once().and_then(parse_date),
            current.modified,
        ) && modified > date
        {
            return Verdict::PreconditionFailed;
        }
        if !self.if_none_match.is_empty() {
            if self
                .if_none_match
                .iter()
                .any(|list| lists(list, current.etag, Comparison::Weak))
            {
                return Verdict::NotModified;
            }
        } else if let (Some(date), Some(modified)) = (
            self.if_modified_since.once().and_then(parse_date),
            current.modified,
        ) && modified <= date
        {
            return Verdict::NotModified;
        }
        match self.if_range {
            Single::Absent => Verdict::Proceed,
            Single::Once(validator) if confirms(validator, current, now) => Verdict::Proceed,
            Single::Once(_) | Single::Repeated => Verdict::ProceedWhole,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags, or `*`, has this tag. A malformed rest of the list has none.
fn lists(list: &[u8], etag: ETag, comparison: Comparison) -> bool {
    if list.trim_ascii() == b"*" {
        return true;
    }
    let wanted = etag.to_bytes();
    let mut rest = list;
    loop {
        rest = skip_separators(rest);
        let (weak, tag) = match rest.strip_prefix(b"W/") {
            Some(tag) => (true, tag),
            None => (false, rest),
        };
        let Some(length) = quoted_length(tag) else {
            return false;
        };
        if tag[..length] == wanted && !(weak && comparison == Comparison::Strong) {
            return true;
        }
        rest = &tag[length..];
    }
}

fn skip_separators(list: &[u8]) -> &[u8] {
    let start = list
        .iter()
        .position(|byte| !b" \t,".contains(byte))
        .unwrap_or(list.len());
    &list[start..]
}

/// Bytes of the quoted string that `text` begins with, quotes included.
fn quoted_length(text: &[u8]) -> Option<usize> {
    let inside = text.strip_prefix(b"\"")?;
    inside
        .iter()
        .position(|&byte| byte == b'"')
        .map(|end| end + 2)
}

/// Whether the validator of `If-Range` still describes the file, by the strong comparison: a weak
/// tag never does, and a date only if the file cannot have changed again within that second.
fn confirms(validator: &[u8], current: &Validators, now: u64) -> bool {
    let validator = validator.trim_ascii();
    if validator.starts_with(b"\"") || validator.starts_with(b"W/") {
        return validator == current.etag.to_bytes();
    }
    match (parse_date(validator), current.modified) {
        (Some(date), Some(modified)) => date == modified && modified < now,
        _ => false,
    }
}

/// Seconds since 1970 of an HTTP date.
fn parse_date(value: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(value).ok()?;
    let time = httpdate::parse_http_date(text.trim()).ok()?;
    Some(time.duration_since(std::time::UNIX_EPOCH).ok()?.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const NOW: u64 = 1_000_000_000;
    const DATE: &str = "Sun, 09 Sep 2001 01:46:30 GMT"; // NOW - 10
    const EARLIER: &str = "Sun, 09 Sep 2001 01:46:29 GMT";
    const LATER: &str = "Sun, 09 Sep 2001 01:46:31 GMT";

    fn tag_of(device: u64, inode: u64, size: u64, seconds: u64, nanos: u32) -> ETag {
        let modified = UNIX_EPOCH + Duration::new(seconds, nanos);
        ETag::new((device, inode), size, modified, UNIX_EPOCH)
    }

    fn current() -> Validators {
        Validators {
            etag: tag_of(1, 2, 3, 4, 5),
            modified: Some(NOW - 10),
        }
    }

    fn tag() -> String {
        String::from_utf8(current().etag.to_bytes().to_vec()).expect("ASCII")
    }

    #[test]
    fn a_tag_changes_with_everything_it_is_made_of_and_with_nothing_else() {
        let base = tag_of(1, 2, 3, 4, 5);
        assert_eq!(base.to_bytes(), tag_of(1, 2, 3, 4, 5).to_bytes());
        let others = [
            tag_of(9, 2, 3, 4, 5),
            tag_of(1, 9, 3, 4, 5),
            tag_of(1, 2, 9, 4, 5),
            tag_of(1, 2, 3, 9, 5),
            tag_of(1, 2, 3, 4, 9),
        ];
        let touched = ETag::new(
            (1, 2),
            3,
            UNIX_EPOCH + Duration::new(4, 5),
            UNIX_EPOCH + Duration::new(0, 1),
        );
        assert_ne!(base.to_bytes(), touched.to_bytes());
        for other in others {
            assert_ne!(base.to_bytes(), other.to_bytes());
        }
        let text = tag();
        assert!(
            text.starts_with("\"0000000000000003-") && text.ends_with('"'),
            "{text}"
        );
        assert!(
            text[1..34]
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
        );
    }

    #[test]
    fn conditions_are_evaluated_in_the_order_of_the_standard() {
        use Verdict::{NotModified, PreconditionFailed, Proceed, ProceedWhole};
        let (tag, other) = (tag(), "\"other\"".to_owned());
        let weak = format!("W/{tag}");
        let list = format!("\"a,b\", W/\"c\" ,, {tag}");
        let broken = format!("nonsense, {tag}");
        // If-Match, If-Unmodified-Since, If-None-Match, If-Modified-Since, If-Range
        let table: [([&str; 5], Verdict); 30] = [
            (["", "", "", "", ""], Proceed),
            ([&tag, "", "", "", ""], Proceed),
            (["*", "", "", "", ""], Proceed),
            ([&list, "", "", "", ""], Proceed),
            ([&weak, "", "", "", ""], PreconditionFailed),
            ([&other, "", "", "", ""], PreconditionFailed),
            ([&broken, "", "", "", ""], PreconditionFailed),
            ([&tag, EARLIER, "", "", ""], Proceed),
            (["", DATE, "", "", ""], Proceed),
            (["", LATER, "", "", ""], Proceed),
            (["", EARLIER, "", "", ""], PreconditionFailed),
            (["", "yesterday", "", "", ""], Proceed),
            (["", "", &tag, "", ""], NotModified),
            (["", "", &weak, "", ""], NotModified),
            (["", "", &list, "", ""], NotModified),
            (["", "", "*", "", ""], NotModified),
            (["", "", &other, "", ""], Proceed),
            (["", "", &other, DATE, ""], Proceed),
            (["", "", "", DATE, ""], NotModified),
            (["", "", "", LATER, ""], NotModified),
            (["", "", "", EARLIER, ""], Proceed),
            (["", "", "", "Sun, 99 Sep 2001 01:46:31 GMT", ""], Proceed),
            ([&other, "", &tag, "", ""], PreconditionFailed),
            ([&tag, "", &tag, "", ""], NotModified),
            (["", "", "", "", &tag], Proceed),
            (["", "", "", "", &weak], ProceedWhole),
            (["", "", "", "", &other], ProceedWhole),
            (["", "", "", "", DATE], Proceed),
            (["", "", "", "", LATER], ProceedWhole),
            (["", "", "", "", "nonsense"], ProceedWhole),
        ];
        for (fields, expected) in table {
            let value = |index: usize| match fields[index] {
                "" => None,
                value => Some(value.as_bytes()),
            };
            let single = |index| value(index).map_or(Single::Absent, Single::Once);
            let mut conditions = Conditions {
                if_unmodified_since: single(1),
                if_modified_since: single(3),
                ..Conditions::default()
            };
            value(0)
                .into_iter()
                .for_each(|list| conditions.if_match.add(list));
            value(2)
                .into_iter()
                .for_each(|list| conditions.if_none_match.add(list));
            value(4)
                .into_iter()
                .for_each(|validator| conditions.if_range.add(validator));
            assert_eq!(conditions.evaluate(&current(), NOW), expected, "{fields:?}");
        }
    }

    #[test]
    fn a_date_in_if_range_is_weak_within_its_own_second() {
        let conditions = Conditions {
            if_range: Single::Once(DATE.as_bytes()),
            ..Conditions::default()
        };
        assert_eq!(
            conditions.evaluate(&current(), NOW - 10),
            Verdict::ProceedWhole
        );
        assert_eq!(conditions.evaluate(&current(), NOW - 9), Verdict::Proceed);
    }

    #[test]
    fn repeated_lists_are_one_list() {
        let tag = tag();
        let mut conditions = Conditions::default();
        conditions.if_none_match.add(b"\"x\"");
        conditions.if_none_match.add(tag.as_bytes());
        assert_eq!(conditions.evaluate(&current(), NOW), Verdict::NotModified);
    }

    #[test]
    fn an_if_range_that_stands_twice_confirms_nothing() {
        let tag = tag();
        let mut conditions = Conditions::default();
        conditions.if_range.add(tag.as_bytes());
        assert_eq!(conditions.evaluate(&current(), NOW), Verdict::Proceed);
        conditions.if_range.add(tag.as_bytes());
        assert_eq!(conditions.evaluate(&current(), NOW), Verdict::ProceedWhole);
    }

    #[test]
    fn a_file_without_a_date_that_a_field_can_say_ignores_conditions_on_dates() {
        let undated = Validators {
            modified: None,
            ..current()
        };
        let conditions = Conditions {
            if_unmodified_since: Single::Once(EARLIER.as_bytes()),
            if_modified_since: Single::Once(LATER.as_bytes()),
            ..Conditions::default()
        };
        assert_eq!(conditions.evaluate(&undated, NOW), Verdict::Proceed);
    }
}
