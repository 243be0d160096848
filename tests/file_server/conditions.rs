//! Validators, conditional requests and ranges.

use std::fs::{File, FileTimes};
use std::time::{Duration, UNIX_EPOCH};

use crate::support::{Folder, Response, Server, pattern};

/// 2001-09-09, so that dates are strong validators.
const MODIFIED: u64 = 1_000_000_000;
const DATE: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
const EARLIER: &str = "Sun, 09 Sep 2001 01:46:39 GMT";

fn set_modified(path: &std::path::Path, modified: Duration) {
    let file = File::options().write(true).open(path).expect("opens");
    file.set_times(FileTimes::new().set_modified(UNIX_EPOCH + modified))
        .expect("sets");
}

#[test]
fn conditions_are_honoured_in_their_order() {
    let folder = Folder::new();
    let path = folder.write("file.txt", "0123456789");
    set_modified(&path, Duration::from_secs(MODIFIED));
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let response = client.get("/file.txt");
    assert_eq!(response.field("Last-Modified"), Some(DATE));
    let tag = response.field("ETag").expect("a tag").to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "strong: {tag}");
    let table = [
        (format!("If-None-Match: {tag}\r\n"), 304),
        (format!("If-None-Match: W/{tag}\r\n"), 304),
        (format!("If-None-Match: \"x\", {tag}\r\n"), 304),
        (
            format!("If-None-Match: \"x\"\r\nIf-None-Match: {tag}\r\n"),
            304,
        ),
        ("If-None-Match: \"x\"\r\n".to_owned(), 200),
        (
            format!("If-None-Match: \"x\"\r\nIf-Modified-Since: {DATE}\r\n"),
            200,
        ),
        (format!("If-Modified-Since: {DATE}\r\n"), 304),
        (format!("If-Modified-Since: {EARLIER}\r\n"), 200),
        (
            "If-Modified-Since: Sunday, 09-Sep-01 01:46:40 GMT\r\n".to_owned(),
            304,
        ),
        (
            "If-Modified-Since: Sun Sep  9 01:46:40 2001\r\n".to_owned(),
            304,
        ),
        ("If-Modified-Since: tomorrow\r\n".to_owned(), 200),
        (format!("If-Match: {tag}\r\n"), 200),
        ("If-Match: *\r\n".to_owned(), 200),
        (format!("If-Match: W/{tag}\r\n"), 412),
        ("If-Match: \"x\"\r\n".to_owned(), 412),
        (format!("If-Unmodified-Since: {DATE}\r\n"), 200),
        (format!("If-Unmodified-Since: {EARLIER}\r\n"), 412),
        (
            format!("If-Match: {tag}\r\nIf-Unmodified-Since: {EARLIER}\r\n"),
            200,
        ),
        (format!("If-Match: {tag}\r\nIf-None-Match: {tag}\r\n"), 304),
        (format!("If-Range: {tag}\r\nRange: bytes=1-2\r\n"), 206),
        (format!("If-Range: W/{tag}\r\nRange: bytes=1-2\r\n"), 200),
        ("If-Range: \"x\"\r\nRange: bytes=1-2\r\n".to_owned(), 200),
        (format!("If-Range: {DATE}\r\nRange: bytes=1-2\r\n"), 206),
        (format!("If-Range: {EARLIER}\r\nRange: bytes=1-2\r\n"), 200),
        (format!("If-None-Match: {tag}\r\nRange: bytes=1-2\r\n"), 304),
        ("If-Match: \"x\"\r\nRange: bytes=99-\r\n".to_owned(), 412),
    ];
    for (fields, status) in table {
        let response = client.get_with("/file.txt", &fields);
        assert_eq!(response.status, status, "{fields:?}: {}", response.head);
        if status == 304 {
            assert_eq!(response.field("ETag"), Some(tag.as_str()));
            assert_eq!(response.field("Content-Length"), None);
        }
    }
}

#[test]
fn a_tag_changes_when_the_file_does_even_within_the_second() {
    let folder = Folder::new();
    let path = folder.write("file.txt", "before");
    let server = Server::start(&folder.root());
    let tag = || {
        server
            .get("/file.txt")
            .field("ETag")
            .expect("a tag")
            .to_owned()
    };
    set_modified(&path, Duration::new(MODIFIED, 1));
    let first = tag();
    assert_eq!(first, tag(), "it stays as long as the file does");
    set_modified(&path, Duration::new(MODIFIED, 2));
    let second = tag();
    assert_ne!(first, second, "one nanosecond");
    let copy = folder.write("copy", "before");
    set_modified(&copy, Duration::new(MODIFIED, 2));
    std::fs::rename(&copy, &path).expect("replaces");
    assert_ne!(second, tag(), "another file with the same size and time");
}

/// Mutant: a tag made of size and time of modification, which anybody may set.
#[test]
fn a_tag_changes_with_the_content_even_if_size_and_date_are_put_back() {
    let folder = Folder::new();
    let path = folder.write("file.txt", "before");
    set_modified(&path, Duration::from_secs(MODIFIED));
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let before = client.get("/file.txt");
    std::fs::write(&path, "behind").expect("writes");
    set_modified(&path, Duration::from_secs(MODIFIED));
    let after = client.get("/file.txt");
    assert_eq!(before.field("Last-Modified"), after.field("Last-Modified"));
    assert_eq!(after.text(), "behind");
    assert_ne!(before.field("ETag"), after.field("ETag"));
}

#[test]
fn dates_that_no_field_can_say_are_left_out() {
    let folder = Folder::new();
    let path = folder.write("file.txt", "");
    let server = Server::start(&folder.root());
    let file = File::options().write(true).open(&path).expect("opens");
    let before_1970 = UNIX_EPOCH - Duration::from_secs(10);
    file.set_times(FileTimes::new().set_modified(before_1970))
        .expect("sets");
    assert_eq!(server.get("/file.txt").field("Last-Modified"), None);
    set_modified(&path, Duration::from_secs(15_000_000_000));
    let response = server.get("/file.txt");
    assert_eq!(
        response.field("Last-Modified"),
        response.field("Date"),
        "never in the future"
    );
    assert!(response.field("Date").is_some());
}

#[test]
fn ranges_of_small_and_of_large_files_are_their_bytes() {
    let folder = Folder::new();
    // The small one is read into memory, of the large one some parts are and some are not.
    for size in [10_000u64, 300_000] {
        let content = pattern(size as usize);
        folder.write("file.bin", &content);
        let server = Server::start(&folder.root());
        let mut client = server.connect();
        let last = size - 1;
        for (range, expected) in [
            ("0-0".to_owned(), Some((0, 0))),
            ("0-".to_owned(), Some((0, last))),
            ("5000-5999".to_owned(), Some((5000, 5999))),
            ("1-".to_owned(), Some((1, last))),
            (format!("{last}-"), Some((last, last))),
            ("-1".to_owned(), Some((last, last))),
            ("-3000".to_owned(), Some((size - 3000, last))),
            (format!("-{}", size + 5), Some((0, last))),
            (format!("9999-{}", u64::MAX), Some((9999, last))),
            ("7-99999999999999999999".to_owned(), Some((7, last))),
            (format!("{size}-"), None),
            ("18446744073709551615-".to_owned(), None),
            ("-0".to_owned(), None),
        ] {
            let response = client.get_with("/file.bin", &format!("Range: bytes={range}\r\n"));
            let content_range = response.field("Content-Range");
            let Some((from, to)) = expected else {
                assert_eq!(response.status, 416, "{range}");
                assert_eq!(content_range, Some(format!("bytes */{size}").as_str()));
                continue;
            };
            assert_eq!(response.status, 206, "{range}");
            assert_eq!(
                content_range,
                Some(format!("bytes {from}-{to}/{size}").as_str())
            );
            assert!(
                response.body == content[from as usize..=to as usize],
                "{range} of {size}"
            );
        }
        for range in [
            "bytes=5-2",
            "bytes=0-1,5-2",
            "lines=1-2",
            "bytes",
            "bytes=a-b",
        ] {
            let response = client.get_with("/file.bin", &format!("Range: {range}\r\n"));
            assert_eq!(response.status, 200, "{range}");
            assert!(response.body == content, "{range}");
            assert_eq!(response.field("Accept-Ranges"), Some("bytes"));
        }
    }
}

/// What a HEAD says of a file is what a GET says of all of it, whatever range the request names; of nothing there are no
/// parts.
///
/// Mutants: ranges for HEAD; a suffix of an empty file as a part.
#[test]
fn ranges_are_for_get_and_for_what_has_bytes() {
    let folder = Folder::new();
    folder.write("file.bin", pattern(1_000));
    folder.write("empty", "");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    for range in ["0-0", "0-0,5-5", "1000-", "-0"] {
        client.send(format!(
            "HEAD /file.bin HTTP/1.1\r\nHost: a\r\nRange: bytes={range}\r\n\r\n"
        ));
        let head = client.read_head();
        assert_eq!(
            (head.status, head.field("Content-Length")),
            (200, Some("1000")),
            "{range}"
        );
        assert_eq!(head.field("Content-Range"), None);
        assert_eq!(head.field("Content-Type"), Some("application/octet-stream"));
    }
    for (range, status) in [
        ("0-", 416),
        ("0-0", 416),
        ("-0", 416),
        ("-1", 200),
        ("0-0,-1", 200),
    ] {
        let response = client.get_with("/empty", &format!("Range: bytes={range}\r\n"));
        assert_eq!(response.status, status, "{range}");
        let expected = (status == 416).then_some("bytes */0");
        assert_eq!(response.field("Content-Range"), expected, "{range}");
    }
}

/// Reads a multipart/byteranges body: each part's `Content-Range` and bytes.
fn split_parts(response: &Response) -> Vec<(String, Vec<u8>)> {
    let content_type = response.field("Content-Type").expect("a type");
    let boundary = content_type
        .strip_prefix("multipart/byteranges; boundary=")
        .unwrap_or_else(|| panic!("{content_type}"));
    let mut rest = response.body.as_slice();
    let mut parts = Vec::new();
    loop {
        let delimiter = format!("\r\n--{boundary}");
        rest = rest.strip_prefix(delimiter.as_bytes()).expect("a boundary");
        if rest == b"--\r\n" {
            return parts;
        }
        let end = rest.windows(4).position(|window| window == b"\r\n\r\n");
        let (head, body) = rest.split_at(end.expect("a heading") + 4);
        let head = String::from_utf8(head.to_vec()).expect("ASCII");
        assert!(head.starts_with("\r\nContent-Type: application/octet-stream\r\n"));
        let range = head.split("Content-Range: bytes ").nth(1).expect("a range");
        let range = range.trim_end();
        let (first, last) = range
            .split_once('/')
            .expect("a size")
            .0
            .split_once('-')
            .expect("ends");
        let length = last.parse::<usize>().expect("a number")
            - first.parse::<usize>().expect("a number")
            + 1;
        parts.push((range.to_owned(), body[..length].to_vec()));
        rest = &body[length..];
    }
}

/// Mutants: a `Content-Length` that counts the parts alone; a small part read where the one before
/// it ended.
#[test]
fn several_ranges_come_as_parts_and_the_connection_goes_on() {
    let folder = Folder::new();
    let content = pattern(500_000);
    folder.write("file.bin", &content);
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    // Small and large parts, forwards and backwards.
    for ranges in [
        &[(0, 0), (499_999, 499_999)][..],
        &[(400_000, 400_009), (0, 9), (200, 299)],
        &[(0, 99_999), (100_001, 100_002), (200_000, 400_000)],
        &[(300_000, 499_999), (0, 9), (1_000, 280_000)],
    ] {
        let list: Vec<String> = ranges.iter().map(|(a, b)| format!("{a}-{b}")).collect();
        let field = format!("Range: bytes={}\r\n", list.join(", "));
        let response = client.get_with("/file.bin", &field);
        assert_eq!(response.status, 206, "{field}");
        assert_eq!(response.field("Content-Range"), None, "it is in the parts");
        let parts = split_parts(&response);
        assert_eq!(parts.len(), ranges.len());
        for ((range, bytes), &(first, last)) in parts.iter().zip(ranges) {
            assert_eq!(range, &format!("{first}-{last}/500000"));
            assert!(bytes == &content[first..=last], "{range}");
        }
    }
    assert_eq!(client.get("/file.bin").body.len(), 500_000, "in step");
}

/// Mutant: parts that are sent as they were asked for, which lets 16 bytes ask for a whole file
/// again.
#[test]
fn a_bomb_of_ranges_is_answered_with_no_more_than_the_file() {
    let folder = Folder::new();
    folder.write("file.bin", pattern(100_000));
    let server = Server::start_with(&folder.root(), &["--max-ranges", "4"]);
    let mut client = server.connect();
    let mut get =
        |ranges: &str| client.get_with("/file.bin", &format!("Range: bytes={ranges}\r\n"));
    let bomb = get("0-,0-,0-,0-");
    assert_eq!(
        (bomb.status, bomb.body.len()),
        (206, 100_000),
        "they are one"
    );
    let overlapping = get("0-99,50-149,10-20");
    assert_eq!(
        overlapping.field("Content-Range"),
        Some("bytes 0-149/100000")
    );
    let four = get("0-0,2-2,4-4,6-6");
    assert_eq!(split_parts(&four).len(), 4);
    let five = get("0-0,2-2,4-4,6-6,8-8");
    assert_eq!((five.status, five.body.len()), (200, 100_000), "too many");
    assert_eq!(get("100000-,200000-").status, 416);
}

#[test]
fn a_range_counts_for_get_alone() {
    let folder = Folder::new();
    folder.write("file.bin", pattern(1_000));
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    client.send("HEAD /file.bin HTTP/1.1\r\nHost: a\r\nRange: bytes=1-2\r\n\r\n");
    let response = client.read_head();
    assert_eq!(
        (response.status, response.field("Content-Length")),
        (200, Some("1000"))
    );
    assert_eq!(
        client.get_with("/file.bin", "Range: bytes=1-2\r\n").status,
        206
    );
}

#[test]
fn ranges_far_inside_a_sparse_file_are_found() {
    let folder = Folder::new();
    const GIB: u64 = 1 << 30;
    let file = File::create(folder.path("sparse")).expect("creates");
    file.set_len(9 * GIB).expect("a sparse file");
    let marks = [5 * GIB - 3, 9 * GIB - 4];
    for offset in marks {
        std::os::unix::fs::FileExt::write_all_at(&file, b"mark", offset).expect("writes");
    }
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    assert_eq!(
        client.head("/sparse").field("Content-Length"),
        Some("9663676416")
    );
    for offset in marks {
        let range = format!("Range: bytes={offset}-{}\r\n", offset + 3);
        assert_eq!(client.get_with("/sparse", &range).text(), "mark");
        // Large enough to be moved by the kernel, with the mark in its middle.
        let (from, to) = (offset - 100_000, (offset + 100_000).min(9 * GIB - 1));
        let body = client
            .get_with("/sparse", &format!("Range: bytes={from}-{to}\r\n"))
            .body;
        assert_eq!(body.len() as u64, to - from + 1);
        assert_eq!(&body[100_000..100_004], b"mark");
        assert_eq!(body.iter().filter(|&&byte| byte != 0).count(), 4);
    }
}

#[test]
fn an_empty_file_is_served_whole_whatever_the_range() {
    let folder = Folder::new();
    folder.write("empty", "");
    let server = Server::start(&folder.root());
    let mut client = server.connect();
    let response = client.get("/empty");
    assert_eq!(
        (response.status, response.field("Content-Length")),
        (200, Some("0"))
    );
    assert_eq!(client.get_with("/empty", "Range: bytes=0-\r\n").status, 416);
    assert_eq!(client.get_with("/empty", "Range: bytes=-1\r\n").status, 200);
}
