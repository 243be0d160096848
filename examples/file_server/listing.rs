//! The page that shows what is in a directory.
//!
//! It shows what can be fetched: files, directories, and symlinks to those that stay beneath the
//! root. The names come from whoever writes into the directory, so each is escaped where it is text
//! and encoded where it is a link; the page has no script and works without one.

use std::fmt::Write;
use std::io;
use std::os::fd::AsFd;

use html_escape::encode_text;
use humansize::{BINARY, format_size};
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, statat,
};

use crate::clock::iso_date;
use crate::limits::LISTING_ENTRIES_MAX;
use crate::path::{SitePath, encode_name, is_servable_name};

/// The names in a directory, as the disk gave them.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    pub(crate) entries: Vec<Entry>,
    /// There are more than [`LISTING_ENTRIES_MAX`].
    pub(crate) is_cut: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: Kind,
    /// In bytes; of no meaning for a directory.
    pub(crate) size: u64,
    /// In seconds since 1970.
    pub(crate) modified: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    File,
}

/// Reads `directory`, which is at `path` beneath `root`, where symlinks are followed as `resolve`
/// says. It blocks, so it belongs on the blocking
/// pool: one trip for all names.
pub(crate) fn gather(
    root: impl AsFd,
    resolve: ResolveFlags,
    path: &SitePath,
    directory: impl AsFd,
) -> io::Result<Gathered> {
    let mut gathered = Gathered::default();
    for entry in Dir::read_from(&directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") || !is_servable_name(name) {
            continue;
        }
        // A name that vanished since, or that may not be looked at, is not shown.
        let stat = match statat(&directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if is_symlink(&stat) => stat_target(&root, resolve, &path.join(name)),
            stat => stat.map_err(io::Error::from),
        };
        let Some((stat, kind)) = stat.ok().and_then(|stat| Some((stat, kind_of(&stat)?))) else {
            continue;
        };
        if gathered.entries.len() == LISTING_ENTRIES_MAX {
            gathered.is_cut = true;
            break;
        }
        gathered.entries.push(Entry {
            name: name.to_vec(),
            kind,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: stat.st_mtime,
        });
    }
    Ok(gathered)
}

fn is_symlink(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::Symlink
}

/// What a symlink leads to, if it may be followed. O_PATH looks at it without opening it: no
/// FIFO and no device notices.
fn stat_target(root: impl AsFd, resolve: ResolveFlags, path: &SitePath) -> io::Result<Stat> {
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    Ok(fstat(openat2(
        root,
        path.as_path(),
        flags,
        Mode::empty(),
        resolve,
    )?)?)
}

/// `None` for what is never served: FIFOs, sockets, devices.
fn kind_of(stat: &Stat) -> Option<Kind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => Some(Kind::Directory),
        FileType::RegularFile => Some(Kind::File),
        _ => None,
    }
}

/// The page for `directory`, with its entries put in order.
pub(crate) fn render(directory: &SitePath, mut gathered: Gathered) -> String {
    gathered.entries.sort_by_cached_key(display_order);
    let mut page = String::with_capacity(PAGE_START.len() + 512 + 256 * gathered.entries.len());
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, directory, &gathered);
    page
}

/// Directories first, then by name without regard to case; equal names by their bytes.
fn display_order(entry: &Entry) -> (bool, Vec<u8>, Vec<u8>) {
    (
        entry.kind != Kind::Directory,
        entry.name.to_ascii_lowercase(),
        entry.name.clone(),
    )
}

fn write_page(page: &mut String, directory: &SitePath, gathered: &Gathered) -> std::fmt::Result {
    page.push_str(PAGE_START);
    write!(
        page,
        "<title>{}</title>\n</head>\n<body>\n<main>\n<h1>",
        Title(directory)
    )?;
    write_breadcrumbs(page, directory)?;
    page.push_str(
        "</h1>\n<table>\n<thead><tr><th>Name<th>Size<th>Changed (UTC)</thead>\n<tbody>\n",
    );
    if !directory.is_root() {
        page.push_str("<tr><td><a href=\"../\">../</a><td><td>\n");
    }
    for entry in &gathered.entries {
        write_row(page, entry)?;
    }
    page.push_str("</tbody>\n</table>\n");
    if gathered.entries.is_empty() {
        page.push_str("<p>This folder is empty.</p>\n");
    }
    if gathered.is_cut {
        writeln!(
            page,
            "<p>Only {LISTING_ENTRIES_MAX} of the entries are shown.</p>"
        )?;
    }
    page.push_str("</main>\n</body>\n</html>\n");
    Ok(())
}

/// The path as text: `/a/b/`.
struct Title<'a>(&'a SitePath);

impl std::fmt::Display for Title<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("/")?;
        for segment in self.0.segments() {
            write!(formatter, "{}/", Text(segment))?;
        }
        Ok(())
    }
}

/// A name as text in HTML. Bytes that are no UTF-8 are shown as replacement characters, control
/// characters as pictures of themselves.
struct Text<'a>(&'a [u8]);

impl std::fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = String::from_utf8_lossy(self.0);
        let shown: String = text.chars().map(picture).collect();
        formatter.write_str(&encode_text(&shown))
    }
}

/// The visible stand-in of a character that is invisible or that reorders the text around it.
fn picture(character: char) -> char {
    match character {
        '\0'..='\u{1f}' => char::from_u32(0x2400 + character as u32).unwrap_or('\u{fffd}'),
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200e}'
        | '\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' => '\u{fffd}',
        visible => visible,
    }
}

/// The path as links, each to the directory that it names.
fn write_breadcrumbs(page: &mut String, directory: &SitePath) -> std::fmt::Result {
    let depth = directory.segments().count();
    let up = |levels: usize| {
        if levels == 0 {
            "./".to_owned()
        } else {
            "../".repeat(levels)
        }
    };
    write!(page, "<a href=\"{}\">/</a>", up(depth))?;
    for (index, segment) in directory.segments().enumerate() {
        write!(
            page,
            "<a href=\"{}\">{}</a>/",
            up(depth - index - 1),
            Text(segment)
        )?;
    }
    Ok(())
}

fn write_row(page: &mut String, entry: &Entry) -> std::fmt::Result {
    let slash = if entry.kind == Kind::Directory {
        "/"
    } else {
        ""
    };
    // "./" keeps a name with a colon from being read as a scheme.
    page.push_str("<tr><td><a href=\"./");
    page.extend(encode_name(&entry.name));
    write!(page, "{slash}\">{}{slash}</a><td>", Text(&entry.name))?;
    if entry.kind == Kind::File {
        page.push_str(&format_size(entry.size, BINARY));
    }
    writeln!(page, "<td>{}", short_date(entry.modified))
}

/// `2001-09-09 01:46`, or nothing for a year that does not fit.
fn short_date(second: i64) -> String {
    let date = iso_date(second).unwrap_or_default();
    date.get(..16).unwrap_or_default().replace('T', " ")
}

const PAGE_START: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<style>
:root { color-scheme: light dark; --line: #8884; --soft: #767676; --link: #0b57d0 }
@media (prefers-color-scheme: dark) { :root { --soft: #9a9a9a; --link: #8ab4f8 } }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 1rem }
h1 { font-size: 1.25rem; overflow-wrap: anywhere }
a { color: var(--link); text-decoration: none }
a:hover, a:focus { text-decoration: underline }
table { width: 100%; border-collapse: collapse }
th { text-align: left; font-weight: 600 }
th, td { padding: .5rem; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child { overflow-wrap: anywhere }
td:first-child a { display: block }
th + th, td + td { text-align: right; white-space: nowrap; color: var(--soft) }
td + td { font-variant-numeric: tabular-nums }
@media (max-width: 36rem) { th:last-child, td:last-child { display: none } }
</style>
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Symlinks;

    fn entry(name: &[u8], kind: Kind, size: u64) -> Entry {
        Entry {
            name: name.to_vec(),
            kind,
            size,
            modified: 1_000_000_000,
        }
    }

    fn page(path: &str, entries: Vec<Entry>) -> String {
        let directory = SitePath::parse(path.as_bytes()).expect("valid");
        render(
            &directory,
            Gathered {
                entries,
                is_cut: false,
            },
        )
    }

    /// The hrefs of a page, in order.
    fn links(page: &str) -> Vec<&str> {
        page.split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    #[test]
    fn directories_come_first_and_names_are_sorted_without_regard_to_case() {
        let page = page(
            "/",
            vec![
                entry(b"b.txt", Kind::File, 1),
                entry(b"Zoo", Kind::Directory, 0),
                entry(b"A.txt", Kind::File, 1),
                entry(b"art", Kind::Directory, 0),
            ],
        );
        assert_eq!(
            links(&page),
            ["./", "./art/", "./Zoo/", "./A.txt", "./b.txt"]
        );
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_page() {
        let evil = b"\"><script>alert('&')</script>\n\x1b\xff";
        let page = page("/<b>&/", vec![entry(evil, Kind::File, 1)]);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\x1b'));
        assert!(
            page.contains("&lt;script&gt;alert('&amp;')&lt;/script&gt;\u{240a}\u{241b}\u{fffd}")
        );
        assert!(page.contains("<title>/&lt;b&gt;&amp;/</title>"));
        assert!(
            links(&page)
                .contains(&"./%22%3E%3Cscript%3Ealert%28%27%26%27%29%3C%2Fscript%3E%0A%1B%FF")
        );
    }

    #[test]
    fn names_that_look_like_addresses_or_climb_stay_names() {
        let names: [&[u8]; 4] = [b"javascript:alert(1)", b"http:", b"...", b"?a#b%2e"];
        let entries = names
            .iter()
            .map(|name| entry(name, Kind::File, 1))
            .collect();
        let page = page("/", entries);
        for link in links(&page) {
            assert!(link.starts_with("./"), "{link}");
            assert!(!link[2..].contains([':', '?', '#', '/']), "{link}");
        }
        assert!(page.contains("./%3Fa%23b%252e"));
    }

    #[test]
    fn text_that_reorders_itself_is_shown_as_such() {
        assert_eq!(
            Text("a\u{202e}txt.exe".as_bytes()).to_string(),
            "a\u{fffd}txt.exe"
        );
        assert_eq!(Text("ä日\u{7f}".as_bytes()).to_string(), "ä日\u{2421}");
    }

    #[test]
    fn breadcrumbs_lead_to_every_directory_above() {
        let page = page("/a/b/", vec![]);
        assert_eq!(links(&page), ["../../", "../", "./", "../"]);
        assert!(page.contains("This folder is empty."));
    }

    #[test]
    fn sizes_and_dates_are_for_people() {
        let page = page(
            "/",
            vec![
                entry(b"max", Kind::File, u64::MAX),
                entry(b"a", Kind::File, 1536),
                entry(b"d", Kind::Directory, 9),
            ],
        );
        assert!(
            page.contains("1.50 KiB") && page.contains("2001-09-09 01:46"),
            "{page}"
        );
        assert!(page.contains("<td>16 EiB<td>"), "{page}");
        assert_eq!(page.matches("iB").count() + page.matches(" B<").count(), 2);
        assert_eq!(short_date(i64::MAX), "");
    }

    #[test]
    fn a_cut_listing_says_so() {
        let directory = SitePath::parse(b"/").expect("valid");
        let page = render(
            &directory,
            Gathered {
                entries: vec![],
                is_cut: true,
            },
        );
        assert!(page.contains("Only 10000 of the entries are shown."));
    }

    #[test]
    fn gathering_finds_files_directories_and_links_to_them_and_nothing_else() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(at("root/here/dir")).expect("directories");
        std::fs::write(at("outside"), "").expect("file");
        std::fs::write(at("root/target"), "12345").expect("file");
        std::fs::write(at("root/here/file"), "123").expect("file");
        std::fs::write(at("root/here/back\\slash"), "").expect("file");
        for (target, link) in [
            ("../target", "in"),
            ("../../outside", "out"),
            ("/", "root"),
            ("none", "dangling"),
        ] {
            std::os::unix::fs::symlink(target, at("root/here").join(link)).expect("symlink");
        }
        let _socket = std::os::unix::net::UnixListener::bind(at("root/here/socket"));
        let open = |name: &str| std::fs::File::open(at(name)).expect("opens");
        let path = SitePath::parse(b"/here/").expect("valid");
        let gathered = gather(
            open("root"),
            Symlinks::Within.resolve_flags(),
            &path,
            open("root/here"),
        )
        .expect("gathers");
        let mut found: Vec<_> = gathered
            .entries
            .iter()
            .map(|entry| (entry.name.as_slice(), entry.kind, entry.size))
            .collect();
        found.sort_unstable_by_key(|found| found.0);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            (found[0].0, found[0].1),
            (b"dir".as_slice(), Kind::Directory)
        );
        assert_eq!(found[1], (b"file".as_slice(), Kind::File, 3));
        assert_eq!(found[2], (b"in".as_slice(), Kind::File, 5));
    }
}
