//! The listing page, as a browser would use it.

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Folder, Server};

/// The hrefs of a page, in order, but for those that put it into another order.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter(|link| !link.starts_with('?'))
        .map(str::to_owned)
        .collect()
}

/// The names of a page's entries, in order.
fn names(page: &str) -> Vec<&str> {
    let rows = page.split("<tbody>").nth(1).expect("a table");
    let names = rows.split("<bdi>").skip(1);
    names.filter_map(|rest| rest.split('<').next()).collect()
}

#[test]
fn every_link_of_a_listing_leads_to_what_it_names() {
    let folder = Folder::new();
    let names = [
        "plain.txt",
        "two words",
        "%41",
        "a&b",
        "<script>",
        "\"quoted\"",
        "'single'",
        "question?",
        "hash#",
        "ümlaut",
        "javascript:alert(1)",
        "new\nline",
        "..dots",
        "semi;colon",
        "plus+",
        "star*",
        "日本",
    ];
    for name in names {
        folder.write(&format!("dir/{name}"), name);
    }
    std::fs::create_dir(folder.path("dir/sub folder")).expect("a directory");
    let server = Server::start(&folder.root());
    let response = server.get("/dir/");
    let page = response.text();
    assert!(!page.contains("<script"), "{page}");
    let links: Vec<_> = links(&page)
        .into_iter()
        .filter(|link| !link.contains("../"))
        .collect();
    // The breadcrumb of the directory itself, and one for each entry.
    assert_eq!(links.len(), 1 + names.len() + 1, "{links:?}");
    let mut found: Vec<String> = Vec::new();
    for link in links {
        let response = server.get(&format!(
            "/dir/{}",
            link.strip_prefix("./").expect("relative")
        ));
        assert_eq!(response.status, 200, "{link}");
        found.push(response.text());
    }
    for name in names {
        assert!(
            found.iter().any(|content| content == name),
            "{name} cannot be reached"
        );
    }
}

/// A name that no browser can have typed, and that means something to whoever reads carelessly.
fn hostile_names() -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = [
        "%2f",
        "%2e%2e",
        "..%2f..%2fsecret.txt",
        "%00",
        "%",
        "%zz",
        "\r\nSet-Cookie: a=b",
        "\n",
        "\t",
        "\x7f",
        " ",
        ". ",
        "-rf",
        "~",
        "*",
        "#",
        "?",
        "&amp;",
        "a:b",
        "evil.example",
        "<!--",
        "--!>",
        "]]>",
        "{{7*7}}",
        "${x}",
        "`id`",
        "\u{202e}gnp.exe",
        "\u{feff}",
        "CON",
        "...",
        "index.htm",
    ]
    .map(|name| name.as_bytes().to_vec())
    .to_vec();
    names.push(vec![b'n'; 255]);
    names.push("\u{65e5}".repeat(85).into_bytes());
    names.push(vec![0xff; 255]);
    names.push(b"not \xc3\x28 UTF-8 \xed\xa0\x80".to_vec());
    // Every byte that a name may have, in names that are short enough.
    let all: Vec<u8> = (1..=255).filter(|byte| !b"/\\".contains(byte)).collect();
    names.extend(all.chunks(64).map(<[u8]>::to_vec));
    names
}

/// Mutants: links that leave a byte above 127 as it is; names cut at what is no UTF-8.
#[test]
fn names_of_any_bytes_are_reached_by_their_links_and_folders_by_their_redirects() {
    use std::os::unix::ffi::OsStrExt;
    let folder = Folder::new();
    let names = hostile_names();
    for (number, name) in names.iter().enumerate() {
        let name = std::ffi::OsStr::from_bytes(name);
        let (file, below) = (
            folder.path("files").join(name),
            folder.path("folders").join(name),
        );
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("a directory");
        std::fs::write(file, format!("file {number}")).expect("a file");
        std::fs::create_dir_all(&below).expect("a directory");
        std::fs::write(below.join("inside"), format!("inside {number}")).expect("a file");
    }
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let mut found: Vec<String> = Vec::new();
    let mut rows_of = |directory: &str| {
        let page = client.get(directory).text();
        assert!(!page.contains("<!--"), "{page}");
        let rows = links(page.split("<tbody>").nth(1).expect("a table"));
        let rows: Vec<String> = rows.into_iter().filter(|link| link != "../").collect();
        assert_eq!(rows.len(), names.len(), "{rows:?}");
        rows
    };
    let (files, folders) = (rows_of("/files/"), rows_of("/folders/"));
    for link in files {
        let link = link.strip_prefix("./").expect("relative");
        let response = client.get(&format!("/files/{link}"));
        assert_eq!(response.status, 200, "{link}");
        found.push(response.text());
    }
    for link in folders {
        let link = link.strip_prefix("./").expect("relative");
        let without_slash = link.strip_suffix('/').expect("a folder");
        let redirect = client.get(&format!("/folders/{without_slash}?a=%0d%0a"));
        let expected = format!("/folders/{link}?a=%0d%0a");
        assert_eq!(
            (redirect.status, redirect.field("Location")),
            (301, Some(expected.as_str()))
        );
        let response = client.get(&format!("/folders/{link}inside"));
        assert_eq!(response.status, 200, "{link}");
        found.push(response.text());
    }
    found.sort_unstable();
    let kinds = |kind: &'static str| (0..names.len()).map(move |number| format!("{kind} {number}"));
    let mut expected: Vec<String> = kinds("file").chain(kinds("inside")).collect();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// From a page with a slash too many in its address, the links that lead up would lead elsewhere.
///
/// Mutant: show the page wherever it is asked for.
#[test]
fn a_page_is_shown_where_its_links_lead_to_the_right_places_and_redirected_to_from_elsewhere() {
    let folder = Folder::new();
    folder.write("a/b/file", "");
    folder.write("evil.example/file", "");
    folder.write("with/index.html", "index");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    for (target, location) in [
        ("//", "/"),
        ("//evil.example/", "/evil.example/"),
        ("//evil.example", "/evil.example/"),
        ("///evil.example//", "/evil.example/"),
        ("/a//b/", "/a/b/"),
        ("/a/b//", "/a/b/"),
        ("/a/./b/", "/a/b/"),
        ("/a/b/..", "/a/"),
        ("/a/b/%2e%2e/?sort=size", "/a/?sort=size"),
        ("http://evil.example//a/", "/a/"),
    ] {
        let response = client.get(target);
        assert_eq!(
            (response.status, response.field("Location")),
            (301, Some(location)),
            "{target}"
        );
        assert_eq!(client.get(location).status, 200, "{location}");
    }
    for target in ["/a/b/", "/a/.", "/.", "/%61/"] {
        assert_eq!(client.get(target).status, 200, "{target}");
    }
    assert_eq!(client.get("//with//").text(), "index", "no links of ours");
}

#[test]
fn a_listing_shows_what_can_be_fetched_and_hides_the_rest() {
    let folder = Folder::new();
    folder.write("file.txt", "12345");
    std::fs::create_dir(folder.path("dir")).expect("a directory");
    mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    folder.symlink("file.txt", "link-to-file");
    folder.symlink("dir", "link-to-dir");
    folder.symlink("fifo", "link-to-fifo");
    folder.symlink("../secret.txt", "link-out");
    folder.symlink("missing", "link-to-nothing");
    folder.write("back\\slash", "");
    let server = Server::start(&folder.root());
    let response = server.get("/");
    assert_eq!(
        links(&response.text()),
        [
            "./",
            "./dir/",
            "./link-to-dir/",
            "./file.txt",
            "./link-to-file"
        ]
    );
    assert_eq!(
        response.text().matches("5 B").count(),
        2,
        "sizes, also through the link"
    );
    assert_eq!(
        response.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    let policy = response.field("Content-Security-Policy").expect("a policy");
    assert!(
        policy.starts_with("default-src 'none';") && !policy.contains("script"),
        "{policy}"
    );
    assert!(response.text().contains("name=\"viewport\""));
}

#[test]
fn an_index_takes_the_place_of_the_listing() {
    let folder = Folder::new();
    folder.write("dir/other.txt", "");
    let server = Server::start(&folder.root());
    assert!(server.get("/dir/").text().contains("other.txt"));
    folder.write("dir/index.html", "<p>index");
    let response = server.get("/dir/");
    assert_eq!(response.text(), "<p>index");
    assert_eq!(
        response.field("Content-Type"),
        Some("text/html; charset=utf-8")
    );
    assert!(response.field("ETag").is_some());
    std::fs::remove_file(folder.path("dir/index.html")).expect("removes");
    std::fs::create_dir(folder.path("dir/index.html")).expect("a directory of that name");
    assert!(server.get("/dir/").text().contains("index.html/"));
}

/// Mutants: ignore the query; take "desc" for every order that is not "asc".
#[test]
fn the_query_puts_a_listing_into_order_and_what_it_does_not_know_is_the_default() {
    let folder = Folder::new();
    for (name, size, age) in [("b", 2, 10), ("C", 3, 30), ("a", 1, 20)] {
        let path = folder.write(name, vec![b'x'; size]);
        let file = std::fs::File::options().write(true).open(path);
        let time = std::time::SystemTime::now() - std::time::Duration::from_secs(age);
        file.and_then(|file| file.set_modified(time)).expect("sets");
    }
    std::fs::create_dir(folder.path("z")).expect("a directory");
    let server = Server::start(&folder.root());
    for (query, expected, sorted) in [
        ("", "z/abC", "ascending"),
        ("?sort=name&order=desc", "z/Cba", "descending"),
        ("?sort=size&order=asc", "z/abC", "ascending"),
        ("?sort=size&order=desc", "z/Cba", "descending"),
        ("?sort=date&order=asc", "z/Cab", "ascending"),
        ("?order=desc&sort=date", "z/baC", "descending"),
        ("?sort=date&order=sideways", "z/Cab", "ascending"),
        ("?sort=%3Cscript%3E&order=", "z/abC", "ascending"),
        ("?utter=nonsense&&&=", "z/abC", "ascending"),
    ] {
        let page = server.get(&format!("/{query}")).text();
        assert_eq!(names(&page).concat(), expected, "{query}");
        assert!(page.contains(&format!("aria-sort=\"{sorted}\"")), "{query}");
        assert!(!page.contains("script") && !page.contains("nonsense"));
    }
}

#[test]
fn symlinks_are_listed_as_they_are_followed() {
    let folder = Folder::new();
    folder.write("dir/file", "12345");
    folder.symlink("dir/file", "in");
    folder.symlink("../secret.txt", "out");
    folder.symlink("loop", "loop");
    for (symlinks, expected) in [
        ("never", vec!["dir/"]),
        ("within", vec!["dir/", "in"]),
        ("always", vec!["dir/", "in", "out"]),
    ] {
        let server = Server::start_with(&folder.root(), &["--symlinks", symlinks]);
        assert_eq!(names(&server.get("/").text()), expected, "{symlinks}");
        for name in ["in", "out"] {
            let is_listed = expected.contains(&name);
            let status = server.get(&format!("/{name}")).status;
            assert_eq!(
                status,
                if is_listed { 200 } else { 404 },
                "{symlinks}: {name}"
            );
        }
    }
}

/// The directory itself does not change when a file in it is written to.
///
/// Mutant: a tag made of the directory's own state.
#[test]
fn a_listing_has_a_tag_that_changes_with_whatever_it_shows() {
    let folder = Folder::new();
    folder.write("file", "1");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let first = client.get("/");
    let tag = first.field("ETag").expect("a tag").to_owned();
    assert_eq!(
        first.field("Last-Modified"),
        None,
        "no date says when sizes changed"
    );
    assert_eq!(first.field("Cache-Control"), Some("no-cache"));
    let known = format!("If-None-Match: {tag}\r\n");
    let again = client.get_with("/", &known);
    assert_eq!(
        (again.status, again.field("ETag")),
        (304, Some(tag.as_str()))
    );
    assert_eq!(again.field("Cache-Control"), Some("no-cache"));
    let elsewhere = client.get_with("/?sort=size", &known);
    assert_eq!(elsewhere.status, 200, "another page");
    let failed = client.get_with("/", "If-Match: \"x\"\r\n");
    assert_eq!(failed.status, 412);
    std::fs::write(folder.path("file"), "22").expect("writes");
    let changed = client.get_with("/", &known);
    assert_eq!(changed.status, 200);
    assert_ne!(changed.field("ETag"), Some(tag.as_str()));
    assert!(changed.text().contains("2 bytes"));
}

#[test]
fn types_are_told_by_the_name() {
    let folder = Folder::new();
    for (name, media_type) in [
        ("a.html", "text/html; charset=utf-8"),
        ("a.txt", "text/plain; charset=utf-8"),
        ("a.CSS", "text/css; charset=utf-8"),
        ("a.js", "text/javascript; charset=utf-8"),
        ("a.json", "application/json; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.svg", "image/svg+xml"),
        ("a.wasm", "application/wasm"),
        ("a.mp4", "video/mp4"),
        ("a.unknown-type", "application/octet-stream"),
        ("README", "application/octet-stream"),
    ] {
        folder.write(name, "");
        let server = Server::start(&folder.root());
        assert_eq!(
            server.get(&format!("/{name}")).field("Content-Type"),
            Some(media_type),
            "{name}"
        );
    }
}
