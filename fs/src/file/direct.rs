//! O_DIRECT: what it asks of buffers and offsets.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

use super::File;
use super::core::Core;
use crate::op::{AlignedBuf, descriptor};
use crate::status::DirectAlignment;

impl File {
    /// What reads and writes past the cache (O_DIRECT, by [`OpenOptions::direct`](crate::OpenOptions::direct)) have to
    /// keep to. `None` if the file cannot be used so, or the kernel does not say (before Linux 6.1).
    pub fn direct_alignment(&self) -> Option<DirectAlignment> {
        descriptor::direct_alignment(self.as_fd())
    }

    /// An empty buffer for reads and writes past the cache of this file: with room for `capacity` bytes, rounded up to
    /// what the file asks for, and at an address that it takes. Where the kernel does not say, for pages.
    ///
    /// It lies in no more pages than it has to: one of 4 KiB is a page, though the file may take any address that is a
    /// multiple of 512. A buffer across two pages is two pieces to the disk, which answers a fifth fewer of them.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let dir = tempfile::tempdir()?;
    /// # let path = dir.path().join("file");
    /// # ringway_runtime::Runtime::new()?.block_on(async {
    /// use ringway_fs::OpenOptions;
    ///
    /// let mut options = OpenOptions::new();
    /// options.read(true).write(true).create(true).direct(true);
    /// let file = match options.open(&path).await {
    ///     Ok(file) => file,
    ///     Err(_) => return Ok(()), // This file system is not for it.
    /// };
    /// let mut page = file.aligned_buf(4096);
    /// page.extend_from_slice(b"straight to the disk");
    /// page.set_len(page.capacity());
    /// let (result, page) = file.write_all_at(page, 0).await;
    /// result?;
    /// let (result, page) = file.read_exact_at(page, 0).await;
    /// result?;
    /// assert!(page.starts_with(b"straight to the disk"));
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the capacity, rounded up, is more than `isize::MAX`.
    #[track_caller]
    pub fn aligned_buf(&self, capacity: usize) -> AlignedBuf {
        let alignment = self.direct_alignment().unwrap_or(DirectAlignment::PAGE);
        let capacity = capacity.saturating_add(alignment.offset() - 1);
        let capacity = capacity - capacity % alignment.offset();
        AlignedBuf::new(capacity, within_pages(capacity, alignment.memory()))
    }
}

/// The alignment at which `capacity` bytes lie in as few pages as possible, and which the file takes, that asks for `needed`.
fn within_pages(capacity: usize, needed: usize) -> usize {
    let page = DirectAlignment::PAGE.memory();
    // No more than it takes: small buffers would lie far apart.
    let compact = capacity.min(page).next_power_of_two();
    needed.next_power_of_two().max(compact)
}

/// A read or write past the cache that the kernel has refused because something is no multiple of what it should be.
///
/// It is inside an [`io::Error`] of kind `InvalidInput`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misaligned {
    what: &'static str,
    value: u64,
    alignment: usize,
}

impl Misaligned {
    /// What the offset, the length or the address must be a multiple of, in bytes.
    pub fn alignment(&self) -> usize {
        self.alignment
    }

    /// The first mistake in a read or write at `offset` of a piece of memory, as (address, length).
    fn find(needed: DirectAlignment, offset: u64, piece: (usize, usize)) -> Option<Self> {
        let (address, len) = piece;
        let rules = [
            ("offset", offset, needed.offset()),
            ("length", len as u64, needed.offset()),
            ("address of the buffer", address as u64, needed.memory()),
        ];
        let mut mistakes = rules
            .into_iter()
            .filter(|(_, value, alignment)| value % (*alignment).max(1) as u64 != 0);
        let (what, value, alignment) = mistakes.next()?;
        Some(Self {
            what,
            value,
            alignment,
        })
    }
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            what,
            value,
            alignment,
        } = self;
        write!(
            f,
            "a file opened with O_DIRECT needs the {what}, {value:#x}, to be a multiple of {alignment}"
        )
    }
}

impl Error for Misaligned {}

/// `result`, or, if the kernel has refused because `offset` or one of `pieces` (address and length) is not aligned, what
/// is wrong with it.
pub(super) fn explain<T>(
    core: &Core,
    result: io::Result<T>,
    offset: u64,
    pieces: impl FnOnce(&mut dyn FnMut(usize, usize)),
) -> io::Result<T> {
    let error = match result {
        Err(error) if core.is_direct() && error.raw_os_error() == Some(libc::EINVAL) => error,
        other => return other,
    };
    let needed = descriptor::direct_alignment(core.as_fd()).unwrap_or(DirectAlignment::PAGE);
    let mut mistake = None;
    pieces(&mut |address, len| {
        mistake = mistake.or_else(|| Misaligned::find(needed, offset, (address, len)));
    });
    Err(mistake.map_or(error, |mistake| {
        io::Error::new(io::ErrorKind::InvalidInput, mistake)
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mutants: the alignment is `needed` alone (direct reads of 4 KiB are a fifth fewer a second), or a page always.
    #[test]
    fn a_buffer_lies_in_as_few_pages_as_it_can() {
        for (capacity, needed, alignment) in [
            (0, 512, 512),
            (512, 512, 512),
            (1_024, 512, 1_024),
            (3_000, 512, 4_096),
            (4_096, 512, 4_096),
            (1 << 20, 4, 4_096),
            (512, 4_096, 4_096),
            (4_096, 1 << 16, 1 << 16),
        ] {
            assert_eq!(
                within_pages(capacity, needed),
                alignment,
                "{capacity} bytes"
            );
        }
    }

    /// Mutants: one of the three is not looked at; memory is measured by the offset's alignment.
    #[test]
    fn each_mistake_has_its_name() {
        let needed = DirectAlignment::of_parts(4, 512);
        let find = |offset, piece| Misaligned::find(needed, offset, piece).map(|found| found.what);
        assert_eq!(find(1024, (4, 512)), None);
        assert_eq!(find(1000, (4, 512)), Some("offset"));
        assert_eq!(find(1024, (4, 500)), Some("length"));
        assert_eq!(find(1024, (2, 512)), Some("address of the buffer"));
        let text = Misaligned::find(needed, 1, (0, 512)).expect("a mistake");
        assert_eq!(
            text.to_string(),
            "a file opened with O_DIRECT needs the offset, 0x1, to be a multiple of 512"
        );
    }
}
