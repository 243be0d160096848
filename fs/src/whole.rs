//! Whole files: [`read`], [`read_to_string`], [`write()`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ringway_runtime::driver::{SharedFd, is_in_live_runtime};
use ringway_runtime::task::coop;

use crate::File;
use crate::file::at::takes_no_more;
use crate::file::core::Core;
use crate::limits::{LARGE_READ_BYTES, ON_WORKER_MAX_BYTES, UNKNOWN_SIZE_BYTES, WRITE_PIECE_BYTES};
use crate::op::now::{self, Prompt, Start};
use crate::op::{AT_POSITION, Location, Open, descriptor, open_to_read_now, with_c_path};
use crate::open::open;
use crate::pool::on_pool;

/// Reads a whole file, or what comes by a FIFO, a pipe or a terminal until its end.
///
/// A small file that lies in memory takes four system calls: openat2(2), lseek(2) for where it ends, preadv2(2), and
/// close(2).
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-read-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let path = folder.join("bytes");
/// ringway_fs::write(&path, [1, 2, 3]).await?;
/// assert_eq!(ringway_fs::read(&path).await?, [1, 2, 3]);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// As [`File::open`](crate::File::open) and read(2), and `OutOfMemory`.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future drops what was read; the file is as before.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref();
    coop::consume_budget().await;
    let (fd, start) = match open_now(path)? {
        Some(fd) => match now::read_start(Prompt::asking(fd.as_fd()))? {
            Start::Whole(contents) => return Ok(contents),
            Start::Part(start) => {
                descriptor::set_open_flags(fd.as_fd(), libc::O_RDONLY)?;
                (fd, start)
            }
        },
        None => {
            let operation = || Ok(Open::new(Location::of_path(path)?, libc::O_RDONLY, 0));
            (open(operation).await?, Vec::new())
        }
    };
    let core = Core::new(SharedFd::from(fd), libc::O_RDONLY);
    let size = regular_size(&core);
    read_rest(&core, start, size).await
}

/// Where the bytes of a file are that come after `len` others. What cannot seek has no other place than where it is.
fn place_after(len: usize, is_seekable: bool) -> u64 {
    match is_seekable {
        true => len as u64,
        false => AT_POSITION,
    }
}

/// Opens what can be opened at once. The descriptor has O_NONBLOCK still.
fn open_now(path: &Path) -> io::Result<Option<OwnedFd>> {
    // Outside a runtime the operation panics, as it should, and in one that has ended it says so.
    match is_in_live_runtime() {
        true => with_c_path(path, open_to_read_now)?.transpose(),
        false => Ok(None),
    }
}

/// The size of a regular file; 0 if it is another kind of file or does not say.
fn regular_size(core: &Core) -> usize {
    match descriptor::hint(core.as_fd()) {
        Ok(hint) if hint.kind == libc::S_IFREG => usize::try_from(hint.size).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// Reads what comes after `contents`, up to the end of the file, which is probably at `size`.
///
/// Each read asks for more than there should be: if it then brings no more than up to `size`, then two
/// witnesses agree on where the end is. Otherwise the end is where a read brings nothing.
async fn read_rest(core: &Core, mut contents: Vec<u8>, size: usize) -> io::Result<Vec<u8>> {
    if size > 0 {
        contents.try_reserve_exact(size.saturating_add(1).saturating_sub(contents.len()))?;
    }
    let is_seekable = size > 0 || descriptor::is_seekable(core.as_fd());
    // A pipe never has more, and its bytes may be long in coming: no thread of the kernel is to wait for them.
    let room_max = match is_seekable {
        true => LARGE_READ_BYTES,
        false => ON_WORKER_MAX_BYTES,
    };
    loop {
        let len = contents.len();
        if len == contents.capacity() || size == 0 {
            contents.try_reserve(UNKNOWN_SIZE_BYTES)?;
        }
        let room = (contents.capacity() - len).min(room_max);
        let place = place_after(len, is_seekable);
        let result;
        (result, contents) = core.read(contents, len, room, place).await;
        let count = result?;
        let agreed = contents.len() == size && count < room;
        if count == 0 || agreed {
            return Ok(contents);
        }
    }
}

/// Reads a whole file as UTF-8.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-read-to-string-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let path = folder.join("greeting");
/// ringway_fs::write(&path, "hello").await?;
/// assert_eq!(ringway_fs::read_to_string(&path).await?, "hello");
///
/// ringway_fs::write(&path, [0xff]).await?;
/// let error = ringway_fs::read_to_string(&path).await.unwrap_err();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// `InvalidData` if it is not UTF-8, and as [`read`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`read`].
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    String::from_utf8(read(path).await?).map_err(|_| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "stream did not contain valid UTF-8",
        )
    })
}

/// Writes a whole file: makes it if it does not exist, and replaces what was in it.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// # let runtime = ringway_runtime::Runtime::new()?;
/// # runtime.block_on(async {
/// # let folder = std::env::temp_dir().join(format!("ringway-fs-doc-write-{}", std::process::id()));
/// # ringway_fs::create_dir_all(&folder).await?;
/// let path = folder.join("greeting");
/// ringway_fs::write(&path, "a long greeting").await?;
/// ringway_fs::write(&path, "short").await?;
/// assert_eq!(ringway_fs::read(&path).await?, b"short");
/// # ringway_fs::remove_dir_all(&folder).await?;
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Errors
///
/// As [`File::create`](crate::File::create) and write(2). The file may then be empty, or hold the beginning.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropping the future may leave the file empty, or with the beginning of `contents`.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let path = path.as_ref();
    let contents = contents.as_ref();
    if contents.len() > WRITE_PIECE_BYTES {
        return write_in_pieces(path, contents).await;
    }
    // Through the ring, a thread of the kernel would make the file and another one would write it (few file
    // systems do either at once). One trip to one thread is cheaper than two: 12 µs, not 16.
    let (path, contents) = (path.to_owned(), contents.to_owned());
    on_pool(move || std::fs::write(path, contents)).await
}

/// Through the ring, so that no more than a piece of what may be borrowed is copied at a time.
async fn write_in_pieces(path: &Path, contents: &[u8]) -> io::Result<()> {
    // It waits for the reader of a FIFO.
    let file = File::create(path).await?;
    let core = file.core();
    let is_seekable = descriptor::is_seekable(core.as_fd());
    let mut written = 0;
    let mut piece = Vec::new();
    for bytes in contents.chunks(WRITE_PIECE_BYTES) {
        piece.clear();
        piece.extend_from_slice(bytes);
        let mut done = 0;
        while done < bytes.len() {
            let result;
            let place = place_after(written, is_seekable);
            (result, piece) = core.write(piece, done, place).await;
            let count = result?;
            if count == 0 {
                return Err(takes_no_more());
            }
            done += count;
            written += count;
        }
    }
    Ok(())
}
