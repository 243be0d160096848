//! The fields of a request's head that this server heeds.

use std::net::Ipv6Addr;

use crate::conditional::Conditions;
use crate::reply::Status;
use crate::request::{Refusal, Version};

/// What the fields of one head say, gathered in one pass.
#[derive(Debug, Default)]
pub(crate) struct Fields<'b> {
    pub(crate) has_host: bool,
    has_transfer_encoding: bool,
    body_bytes: Option<u64>,
    expects_the_unknown: bool,
    says_close: bool,
    says_keep_alive: bool,
    pub(crate) range: Single<'b>,
    pub(crate) accept_encoding: Lists<'b>,
    pub(crate) conditions: Conditions<'b>,
}

impl<'b> Fields<'b> {
    pub(crate) fn gather(&mut self, headers: &[httparse::Header<'b>]) -> Result<(), Refusal> {
        headers
            .iter()
            .try_for_each(|header| self.take(header.name, header.value))
    }

    fn take(&mut self, name: &str, value: &'b [u8]) -> Result<(), Refusal> {
        let is = |known: &str| name.eq_ignore_ascii_case(known);
        // The length picks out the few candidates: most fields of a browser are none of ours.
        match name.len() {
            4 if is("Host") => self.take_host(value)?,
            5 if is("Range") => self.range.add(value),
            6 if is("Expect") => self.take_expectations(value),
            8 if is("If-Range") => self.conditions.if_range.add(value),
            8 if is("If-Match") => self.conditions.if_match.add(value),
            10 if is("Connection") => self.take_connection(value),
            13 if is("If-None-Match") => self.conditions.if_none_match.add(value),
            14 if is("Content-Length") => self.take_content_length(value)?,
            15 if is("Accept-Encoding") => self.accept_encoding.add(value),
            17 if is("Transfer-Encoding") => self.has_transfer_encoding = true,
            17 if is("If-Modified-Since") => self.conditions.if_modified_since.add(value),
            19 if is("If-Unmodified-Since") => self.conditions.if_unmodified_since.add(value),
            _ => {}
        }
        Ok(())
    }

    fn take_host(&mut self, value: &[u8]) -> Result<(), Refusal> {
        // An empty one is for targets without a host.
        if self.has_host || !(value.is_empty() || is_authority(value)) {
            return Err(Refusal(Status::BadRequest));
        }
        self.has_host = true;
        Ok(())
    }

    fn take_expectations(&mut self, value: &[u8]) {
        // Empty members of a list are forgiven (RFC 9110, 5.6.1.2): some clients say so that they expect nothing.
        for expected in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.expects_the_unknown |=
                !expected.is_empty() && !expected.eq_ignore_ascii_case(b"100-continue");
        }
    }

    fn take_connection(&mut self, value: &[u8]) {
        for option in value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii) {
            self.says_close |= option.eq_ignore_ascii_case(b"close");
            self.says_keep_alive |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// Digits only, once only. Even two equal lengths are refused: somebody in between may keep one
    /// of them.
    fn take_content_length(&mut self, value: &[u8]) -> Result<(), Refusal> {
        let digits = value.iter().all(u8::is_ascii_digit) && !value.is_empty();
        let length = std::str::from_utf8(value)
            .ok()
            .and_then(|text| text.parse().ok());
        match (digits, self.body_bytes, length) {
            (true, None, Some(length)) => {
                self.body_bytes = Some(length);
                Ok(())
            }
            _ => Err(Refusal(Status::BadRequest)),
        }
    }

    /// Refuses what announces a body, for which no method here has a use, and what expects more
    /// than a leave to send one. "100 Continue" itself is never said: without a body nobody waits
    /// for it, and with one the refusal is the answer.
    pub(crate) fn refuse_body_and_expectations(&self) -> Result<(), Refusal> {
        if self.has_transfer_encoding {
            return Err(Refusal(Status::BadRequest));
        }
        if self.body_bytes.is_some_and(|bytes| bytes > 0) {
            return Err(Refusal(Status::ContentTooLarge));
        }
        if self.expects_the_unknown {
            return Err(Refusal(Status::ExpectationFailed));
        }
        Ok(())
    }

    pub(crate) fn keeps_alive(&self, version: Version) -> bool {
        !self.says_close && (version == Version::Http11 || self.says_keep_alive)
    }
}

/// A field whose value is a list, and which may stand several times: all of them are one list.
/// Nothing is allocated for a field that stands once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lists<'b> {
    first: Option<&'b [u8]>,
    more: Vec<&'b [u8]>,
}

impl<'b> Lists<'b> {
    pub(crate) fn add(&mut self, value: &'b [u8]) {
        match self.first {
            None => self.first = Some(value),
            Some(_) => self.more.push(value),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &'b [u8]> {
        self.first.iter().chain(&self.more).copied()
    }
}

/// A field that may stand once.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Single<'b> {
    #[default]
    Absent,
    Once(&'b [u8]),
    Repeated,
}

impl<'b> Single<'b> {
    pub(crate) fn add(&mut self, value: &'b [u8]) {
        *self = match self {
            Single::Absent => Single::Once(value),
            Single::Once(_) | Single::Repeated => Single::Repeated,
        };
    }

    pub(crate) fn once(self) -> Option<&'b [u8]> {
        match self {
            Single::Once(value) => Some(value),
            Single::Absent | Single::Repeated => None,
        }
    }
}

/// Whether `value` is a host with an optional port (RFC 3986, 3.2). User information is refused, and so is an empty host,
/// which no `http` URI has (RFC 9110, 4.2.1).
pub(crate) fn is_authority(value: &[u8]) -> bool {
    let behind_host = match value {
        [b'[', literal @ ..] => strip_address(literal),
        _ => strip_name(value),
    };
    match behind_host {
        Some([]) => true,
        Some([b':', port @ ..]) => port.iter().all(u8::is_ascii_digit),
        Some(_) | None => false,
    }
}

/// What stands behind an IPv6 address and its bracket.
fn strip_address(value: &[u8]) -> Option<&[u8]> {
    let end = value.iter().position(|&byte| byte == b']')?;
    let address = str::from_utf8(&value[..end]).ok()?;
    address.parse::<Ipv6Addr>().ok()?;
    Some(&value[end + 1..])
}

/// What stands behind a registered name or an IPv4 address, as long as there is one.
fn strip_name(value: &[u8]) -> Option<&[u8]> {
    let mut rest = value;
    loop {
        let plain = rest.iter().position(|&byte| !IN_NAME[usize::from(byte)]);
        rest = &rest[plain.unwrap_or(rest.len())..];
        rest = match rest {
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                tail
            }
            _ => break,
        };
    }
    (rest.len() < value.len()).then_some(rest)
}

/// Whether a byte may stand in a name as it is: every request is asked that of each byte of its `Host`.
static IN_NAME: [bool; 256] = {
    const MARKS: &[u8] = b"-._~!$&'()*+,;=";
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = (byte as u8).is_ascii_alphanumeric();
        byte += 1;
    }
    let mut mark = 0;
    while mark < MARKS.len() {
        table[MARKS[mark] as usize] = true;
        mark += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::HeadLimits;
    use crate::request::{self, Request};

    fn parse(head: &[u8]) -> Result<Request<'_>, Refusal> {
        request::parse(head, &HeadLimits::default())
    }

    #[test]
    fn the_connection_field_decides_with_the_version() {
        let table = [
            ("1.1", "", true),
            ("1.1", "Connection: close\r\n", false),
            ("1.1", "connection: CLOSE\r\n", false),
            ("1.1", "Connection: foo, close\r\n", false),
            (
                "1.1",
                "Connection: keep-alive\r\nConnection: close\r\n",
                false,
            ),
            ("1.1", "Connection: closed\r\n", true),
            ("1.0", "", false),
            ("1.0", "Connection: Keep-Alive\r\n", true),
            ("1.0", "Connection: keep-alive, close\r\n", false),
        ];
        for (version, field, expected) in table {
            let head = format!("GET / HTTP/{version}\r\nHost: a\r\n{field}\r\n");
            let request = parse(head.as_bytes()).expect("valid");
            assert_eq!(request.keep_alive, expected, "{version} {field:?}");
        }
    }

    /// Mutant: an empty member of `Expect` taken for an expectation.
    #[test]
    fn a_body_is_refused_and_the_announcement_of_none_is_not() {
        let table: [(&str, Option<Status>); 12] = [
            ("Content-Length: 0", None),
            ("content-length: 000", None),
            ("Content-Length: 1", Some(Status::ContentTooLarge)),
            (
                "Content-Length: 18446744073709551615",
                Some(Status::ContentTooLarge),
            ),
            ("Transfer-Encoding: chunked", Some(Status::BadRequest)),
            (
                "Content-Length: 0\r\nTransfer-Encoding: chunked",
                Some(Status::BadRequest),
            ),
            ("Expect: 100-Continue", None),
            ("Expect: 100-continue, x", Some(Status::ExpectationFailed)),
            ("Expect: 100-continue,, 100-CONTINUE", None),
            ("Expect:", None),
            ("Expect: \"\"", Some(Status::ExpectationFailed)),
            (
                "Expect: 100-continue\r\nContent-Length: 3",
                Some(Status::ContentTooLarge),
            ),
        ];
        for method in ["GET", "HEAD", "OPTIONS"] {
            for (field, expected) in table {
                let head = format!("{method} / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
                let refused = parse(head.as_bytes()).err().map(|refusal| refusal.0);
                assert_eq!(refused, expected, "{method} {field:?}");
            }
        }
    }

    #[test]
    fn repeated_lists_are_one_and_fields_that_may_stand_once_are_dropped_when_repeated() {
        let head = b"GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=0-1\r\n\
            If-None-Match: \"a\"\r\nIf-None-Match: \"b\"\r\nIf-None-Match: \"c\"\r\n\r\n";
        let request = parse(head).expect("valid");
        assert_eq!(request.range, Some(b"bytes=0-1".as_slice()));
        let tags: Vec<&[u8]> = request.conditions.if_none_match.iter().collect();
        assert_eq!(tags, [b"\"a\"", b"\"b\"", b"\"c\""]);
        let twice = b"GET / HTTP/1.0\r\nRange: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n";
        assert_eq!(parse(twice).expect("valid").range, None);
    }
}
