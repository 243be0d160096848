//! `multipart/byteranges`: several parts of a file in one response (RFC 9110, section 14.6).

use std::hash::{BuildHasher, RandomState};
use std::io::Write;

use crate::media::MediaType;
use crate::range::Part;

/// Parts of a file of `size` bytes, and what stands between them.
#[derive(Debug)]
pub(crate) struct Multipart {
    pub(crate) parts: Vec<Part>,
    size: u64,
    pub(crate) media_type: MediaType,
    boundary: Boundary,
}

/// What separates the parts: 32 digits that nobody can know before, so that no file can have them
/// in it on purpose.
#[derive(Clone, Copy, Debug)]
struct Boundary(u64, u64);

impl Boundary {
    fn random() -> Boundary {
        // Each state has keys of its own, from the system's source of random bytes at first.
        let word = || RandomState::new().hash_one(0);
        Boundary(word(), word())
    }
}

impl std::fmt::Display for Boundary {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}{:016x}", self.0, self.1)
    }
}

impl Multipart {
    pub(crate) fn new(parts: Vec<Part>, size: u64, media_type: MediaType) -> Multipart {
        Multipart {
            parts,
            size,
            media_type,
            boundary: Boundary::random(),
        }
    }

    /// The `Content-Type` of the whole, as a line.
    pub(crate) fn write_content_type(&self, output: &mut Vec<u8>) {
        put(
            output,
            format_args!(
                "Content-Type: multipart/byteranges; boundary={}\r\n",
                self.boundary
            ),
        );
    }

    /// Bytes of the whole: parts, what stands before each, and the end.
    pub(crate) fn length(&self) -> u64 {
        let mut scratch = Vec::new();
        let mut bytes = 0;
        for &part in &self.parts {
            self.write_heading(part, &mut scratch);
            bytes += part.length;
        }
        self.write_end(&mut scratch);
        bytes + scratch.len() as u64
    }

    /// What stands before a part.
    pub(crate) fn write_heading(&self, part: Part, output: &mut Vec<u8>) {
        put(
            output,
            format_args!(
                "\r\n--{}\r\nContent-Type: {}\r\nContent-Range: bytes {}-{}/{}\r\n\r\n",
                self.boundary,
                self.media_type,
                part.offset,
                part.end() - 1,
                self.size
            ),
        );
    }

    /// What stands behind the last part.
    pub(crate) fn write_end(&self, output: &mut Vec<u8>) {
        put(output, format_args!("\r\n--{}--\r\n", self.boundary));
    }
}

/// Writing to a vector cannot fail.
fn put(output: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    let written = output.write_fmt(text);
    debug_assert!(written.is_ok());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_is_that_of_what_is_written() {
        let parts = [(0, 1), (5, 10), (99, 1)];
        let parts = parts.map(|(offset, length)| Part { offset, length });
        let multipart = Multipart::new(parts.to_vec(), 100, MediaType::HTML);
        let mut output = Vec::new();
        for part in parts {
            multipart.write_heading(part, &mut output);
            output.resize(output.len() + part.length as usize, b'x');
        }
        multipart.write_end(&mut output);
        assert_eq!(multipart.length(), output.len() as u64);
        let boundary = multipart.boundary.to_string();
        let expected = format!(
            "\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Range: bytes 0-0/100\r\n\r\nx\
             \r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n\
             Content-Range: bytes 5-14/100\r\n\r\n"
        );
        let text = String::from_utf8(output).expect("ASCII");
        assert!(text.starts_with(&expected), "{text}");
        assert!(
            text.ends_with(&format!("x\r\n--{boundary}--\r\n")),
            "{text}"
        );
    }

    /// Mutant: a boundary that is the same for every response.
    #[test]
    fn no_two_boundaries_are_the_same() {
        let boundaries: std::collections::HashSet<String> =
            (0..1_000).map(|_| Boundary::random().to_string()).collect();
        assert_eq!(boundaries.len(), 1_000);
        assert!(boundaries.iter().all(|boundary| boundary.len() == 32));
    }
}
