//! The page that shows a directory, in its parts from top to bottom.
//!
//! Each name is escaped where it is text and percent-encoded where it is a link. The page has no script and works without
//! one.

use std::fmt::{self, Display, Formatter, Write};
use std::path::Path;

use humansize::{BINARY, SizeFormatter};

use super::entries::{Entries, Entry, Kind};
use super::order::{Column, Order};
use super::text::{Text, Title};
use crate::clock::iso_date;
use crate::limits::LISTING_LINKED_LEVELS;
use crate::media::MediaType;
use crate::page;
use crate::path::{SitePath, encode_name};

/// What the whole page depends on, beside its entries.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) directory: SitePath,
    pub(crate) order: Order,
}

// Writing to a string cannot fail, so the functions that hand a string on leave the results alone.

impl View {
    /// All that can be said before the first entry is known.
    pub(super) fn begin(&self, page: &mut String) {
        let _ = page::begin(page, Title(&self.directory));
        let _ = self.write_breadcrumbs(page);
    }

    /// What stands above the entries that are all known, and in their order.
    pub(super) fn begin_sorted(&self, page: &mut String, entries: &Entries) {
        let _ = writeln!(page, "<p>{}</p>", Summary::of(entries));
        page.push_str("<table>\n<thead><tr>");
        for (column, label) in COLUMNS {
            let _ = self.write_column(page, column, label);
        }
        page.push_str("</thead>\n<tbody>\n");
        self.write_parent(page);
    }

    /// What stands above entries that come as the disk has them.
    pub(super) fn begin_unsorted(&self, page: &mut String) {
        page.push_str(UNSORTED);
        page.push_str("<table>\n<thead><tr>");
        for (_, label) in COLUMNS {
            let _ = write!(page, "<th scope=\"col\"><span>{label}</span>");
        }
        page.push_str("</thead>\n<tbody>\n");
        self.write_parent(page);
    }

    pub(super) fn row(&self, page: &mut String, entry: &Entry<'_>) {
        let _ = self.write_row(page, entry);
    }

    pub(super) fn end(page: &mut String) {
        page.push_str("</tbody>\n</table>\n");
        page.push_str(page::END);
    }

    /// The path as links, each to the directory that it names, but for those that are too far above.
    fn write_breadcrumbs(&self, page: &mut String) -> fmt::Result {
        let query = self.order.query_elsewhere();
        let depth = self.directory.segments().count();
        let current = |is_last| match is_last {
            true => " aria-current=\"page\"",
            false => "",
        };
        page.push_str("<nav aria-label=\"Path\"><h1>");
        let (up, current_root) = (Up(depth), current(depth == 0));
        write!(
            page,
            "<a href=\"{up}{query}\"{current_root} aria-label=\"Top folder\">/</a>"
        )?;
        for (index, segment) in self.directory.segments().enumerate() {
            let levels = depth - index - 1;
            let (up, current, name) = (Up(levels), current(levels == 0), Text(segment));
            if levels < LISTING_LINKED_LEVELS {
                write!(
                    page,
                    "<a href=\"{up}{query}\"{current}><bdi>{name}</bdi></a>/"
                )?;
            } else {
                write!(page, "<bdi>{name}</bdi>/")?;
            }
        }
        page.push_str("</h1></nav>\n");
        Ok(())
    }

    fn write_column(&self, page: &mut String, column: Column, label: &str) -> fmt::Result {
        let sorted = match (self.order.column == column, self.order.descends) {
            (false, _) => "",
            (true, false) => " aria-sort=\"ascending\"",
            (true, true) => " aria-sort=\"descending\"",
        };
        let query = self.order.after_click(column).query();
        write!(
            page,
            "<th scope=\"col\"{sorted}><a href=\"{query}\">{label}</a>"
        )
    }

    fn write_parent(&self, page: &mut String) {
        if !self.directory.is_root() {
            let query = self.order.query_elsewhere();
            let _ = writeln!(
                page,
                "<tr class=\"up\"><td><a href=\"../{query}\">Parent folder</a><td><td>"
            );
        }
    }

    fn write_row(&self, page: &mut String, entry: &Entry<'_>) -> fmt::Result {
        let (class, slash, query) = match entry.kind {
            Kind::Directory => ("dir", "/", self.order.query_elsewhere()),
            Kind::File => (icon(entry.name), "", ""),
        };
        page.push_str("<tr");
        if !class.is_empty() {
            write!(page, " class=\"{class}\"")?;
        }
        // "./" keeps a name with a colon from being read as a scheme, whoever decodes the escapes first.
        page.push_str("><td><a href=\"./");
        page.extend(encode_name(entry.name));
        let name = Text(entry.name);
        write!(page, "{slash}{query}\"><bdi>{name}{slash}</bdi></a><td>")?;
        if entry.kind == Kind::File {
            write!(page, "{}", Size(entry.size))?;
        }
        page.push_str("<td>");
        // A year that does not fit into four digits is not shown.
        if let Some(date) = iso_date(entry.modified).filter(|date| date.len() == DATE_BYTES) {
            let (day, time) = (&date[..10], &date[11..16]);
            write!(page, "<time datetime=\"{date}\">{day} {time}</time>")?;
        }
        page.push('\n');
        Ok(())
    }
}

const COLUMNS: [(Column, &str); 3] = [
    (Column::Name, "Name"),
    (Column::Size, "Size"),
    (Column::Date, "Changed (UTC)"),
];

const UNSORTED: &str = "<p class=\"note\" role=\"note\">There are too many entries here to put them in order now: \
    they are shown as the disk has them.</p>\n";

/// Of `2001-09-09T01:46:40Z`.
const DATE_BYTES: usize = 20;

/// So many directories up, as a link.
struct Up(usize);

impl Display for Up {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => formatter.write_str("./"),
            levels => (0..levels).try_for_each(|_| formatter.write_str("../")),
        }
    }
}

/// The class of a row: which icon its file has.
fn icon(name: &[u8]) -> &'static str {
    use std::os::unix::ffi::OsStrExt;
    let media_type = MediaType::of(Path::new(std::ffi::OsStr::from_bytes(name)));
    match media_type.group() {
        "image" => "img",
        "audio" | "video" => "av",
        _ if media_type.is_archive() => "zip",
        _ => "",
    }
}

/// `1.5 KiB`, with the exact number where one looks for it.
struct Size(u64);

impl Display for Size {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let (exact, short) = (
            Grouped(self.0),
            SizeFormatter::new(self.0, BINARY.decimal_places(1)),
        );
        let bytes = if self.0 == 1 { "byte" } else { "bytes" };
        write!(formatter, "<span title=\"{exact} {bytes}\">{short}</span>")
    }
}

/// A number with its thousands apart: `1,234,567`.
struct Grouped(u64);

impl Display for Grouped {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                formatter.write_char(',')?;
            }
            formatter.write_char(digit)?;
        }
        Ok(())
    }
}

/// How many there are of what: `2 folders, 1 file, 1.5 KiB`.
struct Summary {
    folders: u64,
    files: u64,
    bytes: u64,
}

impl Summary {
    fn of(entries: &Entries) -> Summary {
        let (mut folders, mut files, mut bytes) = (0, 0, 0_u64);
        for entry in entries.iter() {
            match entry.kind {
                Kind::Directory => folders += 1,
                Kind::File => {
                    files += 1;
                    bytes = bytes.saturating_add(entry.size);
                }
            }
        }
        Summary {
            folders,
            files,
            bytes,
        }
    }
}

impl Display for Summary {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let count = |number, one: &'static str, many: &'static str| {
            let noun = if number == 1 { one } else { many };
            (Grouped(number), noun)
        };
        let (folders, folders_noun) = count(self.folders, "folder", "folders");
        let (files, files_noun) = count(self.files, "file", "files");
        match (self.folders, self.files) {
            (0, 0) => formatter.write_str("This folder is empty."),
            (_, 0) => write!(formatter, "{folders} {folders_noun}"),
            (0, _) => write!(formatter, "{files} {files_noun}, {}", Size(self.bytes)),
            _ => write!(
                formatter,
                "{folders} {folders_noun}, {files} {files_noun}, {}",
                Size(self.bytes)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], kind: Kind, size: u64) -> Entry<'_> {
        Entry {
            name,
            kind,
            size,
            modified: 1_000_000_000,
        }
    }

    fn page_in_order(path: &str, query: &str, rows: &[Entry<'_>]) -> String {
        let view = View {
            directory: SitePath::parse(path.as_bytes()).expect("valid"),
            order: Order::of(Some(query.as_bytes())),
        };
        let mut entries = Entries::default();
        rows.iter().for_each(|row| entries.push(*row));
        entries.sort(view.order);
        let mut page = String::new();
        view.begin(&mut page);
        view.begin_sorted(&mut page, &entries);
        entries.iter().for_each(|entry| view.row(&mut page, &entry));
        View::end(&mut page);
        page
    }

    fn page(path: &str, rows: &[Entry<'_>]) -> String {
        page_in_order(path, "", rows)
    }

    /// The hrefs of a page, in order.
    fn links(page: &str) -> Vec<&str> {
        page.split("href=\"")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect()
    }

    /// Those that are not in the heads of the columns.
    fn places(page: &str) -> Vec<&str> {
        let mut links = links(page);
        links.retain(|link| !link.starts_with('?'));
        links
    }

    #[test]
    fn names_cannot_leave_their_place_in_the_page() {
        let evil = b"\"><script>alert('&')</script>\n\x1b\xff";
        let page = page("/<b>&/", &[entry(evil, Kind::File, 1)]);
        assert!(!page.contains("<script") && !page.contains("<b>") && !page.contains('\x1b'));
        assert!(page.contains(
            "<bdi>&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)&lt;/script&gt;\u{240a}\u{241b}\u{fffd}</bdi>"
        ));
        assert!(page.contains("<title>/&lt;b&gt;&amp;/</title>"));
        assert!(
            links(&page)
                .contains(&"./%22%3E%3Cscript%3Ealert%28%27%26%27%29%3C%2Fscript%3E%0A%1B%FF")
        );
    }

    #[test]
    fn names_that_look_like_addresses_or_climb_stay_names() {
        let names: [&[u8]; 4] = [b"javascript:alert(1)", b"http:", b"...", b"?a#b%2e"];
        let page = page("/", &names.map(|name| entry(name, Kind::File, 1)));
        for link in places(&page) {
            assert!(link.starts_with("./"), "{link}");
            assert!(!link[2..].contains([':', '?', '#', '/']), "{link}");
        }
        assert!(page.contains("./%3Fa%23b%252e"));
    }

    #[test]
    fn breadcrumbs_lead_to_every_directory_above() {
        let empty = page("/a/b/", &[]);
        assert_eq!(places(&empty), ["../../", "../", "./", "../"]);
        assert!(empty.contains("This folder is empty."));
        assert_eq!(empty.matches("aria-current=\"page\"").count(), 1);
        assert!(empty.contains("<a href=\"./\" aria-current=\"page\"><bdi>b</bdi></a>/"));
        assert_eq!(places(&page("/", &[])), ["./"]);
    }

    /// A path of as many levels as the kernel takes.
    ///
    /// Mutants: a link for each level; leave out those without one.
    #[test]
    fn a_deep_path_makes_no_large_page_and_shows_every_level() {
        let depth = 2_047;
        let deep = page(&format!("/{}", "a/".repeat(depth)), &[]);
        assert!(deep.len() < 64 * 1024, "{} bytes", deep.len());
        assert_eq!(deep.matches("<bdi>a</bdi>").count(), depth);
        let places = places(&deep);
        assert_eq!(places[0], "../".repeat(depth), "the top folder");
        assert!(places.ends_with(&["../../", "../", "./", "../"]));
    }

    /// Mutant: links to other folders without the query.
    #[test]
    fn the_order_goes_along_to_other_folders_and_is_told_by_the_head_of_its_column() {
        let rows = [entry(b"d", Kind::Directory, 0), entry(b"f", Kind::File, 0)];
        let sorted = page_in_order("/a/", "sort=date&order=desc", &rows);
        let query = "?sort=date&amp;order=desc";
        assert_eq!(
            places(&sorted),
            [
                &format!("../{query}"),
                &format!("./{query}"),
                &format!("../{query}"),
                &format!("./d/{query}"),
                "./f"
            ]
        );
        assert!(sorted.contains(
            "<th scope=\"col\" aria-sort=\"descending\"><a href=\"?sort=date&amp;order=asc\">Changed"
        ));
        assert_eq!(
            sorted.matches("aria-sort").count(),
            2 + 2,
            "one, and three rules of style"
        );
        let plain = page("/a/", &rows);
        assert_eq!(places(&plain), ["../", "./", "../", "./d/", "./f"]);
        assert!(plain.contains(
            "<th scope=\"col\" aria-sort=\"ascending\"><a href=\"?sort=name&amp;order=desc\">Name"
        ));
        assert!(plain.contains("<th scope=\"col\"><a href=\"?sort=size&amp;order=desc\">Size"));
    }

    #[test]
    fn sizes_and_dates_are_for_people_and_exact_where_one_looks_for_it() {
        let page = page(
            "/",
            &[
                entry(b"max", Kind::File, u64::MAX),
                entry(b"a", Kind::File, 1536),
                entry(b"one", Kind::File, 1),
                entry(b"d", Kind::Directory, 9),
            ],
        );
        for part in [
            "<span title=\"1,536 bytes\">1.5 KiB</span>",
            "<span title=\"1 byte\">1 B</span>",
            "<span title=\"18,446,744,073,709,551,615 bytes\">16 EiB</span>",
            "<time datetime=\"2001-09-09T01:46:40Z\">2001-09-09 01:46</time>",
            "<p>1 folder, 3 files, ",
            "<bdi>d/</bdi></a><td><td><time",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        let mut row = String::new();
        let view = View {
            directory: SitePath::parse(b"/").expect("valid"),
            order: Order::DEFAULT,
        };
        let ancient = Entry {
            modified: i64::MIN,
            ..entry(b"x", Kind::File, 0)
        };
        view.row(&mut row, &ancient);
        assert!(row.ends_with("<td>\n"), "{row}");
    }

    #[test]
    fn files_have_icons_by_their_kind() {
        for (name, class) in [
            ("a.png", "img"),
            ("a.mp4", "av"),
            ("a.FLAC", "av"),
            ("a.zip", "zip"),
            ("a.tar.gz", "zip"),
            ("a.txt", ""),
            ("png", ""),
            ("", ""),
        ] {
            assert_eq!(icon(name.as_bytes()), class, "{name}");
        }
    }
}
