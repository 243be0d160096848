//! Operations of every kind that do not end by themselves, or not soon, and what they wait on.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ringway_runtime::driver::{Completion, Operation, SharedFd, opcode, squeue, types};

use super::ops::pipe;
use super::probe::Buffer;

/// Bytes of one direct read: long enough to be with the disk for a while.
pub(crate) const DIRECT_BYTES: usize = 128 * 1024;
/// Bytes of the file that direct reads are from.
const DIRECT_FILE_BYTES: usize = 16 * 1024 * 1024;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    ReadPipe,
    WritePipe,
    Poll,
    Accept,
    Connect,
    Receive,
    Send,
    Timeout,
    Splice,
    ReadDirect,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::ReadPipe,
        Self::WritePipe,
        Self::Poll,
        Self::Accept,
        Self::Connect,
        Self::Receive,
        Self::Send,
        Self::Timeout,
        Self::Splice,
        Self::ReadDirect,
    ];
}

/// What the operations of a test wait on, open as long as this lives.
#[derive(Debug)]
pub(crate) struct Scene {
    kind: Kind,
    fd: SharedFd,
    second: Option<SharedFd>,
    address: libc::sockaddr_in,
    made: Arc<AtomicUsize>,
    /// Shared by the operations that are not gone.
    alive: Arc<()>,
    _held: Vec<Box<dyn std::fmt::Debug + Send + Sync>>,
}

impl Scene {
    /// Sets up what operations of `kind` wait on; files go to `directory`.
    pub(crate) fn new(kind: Kind, directory: &Path) -> Self {
        let mut held: Vec<Box<dyn std::fmt::Debug + Send + Sync>> = Vec::new();
        let mut second = None;
        let mut address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let fd = match kind {
            Kind::ReadPipe | Kind::Poll => {
                let (read, write) = pipe();
                held.push(Box::new(write));
                read
            }
            Kind::WritePipe => {
                let (read, write) = pipe();
                fill(&write);
                held.push(Box::new(read));
                shared(write)
            }
            Kind::Splice => {
                let (read, write) = pipe();
                let (other, to) = pipe();
                held.push(Box::new((write, other)));
                second = Some(shared(to));
                read
            }
            Kind::Accept => shared(TcpListener::bind(address).expect("a listener")),
            Kind::Connect => {
                let (listener, queued) = full_listener();
                address = listener.local_addr().expect("an address");
                held.push(Box::new((listener, queued)));
                // Each operation makes its own socket.
                shared(File::open("/dev/null").expect("a descriptor"))
            }
            Kind::Receive => {
                let (near, far) = UnixStream::pair().expect("a pair");
                held.push(Box::new(far));
                shared(near)
            }
            Kind::Send => {
                let (near, far) = UnixStream::pair().expect("a pair");
                fill_socket(&near);
                held.push(Box::new(far));
                shared(near)
            }
            Kind::Timeout => shared(File::open("/dev/null").expect("a descriptor")),
            Kind::ReadDirect => shared(direct_file(directory)),
        };
        Self {
            kind,
            fd,
            second,
            address: raw_address(address),
            made: Arc::default(),
            alive: Arc::default(),
            _held: held,
        }
    }

    /// One more operation.
    pub(crate) fn operation(&self) -> Waiting {
        let number = self.made.load(Ordering::Relaxed);
        let fd = match self.kind {
            Kind::Connect => shared(socket()),
            _ => self.fd.clone(),
        };
        Waiting {
            kind: self.kind,
            fd,
            second: self.second.clone(),
            buffer: match self.kind {
                Kind::ReadDirect => Buffer::new(DIRECT_BYTES),
                _ => Buffer::new(64),
            },
            offset: (number * DIRECT_BYTES % DIRECT_FILE_BYTES) as u64,
            address: Box::new(self.address),
            timespec: types::Timespec::new().sec(3600),
            submitted: Arc::clone(&self.made),
            _alive: Arc::clone(&self.alive),
        }
    }

    /// How many operations, or what they have left, there are.
    pub(crate) fn alive(&self) -> usize {
        Arc::strong_count(&self.alive) - 1
    }

    /// How many operations had their SQE made.
    pub(crate) fn submitted(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }
}

/// An operation that waits.
#[derive(Debug)]
pub(crate) struct Waiting {
    kind: Kind,
    fd: SharedFd,
    second: Option<SharedFd>,
    buffer: Buffer,
    offset: u64,
    address: Box<libc::sockaddr_in>,
    timespec: types::Timespec,
    submitted: Arc<AtomicUsize>,
    _alive: Arc<()>,
}

/// What an operation leaves: the memory, and a descriptor if it made one.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) result: io::Result<u32>,
    pub(crate) buffer: Buffer,
    _made: Option<OwnedFd>,
}

// SAFETY: the buffer and the address lie on the heap, the timespec in the operation, which does not move; the
// descriptors are held.
unsafe impl Operation for Waiting {
    type Output = Left;

    fn entry(&mut self) -> squeue::Entry {
        self.submitted.fetch_add(1, Ordering::Relaxed);
        let fd = types::Fd(self.fd.as_raw_fd());
        let (memory, len) = (self.buffer.as_mut_ptr(), self.buffer.len() as u32);
        match self.kind {
            Kind::ReadPipe => opcode::Read::new(fd, memory, len).build(),
            Kind::WritePipe => opcode::Write::new(fd, memory, len).build(),
            Kind::ReadDirect => opcode::Read::new(fd, memory, len)
                .offset(self.offset)
                .build(),
            Kind::Poll => opcode::PollAdd::new(fd, libc::POLLIN as u32).build(),
            Kind::Accept => {
                opcode::Accept::new(fd, std::ptr::null_mut(), std::ptr::null_mut()).build()
            }
            Kind::Connect => {
                let address: *const libc::sockaddr_in = &raw const *self.address;
                let len = size_of::<libc::sockaddr_in>() as u32;
                opcode::Connect::new(fd, address.cast(), len).build()
            }
            Kind::Receive => opcode::Recv::new(fd, memory, len).build(),
            Kind::Send => opcode::Send::new(fd, memory, len).build(),
            Kind::Timeout => opcode::Timeout::new(&raw const self.timespec).build(),
            Kind::Splice => {
                let to = self.second.as_ref().expect("a pipe to splice to");
                opcode::Splice::new(fd, -1, types::Fd(to.as_raw_fd()), -1, len).build()
            }
        }
    }

    fn complete(self, completion: Completion) -> Left {
        let made = match (&completion.result, self.kind) {
            // SAFETY: the kernel made this descriptor for this operation.
            (Ok(fd), Kind::Accept) => Some(unsafe { OwnedFd::from_raw_fd(*fd as i32) }),
            _ => None,
        };
        Left {
            result: completion.result,
            buffer: self.buffer,
            _made: made,
        }
    }
}

fn shared(fd: impl Into<OwnedFd>) -> SharedFd {
    SharedFd::from(fd.into())
}

fn set_nonblocking(fd: &impl AsRawFd, on: bool) {
    let mut flag = i32::from(on);
    // SAFETY: the kernel reads an int from the pointer during the call.
    let set = unsafe { libc::ioctl(fd.as_raw_fd(), libc::FIONBIO, &raw mut flag) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

fn fill(mut pipe: &File) {
    set_nonblocking(pipe, true);
    while io::Write::write(&mut pipe, &[0; 4096]).is_ok() {}
    set_nonblocking(pipe, false);
}

fn fill_socket(mut socket: &UnixStream) {
    set_nonblocking(socket, true);
    while io::Write::write(&mut socket, &[0; 64]).is_ok() {}
    set_nonblocking(socket, false);
}

/// A listener that answers nobody any more, and those who wait in its queue.
fn full_listener() -> (TcpListener, Vec<OwnedFd>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    // SAFETY: no pointer is passed. A second listen shortens the queue.
    let short = unsafe { libc::listen(listener.as_raw_fd(), 0) };
    assert_eq!(short, 0, "{}", io::Error::last_os_error());
    let address = raw_address(listener.local_addr().expect("an address"));
    let queued = (0..4)
        .map(|_| {
            let socket = socket();
            set_nonblocking(&socket, true);
            let address: *const libc::sockaddr_in = &raw const address;
            let len = size_of::<libc::sockaddr_in>() as u32;
            // SAFETY: the kernel reads an address of that length during the call.
            unsafe { libc::connect(socket.as_raw_fd(), address.cast(), len) };
            socket
        })
        .collect();
    (listener, queued)
}

fn socket() -> OwnedFd {
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
    assert!(fd >= 0, "{}", io::Error::last_os_error());
    // SAFETY: the descriptor was just made and nobody else has it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn raw_address(address: SocketAddr) -> libc::sockaddr_in {
    let SocketAddr::V4(address) = address else {
        unreachable!("only IPv4 here")
    };
    libc::sockaddr_in {
        sin_family: libc::AF_INET as u16,
        sin_port: address.port().to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from(*address.ip()).to_be(),
        },
        sin_zero: [0; 8],
    }
}

/// A file without a name, on a disk, whose bytes differ from what a dropped buffer holds.
pub(crate) fn direct_file(directory: &Path) -> File {
    static FILES: AtomicUsize = AtomicUsize::new(0);
    let number = FILES.fetch_add(1, Ordering::Relaxed);
    let path = directory.join(format!("direct-{}-{number}", std::process::id()));
    std::fs::write(&path, vec![0xAB; DIRECT_FILE_BYTES]).expect("room on the disk");
    let file = File::options()
        .read(true)
        .custom_flags(libc::O_DIRECT)
        .open(&path)
        .expect("a file system that knows direct I/O");
    std::fs::remove_file(&path).expect("it was just made");
    file
}
