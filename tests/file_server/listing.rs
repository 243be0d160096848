//! The listing page, as a browser would use it.

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Folder, Server};

/// The hrefs of a page, in order.
fn links(page: &str) -> Vec<String> {
    page.split("href=\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
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

#[test]
fn a_large_directory_is_listed_up_to_the_bound() {
    let folder = Folder::new();
    for number in 0..10_050 {
        std::fs::File::create(folder.path(&format!("file-{number}"))).expect("a file");
    }
    let server = Server::start(&folder.root());
    let page = server.get("/").text();
    assert_eq!(links(&page).len(), 10_001);
    assert!(page.contains("Only 10000 of the entries are shown."));
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
