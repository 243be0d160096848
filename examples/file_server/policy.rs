//! What of the directory is served, and what is said of it: the choices of the command line.

use clap::ValueEnum;
use rustix::fs::ResolveFlags;

/// The choices of whoever runs the server.
#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) symlinks: Symlinks,
    /// Whether `name.br`, `name.zst` and `name.gz` are compressed forms of `name`.
    pub(crate) precompressed: bool,
    /// The value of `Cache-Control` of files.
    pub(crate) cache_control: Option<String>,
    /// Ranges of one request that are honoured; more are answered with the whole file.
    pub(crate) ranges_max: usize,
}

/// Which symbolic links are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Symlinks {
    /// None: a path through one names nothing
    Never,
    /// Those that stay within the served directory
    Within,
    /// All, wherever they lead: for trees that only you may write to
    Always,
}

impl Symlinks {
    /// What the kernel is told when it resolves a path.
    pub(crate) fn resolve_flags(self) -> ResolveFlags {
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        match self {
            Symlinks::Never => beneath | ResolveFlags::NO_SYMLINKS,
            Symlinks::Within => beneath,
            Symlinks::Always => ResolveFlags::empty(),
        }
    }
}

impl Policy {
    /// Whole lines of fields that every file's 200, 206 and 304 has.
    ///
    /// `Vary` stands there whether or not a file has a compressed sibling: it may get one while the
    /// answer lies in a cache.
    pub(crate) fn field_lines(&self) -> Vec<u8> {
        let mut lines = Vec::new();
        if self.precompressed {
            lines.extend_from_slice(b"Vary: Accept-Encoding\r\n");
        }
        if let Some(value) = &self.cache_control {
            lines.extend_from_slice(b"Cache-Control: ");
            lines.extend_from_slice(value.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        lines
    }
}

/// Accepts what can stand in a header field: printable ASCII and spaces.
pub(crate) fn parse_field_value(text: &str) -> Result<String, String> {
    let is_fine = !text.trim().is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    match is_fine {
        true => Ok(text.trim().to_owned()),
        false => Err("expected a field's value, such as \"public, max-age=3600\"".to_owned()),
    }
}
