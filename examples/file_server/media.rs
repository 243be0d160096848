//! The types of files, by their names.

use std::fmt;
use std::path::Path;

/// A media type as it stands in `Content-Type`: text is said to be UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MediaType(&'static str);

impl MediaType {
    pub(crate) const HTML: MediaType = MediaType("text/html");

    /// The type of bytes of which nothing is known.
    const UNKNOWN: MediaType = MediaType("application/octet-stream");

    /// What the extension of a name stands for.
    pub(crate) fn of(path: &Path) -> MediaType {
        mime_guess::from_path(path)
            .first_raw()
            .map_or(MediaType::UNKNOWN, MediaType)
    }

    /// What stands before the slash.
    pub(crate) fn group(self) -> &'static str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// Whether other files are packed into such a file.
    pub(crate) fn is_archive(self) -> bool {
        const PACKERS: [&str; 7] = ["zip", "gzip", "tar", "7z-", "bzip", "xz", "zstd"];
        self.group() == "application" && PACKERS.iter().any(|packer| self.0.contains(packer))
    }

    fn is_text(self) -> bool {
        self.0.starts_with("text/")
            || matches!(
                self.0,
                "application/json" | "application/xml" | "application/javascript"
            )
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)?;
        if self.is_text() {
            formatter.write_str("; charset=utf-8")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_extension_and_text_has_a_charset() {
        for (name, expected) in [
            ("a.html", "text/html; charset=utf-8"),
            ("a.HTM", "text/html; charset=utf-8"),
            ("dir.txt/a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "application/javascript; charset=utf-8"),
            ("a.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.mp4", "video/mp4"),
            ("a.wasm", "application/wasm"),
            ("a.tar.gz", "application/gzip"),
            ("a", "application/octet-stream"),
            ("a.unheard-of", "application/octet-stream"),
            (".txt", "application/octet-stream"),
            ("a.txt.", "application/octet-stream"),
        ] {
            let media_type = MediaType::of(Path::new(name));
            assert_eq!(media_type.to_string(), expected, "{name}");
        }
    }
}
