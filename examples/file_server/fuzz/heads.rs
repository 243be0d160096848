//! Heads of requests, against a reader that knows no more than the grammar (RFC 9112, sections 3 and
//! 5) and this server's refusals.

use std::net::Ipv6Addr;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::{joined, judge_cases, mostly_first};
use crate::limits::HeadLimits;
use crate::request::{Method, Request, Version, find_head_end, parse};

const LIMITS: HeadLimits = HeadLimits {
    bytes: 400,
    fields: 6,
    target_bytes: 40,
};

const METHODS: &[&[u8]] = &[
    b"GET", b"HEAD", b"OPTIONS", b"HEAD", b"OPTIONS", b"POST", b"get", b"G=T", b"", b"GET GET",
    b"\r\nGET", b"G\xe4",
];
const SPACES: &[&[u8]] = &[b" ", b"  ", b"\t", b"", b"\r\n", b"\n"];
const TARGETS: &[&[u8]] = &[
    b"/",
    b"/",
    b"a",
    b"b",
    b"?",
    b"#",
    b"%20",
    b"*",
    b"http://",
    b"HTTPS://",
    b"h:8",
    b"u@h",
    b"[::1]",
    b" ",
    b"\xc3\xa4",
    b"\xe4",
    b"\x7f",
    b"\x01",
    b"aaaaaaaaaaaaaaaa",
];
const VERSIONS: &[&[u8]] = &[
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"http/1.1",
    b"HTTP/1.1 ",
    b"HTTP/1.",
    b"",
];
const NAMES: &[&[u8]] = &[
    b"Host",
    b"X",
    b"Content-Length",
    b"content-length",
    b"Transfer-Encoding",
    b"Connection",
    b"Range",
    b"If-None-Match",
    b"Expect",
    b"Accept-Encoding",
    b"host",
    b"",
    b" Host",
    b"\tX",
    b"X Y",
    b"X\xe4",
];
const COLONS: &[&[u8]] = &[b": ", b":", b" : ", b":\t ", b"", b":\r\n ", b"\t:"];
const VALUES: &[&[u8]] = &[
    b"a",
    b"0",
    b"00",
    b"1",
    b"0, 0",
    b"close",
    b"Keep-Alive",
    b"keep-alive, close",
    b"100-continue",
    b"100-continue, ,100-Continue",
    b"bytes=0-0",
    b"chunked",
    b"",
    b"a b",
    b"a/b",
    b"u@a",
    b"[::1]:80",
    b"\xe4",
    b"\x0b",
    b"\r",
    b"\0",
    b"+0",
    b"99999999999999999999",
];
const ENDS: &[&[u8]] = &[
    b"\r\n",
    b" \r\n",
    b"\n",
    b"\r\r\n",
    b"\r",
    b"",
    b"\r\n ",
    b"\r\n\r\n",
];

const HOSTS: &[&[u8]] = &[
    b"Host: a\r\n",
    b"",
    b"Host: b:80\r\n",
    b"host:\r\n",
    b"Host: [::1]:80\r\n",
    b"Host: a%20b:\r\n",
    b"Host: a:b\r\n",
    b"Host: [::1\r\n",
    b"Host: :80\r\n",
    b"Host: [a]:80\r\n",
    b"Host: a%2x\r\n",
];

/// Fields that a request may well have, most of them.
const FIELDS: &[&[u8]] = &[
    b"X: a b\r\n",
    b"Connection: close\r\n",
    b"connection:keep-alive\r\n",
    b"Connection: x, Keep-Alive\r\n",
    b"Range: bytes=0-0\r\n",
    b"If-None-Match: \"a\"\r\n",
    b"Accept-Encoding:\tgzip \r\n",
    b"Expect: 100-Continue\r\n",
    b"Content-Length: 0\r\n",
    b"Host: a\r\n",
    b"Content-Length: 1\r\n",
    b"Transfer-Encoding: chunked\r\n",
];

fn heads() -> impl Strategy<Value = Vec<u8>> {
    let target = prop_oneof![
        6 => joined(&TARGETS[..7], 0..6).prop_map(|rest| [b"/", rest.as_slice()].concat()),
        1 => joined(TARGETS, 0..6).prop_map(|rest| [b"http://h", rest.as_slice()].concat()),
        1 => joined(TARGETS, 0..6),
    ];
    let line = (
        mostly_first(METHODS),
        mostly_first(SPACES),
        target,
        mostly_first(SPACES),
        mostly_first(VERSIONS),
        mostly_first(ENDS),
    );
    let any_of =
        |pieces: &'static [&'static [u8]]| (0..pieces.len()).prop_map(|index| pieces[index]);
    let odd_field = (
        any_of(NAMES),
        mostly_first(COLONS),
        any_of(VALUES),
        mostly_first(ENDS),
    )
        .prop_map(|(name, colon, value, end)| [name, colon, value, end].concat());
    let field = prop_oneof![5 => any_of(FIELDS).prop_map(<[u8]>::to_vec), 1 => odd_field];
    let host = mostly_first(HOSTS);
    (
        line,
        host,
        prop::collection::vec(field, 0..5),
        mostly_first(ENDS),
    )
        .prop_map(
            |((method, space, target, gap, version, end), host, fields, last)| {
                let line = [method, space, &target, gap, version, end, host].concat();
                [line, fields.concat(), last.to_vec()].concat()
            },
        )
}

/// Mutants: a bare LF that ends a line; a `Content-Length` of 1 let through; two lengths; the last of
/// two hosts; a port of letters; `Transfer-Encoding` that is passed over.
#[test]
fn heads_mean_what_the_grammar_says_or_nothing() {
    judge_cases(
        "heads",
        (heads(), any::<prop::sample::Index>()),
        |(bytes, cut)| {
            let end = find_head_end(&bytes, 0, &LIMITS);
            let cut = cut.index(bytes.len() + 1);
            arrives_in_pieces(&bytes, cut)?;
            let expected_end = find_end(&bytes);
            prop_assert_eq!(end.ok().flatten(), expected_end);
            let Some(end) = expected_end else {
                return Ok(false);
            };
            let read = parse(&bytes[..end], &LIMITS);
            let expected = Meaning::read(&bytes[..end]);
            prop_assert_eq!(read.as_ref().ok().map(Meaning::of), expected);
            Ok(read.is_ok())
        },
    );
}

/// However its bytes arrive, a head ends where it ends, and is refused if it is.
fn arrives_in_pieces(bytes: &[u8], cut: usize) -> Result<(), TestCaseError> {
    let whole = find_head_end(bytes, 0, &LIMITS);
    match find_head_end(&bytes[..cut], 0, &LIMITS) {
        Ok(None) => prop_assert_eq!(find_head_end(bytes, cut, &LIMITS), whole),
        // What was decided does not change with what follows, unless it became too long before.
        decided => prop_assert!(whole == decided, "{:?} and then {:?}", decided, whole),
    }
    Ok(())
}

/// The end of the first head, if there is one before anything that is to be refused.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let bytes = &bytes[..bytes.len().min(LIMITS.bytes)];
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let mut lines = bytes[..end].split_inclusive(|&byte| byte == b'\n');
    let is_strict = lines.all(|line| line.ends_with(b"\r\n"));
    // An empty line in the place of a request is no request.
    (is_strict && !bytes.starts_with(b"\r\n")).then_some(end)
}

/// What is taken from a head.
#[derive(Debug, PartialEq)]
struct Meaning {
    method: Method,
    version: Version,
    path: Vec<u8>,
    query: Option<Vec<u8>>,
    keep_alive: bool,
    range: Option<Vec<u8>>,
    tags: Vec<Vec<u8>>,
    encodings: Vec<Vec<u8>>,
}

impl Meaning {
    fn of(request: &Request<'_>) -> Meaning {
        Meaning {
            method: request.method,
            version: request.version,
            path: request.path.to_vec(),
            query: request.query.map(<[u8]>::to_vec),
            keep_alive: request.keep_alive,
            range: request.range.map(<[u8]>::to_vec),
            tags: request
                .conditions
                .if_none_match
                .iter()
                .map(<[u8]>::to_vec)
                .collect(),
            encodings: request.accept_encoding.iter().map(<[u8]>::to_vec).collect(),
        }
    }

    /// `None` for what has to be refused.
    fn read(head: &[u8]) -> Option<Meaning> {
        let text: String = head.iter().copied().map(char::from).collect();
        let mut lines = text.strip_suffix("\r\n\r\n")?.split("\r\n");
        let words: Vec<&str> = lines.next()?.split(' ').collect();
        let [method, target, version] = words.as_slice() else {
            return None;
        };
        let method = match *method {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "OPTIONS" => Method::Options,
            _ => return None,
        };
        let version = match *version {
            "HTTP/1.1" => Version::Http11,
            "HTTP/1.0" => Version::Http10,
            _ => return None,
        };
        let fields = lines.map(field).collect::<Option<Vec<_>>>()?;
        let all = |name: &str| -> Vec<&str> {
            let named = fields.iter().filter(|(field, _)| field == name);
            named.map(|(_, value)| value.as_str()).collect()
        };
        let is_acceptable = fields.len() <= LIMITS.fields
            && target.chars().count() <= LIMITS.target_bytes
            && hosts_are_fine(&all("host"), version)
            && all("transfer-encoding").is_empty()
            && matches!(all("content-length").as_slice(), [] | ["0" | "00"])
            && expectations_are_met(&all("expect"));
        let (path, query) = split(&bytes_of(target), method)?;
        is_acceptable.then(|| Meaning {
            method,
            version,
            path,
            query,
            keep_alive: stays(&all("connection"), version),
            range: match all("range").as_slice() {
                [value] => Some(bytes_of(value)),
                _ => None,
            },
            tags: all("if-none-match").into_iter().map(bytes_of).collect(),
            encodings: all("accept-encoding").into_iter().map(bytes_of).collect(),
        })
    }
}

fn bytes_of(text: &str) -> Vec<u8> {
    text.chars().map(|character| character as u8).collect()
}

/// The name in lower case, and the value without the blanks around it.
fn field(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once(':')?;
    let is_token = !name.is_empty()
        && name.chars().all(|character| {
            character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
        });
    let is_text = value
        .chars()
        .all(|character| character == '\t' || (character >= ' ' && character != '\x7f'));
    (is_token && is_text).then(|| {
        (
            name.to_ascii_lowercase(),
            value.trim_matches([' ', '\t']).to_owned(),
        )
    })
}

fn expectations_are_met(expect: &[&str]) -> bool {
    let all = expect.join(",").to_ascii_lowercase();
    all.split(',')
        .all(|expected| matches!(expected.trim(), "" | "100-continue"))
}

/// A host that is not empty, and perhaps a port (RFC 3986, 3.2).
fn is_host(text: &str) -> bool {
    let is_number = |text: &str| text.chars().all(|digit| digit.is_ascii_digit());
    let host = match text.rsplit_once(':') {
        Some((host, port)) if is_number(port) => host,
        _ => text,
    };
    let literal = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = literal {
        return address.parse::<Ipv6Addr>().is_ok();
    }
    let mut pieces = host.split('%');
    let begins = pieces.next().unwrap_or_default();
    let is_name = |text: &str| {
        text.chars().all(|character| {
            character.is_ascii_alphanumeric() || "-._~!$&'()*+,;=".contains(character)
        })
    };
    !host.is_empty()
        && is_name(begins)
        && pieces.all(|piece| {
            let digits = piece.get(..2).unwrap_or_default();
            let is_hex = |digit: char| digit.is_ascii_hexdigit();
            digits.len() == 2 && digits.chars().all(is_hex) && is_name(&piece[2..])
        })
}

fn hosts_are_fine(hosts: &[&str], version: Version) -> bool {
    match hosts {
        [] => version == Version::Http10,
        [host] => host.is_empty() || is_host(host),
        _ => false,
    }
}

fn stays(connection: &[&str], version: Version) -> bool {
    let says = |option: &str| {
        let options = connection.iter().flat_map(|value| value.split(','));
        options
            .map(str::trim)
            .any(|said| said.eq_ignore_ascii_case(option))
    };
    !says("close") && (version == Version::Http11 || says("keep-alive"))
}

/// Path and query of a target (RFC 9112, 3.2).
fn split(target: &[u8], method: Method) -> Option<(Vec<u8>, Option<Vec<u8>>)> {
    let text = std::str::from_utf8(target).ok()?;
    if text.is_empty()
        || text
            .contains(|character: char| character <= ' ' || character == '\x7f' || character == '#')
    {
        return None;
    }
    if text == "*" && method == Method::Options {
        return Some((b"*".to_vec(), None));
    }
    let lower = text.to_ascii_lowercase();
    let scheme = ["http://", "https://"]
        .into_iter()
        .find(|scheme| lower.starts_with(scheme));
    let local = match scheme {
        None => text,
        Some(scheme) => {
            let rest = &text[scheme.len()..];
            let end = rest.find(['/', '?']).unwrap_or(rest.len());
            if !is_host(&rest[..end]) {
                return None;
            }
            &rest[end..]
        }
    };
    let (path, query) = match local.split_once('?') {
        None => (local, None),
        Some((path, query)) => (path, Some(query.as_bytes().to_vec())),
    };
    let path = match (path, scheme) {
        ("", Some(_)) => "/",
        (path, _) => path.starts_with('/').then_some(path)?,
    };
    Some((path.as_bytes().to_vec(), query))
}
