//! What is kept of files between requests, and what becomes of it when they change.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use crate::support::{Folder, Server, pattern, wait_until};

/// A change that is younger than this keeps a file from being kept (`CLOCK_GRAIN` in the example's limits).
const GRAIN: Duration = Duration::from_secs(2);

/// More than any test takes.
const FOR_EVER: &str = "86400000";

/// Bytes of a file that is kept in memory, and of one that is kept open.
const SIZES: [usize; 2] = [8_000, 200_000];

/// Files that come to be changed, and what leads to them.
const NAMES: [&str; 8] = [
    "replaced",
    "overwritten",
    "cut",
    "grown",
    "removed",
    "folder",
    "in/file",
    "d/index.html",
];
const TARGETS: [&str; 9] = [
    "/replaced",
    "/overwritten",
    "/cut",
    "/grown",
    "/removed",
    "/folder",
    "/in/file",
    "/d/",
    "/link",
];

/// Waits until what was written so far is old enough to be kept.
fn settle() {
    let begin = Instant::now();
    wait_until("the files are at rest", || begin.elapsed() > GRAIN);
}

/// The file's content, with another first byte.
fn changed(content: &[u8]) -> Vec<u8> {
    [&[content[0] ^ 1], &content[1..]].concat()
}

fn replace(folder: &Folder, name: &str, content: &[u8]) {
    let new = folder.write("new", content);
    fs::rename(new, folder.path(name)).expect("renames");
}

fn overwrite(folder: &Folder, name: &str, content: &[u8]) {
    let file = File::options().write(true).open(folder.path(name));
    let file = file.expect("opens");
    file.set_len(content.len() as u64).expect("cuts");
    file.write_all_at(content, 0).expect("writes");
}

/// The bound is the promise: whatever becomes of a file, a request that comes later than that is answered as if nothing had
/// been kept.
///
/// Mutants: believe what is stale; confirm without comparing states; keep what a path led to after it leads to nothing.
#[test]
fn every_change_is_followed_once_the_bound_is_over() {
    const BOUND: Duration = Duration::from_millis(200);
    for size in SIZES {
        let folder = Folder::new();
        let content = pattern(size);
        for name in NAMES {
            folder.write(name, &content);
        }
        folder.write("other", changed(&content));
        folder.symlink("replaced", "link");
        fs::copy(folder.path("other"), folder.root().join("../outside/file")).expect("copies");
        settle();
        let server = Server::start_with(&folder.root(), &["--cache-ms", "200"]);
        let mut client = server.connect();
        for target in TARGETS {
            assert!(client.get(target).body == content, "{target}");
        }
        replace(&folder, "replaced", &changed(&content));
        overwrite(&folder, "overwritten", &changed(&content));
        overwrite(&folder, "cut", &content[..size / 2]);
        overwrite(&folder, "grown", &[&content[..], b"more"].concat());
        fs::remove_file(folder.path("removed")).expect("removes");
        fs::remove_file(folder.path("folder")).expect("removes");
        fs::create_dir(folder.path("folder")).expect("makes");
        fs::remove_dir_all(folder.path("in")).expect("removes");
        folder.symlink("../outside", "in");
        fs::remove_file(folder.path("d/index.html")).expect("removes");
        fs::remove_file(folder.path("link")).expect("removes");
        folder.symlink("other", "link");
        let begin = Instant::now();
        wait_until("the bound is over", || begin.elapsed() > BOUND);
        for (target, expected) in [
            ("/replaced", changed(&content)),
            ("/overwritten", changed(&content)),
            ("/cut", content[..size / 2].to_vec()),
            ("/grown", [&content[..], b"more"].concat()),
            ("/link", changed(&content)),
        ] {
            let response = client.get(target);
            assert!(
                response.body == expected,
                "{target} of {size}: {}",
                response.head
            );
        }
        for (target, expected) in [("/removed", 404), ("/folder", 301), ("/in/file", 404)] {
            assert_eq!(client.get(target).status, expected, "{target} of {size}");
        }
        assert!(client.get("/d/").text().contains("This folder is empty."));
        wait_until("no file is held that no path leads to", || {
            !holds(&server, " (deleted)")
        });
    }
}

/// What was deleted, or has another name now, takes its room on the disk as long as somebody has it open.
///
/// Mutants: keep what is kept until another takes its place; close what is asked for all the time.
#[test]
fn a_file_that_nobody_asks_for_any_more_is_closed() {
    const NAMES: [&str; 3] = ["deleted", "left", "wanted"];
    let folder = Folder::new();
    for name in NAMES {
        folder.write(name, pattern(SIZES[1]));
    }
    settle();
    let server = Server::start_with(&folder.root(), &["--cache-ms", "100"]);
    let mut client = server.connect();
    for name in NAMES {
        client.get(&format!("/{name}"));
        assert!(holds(&server, &format!("/{name}")), "{name}");
    }
    fs::remove_file(folder.path("deleted")).expect("removes");
    let mut asked = Instant::now();
    wait_until("what nobody wants is closed", || {
        assert!(holds(&server, "/wanted"), "what is wanted stays open");
        if asked.elapsed() > Duration::from_millis(500) {
            client.get("/wanted");
            asked = Instant::now();
        }
        !holds(&server, " (deleted)") && !holds(&server, "/left")
    });
}

/// Whether the server has a file open whose path, as the system tells it, ends so.
fn holds(server: &Server, end: &str) -> bool {
    let open = fs::read_dir(format!("/proc/{}/fd", server.pid())).expect("it runs");
    let mut links = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    links.any(|link| link.to_string_lossy().ends_with(end))
}

/// Within the bound a small file is served as it was, tag and bytes of one state: so this also shows that it is kept at all.
///
/// Mutants: send from the file under the fields that were made before; keep a file of 8,000 bytes open though there is room.
#[test]
fn a_small_file_is_served_as_it_was_with_the_tag_that_it_had() {
    let folder = Folder::new();
    let content = pattern(SIZES[0]);
    folder.write("file", &content);
    settle();
    let server = Server::start_with(&folder.root(), &["--cache-ms", FOR_EVER]);
    let mut client = server.connect();
    let first = client.get("/file");
    overwrite(&folder, "file", &changed(&content));
    let second = client.get("/file");
    assert!(second.body == content);
    assert_eq!(first.field("ETag"), second.field("ETag"));
    let part = client.get_with("/file", "Range: bytes=0-9\r\n");
    assert!(part.body == content[..10]);
    let fresh = Server::start(&folder.root()).get("/file");
    assert!(fresh.body == changed(&content) && fresh.field("ETag") != first.field("ETag"));
}

/// Mutant: do not look at the file's state before a head promises it.
#[test]
fn a_file_that_is_kept_open_is_never_sent_under_a_head_of_another_state() {
    let folder = Folder::new();
    let content = pattern(SIZES[1]);
    folder.write("file", &content);
    settle();
    let server = Server::start_with(&folder.root(), &["--cache-ms", FOR_EVER]);
    let mut client = server.connect();
    let mut tags = vec![client.get("/file").field("ETag").map(str::to_owned)];
    let longer = [&content[..], b"more"].concat();
    for expected in [&longer[..], &content[..70_000], &changed(&content)] {
        overwrite(&folder, "file", expected);
        let response = client.get("/file");
        assert!(response.body == expected, "{}", response.head);
        tags.push(response.field("ETag").map(str::to_owned));
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 4, "each state has a tag of its own");
}

/// A small file that finds no room in memory is kept open, so that a change of its content is seen at once; it moves into memory
/// when it is used much, and is served as it was from then on.
///
/// Mutants: never move; do not look at the state of a small file that is kept open.
#[test]
fn a_small_file_without_room_is_kept_open_until_it_is_used_much() {
    let folder = Folder::new();
    for number in 0..300 {
        folder.write(&format!("{number}"), pattern(4_000));
    }
    let content = pattern(SIZES[0]);
    folder.write("file", &content);
    settle();
    let arguments = ["--cache-ms", FOR_EVER, "--cache-mib", "1"];
    let server = Server::start_with(&folder.root(), &arguments);
    let mut client = server.connect();
    for number in 0..300 {
        assert_eq!(client.get(&format!("/{number}")).body.len(), 4_000);
    }
    assert!(client.get("/file").body == content);
    overwrite(&folder, "file", &changed(&content));
    assert!(client.get("/file").body == changed(&content), "it is open");
    settle();
    for _ in 0..3000 {
        assert!(client.get("/file").body == changed(&content));
    }
    overwrite(&folder, "file", &content);
    assert!(
        client.get("/file").body == changed(&content),
        "it is in memory"
    );
}

/// A second change within one tick of the file system's clock leaves no trace in the file's state.
///
/// Mutant: `State::is_settled` says yes.
#[test]
fn a_file_that_was_changed_just_now_is_not_kept() {
    let folder = Folder::new();
    let server = Server::start_with(&folder.root(), &["--cache-ms", FOR_EVER]);
    let mut client = server.connect();
    for size in SIZES {
        let content = pattern(size);
        replace(&folder, "file", &content);
        assert!(client.get("/file").body == content);
        overwrite(&folder, "file", &changed(&content));
        assert!(client.get("/file").body == changed(&content), "{size}");
    }
}

/// Mutant: make a cache whatever the bound.
#[test]
fn without_a_cache_every_request_looks_for_itself() {
    let folder = Folder::new();
    let content = pattern(SIZES[1]);
    folder.write("file", &content);
    settle();
    let server = Server::start_with(&folder.root(), &["--cache-ms", "0"]);
    let mut client = server.connect();
    assert!(client.get("/file").body == content);
    wait_until("nothing is kept", || !holds(&server, "/file"));
    replace(&folder, "file", &changed(&content));
    assert!(client.get("/file").body == changed(&content));
}

/// Mutant: look for what is kept by the path as it was sent, escapes or not.
#[test]
fn what_is_kept_under_one_name_is_not_served_under_another() {
    let folder = Folder::new();
    for name in ["a%41", "aA", "dir/file", "dir/index.html"] {
        folder.write(name, name);
    }
    settle();
    let server = Server::start_with(&folder.root(), &["--cache-ms", FOR_EVER]);
    let mut client = server.connect();
    let table = [
        ("/a%2541", "a%41"),
        ("/a%41", "aA"),
        ("/aA", "aA"),
        ("/dir/file", "dir/file"),
        ("//dir/./x/..//file", "dir/file"),
        ("/dir/", "dir/index.html"),
        ("/dir/.", "dir/index.html"),
        ("/%64ir/%66ile", "dir/file"),
    ];
    for (target, expected) in table.into_iter().chain(table) {
        assert_eq!(client.get(target).text(), expected, "{target}");
    }
    for target in ["/dir/file/", "/aA/"] {
        assert_eq!(client.get(target).status, 404, "{target}");
    }
    assert_eq!(client.get("/dir").status, 301);
}

/// Mutant: weigh an open file as nothing.
#[test]
fn no_more_files_are_kept_open_than_may_be() {
    let folder = Folder::new();
    let content = pattern(SIZES[1]);
    for number in 0..100 {
        folder.write(&format!("{number}"), &content);
    }
    settle();
    let arguments = ["--cache-ms", FOR_EVER, "--cache-descriptors", "32"];
    let server = Server::start_with(&folder.root(), &arguments);
    let descriptors = || {
        let listed = fs::read_dir(format!("/proc/{}/fd", server.child.id()));
        listed.expect("it runs").count()
    };
    assert_eq!(server.connect().get("/0").body.len(), content.len());
    let before = descriptors();
    for number in 0..100 {
        assert!(server.connect().get(&format!("/{number}")).body == content);
    }
    // Each may keep a pipe, and the last connections may not be closed yet.
    wait_until("few files are open", || descriptors() <= before + 32);
    assert!(descriptors() > before, "some are kept");
}

/// A file that is cut while its head is on the way, again and again, beside clients that ask for it.
///
/// Mutant: pad what is missing.
#[test]
fn a_file_that_changes_all_the_time_is_sent_whole_or_cut_off() {
    const ROUNDS: usize = 300;
    let folder = Folder::new();
    let [short, long] = [90_000, 200_000].map(pattern);
    let path = folder.write("file", &long);
    let server = Server::start_with(&folder.root(), &["--cache-ms", "20"]);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut whole = 0;
            for _ in 0..ROUNDS {
                let mut client = server.connect();
                client.send("GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
                let head = client.read_head();
                let length: usize = head
                    .field("Content-Length")
                    .map_or(0, |text| text.parse().expect("a number"));
                let body = client.rest();
                assert!(
                    (short.len()..=long.len()).contains(&length),
                    "{}",
                    head.head
                );
                assert!(body.len() <= length, "{} of {length}", body.len());
                // What is cut while it is on its way may arrive as zeros; what never is may not.
                let kept = body.len().min(short.len());
                assert!(body[..kept] == short[..kept], "other bytes than the file's");
                whole += usize::from(body.len() == length);
            }
            whole
        });
        while !asking.is_finished() {
            let file = File::options().write(true).open(&path).expect("opens");
            file.set_len(short.len() as u64).expect("cuts");
            let mut file = File::options().append(true).open(&path).expect("opens");
            file.write_all(&long[short.len()..]).expect("grows");
        }
        assert!(asking.join().expect("no panic") > 0, "none was whole");
    });
}
