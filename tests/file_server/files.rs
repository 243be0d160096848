//! What is no regular file, and files that change while they are sent.

use std::fs::File;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::support::{Folder, PATIENCE, Server, pattern, wait_until};

/// Mutant: an open that waits for a FIFO's writer.
#[test]
fn fifos_and_sockets_are_refused_at_once() {
    let folder = Folder::new();
    mknodat(CWD, folder.path("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    mknodat(CWD, folder.path("fifo.html"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
    let _socket = UnixListener::bind(folder.path("socket")).expect("a socket");
    folder.symlink("fifo", "to-fifo");
    std::fs::create_dir(folder.path("dir")).expect("a directory");
    mknodat(
        CWD,
        folder.path("dir/index.html"),
        FileType::Fifo,
        Mode::RWXU,
        0,
    )
    .expect("a FIFO");
    let server = Server::start(&folder.root());
    let started = Instant::now();
    for target in ["/fifo", "/fifo.html", "/socket", "/to-fifo"] {
        assert_eq!(server.get(target).status, 403, "{target}");
    }
    assert!(server.get("/dir/").text().contains("This folder is empty."));
    assert!(
        started.elapsed() < PATIENCE / 2,
        "it took {:?}",
        started.elapsed()
    );
}

#[test]
fn devices_are_refused_at_once() {
    let server = Server::start("/dev".as_ref());
    for target in ["/null", "/zero", "/full", "/random", "/tty"] {
        let response = server.get(target);
        assert!(
            matches!(response.status, 403 | 404),
            "{target}: {}",
            response.head
        );
    }
    assert_eq!(server.get("/stdin").status, 404, "a symlink out");
    assert_eq!(server.get("/zero/").status, 404);
}

/// Mutant: no redirect to a directory that cannot be opened.
#[test]
fn unreadable_files_are_forbidden() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let folder = Folder::new();
    let set_mode = |name: &str, mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(folder.path(name), permissions).expect("sets the mode");
    };
    folder.write("file.txt", "readable");
    folder.write("secret.txt", "unreadable");
    folder.write("dir/file.txt", "unreachable");
    folder.write("index/index.html", "unreadable");
    folder.write("searched/index.html", "readable");
    // A copy outside of the build's folder, which another user might not be able to reach.
    std::fs::copy(crate::support::binary(), folder.path("server")).expect("copies");
    for (name, mode) in [
        ("..", 0o755),
        (".", 0o755),
        ("server", 0o755),
        ("file.txt", 0o644),
        ("secret.txt", 0o000),
        ("index/index.html", 0o000),
        ("index", 0o755),
        ("searched/index.html", 0o644),
        ("searched", 0o711),
        ("dir", 0o000),
    ] {
        set_mode(name, mode);
    }
    let mut command = std::process::Command::new(folder.path("server"));
    command.arg(folder.root());
    if rustix::process::geteuid().is_root() {
        // Root may read everything.
        command.uid(65534).gid(65534);
    }
    let (server, _output) = Server::launch(command);
    assert_eq!(server.get("/file.txt").text(), "readable");
    for target in ["/secret.txt", "/dir/", "/dir/file.txt", "/index/"] {
        assert_eq!(server.get(target).status, 403, "{target}");
    }
    // A directory that may be searched and not read has an index, if no listing.
    assert_eq!(server.get("/searched/").text(), "readable");
    let redirect = server.get("/searched?a");
    assert_eq!(redirect.status, 301);
    assert_eq!(redirect.field("location"), Some("/searched/?a"));
    set_mode("dir", 0o755);
}

#[test]
fn what_is_sent_is_what_the_file_has_at_every_size_around_the_bounds() {
    let folder = Folder::new();
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    const KIB: usize = 1024;
    for size in [
        0,
        1,
        4095,
        4096,
        8 * KIB,
        32 * KIB,
        64 * KIB - 1,
        64 * KIB,
        64 * KIB + 1,
        256 * KIB,
        256 * KIB + 1,
        1000 * KIB,
        3000 * KIB + 7,
    ] {
        let content = pattern(size);
        folder.write("file.bin", &content);
        let response = client.get("/file.bin");
        assert_eq!(
            response.field("Content-Length"),
            Some(size.to_string().as_str())
        );
        assert!(response.body == content, "{size}");
    }
}

#[test]
fn many_downloads_at_a_time_each_get_the_whole_file() {
    let folder = Folder::new();
    let content = pattern(4 << 20);
    folder.write("file.bin", &content);
    let server = Server::start(&folder.root());
    std::thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert!(server.get("/file.bin").body == content));
        }
    });
}

/// Mutant: padding what is missing, or waiting for it.
#[test]
fn a_file_cut_while_it_is_sent_ends_the_connection_and_is_never_padded() {
    let folder = Folder::new();
    let content = pattern(32 << 20);
    let path = folder.write("file.bin", &content);
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client.send("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    let head = client.read_head();
    assert_eq!(
        head.field("Content-Length"),
        Some(content.len().to_string().as_str())
    );
    // As long as we do not read, the server cannot have sent it all.
    File::options()
        .write(true)
        .open(&path)
        .expect("opens")
        .set_len(1 << 20)
        .expect("cuts");
    let body = client.rest();
    assert!(body.len() < content.len(), "all of it arrived");
    // What lay in pages when the file was cut may arrive as zeros from the kernel; beyond the first
    // bytes of the page cache that were in flight nothing may.
    assert!(
        body[..1 << 20] == content[..1 << 20],
        "what was not cut is as it was"
    );
    wait_until("the aborted download is logged", || {
        server.log().iter().any(|line| line.ends_with(" aborted"))
    });
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_sent_as_long_as_it_was_said_to_be() {
    use std::io::Write;
    let folder = Folder::new();
    let content = pattern(16 << 20);
    let path = folder.write("file.bin", &content);
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client
        .send("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\nGET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the response begins", || client.receive() > 0);
    let mut file = File::options().append(true).open(&path).expect("opens");
    file.write_all(b"more").expect("grows");
    assert!(client.response().body == content);
    assert!(client.response().body == [&content[..], b"more"].concat());
}

#[test]
fn a_removed_file_is_sent_to_its_end() {
    let folder = Folder::new();
    let content = pattern(16 << 20);
    let path = folder.write("file.bin", &content);
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client.send("GET /file.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    wait_until("the response begins", || client.receive() > 0);
    std::fs::remove_file(path).expect("removes");
    std::thread::sleep(Duration::from_millis(50));
    assert!(client.response().body == content);
    assert_eq!(client.get("/file.bin").status, 404);
}
