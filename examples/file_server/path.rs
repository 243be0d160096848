//! From the path of a request target to a path beneath the served directory.
//!
//! The path is percent-decoded once, split at its slashes and normalised as text. What comes out is
//! relative and has no empty, `.` or `..` segment, so that even without the kernel's help it names
//! nothing above the root; that no symlink leads out is `openat2`'s work (`site.rs`).

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// Bytes that stand for themselves in the path of a URL (RFC 3986: unreserved). Everything else is
/// encoded, so the result can stand in a header field or in an HTML attribute as it is.
const PATH_ENCODE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A path relative to the root of the site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SitePath {
    /// Segments joined by single slashes; empty for the root.
    bytes: Vec<u8>,
    /// The request asked for a directory: its path ended with a slash, `.` or `..`.
    pub(crate) names_directory: bool,
}

/// The path cannot name anything here: a malformed escape, a byte that no name has, or a way out of
/// the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadPath;

impl SitePath {
    /// Decodes and normalises `path`, which begins with a slash.
    pub(crate) fn parse(path: &[u8]) -> Result<SitePath, BadPath> {
        let mut bytes = Vec::with_capacity(path.len());
        let mut names_directory = true;
        for segment in path
            .strip_prefix(b"/")
            .ok_or(BadPath)?
            .split(|&byte| byte == b'/')
        {
            let start = bytes.len();
            if start > 0 {
                bytes.push(b'/');
            }
            let name = bytes.len();
            decode_segment(segment, &mut bytes)?;
            names_directory = matches!(&bytes[name..], b"" | b"." | b"..");
            match &bytes[name..] {
                b"" | b"." => bytes.truncate(start),
                b".." => {
                    bytes.truncate(start);
                    remove_last_segment(&mut bytes)?;
                }
                _ => {}
            }
        }
        Ok(SitePath {
            bytes,
            names_directory,
        })
    }

    /// The path to open beneath the root.
    pub(crate) fn as_path(&self) -> &Path {
        if self.bytes.is_empty() {
            Path::new(".")
        } else {
            bytes_as_path(&self.bytes)
        }
    }

    /// This path as a request in its plainest form has it: decoded, with a slash at its beginning,
    /// and one at its end if it names a directory.
    pub(crate) fn plain(&self) -> Vec<u8> {
        let mut plain = Vec::with_capacity(self.bytes.len() + 2);
        plain.push(b'/');
        plain.extend_from_slice(&self.bytes);
        if self.names_directory && !self.is_root() {
            plain.push(b'/');
        }
        plain
    }

    pub(crate) fn is_root(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The path of `name` in this directory.
    pub(crate) fn join(&self, name: &[u8]) -> SitePath {
        let mut bytes = Vec::with_capacity(self.bytes.len() + 1 + name.len());
        bytes.extend_from_slice(&self.bytes);
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        SitePath {
            bytes,
            names_directory: false,
        }
    }

    /// The path of the file beside this one whose name is this one's with `suffix` behind it.
    pub(crate) fn with_suffix(&self, suffix: &[u8]) -> SitePath {
        let bytes = [&self.bytes, suffix].concat();
        SitePath {
            bytes,
            names_directory: false,
        }
    }

    /// The names on the way from the root to here.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &[u8]> {
        self.bytes
            .split(|&byte| byte == b'/')
            .filter(|segment| !segment.is_empty())
    }

    /// Whether a page at `sent`, the path of a request that this one was read from, is as deep as it seems: then links from it
    /// lead where they should. Slashes in a row and dots that the client left to the server make it deeper.
    pub(crate) fn is_level_with(&self, sent: &[u8]) -> bool {
        let slashes = sent.iter().filter(|&&byte| byte == b'/').count();
        slashes == self.segments().count() + 1
    }

    /// This path as a directory's URL: absolute, encoded, one slash at either end.
    ///
    /// It never begins with two slashes, which a browser would take for another host.
    pub(crate) fn to_directory_url(&self) -> String {
        let mut url = String::from("/");
        for segment in self.segments() {
            url.extend(encode_name(segment));
            url.push('/');
        }
        url
    }
}

/// A file name as one segment of a URL.
pub(crate) fn encode_name(name: &[u8]) -> impl Iterator<Item = &str> {
    percent_encode(name, PATH_ENCODE)
}

/// Whether a name can be asked for: names with a backslash cannot.
pub(crate) fn is_servable_name(name: &[u8]) -> bool {
    !name.contains(&b'\\')
}

fn bytes_as_path(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Appends the decoded segment. A slash, a backslash (a slash to some browsers and proxies) and NUL
/// are refused however they are written.
fn decode_segment(segment: &[u8], output: &mut Vec<u8>) -> Result<(), BadPath> {
    let mut rest = segment;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match (first, tail) {
            (b'%', [high, low, tail @ ..]) => (hex(*high)? << 4 | hex(*low)?, tail),
            (b'%', _) => return Err(BadPath),
            (byte, tail) => (*byte, tail),
        };
        if matches!(byte, b'/' | b'\\' | b'\0') {
            return Err(BadPath);
        }
        output.push(byte);
        rest = tail;
    }
    Ok(())
}

fn hex(digit: u8) -> Result<u8, BadPath> {
    let value = char::from(digit).to_digit(16).ok_or(BadPath)?;
    u8::try_from(value).map_err(|_| BadPath)
}

/// `..`: one up, and an error at the root.
fn remove_last_segment(bytes: &mut Vec<u8>) -> Result<(), BadPath> {
    if bytes.is_empty() {
        return Err(BadPath);
    }
    let end = bytes.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    bytes.truncate(end);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<(String, bool)> {
        let path = SitePath::parse(path.as_bytes()).ok()?;
        Some((
            String::from_utf8_lossy(&path.bytes).into_owned(),
            path.names_directory,
        ))
    }

    #[test]
    fn paths_are_decoded_once_and_normalised() {
        let table = [
            ("/", "", true),
            ("//", "", true),
            ("/a", "a", false),
            ("/a/", "a", true),
            ("//a///b", "a/b", false),
            ("/a/./b", "a/b", false),
            ("/a/.", "a", true),
            ("/a/..", "", true),
            ("/a/../b", "b", false),
            ("/a/b/../../c/", "c", true),
            ("/a/%2e%2E/b", "b", false),
            ("/%41%20b", "A b", false),
            ("/%252e%252e", "%2e%2e", false),
            ("/%2525", "%25", false),
            ("/...", "...", false),
            ("/..a/b..", "..a/b..", false),
            ("/a;b=c", "a;b=c", false),
            ("/a+b", "a+b", false),
            ("/%C3%A4", "ä", false),
            ("/a%0Ab", "a\nb", false),
        ];
        for (path, expected, directory) in table {
            assert_eq!(
                parse(path),
                Some((expected.to_owned(), directory)),
                "{path}"
            );
        }
    }

    #[test]
    fn paths_that_leave_the_root_or_have_forbidden_bytes_are_bad() {
        for path in [
            "",
            "a",
            "/..",
            "/../",
            "/../a",
            "/a/../..",
            "/a/../../a",
            "/%2e%2e",
            "/.%2e/",
            "/%2E./x",
            "/./../",
            "//..",
            "/a//../../b",
            "/%2f",
            "/a%2Fb",
            "/..%2f..",
            "/%5c",
            "/a\\b",
            "/..\\..",
            "/%5c..%5c",
            "/%00",
            "/a%00.html",
            "/%",
            "/%2",
            "/%zz",
            "/%2g",
            "/%-1",
            "/%+1",
            "/a%",
        ] {
            assert_eq!(parse(path), None, "{path}");
        }
    }

    #[test]
    fn a_parsed_path_has_no_segment_that_could_climb_for_any_short_input() {
        // Every string of up to 6 of these tokens: about 300,000 paths.
        let tokens = ["/", ".", "..", "%2e", "%2f", "a", "%5c"];
        let mut inputs = vec![String::from("/")];
        let mut from = 0;
        for _ in 0..6 {
            let until = inputs.len();
            for index in from..until {
                for token in tokens {
                    inputs.push(inputs[index].clone() + token);
                }
            }
            from = until;
        }
        let mut accepted = 0;
        for input in &inputs {
            let Ok(path) = SitePath::parse(input.as_bytes()) else {
                continue;
            };
            accepted += 1;
            assert!(
                !path.bytes.starts_with(b"/") && !path.bytes.ends_with(b"/"),
                "{input}"
            );
            for segment in path.bytes.split(|&byte| byte == b'/') {
                assert!(!matches!(segment, b"." | b".."), "{input}");
                assert!(!segment.is_empty() || path.is_root(), "{input}");
            }
        }
        assert!(accepted > 1_000 && inputs.len() > 100_000);
    }

    /// What is kept is looked for by a path as it was sent, if it has no escapes: what is found so
    /// must be what the path's parsed form names.
    #[test]
    fn only_a_path_in_its_plain_form_is_its_own_plain_form() {
        for path in ["/", "/a", "/a/", "/a/b.c", "/a;b/c+d/"] {
            let plain = SitePath::parse(path.as_bytes()).expect("valid").plain();
            assert_eq!(plain, path.as_bytes());
        }
        for path in ["//a", "/a//", "/./a", "/a/..", "/a/.", "/a/./b", "/%61"] {
            let plain = SitePath::parse(path.as_bytes()).expect("valid").plain();
            assert_ne!(plain, path.as_bytes());
            let again = SitePath::parse(&plain).expect("valid");
            assert_eq!(again.plain(), plain, "{path}");
        }
    }

    /// Mutant: count segments that are empty.
    #[test]
    fn a_page_is_level_with_its_path_unless_there_is_a_slash_or_a_dot_too_much() {
        for (sent, expected) in [
            ("/", true),
            ("/a/", true),
            ("/a/b/", true),
            ("/a/%2Eb/", true),
            ("/.", true),
            ("/a/.", true),
            ("//", false),
            ("/a//", false),
            ("/a//b/", false),
            ("/a/./", false),
            ("/a/b/..", false),
            ("/a/b/../", false),
            ("/a/%2e%2e/", false),
        ] {
            let path = SitePath::parse(sent.as_bytes()).expect("valid");
            assert_eq!(path.is_level_with(sent.as_bytes()), expected, "{sent}");
        }
    }

    #[test]
    fn a_directory_url_is_encoded_and_never_names_another_host() {
        let table = [
            ("/", "/"),
            ("//evil.example", "/evil.example/"),
            ("/%2e./evil", ""),
            ("/a b/\"<>&'", "/a%20b/%22%3C%3E%26%27/"),
            ("/a:b@c", "/a%3Ab%40c/"),
            ("/%0d%0aSet-Cookie:x", "/%0D%0ASet-Cookie%3Ax/"),
        ];
        for (path, expected) in table {
            let url = SitePath::parse(path.as_bytes()).map(|path| path.to_directory_url());
            assert_eq!(url.unwrap_or_default(), expected, "{path}");
        }
    }

    #[test]
    fn names_with_every_byte_survive_the_way_through_a_url() {
        let name: Vec<u8> = (1..=255).filter(|byte| !b"/\\".contains(byte)).collect();
        assert!(is_servable_name(&name));
        let root = SitePath::parse(b"/").expect("root");
        let url: String = std::iter::once("/").chain(encode_name(&name)).collect();
        assert_eq!(SitePath::parse(url.as_bytes()), Ok(root.join(&name)));
    }
}
