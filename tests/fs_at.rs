//! Owned buffers at given offsets.

mod fs_support;

use std::io::{ErrorKind, Seek};
use std::sync::Arc;

use fs_support::*;
use ringway::fs::{File, OpenOptions};
use ringway::io::AsyncReadExt;

/// Mutants: an offset or a start that is not passed on; a wrong length after a read.
#[test]
fn many_reads_at_a_time_bring_each_its_own_bytes() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let contents = Arc::new(pattern(1 << 20));
            std::fs::write(&path, &*contents).unwrap();
            for cold in [false, true] {
                if cold {
                    evict(&path);
                }
                let file = Arc::new(File::open(&path).await.unwrap());
                let readers: Vec<_> = (0..64u64)
                    .map(|number| {
                        let (file, contents) = (Arc::clone(&file), Arc::clone(&contents));
                        ringway::spawn(async move {
                            let mut buf = Vec::with_capacity(4096);
                            for round in 0..8 {
                                let at = (number * 16_000 + round * 999) as usize;
                                let result;
                                (result, buf) = file.read_exact_at(buf, at as u64).await;
                                result.unwrap();
                                assert!(buf == contents[at..at + 4096], "at {at}");
                            }
                        })
                    })
                    .collect();
                for reader in readers {
                    reader.await.unwrap();
                }
            }
        }
    });
}

#[test]
fn a_read_fills_the_room_and_sets_the_length() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let file = File::open(&path).await.unwrap();

            let mut vec = Vec::with_capacity(6);
            vec.extend_from_slice(b"old");
            let (result, vec) = file.read_at(vec, 2).await;
            assert_eq!((result.unwrap(), vec.as_slice()), (6, &b"234567"[..]));
            let (result, vec) = file.read_at(vec, 8).await;
            assert_eq!(
                (result.unwrap(), vec.as_slice()),
                (2, &b"89"[..]),
                "up to the end"
            );
            let (result, vec) = file.read_at(vec, 10).await;
            assert_eq!((result.unwrap(), vec.len()), (0, 0), "at the end");

            let (result, slice) = file.read_at(Box::<[u8]>::from(*b"......"), 8).await;
            assert_eq!((result.unwrap(), &*slice), (2, &b"89...."[..]));
            let (result, none) = file.read_at(Vec::new(), 0).await;
            assert_eq!((result.unwrap(), none.len()), (0, 0));
        }
    });
}

#[test]
fn an_exact_read_says_when_there_is_not_enough() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let file = File::open(&path).await.unwrap();
            let (result, buf) = file.read_exact_at(Vec::with_capacity(10), 0).await;
            result.unwrap();
            assert_eq!(buf, b"0123456789");
            let (result, buf) = file.read_exact_at(buf, 4).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert_eq!(buf, b"456789", "what there was");
        }
    });
}

#[test]
fn writes_go_where_they_are_told() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let file = File::create(&path).await.unwrap();
            let (result, _) = file.write_all_at(&b"world"[..], 6).await;
            result.unwrap();
            let (result, buf) = file.write_at(b"hello ".to_vec(), 0).await;
            assert_eq!((result.unwrap(), buf.as_slice()), (6, &b"hello "[..]));
            let (result, _) = file.write_all_at("!", 11).await;
            result.unwrap();
            let (result, _) = file.write_all_at(Vec::new(), 0).await;
            result.unwrap();
            assert_eq!(std::fs::read(&path).unwrap(), b"hello world!");

            let large = pattern(3 << 20);
            let (result, large) = file.write_all_at(large, 1).await;
            result.unwrap();
            assert!(std::fs::read(&path).unwrap()[1..] == large);
        }
    });
}

#[test]
fn the_position_stays_where_it_is() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            std::fs::write(&path, b"0123456789").unwrap();
            let mut options = OpenOptions::new();
            let mut file = options.read(true).write(true).open(&path).await.unwrap();
            file.read_exact(&mut [0; 2]).await.unwrap();
            file.read_at(Vec::with_capacity(4), 5).await.0.unwrap();
            file.write_at("xy", 8).await.0.unwrap();
            let mut next = [0; 1];
            file.read_exact(&mut next).await.unwrap();
            assert_eq!(&next, b"2");
            assert_eq!(file.into_std().await.stream_position().unwrap(), 3);
        }
    });
}

/// Mutant: not checking the offset; the largest one means "at the position" to the kernel.
#[test]
fn an_offset_beyond_the_largest_is_refused() {
    on_both_flavours(|| async {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"0123456789").unwrap();
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .await
            .unwrap();
        for offset in [u64::MAX, i64::MAX as u64 + 1] {
            let (result, buf) = file.read_at(vec![1, 2, 3], offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            assert_eq!(buf, [1, 2, 3], "the buffer comes back");
            let (result, _) = file.read_exact_at(vec![1, 2, 3], offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            let (result, _) = file.write_at("x", offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            let (result, _) = file.write_all_at("x", offset).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"0123456789");
    });
}

#[test]
fn direct_io_reads_into_an_aligned_buffer_of_the_users_own_kind() {
    on_both_flavours(|| async {
        use std::alloc::{Layout, alloc_zeroed, dealloc};
        use std::os::unix::fs::OpenOptionsExt as _;

        struct Aligned(*mut u8);
        const LAYOUT: Layout = match Layout::from_size_align(8192, 4096) {
            Ok(layout) => layout,
            Err(_) => panic!("4,096 is a power of two"),
        };
        // SAFETY: the bytes belong to the value alone.
        unsafe impl Send for Aligned {}
        // SAFETY: 8,192 zeroed bytes on the heap, which do not move with the value.
        unsafe impl ringway::fs::IoBuf for Aligned {
            fn stable_ptr(&self) -> *const u8 {
                self.0
            }
            fn initialized(&self) -> usize {
                LAYOUT.size()
            }
        }
        // SAFETY: the same bytes, all writable, all initialised.
        unsafe impl ringway::fs::IoBufMut for Aligned {
            fn stable_mut_ptr(&mut self) -> *mut u8 {
                self.0
            }
            fn room(&self) -> usize {
                LAYOUT.size()
            }
            unsafe fn set_initialized(&mut self, _: usize) {}
        }
        impl Drop for Aligned {
            fn drop(&mut self) {
                // SAFETY: allocated with this layout, once.
                unsafe { dealloc(self.0, LAYOUT) }
            }
        }

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let contents = pattern(16384);
        std::fs::write(&path, &contents).unwrap();
        if std::fs::File::options()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(&path)
            .is_err()
        {
            return; // This file system has no direct I/O.
        }
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(&path)
            .await
            .unwrap();
        // SAFETY: the layout has a size.
        let buf = Aligned(unsafe { alloc_zeroed(LAYOUT) });
        let (result, buf) = file.read_exact_at(buf, 4096).await;
        result.unwrap();
        // SAFETY: as many initialised bytes.
        let read = unsafe { std::slice::from_raw_parts(buf.0, LAYOUT.size()) };
        assert!(read == &contents[4096..4096 + 8192]);
    });
}

/// Goal: the buffer of a read that was given up is not touched by anybody else until the kernel lets go of it.
/// Method: give up reads of an empty pipe, reuse the heap, then let the bytes come.
#[test]
fn a_read_that_was_given_up_writes_into_nobodys_memory() {
    on_both_flavours(|| async {
        use std::io::Write;
        for _ in 0..20 {
            let (reader, writer) = pipe();
            let reader = File::from(reader);
            for _ in 0..10 {
                let read = reader.read_at(vec![0u8; 512], 0);
                assert!(
                    poll_once(read)
                        .await
                        .is_none_or(|(result, _)| result.is_err())
                );
            }
            let reused: Vec<Vec<u8>> = (0..32).map(|_| vec![0u8; 512]).collect();
            std::fs::File::from(writer)
                .write_all(&[0xee; 4096])
                .unwrap();
            ringway::task::yield_now().await;
            assert!(reused.iter().flatten().all(|&byte| byte == 0));
        }
    });
}
