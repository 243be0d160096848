//! Files that others change as fast as they can while they are served.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Client, Folder, SECRET, Server, SetOnDrop, uninterrupted};

/// How long a folder is changed while it is served.
const TIME: Duration = Duration::from_secs(3);

/// Sizes on both sides of what is read into memory and of what the kernel moves.
const SIZES: [usize; 5] = [0, 10, 5_000, 70_000, 700_000];

/// What became of one request.
enum Seen {
    /// A whole answer; the connection goes on.
    Answer(u16, Vec<u8>),
    /// The connection ended before the answer did.
    Cut,
}

/// Asks, and reads exactly as many bytes as the answer says that there are.
fn ask(client: &mut Client, target: &str, fields: &str) -> Seen {
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    if client.stream.write_all(request.as_bytes()).is_err() {
        return Seen::Cut;
    }
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match uninterrupted(|| client.stream.read(&mut byte)) {
            Ok(1) => head.push(byte[0]),
            // An end between two answers is an end, within a head it is a fault of the server.
            Ok(_) | Err(_) if head.is_empty() => return Seen::Cut,
            end => panic!("{end:?} behind {:?}", String::from_utf8_lossy(&head)),
        }
    }
    let head = String::from_utf8(head).expect("a head is ASCII");
    // Out of step, something else would stand here.
    assert!(head.starts_with("HTTP/1.1 "), "{head:?}");
    let status = head[9..12].parse().expect("a status");
    let length = head
        .split("\r\nContent-Length: ")
        .nth(1)
        .map_or("0", |rest| rest.split("\r\n").next().expect("a line"));
    let mut body = vec![0; length.parse().expect("a number")];
    match client.stream.read_exact(&mut body) {
        Ok(()) => Seen::Answer(status, body),
        Err(error) => {
            let is_end = matches!(
                error.kind(),
                ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
            );
            assert!(is_end, "less than {length} bytes, and no end: {error}");
            Seen::Cut
        }
    }
}

/// Does `change` over and over, with a number that grows, while four clients ask until `TIME` is
/// over. Returns how many whole answers there were.
fn serve_while(
    server: &Server,
    targets: &[(&str, &str)],
    change: impl Fn(u64) + Sync,
    judge: impl Fn(u16, &[u8]) + Sync,
) -> u64 {
    let (done, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let end = Instant::now() + TIME;
    std::thread::scope(|scope| {
        let stop = SetOnDrop(&done);
        scope.spawn(|| {
            let mut number = 0;
            while !done.load(Ordering::Relaxed) {
                change(number);
                number += 1;
            }
        });
        let clients: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = server.connect();
                    while Instant::now() < end {
                        for (target, fields) in targets {
                            match ask(&mut client, target, fields) {
                                Seen::Cut => client = server.connect(),
                                Seen::Answer(status, body) => {
                                    answers.fetch_add(1, Ordering::Relaxed);
                                    judge(status, &body);
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        for client in clients {
            client.join().expect("no fault was seen");
        }
        drop(stop);
    });
    answers.into_inner()
}

/// Mutants: a file that ends early is taken for sent; what is missing is left out of a small body.
#[test]
fn a_file_that_is_cut_and_grows_at_full_speed_puts_no_connection_out_of_step() {
    let folder = Folder::new();
    let path = folder.write("file.bin", "");
    let server = Server::start_with(&folder.root(), &["--quiet"]);
    let file = File::options().write(true).open(&path).expect("opens");
    let bytes = vec![b'x'; 700_000];
    let targets = [
        ("/file.bin", ""),
        ("/file.bin", "Range: bytes=1-69999\r\n"),
        ("/file.bin", "Range: bytes=5-9,3000-80000,-1\r\n"),
        ("/missing", ""),
    ];
    let change = |number: u64| {
        let size = SIZES[number as usize % SIZES.len()];
        file.set_len(0).expect("cuts");
        std::os::unix::fs::FileExt::write_all_at(&file, &bytes[..size], 0).expect("grows");
    };
    let answers = serve_while(&server, &targets, change, |status, body| {
        assert!(
            matches!(status, 200 | 206 | 404 | 416 | 500 | 503),
            "{status}"
        );
        // What the kernel had in its hands when the file was cut may be zeros.
        let is_ours = |&byte: &u8| byte == b'x' || byte == 0;
        assert!(!matches!(status, 200) || body.iter().all(is_ours));
    });
    assert!(answers > 100, "{answers}");
}

/// Small answers leave together, also if the last of them cannot be completed.
///
/// Mutant: forget with the connection what was answered and not written yet.
#[test]
fn an_answer_before_one_that_cannot_be_completed_arrives() {
    let folder = Folder::new();
    folder.write("a", "A");
    let path = folder.write("file.bin", "");
    let server = Server::start_with(&folder.root(), &["--quiet"]);
    let file = File::options().write(true).open(&path).expect("opens");
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = SetOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                file.set_len(0).expect("cuts");
                file.set_len(20_000).expect("grows");
            }
        });
        let ranges: Vec<_> = (1..16)
            .map(|number| format!("{number}000-{number}009"))
            .collect();
        let fields = format!("Range: bytes={}\r\n", ranges.join(","));
        let end = Instant::now() + TIME;
        let mut cut = 0;
        while Instant::now() < end && cut < 50 {
            let mut client = server.connect();
            client.send(
                "GET /a HTTP/1.1\r\nHost: a\r\n\r\n".to_owned()
                    + &format!("GET /file.bin HTTP/1.1\r\nHost: a\r\n{fields}\r\n")
                    + "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
            );
            assert_eq!(client.response().text(), "A");
            let rest = client.rest();
            cut += usize::from(!rest.ends_with(b"\r\n\r\nA"));
        }
        assert!(cut > 0, "the file was never cut while it was sent");
    });
}

/// Each state of the file has one byte all over and a size of its own, so a mixture would be seen.
///
/// Mutants: the size taken from the path and the bytes from the descriptor.
#[test]
fn a_file_that_is_replaced_at_full_speed_is_sent_as_one_of_its_states() {
    let folder = Folder::new();
    let server = Server::start_with(&folder.root(), &["--quiet"]);
    let (new, path) = (folder.path("new"), folder.path("file.bin"));
    let change = |number: u64| {
        let kind = number as usize % SIZES.len();
        std::fs::write(&new, vec![b'a' + kind as u8; SIZES[kind]]).expect("writes");
        std::fs::rename(&new, &path).expect("replaces");
        if number.is_multiple_of(16) {
            std::fs::remove_file(&path).expect("removes");
        }
    };
    let targets = [("/file.bin", "")];
    let answers = serve_while(&server, &targets, change, |status, body| match status {
        200 => {
            let kind = SIZES.iter().position(|&size| size == body.len());
            let byte = b'a' + kind.expect("one of the sizes") as u8;
            assert!(body.iter().all(|&sent| sent == byte), "a mixture");
        }
        404 | 503 => {}
        status => panic!("{status}"),
    });
    assert!(answers > 100, "{answers}");
}

/// A name that is in turn a file, a folder, a FIFO, a symlink out and nothing, as fast as can be.
///
/// Mutant: a check of the name before the open.
#[test]
fn a_name_that_is_everything_in_turn_leads_nowhere_else() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = Folder::new();
    let server = Server::start_with(&folder.root(), &["--quiet"]);
    let (new, path) = (folder.path("new"), folder.path("name"));
    let change = |number: u64| {
        // A folder takes the place of a folder alone.
        let _ = std::fs::remove_dir(&path);
        let _ = std::fs::remove_file(&path);
        match number % 4 {
            0 => std::fs::write(&new, "inside").expect("a file"),
            1 => std::fs::create_dir(&new).expect("a folder"),
            2 => mknodat(CWD, &new, FileType::Fifo, Mode::RWXU, 0).expect("a FIFO"),
            _ => folder.symlink("../secret.txt", "new"),
        }
        std::fs::rename(&new, &path).expect("is there");
    };
    let targets = [("/name", ""), ("/name/", ""), ("/", "")];
    let answers = serve_while(&server, &targets, change, |status, body| {
        assert!(matches!(status, 200 | 301 | 403 | 404 | 503), "{status}");
        let text = String::from_utf8_lossy(body);
        assert!(!text.contains(SECRET), "{text}");
        assert!(
            status != 200 || text == "inside" || text.starts_with("<!doctype"),
            "{text}"
        );
    });
    assert!(answers > 100, "{answers}");
}
