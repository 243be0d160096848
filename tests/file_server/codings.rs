//! Compressed siblings, types, and what caches are told.

use std::fs::{File, FileTimes};
use std::time::{Duration, Instant, UNIX_EPOCH};

use crate::support::{Folder, Server, wait_until};

fn set_modified(folder: &Folder, name: &str, second: u64) {
    let file = File::options().write(true).open(folder.path(name));
    let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(second));
    file.and_then(|file| file.set_times(times)).expect("sets");
}

/// What is in the siblings is no compressed form of anything: the server has to take it as it is.
fn site() -> Folder {
    let folder = Folder::new();
    for (name, content, second) in [
        ("page.html", "plain", 1_000),
        ("page.html.br", "brotli", 1_000),
        ("page.html.zst", "zstandard", 2_000),
        ("page.html.gz", "gzip!", 1_001),
        ("stale.css", "plain", 1_000),
        ("stale.css.gz", "gzip!", 999),
        ("stale.css.br", "brotli", 998),
        ("alone.txt", "plain", 1_000),
        ("orphan.txt.gz", "gzip!", 1_000),
        ("dir/index.html", "plain", 1_000),
        ("dir/index.html.gz", "gzip!", 1_000),
    ] {
        folder.write(name, content);
        set_modified(&folder, name, second);
    }
    std::fs::create_dir(folder.path("alone.txt.br")).expect("a folder");
    folder.symlink("../secret.txt", "alone.txt.gz");
    folder
}

/// Mutants: a sibling that is older than its file; a sibling's own type; no `Vary` on what was sent
/// as it is.
#[test]
fn a_compressed_sibling_is_sent_to_who_takes_it() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--precompressed"]);
    let mut client = server.connect();
    for (target, accepted, content, coding) in [
        (
            "/page.html",
            "gzip, deflate, br, zstd",
            "brotli",
            Some("br"),
        ),
        ("/page.html", "gzip;q=1, br;q=0.5", "gzip!", Some("gzip")),
        ("/page.html", "br;q=0, *", "zstandard", Some("zstd")),
        ("/page.html", "", "plain", None),
        ("/page.html", "identity", "plain", None),
        ("/page.html", "identity;q=0", "plain", None),
        ("/page.html", "gzip;q=0", "plain", None),
        ("/page.html?query", "gzip", "gzip!", Some("gzip")),
        ("/stale.css", "gzip, br", "plain", None),
        ("/alone.txt", "gzip, br, zstd", "plain", None),
        ("/dir/", "gzip", "gzip!", Some("gzip")),
        ("/dir/index.html", "br", "plain", None),
    ] {
        let fields = format!("Accept-Encoding: {accepted}\r\n");
        let response = client.get_with(target, &fields);
        let shown = format!("{target} {accepted:?}: {}", response.head);
        assert_eq!(response.text(), content, "{shown}");
        assert_eq!(response.field("Content-Encoding"), coding, "{shown}");
        assert_eq!(response.field("Vary"), Some("Accept-Encoding"), "{shown}");
        let media_type = response.field("Content-Type").expect("a type");
        assert!(media_type.starts_with("text/"), "{shown}");
    }
    let orphan = client.get_with("/orphan.txt", "Accept-Encoding: gzip\r\n");
    assert_eq!(orphan.status, 404, "a sibling of nothing");
    let itself = client.get_with("/page.html.gz", "Accept-Encoding: gzip\r\n");
    assert_eq!(itself.field("Content-Encoding"), None);
    assert_eq!(itself.field("Content-Type"), Some("application/gzip"));
}

/// Forms are kept like files, each for those who take it, and what becomes of them is seen once the bound is over.
///
/// Mutants: keep forms by the path alone; confirm by the state of one file what depends on several.
#[test]
fn compressed_forms_are_kept_for_who_takes_them_and_their_changes_are_followed() {
    const BOUND: Duration = Duration::from_millis(200);
    let wait = |time: Duration| {
        let begin = Instant::now();
        wait_until("the time is over", || begin.elapsed() > time);
    };
    let folder = site();
    // What was changed just now is not kept.
    wait(Duration::from_secs(2));
    let start = |time| Server::start_with(&folder.root(), &["--precompressed", "--cache-ms", time]);
    let (kept, bounded) = (start("86400000"), start("200"));
    let (mut of_kept, mut of_bounded) = (kept.connect(), bounded.connect());
    let forms = [("br, gzip", "brotli"), ("gzip", "gzip!"), ("", "plain")];
    let field = |accepted: &str| format!("Accept-Encoding: {accepted}\r\n");
    for (accepted, content) in forms.into_iter().chain(forms) {
        for client in [&mut of_kept, &mut of_bounded] {
            let response = client.get_with("/page.html", &field(accepted));
            assert_eq!(response.text(), content, "{accepted:?}");
        }
    }
    let stale = of_bounded.get_with("/stale.css", &field("gzip"));
    assert_eq!(stale.text(), "plain");
    std::fs::remove_file(folder.path("page.html.br")).expect("removes");
    folder.write("page.html.gz", "GZIP!");
    folder.write("stale.css.gz", "GZIP!");
    wait(BOUND);
    for (accepted, content) in [("br, gzip", "GZIP!"), ("gzip", "GZIP!"), ("", "plain")] {
        let response = of_bounded.get_with("/page.html", &field(accepted));
        assert_eq!(response.text(), content, "{accepted:?}");
    }
    let fresh = of_bounded.get_with("/stale.css", &field("gzip"));
    assert_eq!(fresh.text(), "GZIP!", "there is a form now");
    let response = of_kept.get_with("/page.html", &field("br, gzip"));
    assert_eq!(response.text(), "brotli", "it was kept");
    assert_eq!(response.field("Content-Encoding"), Some("br"));
}

/// Each form is a representation of its own: its tag, its length, its ranges.
#[test]
fn conditions_and_ranges_are_about_the_form_that_is_sent() {
    let folder = site();
    let server = Server::start_with(&folder.root(), &["--precompressed"]);
    let mut client = server.connect();
    let plain = client.get("/page.html");
    let gzip = client.get_with("/page.html", "Accept-Encoding: gzip\r\n");
    let tag_of = |response: &crate::support::Response| response.field("ETag").map(str::to_owned);
    let (plain_tag, gzip_tag) = (
        tag_of(&plain).expect("a tag"),
        tag_of(&gzip).expect("a tag"),
    );
    assert_ne!(plain_tag, gzip_tag);
    let mut status = |coding: &str, field: &str| {
        let fields = format!("Accept-Encoding: {coding}\r\n{field}\r\n");
        let response = client.get_with("/page.html", &fields);
        assert_eq!(response.field("Vary"), Some("Accept-Encoding"), "{field}");
        (response.status, response.text())
    };
    let nothing = (304, String::new());
    assert_eq!(
        status("gzip", &format!("If-None-Match: {gzip_tag}")),
        nothing
    );
    assert_eq!(
        status("identity", &format!("If-None-Match: {plain_tag}")),
        nothing
    );
    let whole = status("gzip", &format!("If-None-Match: {plain_tag}"));
    assert_eq!(whole, (200, "gzip!".to_owned()));
    assert_eq!(status("gzip", "Range: bytes=-1"), (206, "!".to_owned()));
    let of_other = format!("Range: bytes=-1\r\nIf-Range: {plain_tag}");
    assert_eq!(status("gzip", &of_other), (200, "gzip!".to_owned()));
    let several = status("gzip", "Range: bytes=0-0,2-2");
    assert_eq!(
        several,
        (200, "gzip!".to_owned()),
        "no parts of a coded form"
    );
}

#[test]
fn siblings_are_files_like_others_unless_they_are_asked_for() {
    let folder = site();
    let server = Server::start(&folder.root());
    let response = server
        .connect()
        .get_with("/page.html", "Accept-Encoding: gzip\r\n");
    assert_eq!(response.text(), "plain");
    assert_eq!(response.field("Content-Encoding"), None);
    assert_eq!(response.field("Vary"), None);
}

#[test]
fn caches_are_told_what_the_command_line_says_of_files_and_of_nothing_else() {
    let folder = site();
    std::fs::create_dir(folder.path("list")).expect("a folder");
    let value = "public, max-age=3600, immutable";
    let server = Server::start_with(&folder.root(), &["--cache-control", value]);
    let mut client = server.connect();
    let tag = client
        .get("/alone.txt")
        .field("ETag")
        .expect("a tag")
        .to_owned();
    for (target, fields, status, expected) in [
        ("/alone.txt", String::new(), 200, Some(value)),
        ("/dir/", String::new(), 200, Some(value)),
        (
            "/alone.txt",
            "Range: bytes=0-0\r\n".to_owned(),
            206,
            Some(value),
        ),
        (
            "/alone.txt",
            format!("If-None-Match: {tag}\r\n"),
            304,
            Some(value),
        ),
        (
            "/alone.txt",
            "If-Match: \"x\"\r\n".to_owned(),
            412,
            Some("no-cache"),
        ),
        (
            "/alone.txt",
            "Range: bytes=9-\r\n".to_owned(),
            416,
            Some("no-cache"),
        ),
        ("/missing", String::new(), 404, Some("no-cache")),
        ("/list", String::new(), 301, Some("no-cache")),
        ("/list/", String::new(), 200, Some("no-cache")),
    ] {
        let response = client.get_with(target, &fields);
        assert_eq!(response.status, status, "{target} {fields}");
        assert_eq!(
            response.field("Cache-Control"),
            expected,
            "{target} {fields}"
        );
    }
}
