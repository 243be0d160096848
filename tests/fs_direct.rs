//! Reads and writes past the cache, and of several buffers.

mod fs_support;

use std::io::ErrorKind;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use fs_support::*;
use ringway::fs::{File, IoBufMut, Misaligned, OpenOptions};
use tempfile::TempDir;

/// A folder on a file system that lets reads and writes go past the cache, and how a file is opened so.
fn folder() -> (TempDir, OpenOptions) {
    let folder = tempfile::tempdir_in(".").expect("a folder on a disk");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).direct(true);
    (folder, options)
}

async fn open(options: &OpenOptions, path: &Path) -> Option<File> {
    match options.open(path).await {
        Ok(file) => Some(file),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "O_DIRECT is refused");
            None
        }
    }
}

/// Mutants: the buffer's room is its length; the length after a read is the capacity.
#[test]
fn an_aligned_buffer_goes_straight_to_the_disk_and_back() {
    on_both_flavours(|| async {
        let (folder, options) = folder();
        let path = folder.path().join("file");
        let Some(file) = open(&options, &path).await else {
            return;
        };
        let contents = pattern(16384);
        let mut buf = file.aligned_buf(contents.len());
        assert!(buf.is_empty() && buf.capacity() >= contents.len());
        buf.extend_from_slice(&contents);
        let (result, buf) = file.write_all_at(buf, 0).await;
        result.unwrap();
        assert!(!is_resident(&std::fs::File::open(&path).unwrap(), 0));
        assert!(std::fs::read(&path).unwrap() == contents);
        evict(&path);

        let (result, buf) = file.read_at(buf, 4096).await;
        assert_eq!(result.unwrap(), 16384 - 4096, "up to the end");
        assert!(buf[..] == contents[4096..]);
        let (result, page) = file.read_exact_at(file.aligned_buf(4096), 8192).await;
        result.unwrap();
        assert!(page[..] == contents[8192..][..4096]);
        assert!(
            !is_resident(&std::fs::File::open(&path).unwrap(), 0),
            "nor was it read ahead"
        );
    });
}

/// Many reads in flight at a time.
#[test]
fn a_file_is_read_past_the_cache_by_many_at_a_time() {
    on_both_flavours(|| async {
        let (folder, options) = folder();
        let path = folder.path().join("file");
        let Some(file) = open(&options, &path).await else {
            return;
        };
        let contents = std::sync::Arc::new(pattern(1 << 20));
        std::fs::write(&path, &*contents).unwrap();
        evict(&path);
        let file = std::sync::Arc::new(file);
        let readers: Vec<_> = (0..32)
            .map(|number| {
                let (file, contents) = (file.clone(), contents.clone());
                ringway::spawn(async move {
                    let mut buf = file.aligned_buf(4096);
                    for round in 0..8 {
                        let at = (number * 8 + round) * 4096;
                        let result;
                        (result, buf) = file.read_exact_at(buf, at as u64).await;
                        result.unwrap();
                        assert!(buf[..] == contents[at..at + 4096], "at {at}");
                    }
                })
            })
            .collect();
        for reader in readers {
            reader.await.unwrap();
        }
    });
}

/// Mutant: EINVAL is handed on as it is.
#[test]
fn what_is_not_aligned_is_named() {
    on_both_flavours(|| async {
        let (folder, options) = folder();
        let path = folder.path().join("file");
        let Some(file) = open(&options, &path).await else {
            return;
        };
        std::fs::write(&path, pattern(16384)).unwrap();
        let Some(alignment) = file.direct_alignment() else {
            return;
        };
        let step = alignment.offset();
        assert!(step > 1);
        let named = |error: std::io::Error| {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            let mistake = error.get_ref().and_then(|inner| inner.downcast_ref());
            let mistake: &Misaligned = mistake.expect("a Misaligned");
            (mistake.to_string(), mistake.alignment())
        };
        let (result, buf) = file.read_at(file.aligned_buf(step), 1).await;
        let (text, needed) = named(result.unwrap_err());
        assert!(
            text.contains("the offset, 0x1,") && needed == step,
            "{text}"
        );
        let part = buf.slice_mut(..step - 1);
        let (result, part) = file.read_at(part, 0).await;
        let (text, _) = named(result.unwrap_err());
        assert!(text.contains("the length"), "{text}");
        let mut short = part.into_inner();
        short.set_len(step - 1);
        let (result, _) = file.write_all_at(short, 0).await;
        let (text, _) = named(result.unwrap_err());
        assert!(text.contains("the length"), "{text}");
        let bufs = vec![file.aligned_buf(step), file.aligned_buf(step)];
        let (result, _) = file.read_vectored_at(bufs, 3).await;
        let (text, _) = named(result.unwrap_err());
        assert!(text.contains("the offset, 0x3,"), "{text}");
        // A file in the cache takes anything, and what else is wrong keeps its name.
        let plain = File::open(&path).await.unwrap();
        plain.read_at(vec![0; 3], 1).await.0.unwrap();
        let error = plain.write_at("x", 0).await.0.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    });
}

/// Mutants: the done bytes are not skipped; the count is dealt out from the wrong buffer on.
#[test]
fn several_buffers_are_read_and_written_in_their_order() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let file = read_write(&path).await;
            let head = Bytes::from_static(b"head ");
            let (result, (head, body)) = file.write_vectored_at((head, b"body".to_vec()), 2).await;
            assert_eq!(result.unwrap(), 9);
            assert_eq!((&head[..], &body[..]), (&b"head "[..], &b"body"[..]));
            assert_eq!(std::fs::read(&path).unwrap(), b"\0\0head body");

            for cold in [false, true] {
                if cold {
                    evict(&path);
                }
                let bufs = [BytesMut::with_capacity(64), BytesMut::new()];
                let (result, [first, _]) = file.read_vectored_at(bufs, 2).await;
                assert_eq!(result.unwrap(), 9);
                assert_eq!(first.freeze(), "head body");
                let bufs: [Box<[u8]>; 3] = [[0; 2].into(), [0; 0].into(), [0; 7].into()];
                let (result, [one, _, three]) = file.read_exact_vectored_at(bufs, 2).await;
                result.unwrap();
                assert_eq!((&*one, &*three), (&b"he"[..], &b"ad body"[..]));
            }
            let bufs = vec![vec![0; 8], vec![0; 8]];
            let (result, bufs) = file.read_exact_vectored_at(bufs, 2).await;
            assert_eq!(result.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            assert_eq!(bufs[0], b"head bod");
            for offset in [u64::MAX, 1 << 63] {
                let (result, _) = file.read_vectored_at([vec![0]], offset).await;
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
                let (result, _) = file.write_all_vectored_at([vec![0]], offset).await;
                assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
            }
        }
    });
}

/// More pieces than one call takes, and more bytes than are moved on the worker.
#[test]
fn many_buffers_go_in_several_calls() {
    on_both_flavours(|| async {
        for folder in folders() {
            let path = folder.path().join("file");
            let file = read_write(&path).await;
            let contents = pattern(3_000_000);
            let pieces: Vec<Vec<u8>> = contents.chunks(1000).map(<[u8]>::to_vec).collect();
            let (result, pieces) = file.write_all_vectored_at(pieces, 0).await;
            result.unwrap();
            assert!(std::fs::read(&path).unwrap() == contents);
            for cold in [false, true] {
                if cold {
                    evict(&path);
                }
                let room: Vec<_> = pieces.iter().map(|piece| vec![0; piece.len()]).collect();
                let (result, read) = file.read_exact_vectored_at(room, 0).await;
                result.unwrap();
                assert!(read.concat() == contents);
            }
        }
    });
}
