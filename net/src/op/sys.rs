//! The plain system calls. None of them blocks.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::{self, MaybeUninit};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

/// The most slices that one `sendmsg(2)` takes (`UIO_MAXIOV` of the kernel); it refuses more with `EMSGSIZE`.
pub(super) const SLICES_MAX: usize = 1024;

/// Receives into several slices, the first one first.
pub(crate) fn recv_vectored(fd: &impl AsFd, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
    uninterrupted(|| (&*SockRef::from(fd)).read_vectored(bufs))
}

/// Sends what fits.
///
/// This and [`recv_raw`] are the calls that a busy server makes most. The C library's `send` and `recv` are points at which
/// a thread may be cancelled, which costs some 20 ns each time in a program with threads; `syscall` is none.
#[inline]
pub(crate) fn send(fd: &impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let (address, length) = (ptr::null::<libc::sockaddr>(), 0);
    uninterrupted(|| {
        // SAFETY: the kernel reads `bytes` during the call, and there is no address.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                fd,
                bytes.as_ptr(),
                bytes.len(),
                flags,
                address,
                length,
            )
        };
        counted(sent)
    })
}

/// Receives into `room`, from whoever has sent; returns how many bytes of it are filled now.
#[inline]
pub(super) fn recv_raw(
    fd: &impl AsFd,
    room: &mut [MaybeUninit<u8>],
    flags: libc::c_int,
) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let (address, length) = (
        ptr::null_mut::<libc::sockaddr>(),
        ptr::null_mut::<libc::socklen_t>(),
    );
    uninterrupted(|| {
        // SAFETY: the kernel writes within `room` during the call, and there is no room for an address.
        let received = unsafe {
            libc::syscall(
                libc::SYS_recvfrom,
                fd,
                room.as_mut_ptr(),
                room.len(),
                flags,
                address,
                length,
            )
        };
        counted(received)
    })
}

/// Receives into `room`; returns how many bytes of it are filled now, and the flags by which the kernel tells how.
///
/// As [`recv_raw`], without the C library.
#[inline]
pub(super) fn recv_told(
    fd: &impl AsFd,
    room: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, libc::c_int)> {
    let fd = fd.as_fd().as_raw_fd();
    let mut slice = libc::iovec {
        iov_base: room.as_mut_ptr().cast(),
        iov_len: room.len(),
    };
    // SAFETY: it is numbers, and pointers that may be null.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut slice;
    header.msg_iovlen = 1;
    let count = uninterrupted(|| {
        // SAFETY: the kernel writes within `room` and `header` during the call; there is no room for anything else.
        let received =
            unsafe { libc::syscall(libc::SYS_recvmsg, fd, &raw mut header, libc::MSG_DONTWAIT) };
        counted(received)
    })?;
    Ok((count, header.msg_flags))
}

/// The result of a system call that returns a number of bytes.
#[inline]
pub(super) fn counted(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

/// Sends one message to `target`. As [`send`], without the C library.
pub(crate) fn send_to(fd: &impl AsFd, bytes: &[u8], target: &SockAddr) -> io::Result<usize> {
    let fd = fd.as_fd().as_raw_fd();
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    uninterrupted(|| {
        // SAFETY: the kernel reads `bytes` and the address during the call.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_sendto,
                fd,
                bytes.as_ptr(),
                bytes.len(),
                flags,
                target.as_ptr(),
                target.len(),
            )
        };
        counted(sent)
    })
}

/// Receives one message into `room`; returns how many bytes of it are filled now, and who has sent it. As
/// [`recv_raw`], without the C library.
pub(super) fn recv_from_raw(
    fd: &impl AsFd,
    room: &mut [MaybeUninit<u8>],
    flags: libc::c_int,
) -> io::Result<(usize, SockAddr)> {
    let fd = fd.as_fd().as_raw_fd();
    let receive = |storage: *mut socket2::SockAddrStorage, length: *mut libc::socklen_t| {
        uninterrupted(|| {
            // SAFETY: the kernel writes within `room`, and within `storage`, whose size is in `length`, during the
            // call.
            let received = unsafe {
                libc::syscall(
                    libc::SYS_recvfrom,
                    fd,
                    room.as_mut_ptr(),
                    room.len(),
                    flags,
                    storage,
                    length,
                )
            };
            counted(received)
        })
    };
    // SAFETY: `recvfrom` fills in an address of the socket's family and its length when it succeeds.
    unsafe { SockAddr::try_init(receive) }
}

/// Sends what fits of several slices, the first one first.
pub(crate) fn send_vectored(fd: &impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    let slices = &slices[..slices.len().min(SLICES_MAX)];
    uninterrupted(|| SockRef::from(fd).send_vectored_with_flags(slices, flags))
}

/// Takes one connection from the listener's queue, close-on-exec and non-blocking.
pub(crate) fn accept(listener: &impl AsFd) -> io::Result<(OwnedFd, SockAddr)> {
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
    Ok((fd, address))
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

/// A new stream socket of the address's family, close-on-exec and non-blocking.
pub(crate) fn stream_socket(address: &SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(*address);
    new_socket(domain, Type::STREAM, Some(Protocol::TCP))
}

/// A new UDP socket of the address's family, close-on-exec and non-blocking.
pub(crate) fn datagram_socket(address: &SocketAddr) -> io::Result<Socket> {
    let domain = Domain::for_address(*address);
    new_socket(domain, Type::DGRAM, Some(Protocol::UDP))
}

/// A new socket, close-on-exec and non-blocking.
pub(crate) fn new_socket(
    domain: Domain,
    kind: Type,
    protocol: Option<Protocol>,
) -> io::Result<Socket> {
    Socket::new_raw(domain, kind.nonblocking().cloexec(), protocol)
}

/// An address of a TCP or UDP socket.
pub(crate) fn inet_address(address: &SockAddr) -> io::Result<SocketAddr> {
    address.as_socket().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidInput,
            "the socket's address is neither IPv4 nor IPv6",
        )
    })
}

pub(super) fn checked(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Calls again as long as a signal interrupts the call.
#[inline]
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
