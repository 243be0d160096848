//! Whole files: [`read`], [`read_to_string`], [`write`].

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use ringway_runtime::driver::SharedFd;

use crate::file::core::Core;
use crate::limits::{LARGE_READ_BYTES, ON_WORKER_MAX_BYTES, UNKNOWN_SIZE_BYTES, WRITE_PIECE_BYTES};
use crate::op::now::{self, Now};
use crate::op::{Open, c_path, descriptor};
use crate::open::open;

/// Reads a whole file.
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
    let fd = open(|| Ok(Open::new(c_path(path)?, libc::O_RDONLY, 0))).await?;
    let size = regular_size(&fd);
    let mut contents = Vec::new();
    contents.try_reserve_exact(size)?;
    if 0 < size && size <= ON_WORKER_MAX_BYTES {
        match now::read_whole(fd.as_fd(), &mut contents) {
            Now::Done(Ok(count)) if count == size => return Ok(contents),
            Now::Done(Err(error)) => return Err(error),
            _ => {}
        }
    }
    read_rest(fd, contents).await
}

/// The size of a regular file; 0 if it is another kind of file or does not say.
fn regular_size(fd: &OwnedFd) -> usize {
    match descriptor::hint(fd.as_fd()) {
        Ok(hint) if hint.kind == libc::S_IFREG => usize::try_from(hint.size).unwrap_or(usize::MAX),
        _ => 0,
    }
}

/// Reads what comes after `contents`, up to the end of the file.
async fn read_rest(fd: OwnedFd, mut contents: Vec<u8>) -> io::Result<Vec<u8>> {
    let core = Core::new(SharedFd::from(fd), 0);
    loop {
        let len = contents.len();
        if len == contents.capacity() {
            if len > 0 && now::ends_at(core.as_fd(), len as u64) {
                return Ok(contents);
            }
            contents.try_reserve(UNKNOWN_SIZE_BYTES)?;
        }
        let room = (contents.capacity() - len).min(LARGE_READ_BYTES);
        let result;
        (result, contents) = core.read(contents, len, room, len as u64).await;
        if result? == 0 {
            return Ok(contents);
        }
    }
}

/// Reads a whole file as UTF-8.
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
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
    let fd = open(|| Ok(Open::new(c_path(path)?, flags, 0o666))).await?;
    write_from_start(fd, contents.as_ref()).await
}

/// Writes all of `contents` to the empty file. They may be borrowed, so they are copied, in pieces, for the ring.
async fn write_from_start(fd: OwnedFd, contents: &[u8]) -> io::Result<()> {
    let core = Core::new(SharedFd::from(fd), 0);
    let mut offset = 0;
    let mut piece = Vec::new();
    for bytes in contents.chunks(WRITE_PIECE_BYTES) {
        piece.clear();
        piece.extend_from_slice(bytes);
        let mut done = 0;
        while done < bytes.len() {
            let result;
            (result, piece) = core.write(piece, done, offset).await;
            let count = result?;
            if count == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "failed to write whole buffer",
                ));
            }
            done += count;
            offset += count as u64;
        }
    }
    Ok(())
}
