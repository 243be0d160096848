//! No request reaches outside the served folder.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Folder, Response, SECRET, Server, SetOnDrop};

#[track_caller]
fn assert_kept_secret(what: &str, response: &Response) {
    assert!(
        !response.text().contains(SECRET),
        "{what} leaks: {}",
        response.head
    );
    assert!(
        !response.text().contains("root:x:0:0"),
        "{what} leaks: {}",
        response.head
    );
}

#[track_caller]
fn assert_refused(server: &Server, target: &str, status: u16) {
    let response = server.get(target);
    assert_kept_secret(target, &response);
    assert_eq!(response.status, status, "{target}");
}

/// Ways to write one step up, a separator, and the rest of a path, each with every other.
fn spellings() -> Vec<String> {
    let ups = [
        "..",
        "%2e%2e",
        "%2E%2E",
        ".%2e",
        "%2e.",
        "%252e%252e",
        "..%00",
        "%c0%ae%c0%ae",
        "...",
        "..;",
        "..%20",
        "%u002e%u002e",
        "%e0%80%ae%e0%80%ae",
    ];
    let separators = [
        "/", "//", "%2f", "%2F", "\\", "%5c", "%252f", "/./", "%c0%af", "%5c/",
    ];
    let starts = ["", "dir/", "./", "/", "dir/../", "missing/"];
    let mut spellings = Vec::new();
    for up in ups {
        for separator in separators {
            for start in starts {
                for depth in [1, 2, 3] {
                    let climb = format!("{up}{separator}").repeat(depth);
                    for goal in ["secret.txt", "outside/secret.txt", "etc/passwd"] {
                        spellings.push(format!("/{start}{climb}{goal}"));
                    }
                }
            }
        }
    }
    let singles = [
        "/etc/passwd",
        "//etc/passwd",
        "///etc/passwd",
        "/%2fetc/passwd",
        "/%2fetc%2fpasswd",
        "file:///etc/passwd",
        "http://host//etc/passwd",
        "http://host/../secret.txt",
        "/~nobody/",
        "/proc/self/cwd/Cargo.toml",
        "/.%00./secret.txt",
        "/secret.txt%00.html",
        "/dir/..%2fsecret.txt",
        "/dir%2f..%2f..%2fsecret.txt",
        "/%2e%2e/",
        "/..",
        "/../",
        "/%2e%2e",
        "/..?/secret.txt",
        "/dir/../../",
        "/dir/../..",
        "/./../secret.txt",
        "/....//secret.txt",
        "/.../.../secret.txt",
        "/..%0d%0a/secret.txt",
        "/%0d%0a../secret.txt",
    ];
    spellings.extend(singles.map(str::to_owned));
    spellings
}

#[test]
fn no_spelling_of_a_path_leads_out() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    let server = Server::start(&folder.root());
    let spellings = spellings();
    assert!(spellings.len() > 7_000, "{}", spellings.len());
    // In batches on one connection: no answer may be missing or additional.
    for batch in spellings.chunks(64) {
        let mut client = server.connect();
        for (index, spelling) in batch.iter().enumerate() {
            let request = format!("GET {spelling} HTTP/1.1\r\nHost: a\r\n\r\n");
            client.send(&request);
            let response = client.response();
            assert_kept_secret(spelling, &response);
            assert!(
                matches!(response.status, 400 | 404),
                "{spelling}: {}",
                response.head
            );
            if response.field("Connection") == Some("close") {
                client = server.connect();
            } else if index % 16 == 0 {
                assert_eq!(client.get("/dir/file.txt").text(), "inside");
            }
        }
    }
}

#[test]
fn dots_that_stay_inside_are_followed() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    folder.write("...", "three dots");
    folder.write("..a", "a name");
    folder.write("%2e%2e", "an encoded name");
    let server = Server::start(&folder.root());
    for (target, content) in [
        ("/dir/../dir/file.txt", "inside"),
        ("/./dir/./file.txt", "inside"),
        ("//dir///file.txt", "inside"),
        ("/dir/%2e%2e/dir/file.txt", "inside"),
        ("/...", "three dots"),
        ("/..a", "a name"),
        ("/%252e%252e", "an encoded name"),
    ] {
        assert_eq!(server.get(target).text(), content, "{target}");
    }
    // What a slash or a backslash means is not for an escape to say.
    for target in [
        "/dir%2ffile.txt",
        "/dir%2Ffile.txt",
        "/dir%5cfile.txt",
        "/dir\\file.txt",
    ] {
        assert_eq!(server.get(target).status, 400, "{target}");
    }
}

#[test]
fn no_symlink_leads_out_and_those_that_stay_inside_are_followed() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    folder.write("dir/deep/other.txt", "deep");
    let outside = folder.root().parent().expect("a parent").to_owned();
    folder.symlink("../secret.txt", "escape-file");
    folder.symlink("../outside", "escape-dir");
    folder.symlink("..", "escape-up");
    folder.symlink(".", "self");
    folder.symlink("/", "escape-root");
    folder.symlink("/etc/passwd", "escape-passwd");
    folder.symlink(outside.join("secret.txt"), "escape-absolute");
    folder.symlink("escape-file", "escape-chain");
    folder.symlink("dir/../../secret.txt", "escape-climb");
    folder.symlink("/proc/self/root", "escape-proc");
    folder.symlink("/proc/self/cwd", "escape-cwd");
    folder.symlink("/dev/null", "escape-device");
    folder.symlink("loop-b", "loop-a");
    folder.symlink("loop-a", "loop-b");
    folder.symlink("nowhere", "dangling");
    folder.symlink("../../outside", "dir/escape-deep");
    let server = Server::start(&folder.root());
    for target in [
        "/escape-file",
        "/escape-dir",
        "/escape-dir/",
        "/escape-dir/secret.txt",
        "/escape-up",
        "/escape-up/",
        "/escape-up/secret.txt",
        "/escape-up/site/dir/file.txt",
        "/escape-root/",
        "/escape-root/etc/passwd",
        "/escape-passwd",
        "/escape-absolute",
        "/escape-chain",
        "/escape-climb",
        "/escape-proc/etc/passwd",
        "/escape-cwd/",
        "/escape-device",
        "/self/escape-file",
        "/self/self/escape-dir/secret.txt",
        "/dir/escape-deep/secret.txt",
        "/loop-a",
        "/dangling",
    ] {
        assert_refused(&server, target, 404);
    }
    folder.symlink("dir/file.txt", "to-file");
    folder.symlink("dir", "to-dir");
    folder.symlink("../file.txt", "dir/deep/back");
    folder.symlink("to-file", "to-link");
    for (target, content) in [
        ("/to-file", "inside"),
        ("/to-link", "inside"),
        ("/to-dir/file.txt", "inside"),
        ("/to-dir/deep/other.txt", "deep"),
        ("/dir/deep/back", "inside"),
        ("/self/self/dir/file.txt", "inside"),
    ] {
        assert_eq!(server.get(target).text(), content, "{target}");
    }
    assert_eq!(server.get("/to-dir").field("Location"), Some("/to-dir/"));
}

/// Mutant: RESOLVE_NO_SYMLINKS left out of the handle of the root.
#[test]
fn no_symlink_is_followed_where_none_may_be() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    folder.symlink("dir/file.txt", "to-file");
    folder.symlink("dir", "to-dir");
    folder.symlink("../secret.txt", "escape");
    folder.symlink("file.txt", "dir/index.html");
    let server = Server::start_with(&folder.root(), &["--symlinks", "never"]);
    assert_eq!(server.get("/dir/file.txt").text(), "inside");
    for target in [
        "/to-file",
        "/to-dir",
        "/to-dir/",
        "/to-dir/file.txt",
        "/escape",
        "/dir/index.html",
    ] {
        assert_refused(&server, target, 404);
    }
    let listing = server.get("/").text();
    assert!(listing.contains("dir/") && !listing.contains("to-") && !listing.contains("escape"));
    assert!(
        !server.get("/dir/").text().contains("index.html"),
        "what cannot be fetched"
    );
}

/// Even then the path itself leads nowhere but down.
#[test]
fn every_symlink_is_followed_where_all_may_be_and_no_path_leads_out() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    folder.symlink("dir", "to-dir");
    folder.symlink("../outside", "escape");
    folder.symlink("/dev/null", "device");
    folder.symlink("loop", "loop");
    folder.symlink("nowhere", "dangling");
    let server = Server::start_with(&folder.root(), &["--symlinks", "always"]);
    assert_eq!(server.get("/to-dir/file.txt").text(), "inside");
    assert_eq!(server.get("/escape/secret.txt").text(), SECRET);
    assert!(server.get("/").text().contains("escape/"));
    assert!(server.get("/escape/").text().contains("secret.txt"));
    for (target, status) in [("/device", 403), ("/loop", 404), ("/dangling", 404)] {
        assert_eq!(server.get(target).status, status, "{target}");
    }
    for target in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/escape/../../secret.txt",
    ] {
        assert_refused(&server, target, 400);
    }
}

#[test]
fn an_index_that_is_a_symlink_out_is_not_shown() {
    let folder = Folder::new();
    folder.write("dir/file.txt", "inside");
    folder.symlink("../../secret.txt", "dir/index.html");
    let server = Server::start(&folder.root());
    let response = server.get("/dir/");
    assert_kept_secret("index", &response);
    assert!(response.text().contains("file.txt") && !response.text().contains("index.html"));
}

/// An attacker who may write into the folder exchanges a directory and a symlink to the outside, as
/// fast as the machine can. Mutant: opening by path instead of RESOLVE_BENEATH, or normalising and
/// checking the path before opening it.
#[test]
fn exchanging_a_directory_and_a_symlink_does_not_help() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    let folder = Folder::new();
    folder.write("dir/secret.txt", "inside");
    folder.symlink("../outside", "link");
    let server = Server::start(&folder.root());
    let (dir, link) = (folder.path("dir"), folder.path("link"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        // However this ends, the attacker has to end before the scope does.
        let stop = SetOnDrop(&done);
        let flipper = scope.spawn(|| {
            let mut flips = 0u64;
            while !done.load(Ordering::Relaxed) {
                renameat_with(CWD, &dir, CWD, &link, RenameFlags::EXCHANGE).expect("exchanges");
                flips += 1;
            }
            flips
        });
        let mut client = server.connect();
        let (mut served, mut refused) = (0, 0);
        let end = Instant::now() + Duration::from_secs(2);
        while Instant::now() < end {
            let response = client.get("/dir/secret.txt");
            assert_kept_secret("a race", &response);
            match response.status {
                200 => served += 1,
                404 | 503 => refused += 1,
                status => panic!("{status}"),
            }
        }
        drop(stop);
        let flips = flipper.join().expect("no panic");
        assert!(
            served > 0 && refused > 0 && flips > 1_000,
            "{served} {refused} {flips}"
        );
    });
}
