//! The plain system calls. None of them blocks.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use bytes::BufMut;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};
use tokio::io::ReadBuf;

/// The most slices that one `sendmsg(2)` takes (`UIO_MAXIOV` of the kernel); it refuses more with `EMSGSIZE`.
const SLICES_MAX: usize = 1024;

/// Whether a receive takes the bytes or leaves them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Take {
    /// The bytes leave the kernel.
    Bytes,
    /// `MSG_PEEK`: the next receive gets the same bytes again.
    Nothing,
}

impl Take {
    fn flags(self) -> libc::c_int {
        match self {
            Take::Bytes => libc::MSG_DONTWAIT,
            Take::Nothing => libc::MSG_DONTWAIT | libc::MSG_PEEK,
        }
    }
}

/// Receives into the unfilled part of `buf`, and advances it.
pub(crate) fn recv_into(fd: &impl AsFd, buf: &mut ReadBuf<'_>, take: Take) -> io::Result<usize> {
    let socket = SockRef::from(fd);
    // SAFETY: nothing but the kernel writes through the slice, and the kernel writes initialized bytes only.
    let unfilled = unsafe { buf.unfilled_mut() };
    let count = uninterrupted(|| socket.recv_with_flags(unfilled, take.flags()))?;
    // SAFETY: the kernel has just filled `count` bytes from the start of the unfilled part.
    unsafe { buf.assume_init(count) };
    buf.advance(count);
    Ok(count)
}

/// Receives into the next chunk of `buf`, and advances it.
pub(crate) fn recv_buf_mut(fd: &impl AsFd, buf: &mut impl BufMut) -> io::Result<usize> {
    let socket = SockRef::from(fd);
    // SAFETY: nothing but the kernel writes through the slice, and the kernel writes initialized bytes only.
    let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
    let count = uninterrupted(|| socket.recv_with_flags(chunk, Take::Bytes.flags()))?;
    // SAFETY: the kernel has just filled `count` bytes from the start of the chunk.
    unsafe { buf.advance_mut(count) };
    Ok(count)
}

/// Receives into several slices, the first one first.
pub(crate) fn recv_vectored(fd: &impl AsFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    uninterrupted(|| (&*SockRef::from(fd)).read_vectored(bufs))
}

/// Sends what fits.
pub(crate) fn send(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    uninterrupted(|| SockRef::from(fd).send_with_flags(bytes, flags))
}

/// Sends what fits of several slices, the first one first.
pub(crate) fn send_vectored(fd: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let slices = &slices[..slices.len().min(SLICES_MAX)];
    uninterrupted(|| SockRef::from(fd).send_vectored_with_flags(slices, flags))
}

/// Takes one connection from the listener's queue, close-on-exec and non-blocking.
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, SocketAddr)> {
    let listener = listener.as_fd().as_raw_fd();
    let flags = libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    let accept = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        uninterrupted(|| {
            // SAFETY: `storage` and `length` are valid for writes while `try_init` runs, and `length` holds
            // the size of `storage`, which the kernel does not exceed.
            let fd = unsafe { libc::accept4(listener, storage.cast(), length, flags) };
            checked(fd)
        })
    };
    // SAFETY: `accept4` fills in an address of the listener's family and its length when it succeeds.
    let (fd, address) = unsafe { SockAddr::try_init(accept) }?;
    // SAFETY: `accept4` has just made this descriptor, and nobody else knows its number.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok((fd, inet_address(&address)?))
}

/// The kernel's present answer to `poll(2)`: the events of `events` that are there, and errors and hang-ups.
pub(crate) fn poll_now(fd: &impl AsFd, events: u32) -> io::Result<u32> {
    let mut entry = libc::pollfd {
        fd: fd.as_fd().as_raw_fd(),
        events: events as libc::c_short,
        revents: 0,
    };
    uninterrupted(|| {
        // SAFETY: `entry` is one valid entry, and the timeout of zero keeps the call from blocking.
        checked(unsafe { libc::poll(&mut entry, 1, 0) })
    })?;
    Ok(entry.revents as u16 as u32)
}

/// A descriptor that is readable when `fd` is, and that does not keep `fd`'s file open.
///
/// It is an epoll instance with `fd` as its only member.
pub(crate) fn watch(fd: &impl AsFd) -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed.
    let epoll = checked(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: `epoll_create1` has just made this descriptor, and nobody else knows its number.
    let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
    let mut event = libc::epoll_event {
        events: libc::EPOLLIN as u32,
        u64: 0,
    };
    let member = fd.as_fd().as_raw_fd();
    // SAFETY: both descriptors are open here, and `event` is valid for the call, which copies it.
    checked(unsafe {
        libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, member, &mut event)
    })?;
    Ok(epoll)
}

/// A new stream socket of the address's family, close-on-exec and non-blocking.
pub(crate) fn stream_socket(address: &SocketAddr) -> io::Result<Socket> {
    let kind = Type::STREAM.nonblocking().cloexec();
    Socket::new_raw(Domain::for_address(*address), kind, Some(Protocol::TCP))
}

/// An address of a TCP socket.
pub(crate) fn inet_address(address: &SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the socket's address is neither IPv4 nor IPv6",
        )
    })
}

fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Calls again as long as a signal interrupts the call.
fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
