//! What was received: [`ProvidedBuf`], and [`ProvidedBufs`] if an answer names several.

use std::fmt;
use std::ops::Deref;

use super::lane::Lane;
use super::{PROVIDED_BYTES, Pool};
use crate::driver::buf::IoBuf;

/// Bytes that were received into memory of the runtime.
///
/// Dropping it gives the memory back, from whichever thread, also when the runtime has ended. It is an
/// [`IoBuf`]: what was received can be sent on as it is.
pub struct ProvidedBuf(Place);

enum Place {
    Lent { pool: Pool, id: u16, len: u32 },
    Own(Vec<u8>),
}

impl ProvidedBuf {
    /// Bytes in memory of their own, where no buffer was to be had.
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Place::Own(bytes))
    }

    /// Whether the bytes lie in one of the shard's buffers, of which there are not many, and not in memory of their own.
    pub fn is_lent(&self) -> bool {
        matches!(self.0, Place::Lent { .. })
    }

    /// The bytes in memory of their own, which they are copied to if they must be.
    pub fn into_vec(mut self) -> Vec<u8> {
        match &mut self.0 {
            Place::Lent { .. } => self.to_vec(),
            Place::Own(bytes) => std::mem::take(bytes),
        }
    }
}

impl Deref for ProvidedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Own(bytes) => bytes,
            Place::Lent { pool, id, len } => {
                let start = pool.shared.lane.buffer(*id).as_ptr();
                // SAFETY: the buffer has room for `len`, of which the kernel wrote every byte (all others are zero), and
                // it does not touch the buffer until that is given back, which only our drop does.
                unsafe { std::slice::from_raw_parts(start, *len as usize) }
            }
        }
    }
}

impl AsRef<[u8]> for ProvidedBuf {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

// SAFETY: the bytes are in a pool or on the heap, where nothing moves or writes them until self is dropped.
unsafe impl IoBuf for ProvidedBuf {
    fn stable_ptr(&self) -> *const u8 {
        self.as_ptr()
    }

    fn initialized(&self) -> usize {
        self.len()
    }
}

impl Drop for ProvidedBuf {
    fn drop(&mut self) {
        if let Place::Lent { pool, id, .. } = &self.0 {
            pool.give_back(*id);
        }
    }
}

impl fmt::Debug for ProvidedBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProvidedBuf")
            .field("len", &self.len())
            .field("is_lent", &self.is_lent())
            .finish()
    }
}

/// The buffers that one answer of the kernel names, in the order in which they were filled. Dropping it gives those back
/// that were not taken out.
#[derive(Debug, Default)]
pub struct ProvidedBufs {
    /// None when all are taken out.
    pool: Option<Pool>,
    first: u16,
    /// In that buffer and those behind it.
    bytes: u32,
}

impl ProvidedBufs {
    /// All of them are lent.
    pub(super) fn new(pool: Pool, first: u16, bytes: u32) -> Self {
        Self {
            pool: Some(pool),
            first,
            bytes,
        }
    }
}

impl Iterator for ProvidedBufs {
    type Item = ProvidedBuf;

    /// # Panics
    ///
    /// In a child of the process that has received.
    fn next(&mut self) -> Option<ProvidedBuf> {
        let (room, next) = self.pool.as_ref()?.piece(self.first);
        let len = self.bytes.min(room).min(PROVIDED_BYTES as u32);
        let id = std::mem::replace(&mut self.first, next);
        self.bytes -= len;
        let pool = match self.bytes {
            0 => self.pool.take(),
            _ => self.pool.clone(),
        };
        Some(ProvidedBuf(Place::Lent {
            pool: pool?,
            id,
            len,
        }))
    }
}

impl Drop for ProvidedBufs {
    fn drop(&mut self) {
        if let Some(pool) = &self.pool {
            pool.give_back_bundle(self.first, self.bytes);
        }
    }
}
