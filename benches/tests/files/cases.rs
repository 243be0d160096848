//! The cases. Each is a name and what came of it, as text.

use std::fmt::Debug;
use std::future::poll_fn;
use std::io::{self, Read, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use super::rt;
use rt::fs::{self, DirBuilder, File, OpenOptions};
use rt::io::{AsyncReadExt, AsyncSeek, AsyncSeekExt, AsyncWriteExt};

/// No case takes as long; one that does hangs.
const PATIENCE: Duration = Duration::from_secs(40);

type Results = Vec<(String, String)>;

/// Notes what came of each case.
macro_rules! note {
    ($results:ident; $($name:expr => $outcome:expr;)*) => {$(
        let outcome = $outcome;
        $results.push(($name.to_string(), outcome));
    )*};
}

/// Runs all cases.
pub(crate) fn all() -> Results {
    let runtime = rt::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut results = Vec::new();
    let cases = async {
        pipes(&mut results).await;
        copies(&mut results, folder.path()).await;
        devices(&mut results, folder.path()).await;
        open_pipes(&mut results).await;
        options(&mut results, folder.path()).await;
        flags(&mut results, folder.path()).await;
        paths(&mut results, folder.path()).await;
        names(&mut results, folder.path()).await;
        links(&mut results, folder.path()).await;
        directories(&mut results, folder.path()).await;
        entries(&mut results, folder.path()).await;
        positions(&mut results, folder.path()).await;
        reads_and_writes(&mut results, folder.path()).await;
        modes(&mut results, folder.path()).await;
        buffered(&mut results, folder.path()).await;
        conversions(&mut results, folder.path()).await;
    };
    let finished = runtime.block_on(async { rt::time::timeout(PATIENCE, cases).await });
    assert!(finished.is_ok(), "it hangs after {:?}", results.last());
    results
}

fn told<T: Debug>(result: io::Result<T>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => format!("{:?} {:?}", error.kind(), error.raw_os_error()),
    }
}

fn fifo(path: PathBuf) -> PathBuf {
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.unwrap().success());
    path
}

fn nonblocking(path: &Path) -> std::fs::File {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::File::options();
    let opened = options.read(true).custom_flags(libc::O_NONBLOCK).open(path);
    opened.unwrap()
}

async fn pipes(results: &mut Results) {
    // A pipe by its name in /dev/fd, as a shell gives it to a program.
    for bytes in [0, 5, 100_000, 3 << 20] {
        let (reader, mut writer) = io::pipe().unwrap();
        let writing = std::thread::spawn(move || writer.write_all(&vec![7; bytes]));
        let path = format!("/dev/fd/{}", reader.as_raw_fd());
        note! { results;
            &format!("read: a pipe with {bytes} bytes") => told(fs::read(&path).await.map(|read| read.len()));
        }
        drop(reader);
        let _ = writing.join().unwrap();
        let (mut reader, writer) = io::pipe().unwrap();
        let path = format!("/dev/fd/{}", writer.as_raw_fd());
        let reading = std::thread::spawn(move || {
            let mut all = Vec::new();
            reader.read_to_end(&mut all).map(|_| all.len())
        });
        note! { results;
            &format!("write: a pipe, {bytes} bytes") => told(fs::write(&path, vec![7; bytes]).await);
        }
        drop(writer);
        note! { results; "write: arrived" => told(reading.join().unwrap()); }
    }
}

async fn copies(results: &mut Results, folder: &Path) {
    let path = fifo(folder.join("fifo"));
    let copy = path.clone();
    let writing = std::thread::spawn(move || std::fs::write(copy, "through a fifo"));
    note! { results;
        "read_to_string: a fifo" => told(fs::read_to_string(&path).await);
    }
    // Lets the writer go on, should nobody have read.
    drop(nonblocking(&path));
    let _ = writing.join().unwrap();
    let copy = path.clone();
    let writing = std::thread::spawn(move || std::fs::write(copy, "through a fifo"));
    note! { results;
        "copy: from a fifo" => told(fs::copy(&path, folder.join("copied")).await);
    }
    // Lets the writer go on, should nobody have read.
    drop(nonblocking(&path));
    let _ = writing.join().unwrap();
    note! { results;
        "copy: what came" => told(fs::read_to_string(folder.join("copied")).await);
        "copy: from a directory" => told(fs::copy(folder, folder.join("copied")).await);
        "copy: to a directory" => told(fs::copy(folder.join("copied"), folder).await);
        "copy: to the null device" => told(fs::copy(folder.join("copied"), "/dev/null").await);
        "copy: from /proc" => told(fs::copy("/proc/self/status", folder.join("status")).await.map(|bytes| bytes > 100));
        "copy: nothing there" => told(fs::copy("/nowhere", folder.join("x")).await);
    }
    let locked = folder.join("locked");
    std::fs::write(&locked, "locked").unwrap();
    std::fs::set_permissions(&locked, std::fs::Permissions::from_mode(0o440)).unwrap();
    note! { results;
        "copy: of what is read only" => told(fs::copy(&locked, folder.join("unlocked")).await);
    }
    let mode = |path: &Path| std::fs::metadata(path).map(|it| it.mode() & 0o7777);
    note! { results;
        "copy: its mode" => told(mode(&folder.join("unlocked")));
    }
}

async fn devices(results: &mut Results, folder: &Path) {
    note! { results;
        "read: a directory" => told(fs::read(folder).await);
        "read: /proc" => told(fs::read("/proc/self/stat").await.map(|it| !it.is_empty()));
        "read: /dev/null" => told(fs::read("/dev/null").await);
        "read: not UTF-8" => { std::fs::write(folder.join("bad"), [0xff]).unwrap(); told(fs::read_to_string(folder.join("bad")).await) };
        "write: /dev/null" => told(fs::write("/dev/null", vec![1; 2 << 20]).await);
        "write: /dev/full" => told(fs::write("/dev/full", "x").await);
        "write: /dev/full, more" => told(fs::write("/dev/full", vec![1; 2 << 20]).await);
        "write: a directory" => told(fs::write(folder, "x").await);
    }
    let mut null = File::open("/dev/null").await.unwrap();
    note! { results;
        "seek: /dev/null" => told(null.seek(SeekFrom::End(5)).await);
        "set_len: /dev/null" => told(null.set_len(5).await);
        "sync_all: /dev/null" => told(null.sync_all().await);
    }
    let mut zero = File::open("/dev/zero").await.unwrap();
    note! { results;
        "read: /dev/zero" => told(zero.read(&mut [1; 9]).await);
    }
    let mut full = OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .await
        .unwrap();
    let written = full.write(b"x").await.is_ok();
    let flushed = full.flush().await;
    // The error comes at once here, and with the next call in tokio.
    note! { results;
        "write: one of both fails" => told::<bool>(Ok(written && flushed.is_ok()));
    }
}

async fn open_pipes(results: &mut Results) {
    let (reader, writer) = io::pipe().unwrap();
    let mut sink = File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(writer)));
    let mut source = File::from_std(std::fs::File::from(std::os::fd::OwnedFd::from(reader)));
    note! { results;
        "pipe: write" => told(sink.write(b"hello").await);
        "pipe: flush" => told(sink.flush().await);
        "pipe: seek" => told(sink.seek(SeekFrom::Start(1)).await);
        "pipe: set_len" => told(sink.set_len(1).await);
        "pipe: sync_all" => told(sink.sync_all().await);
        "pipe: read" => told(source.read(&mut [0; 3]).await);
        "pipe: metadata" => told(source.metadata().await.map(|it| it.len()));
    }
    let mut rest = String::new();
    drop(sink);
    let read = source.read_to_string(&mut rest).await;
    note! { results; "pipe: to the end" => format!("{} {rest}", told(read)); }
}

async fn options(results: &mut Results, folder: &Path) {
    let there = folder.join("there");
    for bits in 0..64_u32 {
        for path in ["there", "missing"] {
            std::fs::write(&there, "content").unwrap();
            let _ = std::fs::remove_file(folder.join("missing"));
            let is = |bit: u32| bits & (1 << bit) != 0;
            let opened = OpenOptions::new()
                .read(is(0))
                .write(is(1))
                .append(is(2))
                .truncate(is(3))
                .create(is(4))
                .create_new(is(5))
                .mode(0o640)
                .open(folder.join(path))
                .await;
            let opened = match opened {
                Ok(mut file) => {
                    let read = told(file.read(&mut [0; 3]).await);
                    let written = told(file.write(b"new").await);
                    let flushed = match written.contains("None") || written.contains("Some") {
                        true => String::new(),
                        false => told(file.flush().await),
                    };
                    let at = told(file.stream_position().await);
                    let failed = written.starts_with(|it: char| it.is_alphabetic())
                        || flushed.starts_with(|it: char| it.is_alphabetic());
                    let content = std::fs::read_to_string(folder.join(path)).unwrap();
                    let mode = file.metadata().await.unwrap().mode() & 0o777;
                    let mode = if path == "missing" { mode } else { 0 };
                    format!("{read} {failed} {at} {content} {mode:o}")
                }
                Err(error) => told::<()>(Err(error)),
            };
            note! { results;
                format!("open: {bits:06b} {path}") => opened;
            }
        }
    }
}

async fn flags(results: &mut Results, folder: &Path) {
    let there = folder.join("there");
    let flags = [
        ("directory", libc::O_DIRECTORY),
        ("no follow", libc::O_NOFOLLOW),
        ("path", libc::O_PATH),
        ("truncate", libc::O_TRUNC),
        ("append", libc::O_APPEND),
        ("exclusive", libc::O_EXCL),
        ("read and write", libc::O_RDWR),
        ("temporary", libc::O_TMPFILE),
        ("no blocking", libc::O_NONBLOCK),
    ];
    let link = folder.join("link");
    std::os::unix::fs::symlink(&there, &link).unwrap();
    for (name, flag) in flags {
        for path in [&there, &link, folder] {
            for write in [false, true] {
                std::fs::write(&there, "content").unwrap();
                let opened = OpenOptions::new()
                    .read(!write)
                    .write(write)
                    .custom_flags(flag)
                    .open(path)
                    .await;
                let is_there = std::fs::read(&there).unwrap().len();
                note! { results;
                    format!("custom_flags: {name} {:?} {write}", path.file_name().filter(|_| path != folder)) => told(opened.map(|_| is_there));
                }
            }
        }
    }
}

async fn paths(results: &mut Results, folder: &Path) {
    let there = folder.join("there");
    note! { results;
        "open: a NUL" => told(File::open("a\0b").await.map(drop));
        "open: empty" => told(File::open("").await.map(drop));
    }
    let long = "x".repeat(5000);
    note! { results;
        "open: too long" => told(File::open(&long).await.map(drop));
        "open: name too long" => told(File::open(&long[..300]).await.map(drop));
        "open: beneath a file" => told(File::open(there.join("x")).await.map(drop));
    }
    std::os::unix::fs::symlink("circle", folder.join("circle")).unwrap();
    note! { results;
        "open: a circle" => told(File::open(folder.join("circle")).await.map(drop));
        "create_new: there" => told(File::create_new(&there).await.map(drop));
        "create_new: a dangling link" => { std::os::unix::fs::symlink("nothing", folder.join("dangling")).unwrap(); told(File::create_new(folder.join("dangling")).await.map(drop)) };
        "create: a dangling link" => told(File::create(folder.join("dangling")).await.map(drop));
        "Debug" => format!("{:?}", OpenOptions::new()).is_empty().to_string();
    }
}

async fn names(results: &mut Results, folder: &Path) {
    let root = folder.join("names");
    std::fs::create_dir(&root).unwrap();
    let file = root.join("file");
    std::fs::write(&file, "content").unwrap();
    let empty = root.join("empty");
    std::fs::create_dir(&empty).unwrap();
    let full = root.join("full");
    std::fs::create_dir(&full).unwrap();
    std::fs::write(full.join("x"), "x").unwrap();
    let bad = ["", "a\0b", "/nowhere/x"];
    for path in bad {
        note! { results;
            "canonicalize" => told(fs::canonicalize(path).await);
            "create_dir" => told(fs::create_dir(path).await);
            "create_dir_all" => if path.starts_with('/') { String::new() } else { told(fs::create_dir_all(path).await) };
            "hard_link" => told(fs::hard_link(path, root.join("h")).await);
            "hard_link to" => told(fs::hard_link(&file, path).await);
            "metadata" => told(fs::metadata(path).await.map(drop));
            "read" => told(fs::read(path).await);
            "read_dir" => told(fs::read_dir(path).await.map(drop));
            "read_link" => told(fs::read_link(path).await);
            "remove_dir" => told(fs::remove_dir(path).await);
            "remove_dir_all" => told(fs::remove_dir_all(path).await);
            "remove_file" => told(fs::remove_file(path).await);
            "rename" => told(fs::rename(path, root.join("r")).await);
            "rename to" => told(fs::rename(&file, path).await);
            "symlink" => told(fs::symlink(path, root.join("s")).await);
        }
        let _ = std::fs::remove_file(root.join("s"));
        note! { results;
            "symlink to" => told(fs::symlink("x", path).await);
            "symlink_metadata" => told(fs::symlink_metadata(path).await.map(drop));
            "try_exists" => told(fs::try_exists(path).await);
            "write" => told(fs::write(path, "x").await);
            "copy" => told(fs::copy(path, root.join("c")).await);
            "copy to" => told(fs::copy(&file, path).await);
        }
        let mode = std::fs::Permissions::from_mode(0o600);
        note! { results;
            "set_permissions" => told(fs::set_permissions(path, mode).await);
        }
    }
}

async fn links(results: &mut Results, folder: &Path) {
    let root = folder.join("names");
    let (file, empty, full) = (root.join("file"), root.join("empty"), root.join("full"));
    note! { results;
        "try_exists: there" => told(fs::try_exists(&file).await);
        "try_exists: beneath a file" => told(fs::try_exists(file.join("x")).await);
        "try_exists: a circle" => told(fs::try_exists(folder.join("circle")).await);
    }
    std::os::unix::fs::symlink("nothing-at-all", root.join("to-nothing")).unwrap();
    note! { results;
        "try_exists: a link to nothing" => told(fs::try_exists(root.join("to-nothing")).await);
        "metadata: a link to nothing" => told(fs::metadata(root.join("to-nothing")).await.map(drop));
        "symlink_metadata: the same" => told(fs::symlink_metadata(root.join("to-nothing")).await.map(|it| it.is_symlink()));
        "read_link: a file" => told(fs::read_link(&file).await);
        "read_link: a link" => told(fs::read_link(root.join("to-nothing")).await);
        "remove_dir: a file" => told(fs::remove_dir(&file).await);
        "remove_dir: not empty" => told(fs::remove_dir(&full).await);
        "remove_file: a directory" => told(fs::remove_file(&empty).await);
        "rename: a file over a directory" => told(fs::rename(&file, &empty).await);
        "rename: a directory over a file" => told(fs::rename(&empty, &file).await);
        "rename: over a full one" => told(fs::rename(&empty, &full).await);
        "rename: into itself" => told(fs::rename(&full, full.join("y")).await);
        "hard_link: a directory" => told(fs::hard_link(&empty, root.join("h")).await);
        "hard_link: of a link" => told(fs::hard_link(root.join("to-nothing"), root.join("h")).await);
        "hard_link: is one" => told(std::fs::symlink_metadata(root.join("h")).map(|it| it.is_symlink()));
        "symlink: there" => told(fs::symlink("x", &file).await);
    }
    std::os::unix::fs::symlink(&full, root.join("to-full")).unwrap();
    note! { results;
        "remove_dir_all: a link" => told(fs::remove_dir_all(root.join("to-full")).await);
        "remove_dir_all: leaves" => told(fs::try_exists(full.join("x")).await);
        "remove_dir_all: a file" => told(fs::remove_dir_all(&file).await);
        "remove_dir_all" => told(fs::remove_dir_all(&full).await);
        "canonicalize" => told(fs::canonicalize(root.join("empty/..")).await.map(|it| it == root.canonicalize().unwrap()));
    }
}

async fn directories(results: &mut Results, folder: &Path) {
    let root = folder.join("directories");
    std::fs::create_dir(&root).unwrap();
    let mode = |path: &str| {
        let found = std::fs::metadata(root.join(path)).map(|it| it.mode() & 0o7777);
        found.map(|mode| format!("{mode:o}"))
    };
    note! { results;
        "create_dir: there" => told(fs::create_dir(&root).await);
        "create_dir_all: there" => told(fs::create_dir_all(&root).await);
        "create_dir_all" => told(fs::create_dir_all(root.join("a/b/../c")).await);
        "create_dir_all: made" => told(fs::try_exists(root.join("a/c")).await);
    }
    std::fs::write(root.join("file"), "").unwrap();
    note! { results;
        "create_dir_all: a file" => told(fs::create_dir_all(root.join("file")).await);
        "create_dir_all: beneath a file" => told(fs::create_dir_all(root.join("file/x/y")).await);
    }
    std::os::unix::fs::symlink("a", root.join("to-a")).unwrap();
    note! { results;
        "create_dir_all: a link to one" => told(fs::create_dir_all(root.join("to-a")).await);
    }
    std::os::unix::fs::symlink("nothing", root.join("to-nothing")).unwrap();
    note! { results;
        "create_dir_all: a link to nothing" => told(fs::create_dir_all(root.join("to-nothing")).await);
    }
    let mut builder = DirBuilder::new();
    builder.mode(0o711);
    note! { results;
        "DirBuilder" => told(builder.create(root.join("m")).await);
        "DirBuilder: mode" => told(mode("m"));
        "DirBuilder: there" => told(builder.create(root.join("m")).await);
    }
    builder.recursive(true);
    note! { results;
        "DirBuilder: recursive" => told(builder.create(root.join("n/o/p")).await);
        "DirBuilder: modes" => format!("{:?} {:?} {:?}", told(mode("n")), told(mode("n/o")), told(mode("n/o/p")));
        "DirBuilder: again" => told(builder.create(root.join("n/o/p")).await);
        "DirBuilder: Debug" => format!("{builder:?}").contains("DirBuilder").to_string();
    }
}

async fn entries(results: &mut Results, folder: &Path) {
    let root = folder.join("directories");
    let list = root.join("list");
    std::fs::create_dir(&list).unwrap();
    let mut entries = fs::read_dir(&list).await.unwrap();
    note! { results;
        "next_entry: none" => told(entries.next_entry().await.map(|it| it.is_some()));
        "next_entry: again" => told(entries.next_entry().await.map(|it| it.is_some()));
    }
    for number in 0..100 {
        std::fs::write(list.join(number.to_string()), "x".repeat(number)).unwrap();
    }
    std::os::unix::fs::symlink("1", list.join("link")).unwrap();
    let mut entries = fs::read_dir(&list).await.unwrap();
    let mut found = Vec::new();
    while let Some(entry) = poll_fn(|cx| entries.poll_next_entry(cx)).await.unwrap() {
        let metadata = entry.metadata().await.unwrap();
        let kind = entry.file_type().await.unwrap();
        assert_eq!(entry.path(), list.join(entry.file_name()));
        assert_eq!(entry.ino(), metadata.ino());
        found.push((
            entry.file_name(),
            metadata.len(),
            kind.is_symlink(),
            kind.is_file(),
        ));
    }
    found.sort();
    note! { results;
        "entries" => format!("{found:?}");
    }
    let mut entries = fs::read_dir(&list).await.unwrap();
    let entry = entries.next_entry().await.unwrap().unwrap();
    std::fs::remove_file(entry.path()).unwrap();
    note! { results;
        "entry: gone" => told(entry.metadata().await.map(drop));
        "entry: its kind" => told(entry.file_type().await.map(|_| ()));
    }
    std::fs::remove_dir_all(&list).unwrap();
    note! { results;
        "entries: after the directory" => told(entries.next_entry().await.map(|_| ()));
        "read_dir: a file" => told(fs::read_dir(root.join("file")).await.map(drop));
    }
}

async fn positions(results: &mut Results, folder: &Path) {
    let path = folder.join("positions");
    std::fs::write(&path, "0123456789").unwrap();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .await
        .unwrap();
    for to in [
        SeekFrom::Start(3),
        SeekFrom::Current(-4),
        SeekFrom::Current(2),
        SeekFrom::End(-2),
        SeekFrom::End(-11),
        SeekFrom::End(5),
        SeekFrom::Current(i64::MAX),
        SeekFrom::Current(i64::MIN),
        SeekFrom::Start(u64::MAX),
        SeekFrom::Start(1 << 63),
        SeekFrom::Start(i64::MAX as u64),
        SeekFrom::Current(1),
        SeekFrom::Start(0),
    ] {
        note! { results;
            &format!("seek: {to:?}") => told(file.seek(to).await);
            "seek: position" => told(file.stream_position().await);
        }
        let mut bytes = [b'-'; 2];
        let read = told(file.read(&mut bytes).await);
        note! { results;
            "seek: read" => format!("{read} {bytes:?}");
        }
        if read.starts_with('2') {
            note! { results;
                "seek: back" => told(file.seek(SeekFrom::Current(-1)).await);
            }
        }
    }
}

async fn reads_and_writes(results: &mut Results, folder: &Path) {
    let path = folder.join("positions");
    std::fs::write(&path, "0123456789").unwrap();
    let mut options = OpenOptions::new();
    let mut file = options.read(true).write(true).open(&path).await.unwrap();
    note! { results;
        "read: no room" => told(file.read(&mut []).await);
        "write: nothing" => told(file.write(&[]).await);
        "read_exact" => told(file.read_exact(&mut [0; 4]).await.map(|_| ()));
        "write: after a read" => told(file.write_all(b"xy").await);
        "read: after a write" => told(file.read(&mut [0; 1]).await);
        "position" => told(file.stream_position().await);
        "set_len: shorter" => told(file.set_len(3).await);
        "position: behind the end" => told(file.stream_position().await);
        "read: behind the end" => told(file.read(&mut [0; 1]).await);
        "write: behind the end" => told(file.write_all(b"z").await);
        "flush" => told(file.flush().await);
        "a hole" => told(std::fs::read(&path));
    }
    let too_long = |result: io::Result<()>| format!("{:?}", result.map_err(|error| error.kind()));
    note! { results;
        "set_len: too long" => too_long(file.set_len(u64::MAX).await);
        "set_len: too long by one" => too_long(file.set_len(1 << 63).await);
        "rewind" => told(file.rewind().await);
        "seek: position after an error" => { let _ = file.seek(SeekFrom::End(-100)).await; told(file.stream_position().await) };
    }
    // Two seeks by hand, and none that is completed.
    let mut pinned = Pin::new(&mut file);
    note! { results;
        "start_seek" => told(pinned.as_mut().start_seek(SeekFrom::Start(2)));
        "poll_complete" => told(poll_fn(|cx| pinned.as_mut().poll_complete(cx)).await);
        "poll_complete: again" => told(poll_fn(|cx| pinned.as_mut().poll_complete(cx)).await.map(|_| ()));
    }
}

async fn modes(results: &mut Results, folder: &Path) {
    let path = folder.join("positions");
    let mut appended = OpenOptions::new()
        .read(true)
        .append(true)
        .open(&path)
        .await
        .unwrap();
    note! { results;
        "append: position" => told(appended.stream_position().await);
        "append: read" => told(appended.read(&mut [0; 2]).await);
        "append: write" => told(appended.write_all(b"end").await);
        "append: flush" => told(appended.flush().await);
        "append: position" => told(appended.stream_position().await);
        "append: read at the end" => told(appended.read(&mut [0; 2]).await);
        "append: seek" => told(appended.seek(SeekFrom::Start(1)).await);
        "append: write" => told(appended.write_all(b"!").await);
        "append: flush" => told(appended.flush().await);
        "append: content" => told(std::fs::read(&path));
    }
    let mut directory = File::open(folder).await.unwrap();
    note! { results;
        "directory: read" => told(directory.read(&mut [0; 2]).await);
        "directory: metadata" => told(directory.metadata().await.map(|it| it.is_dir()));
        "directory: sync_all" => told(directory.sync_all().await);
        "directory: set_len" => told(directory.set_len(1).await);
    }
    let mut read_only = File::open(&path).await.unwrap();
    note! { results;
        "read only: set_len" => told(read_only.set_len(1).await);
    }
    let written = read_only.write(b"x").await;
    let flushed = read_only.flush().await;
    note! { results;
        "read only: write or flush" => written.and(flushed).map_err(|error| error.raw_os_error()).is_err().to_string();
    }
    let mut write_only = OpenOptions::new().write(true).open(&path).await.unwrap();
    note! { results;
        "write only: read" => told(write_only.read(&mut [0; 1]).await);
    }
}

async fn buffered(results: &mut Results, folder: &Path) {
    let path = folder.join("buffered");
    for bytes in [1, 4096, 65_536, (2 << 20) + 1, 5 << 20] {
        let mut file = File::create(&path).await.unwrap();
        file.set_max_buf_size(1 << 20);
        note! { results;
            "max_buf_size" => file.max_buf_size().to_string();
        }
        file.write_all(&vec![1; bytes]).await.unwrap();
        note! { results;
            "set_len beside what is buffered" => told(file.set_len(bytes as u64 / 2).await);
            "length" => told(file.metadata().await.map(|it| it.len() <= bytes as u64));
        }
        file.write_all(b"x").await.unwrap();
        file.flush().await.unwrap();
        note! { results;
            "length, flushed" => told(std::fs::metadata(&path).map(|it| it.len()));
        }
        drop(file);
        let mut file = File::open(&path).await.unwrap();
        file.set_max_buf_size(1 << 10);
        let mut all = Vec::new();
        note! { results;
            "read_to_end" => told(file.read_to_end(&mut all).await);
            "sum" => all.iter().map(|byte| u64::from(*byte)).sum::<u64>().to_string();
        }
        file.rewind().await.unwrap();
        note! { results;
            "read: no more than the buffer" => told(file.read(&mut vec![0; 1 << 20]).await.map(|count| count <= 1 << 20 && count > 0));
        }
        let mut clone = file.try_clone().await.unwrap();
        note! { results;
            "clone: max_buf_size" => clone.max_buf_size().to_string();
        }
        file.rewind().await.unwrap();
        note! { results;
            "clone: shares the position" => told(clone.stream_position().await);
        }
        let mut one = [0; 1];
        file.read_exact(&mut one).await.unwrap_or_default();
    }
    // Each is written before the file ends, though nobody flushes.
    for number in 0..20 {
        let path = folder.join(format!("dropped-{number}"));
        let mut file = File::create(&path).await.unwrap();
        file.write_all(&vec![3; 300_000]).await.unwrap();
        let std = file.into_std().await;
        note! { results;
            "into_std: what was written" => told(std.metadata().map(|it| it.len()));
        }
    }
    let mut file = File::create(&path).await.unwrap();
    file.write_all(b"hello").await.unwrap();
    file.shutdown().await.unwrap();
    note! { results;
        "write: after shutdown" => told(file.write_all(b"!").await);
        "sync_data" => told(file.sync_data().await);
        "content" => told(std::fs::read(&path));
    }
    let slices = [
        io::IoSlice::new(b"a"),
        io::IoSlice::new(b""),
        io::IoSlice::new(b"bc"),
    ];
    note! { results;
        "write_vectored: nothing" => told(file.write_vectored(&[]).await);
        "write_vectored: something" => told(file.write_vectored(&slices).await.map(|count| count > 0));
    }
}

async fn conversions(results: &mut Results, folder: &Path) {
    let path = folder.join("conversions");
    std::fs::write(&path, "0123456789").unwrap();
    let std = std::fs::File::options()
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    let mut other = std.try_clone().unwrap();
    let mut file = File::from_std(std);
    note! { results;
        "read" => told(file.read(&mut [0; 3]).await);
    }
    let file = file.into_std().await;
    note! { results;
        "into_std: position" => told(io::Seek::stream_position(&mut (&file)));
        "of the other" => told(io::Seek::stream_position(&mut other));
    }
    let mut file = File::from(file);
    note! { results;
        "write" => told(file.write_all(b"ab").await);
        "flush" => told(file.flush().await);
        "of the other" => told(io::Seek::stream_position(&mut other));
        "at" => { let mut bytes = [0; 6]; told(other.read_exact_at(&mut bytes, 0).map(|()| bytes)) };
    }
    other.set_len(4).unwrap();
    note! { results;
        "read: behind what another has cut off" => told(file.read(&mut [0; 4]).await);
    }
    io::Seek::seek(&mut other, SeekFrom::Start(1)).unwrap();
    let mut bytes = [0; 2];
    note! { results;
        "read: where the other is" => told(file.read(&mut bytes).await.map(|_| bytes));
        "try_into_std" => file.try_into_std().is_ok().to_string();
    }
    let mut file = File::open(&path).await.unwrap();
    file.read_exact(&mut [0; 2]).await.unwrap();
    let std = file.into_std().await;
    note! { results;
        "into_std: where it was" => told(io::Seek::stream_position(&mut (&std)));
    }
    let mut owned = File::from(std::os::fd::OwnedFd::from(std));
    note! { results;
        "read on" => told(owned.read(&mut [0; 9]).await);
        "Debug" => format!("{owned:?}").starts_with("tokio::fs::File").to_string();
        "as_raw_fd" => (owned.as_raw_fd() > 2).to_string();
    }
}
