//! Several messages in one system call: recvmmsg(2) and sendmmsg(2), with the size of their segments.

use std::fmt;
use std::io;
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use socket2::{SockAddr, SockAddrStorage};

use super::sys::{checked, counted, inet_address, uninterrupted};

/// The most messages that one call moves. The headers for them lie on the stack, some 5 KiB; a call for 64 messages costs
/// each of them some 1 % of what it costs alone, so more would save nothing.
pub(crate) const MESSAGES_MAX: usize = 64;

/// Room for messages, and what the kernel has said of those that have come.
#[derive(Debug)]
pub(crate) struct Rooms {
    bytes: Box<[u8]>,
    size: usize,
    slots: Box<[Slot]>,
    /// Those that have come, each in the room of its place here.
    arrived: Vec<Arrived>,
}

/// Where the kernel tells of one message.
struct Slot {
    sender: SockAddrStorage,
    control: Control,
}

/// A message that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Arrived {
    pub(crate) length: usize,
    pub(crate) sender: SocketAddr,
    /// In bytes, if it is several messages that the kernel has joined.
    pub(crate) segment: Option<usize>,
    pub(crate) is_truncated: bool,
}

/// Room for what the kernel tells beside the bytes. Options that a user has set on the descriptor may add to it.
#[repr(C, align(8))]
struct Control([u8; CONTROL_BYTES]);

const CONTROL_BYTES: usize = 128;

impl Rooms {
    /// Room for `messages` messages of `size` bytes.
    pub(crate) fn new(messages: usize, size: usize) -> Rooms {
        let slot = || Slot {
            sender: SockAddrStorage::zeroed(),
            control: Control([0; CONTROL_BYTES]),
        };
        Rooms {
            bytes: vec![0; messages * size].into(),
            size,
            slots: (0..messages).map(|_| slot()).collect(),
            arrived: Vec::with_capacity(messages),
        }
    }

    /// The messages that have come.
    pub(crate) fn arrived(&self) -> impl Iterator<Item = (Arrived, &[u8])> {
        self.arrived.iter().enumerate().map(|(index, arrived)| {
            let start = index * self.size;
            (*arrived, &self.bytes[start..start + arrived.length])
        })
    }

    /// Whether a receive can bring anything.
    pub(crate) fn has_room(&self) -> bool {
        !self.slots.is_empty()
    }

    /// How many have come.
    pub(crate) fn count(&self) -> usize {
        self.arrived.len()
    }

    /// Forgets what has come.
    pub(crate) fn clear(&mut self) {
        self.arrived.clear();
    }

    /// Receives as many messages as are there, at most [`MESSAGES_MAX`], in place of those that had come before.
    pub(crate) fn receive(&mut self, fd: &impl AsFd) -> io::Result<usize> {
        let fd = fd.as_fd().as_raw_fd();
        self.clear();
        let mut pieces = [NO_PIECE; MESSAGES_MAX];
        let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES_MAX];
        for (index, slot) in self.slots.iter_mut().enumerate() {
            let start = index * self.size;
            let room = &mut self.bytes[start..start + self.size];
            pieces[index].iov_base = room.as_mut_ptr().cast();
            pieces[index].iov_len = room.len();
            let header = &mut headers[index].write(blank_header()).msg_hdr;
            header.msg_iov = &raw mut pieces[index];
            header.msg_iovlen = 1;
            header.msg_name = (&raw mut slot.sender).cast();
            header.msg_namelen = size_of::<SockAddrStorage>() as libc::socklen_t;
            header.msg_control = slot.control.0.as_mut_ptr().cast();
            header.msg_controllen = CONTROL_BYTES as _;
        }
        let count = self.slots.len();
        let none = ptr::null_mut::<libc::timespec>();
        let flags = libc::MSG_DONTWAIT;
        let received = uninterrupted(|| {
            let headers = headers.as_mut_ptr();
            // SAFETY: the first `count` headers were written just now, and point to pieces, addresses and controls that live
            // until the call returns and that nobody else touches, with their lengths; there is no time to wait for.
            counted(unsafe { libc::syscall(libc::SYS_recvmmsg, fd, headers, count, flags, none) })
        })?;
        for (slot, header) in self.slots.iter_mut().zip(&headers[..received]) {
            // SAFETY: so many are below `count`.
            let header = unsafe { header.assume_init_ref() };
            self.arrived.push(slot.told(header)?);
        }
        Ok(received)
    }
}

impl Slot {
    /// What the kernel says of this message.
    fn told(&mut self, header: &libc::mmsghdr) -> io::Result<Arrived> {
        let sender = mem::replace(&mut self.sender, SockAddrStorage::zeroed());
        // SAFETY: the kernel has written an address of this length, which it keeps within the storage.
        let sender = unsafe { SockAddr::new(sender, header.msg_hdr.msg_namelen) };
        let told = header.msg_hdr.msg_controllen.min(CONTROL_BYTES);
        Ok(Arrived {
            length: header.msg_len as usize,
            sender: inet_address(&sender)?,
            segment: segment_of(&self.control.0[..told]),
            is_truncated: header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0,
        })
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}

const WORD: usize = size_of::<usize>();
/// A `cmsghdr`: its length with what follows it, a level, a type.
const CONTROL_HEADER: usize = size_of::<libc::cmsghdr>();

/// The size of the segments of a message that the kernel has joined of several, from what it tells beside the bytes.
fn segment_of(mut told: &[u8]) -> Option<usize> {
    let number = |bytes: &[u8]| Some(i32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?));
    while let Some(length) = told.get(..WORD) {
        let length = usize::from_ne_bytes(length.try_into().ok()?);
        let level = number(told.get(CONTROL_HEADER - 8..)?)?;
        let kind = number(told.get(CONTROL_HEADER - 4..)?)?;
        if level == libc::SOL_UDP && kind == libc::UDP_GRO {
            return usize::try_from(number(told.get(CONTROL_HEADER..)?)?).ok();
        }
        told = told.get(length.max(CONTROL_HEADER).next_multiple_of(WORD)..)?;
    }
    None
}

/// A message to be sent: where to, if not to the socket's peer, and in which segments.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing<'a> {
    pub(crate) bytes: &'a [u8],
    target: Option<SockAddr>,
    segments: Option<SegmentSize>,
}

/// What asks the kernel to cut a message: a `cmsghdr` and a number.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct SegmentSize {
    header: libc::cmsghdr,
    bytes: u16,
    /// To the next word.
    rest: [u8; 6],
}

/// Of a header and its number, without what fills the last word.
const SEGMENT_SIZE_BYTES: usize = CONTROL_HEADER + size_of::<u16>();

impl<'a> Outgoing<'a> {
    pub(crate) fn new(bytes: &'a [u8], target: Option<SocketAddr>) -> Outgoing<'a> {
        Outgoing {
            bytes,
            target: target.map(SockAddr::from),
            segments: None,
        }
    }

    /// Has the kernel cut it into messages of `bytes` bytes.
    pub(crate) fn cut(&mut self, bytes: u16) {
        // SAFETY: numbers, of which zero is a value.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_len = SEGMENT_SIZE_BYTES as _;
        header.cmsg_level = libc::SOL_UDP;
        header.cmsg_type = libc::UDP_SEGMENT;
        self.segments = Some(SegmentSize {
            header,
            bytes,
            rest: [0; 6],
        });
    }

    pub(crate) fn target(&self) -> Option<SocketAddr> {
        self.target.as_ref().and_then(SockAddr::as_socket)
    }

    pub(crate) fn segment(&self) -> Option<u16> {
        self.segments.map(|segments| segments.bytes)
    }
}

/// Sends the first of `messages`, as many as there is room for now and at most [`MESSAGES_MAX`]; returns how many.
pub(crate) fn send_batch<'a>(
    fd: &impl AsFd,
    messages: impl Iterator<Item = &'a Outgoing<'a>>,
) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let mut pieces = [NO_PIECE; MESSAGES_MAX];
    let mut headers = [const { MaybeUninit::<libc::mmsghdr>::uninit() }; MESSAGES_MAX];
    let mut count = 0;
    for (index, message) in messages.take(MESSAGES_MAX).enumerate() {
        pieces[index].iov_base = message.bytes.as_ptr().cast_mut().cast();
        pieces[index].iov_len = message.bytes.len();
        let header = &mut headers[index].write(blank_header()).msg_hdr;
        header.msg_iov = &raw mut pieces[index];
        header.msg_iovlen = 1;
        if let Some(target) = &message.target {
            header.msg_name = target.as_ptr().cast_mut().cast();
            header.msg_namelen = target.len();
        }
        if let Some(segments) = &message.segments {
            header.msg_control = ptr::from_ref(segments).cast_mut().cast();
            header.msg_controllen = size_of::<SegmentSize>() as _;
        }
        count = index + 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    uninterrupted(|| {
        let headers = headers.as_mut_ptr();
        // SAFETY: the first `count` headers were written just now, and point to pieces, addresses and controls that are lent
        // for longer than the call, with their lengths, and that the kernel only reads.
        counted(unsafe { libc::syscall(libc::SYS_sendmmsg, fd, headers, count, flags) })
    })
}

/// Has the kernel join messages that belong together, or not.
pub(crate) fn set_gro(fd: &impl AsFd, joins: bool) -> io::Result<()> {
    let value = libc::c_int::from(joins);
    let length = size_of_val(&value) as libc::socklen_t;
    let fd = fd.as_fd().as_raw_fd();
    // SAFETY: the value is an int that lives for the call, and the length is its own.
    checked(unsafe {
        let value = (&raw const value).cast();
        libc::setsockopt(fd, libc::SOL_UDP, libc::UDP_GRO, value, length)
    })
    .map(drop)
}

const NO_PIECE: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

fn blank_header() -> libc::mmsghdr {
    // SAFETY: numbers and pointers, of which zero is a value.
    unsafe { mem::zeroed() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(level: i32, kind: i32, value: i32) -> Vec<u8> {
        let mut bytes = (CONTROL_HEADER + 4).to_ne_bytes().to_vec();
        bytes.extend(level.to_ne_bytes());
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes.resize(bytes.len().next_multiple_of(WORD), 0);
        bytes
    }

    /// Mutant: look at the first only.
    #[test]
    fn the_size_of_segments_is_found_among_what_else_is_told() {
        let size = told(libc::SOL_UDP, libc::UDP_GRO, 1200);
        let other = told(libc::SOL_SOCKET, libc::SO_TIMESTAMPING, 7);
        assert_eq!(segment_of(&size), Some(1200));
        assert_eq!(segment_of(&[other.clone(), size].concat()), Some(1200));
        assert_eq!(segment_of(&other), None);
        assert_eq!(segment_of(&[]), None);
        assert_eq!(segment_of(&[0; 5]), None);
        assert_eq!(segment_of(&[0; 40]), None);
    }
}
