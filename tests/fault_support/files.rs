//! Scenarios of files and their names.

use std::fs::Permissions;
use std::io::{self, SeekFrom};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use ringway::fs::{self, File, OpenOptions};
use ringway::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use ringway::net::UnixStream;
use tempfile::TempDir;

use super::{Cut, cases, join, nothing};

cases![
    open,
    create,
    read_whole,
    read_to_string,
    write_whole,
    read,
    read_direct,
    write_and_flush,
    write_synchronous,
    seek,
    read_at,
    write_at,
    sync_all,
    sync_data,
    set_len,
    allocate,
    file_metadata,
    file_status,
    try_clone,
    into_std,
    close,
    set_permissions,
    set_modified,
    metadata,
    try_exists,
    read_dir,
    create_dir_all,
    remove_dir_all,
    rename,
    hard_link,
    symlink,
    read_link,
    remove_file,
    canonicalize,
    copy,
    beneath,
    names_beneath,
    list_beneath,
    transfer,
    read_vectored_at,
    write_vectored_at,
    past_the_cache,
    advise,
    sync_range,
    status,
    walk,
];

pub(super) const TEXT: &[u8] = b"some bytes of a file";

pub(super) fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

pub(super) fn with_text(folder: &TempDir) -> PathBuf {
    let path = folder.path().join("text");
    std::fs::write(&path, TEXT).expect("room");
    path
}

/// A file whose bytes are not in memory, so that only the ring has them.
async fn direct(path: &Path, len: usize) -> io::Result<File> {
    std::fs::write(path, vec![9; len]).expect("room");
    OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DSYNC)
        .open(path)
        .await
}

async fn open(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    cut.at(File::open(&path), nothing).await.transpose()?;
    let mut bytes = Vec::new();
    File::open(&path).await?.read_to_end(&mut bytes).await?;
    assert_eq!(bytes, TEXT);
    Ok(())
}

async fn create(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    cut.at(File::create_new(&path), nothing).await.transpose()?;
    File::create(&path).await.map(drop)
}

async fn read_whole(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    if let Some(bytes) = cut.at(fs::read(&path), nothing).await {
        assert_eq!(bytes?, TEXT);
    }
    Ok(())
}

async fn read_to_string(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    if let Some(text) = cut.at(fs::read_to_string(&path), nothing).await {
        assert_eq!(text?.as_bytes(), TEXT);
    }
    Ok(())
}

async fn write_whole(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let written = cut.at(fs::write(&path, TEXT), nothing).await;
    if written.transpose()?.is_some() {
        assert_eq!(std::fs::read(&path).expect("a file"), TEXT);
    }
    Ok(())
}

async fn read(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = File::open(with_text(&folder)).await?;
    let mut buffer = [0; 8];
    let count = match cut.at(file.read(&mut buffer), nothing).await {
        Some(count) => count?,
        None => file.read(&mut buffer).await?,
    };
    assert_eq!(&buffer[..count], &TEXT[..count]);
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).await?;
    assert_eq!(rest, &TEXT[count..]);
    Ok(())
}

/// Past the cache, so that the ring reads.
async fn read_direct(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("large");
    let len = 1 << 20;
    let file = direct(&path, len).await?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a hint");
    let mut file = file;
    let mut bytes = vec![0; 1 << 16];
    let first = match cut.at(file.read(&mut bytes), nothing).await {
        Some(count) => count?,
        None => file.read(&mut bytes).await?,
    };
    assert!(first > 0 && bytes[..first].iter().all(|byte| *byte == 9));
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).await?;
    assert_eq!(first + rest.len(), len, "no byte is lost or doubled");
    Ok(())
}

async fn write_and_flush(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = File::create(&path).await?;
    write_text(file, &path, cut).await
}

/// Each write waits for the disk, and so goes through the ring.
async fn write_synchronous(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = direct(&path, 0).await?;
    write_text(file, &path, cut).await
}

async fn write_text(mut file: File, path: &Path, cut: &Cut) -> io::Result<()> {
    let both = async {
        file.write_all(TEXT).await?;
        file.flush().await
    };
    let written = cut.at(both, nothing).await.transpose()?;
    file.flush().await?;
    let bytes = std::fs::read(path).expect("a file");
    match written {
        Some(()) => assert_eq!(bytes, TEXT),
        None => assert!(TEXT.starts_with(&bytes), "{bytes:?}"),
    }
    Ok(())
}

async fn seek(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = File::open(with_text(&folder)).await?;
    cut.at(file.seek(SeekFrom::End(-4)), nothing)
        .await
        .transpose()?;
    file.seek(SeekFrom::End(-4)).await?;
    let mut end = String::new();
    file.read_to_string(&mut end).await?;
    assert_eq!(end.as_bytes(), &TEXT[TEXT.len() - 4..]);
    Ok(())
}

async fn read_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    let read = file.read_exact_at(vec![0; 5], 5);
    if let Some((result, buffer)) = cut.at(read, nothing).await {
        result?;
        assert_eq!(buffer, &TEXT[5..10]);
    }
    Ok(())
}

async fn write_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = File::create(&path).await?;
    if let Some((result, _)) = cut.at(file.write_all_at(TEXT, 3), nothing).await {
        result?;
        assert_eq!(&std::fs::read(&path).expect("a file")[3..], TEXT);
    }
    Ok(())
}

async fn sync_all(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = File::create(folder.path().join("new")).await?;
    file.write_all(TEXT).await?;
    cut.at(file.sync_all(), nothing).await.transpose()?;
    file.sync_all().await
}

async fn sync_data(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = File::create(folder.path().join("new")).await?;
    file.write_all(TEXT).await?;
    cut.at(file.sync_data(), nothing).await.transpose()?;
    file.sync_data().await
}

async fn set_len(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = File::create(&path).await?;
    cut.at(file.set_len(10), nothing).await.transpose()?;
    file.set_len(10).await?;
    assert_eq!(std::fs::metadata(&path).expect("a file").len(), 10);
    Ok(())
}

async fn allocate(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::create(folder.path().join("new")).await?;
    let allocated = cut.at(file.allocate(0, 4096), nothing).await;
    allocated.unwrap_or(Ok(()))
}

async fn file_metadata(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    if let Some(metadata) = cut.at(file.metadata(), nothing).await {
        assert_eq!(metadata?.len(), TEXT.len() as u64);
    }
    Ok(())
}

async fn file_status(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    cut.at(file.status(), nothing).await.transpose().map(drop)
}

async fn try_clone(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    cut.at(file.try_clone(), nothing).await.transpose()?;
    let mut bytes = Vec::new();
    file.try_clone().await?.read_to_end(&mut bytes).await?;
    assert_eq!(bytes, TEXT);
    Ok(())
}

async fn into_std(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = direct(&folder.path().join("new"), 0).await?;
    file.write_all(TEXT).await?;
    cut.at(file.into_std(), nothing).await;
    Ok(())
}

async fn close(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = direct(&folder.path().join("new"), 0).await?;
    file.write_all(TEXT).await?;
    cut.at(file.close(), nothing).await.unwrap_or(Ok(()))
}

async fn set_permissions(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    let permissions = Permissions::from_mode(0o640);
    let file = File::open(&path).await?;
    cut.at(file.set_permissions(permissions.clone()), nothing)
        .await
        .transpose()?;
    fs::set_permissions(&path, permissions).await
}

async fn set_modified(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    let set = file.set_modified(SystemTime::UNIX_EPOCH);
    cut.at(set, nothing).await.unwrap_or(Ok(()))
}

async fn metadata(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    if let Some(metadata) = cut.at(fs::metadata(&path), nothing).await {
        assert!(metadata?.is_file());
    }
    fs::symlink_metadata(&path).await.map(drop)
}

async fn try_exists(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    if let Some(exists) = cut.at(fs::try_exists(&path), nothing).await {
        assert!(exists?);
    }
    Ok(())
}

async fn read_dir(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    let list = async {
        let mut entries = fs::read_dir(folder.path()).await?;
        let mut found = Vec::new();
        while let Some(entry) = entries.next_entry().await? {
            assert!(entry.file_type().await?.is_file());
            entry.metadata().await?;
            found.push(entry.path());
        }
        io::Result::Ok(found)
    };
    if let Some(found) = cut.at(list, nothing).await {
        assert_eq!(found?, [path]);
    }
    Ok(())
}

async fn create_dir_all(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("a/b/c");
    cut.at(fs::create_dir_all(&path), nothing)
        .await
        .transpose()?;
    fs::create_dir_all(&path).await?;
    fs::create_dir(path.join("d")).await?;
    fs::remove_dir(path.join("d")).await
}

async fn remove_dir_all(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("a");
    std::fs::create_dir_all(path.join("b/c")).expect("room");
    std::fs::write(path.join("b/file"), TEXT).expect("room");
    if cut
        .at(fs::remove_dir_all(&path), nothing)
        .await
        .transpose()?
        .is_some()
    {
        assert!(!path.exists());
    }
    Ok(())
}

async fn rename(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let (from, to) = (with_text(&folder), folder.path().join("to"));
    if cut
        .at(fs::rename(&from, &to), nothing)
        .await
        .transpose()?
        .is_some()
    {
        assert!(to.exists());
    }
    Ok(())
}

async fn hard_link(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let (from, to) = (with_text(&folder), folder.path().join("to"));
    let linked = cut.at(fs::hard_link(&from, &to), nothing).await;
    linked.unwrap_or(Ok(()))
}

async fn symlink(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let (from, to) = (with_text(&folder), folder.path().join("to"));
    let linked = cut.at(fs::symlink(&from, &to), nothing).await;
    linked.unwrap_or(Ok(()))
}

async fn read_link(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let (from, to) = (with_text(&folder), folder.path().join("to"));
    std::os::unix::fs::symlink(&from, &to).expect("room");
    if let Some(link) = cut.at(fs::read_link(&to), nothing).await {
        assert_eq!(link?, from);
    }
    Ok(())
}

async fn remove_file(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    let removed = cut.at(fs::remove_file(&path), nothing).await;
    if removed.transpose()?.is_some() {
        assert!(!path.exists());
    }
    Ok(())
}

async fn canonicalize(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    let canonical = cut.at(fs::canonicalize(&path), nothing).await;
    canonical.transpose().map(drop)
}

async fn copy(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let (from, to) = (with_text(&folder), folder.path().join("to"));
    if let Some(copied) = cut.at(fs::copy(&from, &to), nothing).await {
        assert_eq!(copied?, TEXT.len() as u64);
    }
    Ok(())
}

async fn beneath(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    with_text(&folder);
    let both = async {
        let dir = fs::Dir::open(folder.path()).await?;
        OpenOptions::new()
            .read(true)
            .open_beneath(&dir, "text")
            .await
    };
    let opened = cut.at(both, nothing).await;
    opened.transpose().map(drop)
}

async fn transfer(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("large");
    let len = 1 << 20;
    std::fs::write(&path, vec![5; len]).expect("room");
    let file = File::open(&path).await?;
    let (near, far) = std::os::unix::net::UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("an option");
    let near = UnixStream::from_std(near)?;
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        io::Read::read_to_end(&mut &far, &mut all).expect("bytes");
        all.len()
    });
    let sent = cut
        .at(fs::transfer(&file, 0, len as u64, &near), nothing)
        .await;
    drop(near);
    let heard = join(reader).await;
    if let Some(sent) = sent {
        assert_eq!((sent?, heard), (len as u64, len));
    }
    Ok(())
}

async fn names_beneath(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    with_text(&folder);
    let dir = fs::Dir::open(folder.path()).await?;
    let all = async {
        dir.create_dir("a").await?;
        dir.rename("text", &dir, "a/moved").await?;
        dir.hard_link("a/moved", &dir, "a/second").await?;
        dir.symlink("second", "a/link").await?;
        dir.read_link("a/link").await?;
        dir.status("a/link").await?;
        dir.remove_file("a/second").await?;
        dir.symlink_metadata("a/link").await
    };
    cut.at(all, nothing).await.transpose()?;
    dir.metadata(".").await.map(drop)
}

async fn list_beneath(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    with_text(&folder);
    let dir = fs::Dir::open(folder.path()).await?;
    let list = async {
        let mut entries = dir.read_dir(".").await?;
        let first = entries.next_entry().await?;
        assert_eq!(first.expect("an entry").file_name(), "text");
        entries.next_entry().await
    };
    if let Some(end) = cut.at(list, nothing).await {
        assert!(end?.is_none());
    }
    Ok(())
}

async fn read_vectored_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = direct(&folder.path().join("large"), 1 << 20).await?;
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("a hint");
    let bufs = [vec![0; 1 << 10], vec![0; 1 << 16]];
    let read = file.read_exact_vectored_at(bufs, 5000);
    if let Some((result, bufs)) = cut.at(read, nothing).await {
        result?;
        assert!(bufs.iter().flatten().all(|byte| *byte == 9));
    }
    Ok(())
}

async fn write_vectored_at(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("new");
    let file = direct(&path, 0).await?;
    let write = file.write_all_vectored_at((TEXT, TEXT.to_vec()), 0);
    if let Some((result, _)) = cut.at(write, nothing).await {
        result?;
        let written = std::fs::read(&path).expect("a file");
        assert_eq!(written, TEXT.repeat(2));
    }
    Ok(())
}

async fn past_the_cache(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = folder.path().join("large");
    std::fs::write(&path, [9; 8192]).expect("room");
    let mut options = OpenOptions::new();
    let Ok(file) = options.read(true).direct(true).open(&path).await else {
        return Ok(()); // A file system without direct reads.
    };
    let read = file.read_exact_at(file.aligned_buf(4096), 4096);
    if let Some((result, page)) = cut.at(read, nothing).await {
        result?;
        assert!(page.iter().all(|byte| *byte == 9));
    }
    Ok(())
}

async fn advise(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let file = File::open(with_text(&folder)).await?;
    let advised = cut.at(file.advise(0, 0, fs::Advice::WillNeed), nothing);
    advised.await.unwrap_or(Ok(()))
}

async fn sync_range(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let mut file = File::create(folder.path().join("new")).await?;
    file.write_all(TEXT).await?;
    let both = async {
        file.begin_sync_range(0, 10).await?;
        file.sync_range(0, 0).await
    };
    cut.at(both, nothing).await.transpose()?;
    file.sync_range(0, 0).await
}

async fn status(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    let path = with_text(&folder);
    if let Some(status) = cut.at(fs::status(&path), nothing).await {
        assert_eq!(status?.len(), TEXT.len() as u64);
    }
    Ok(())
}

async fn walk(cut: &Cut) -> io::Result<()> {
    let folder = folder();
    with_text(&folder);
    std::fs::create_dir(folder.path().join("a")).expect("room");
    std::fs::write(folder.path().join("a/b"), TEXT).expect("room");
    let mut entries = fs::walk(folder.path()).with_status(true);
    let mut found = 0;
    let first = cut.at(entries.next(), nothing).await;
    found += usize::from(first.flatten().transpose()?.is_some());
    while entries.next().await.transpose()?.is_some() {
        found += 1;
    }
    assert_eq!(found, 3, "no entry is lost with a future");
    Ok(())
}
