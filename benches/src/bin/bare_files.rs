//! A server of files without a runtime, and nearly without HTTP: what the kernel's part of an answer costs.
//! `bare_files ROOT ADDRESS`.
//!
//! When it starts it makes the answer to a request for each file below the root: in memory, head and all, if the body is small, and
//! otherwise the head and the open file. From then on nothing that happens to the files is noticed. Of a request it knows the empty line
//! at its end and the word after the method; neither time nor length is bounded, and who asks for anything else is left.
//!
//! One thread accepts, and deals the connections out to as many as the compared servers have workers. Each of these has an epoll set,
//! edge-triggered, so that nothing is ever armed again. A request is one `recv(2)` and one `send(2)`, for a large file a `send(2)` and a
//! `sendfile(2)`.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use ringway_benches::bare::unless_blocked;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;
use rustix::fs::sendfile;
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};

/// As many as the compared servers have workers.
const THREADS: usize = 2;

const BACKLOG: i32 = 1_024;

/// Events that are taken from a set at a time.
const EVENTS: usize = 512;

/// Bytes that are received at a time: a request has some fifty.
const HEAD_BYTES: usize = 4_096;

/// Bytes of a body up to which it is kept in memory.
const BODY_BYTES_IN_MEMORY: u64 = 64 * 1024;

/// Bytes that one `sendfile(2)` moves at most.
const PIECE_BYTES: u64 = 1 << 20;

/// What is sent for a target.
struct Answer {
    /// The head, with the body behind it if that is small.
    bytes: Vec<u8>,
    /// A larger body, and its length.
    file: Option<(File, u64)>,
}

type Answers = HashMap<Vec<u8>, Answer>;

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let (Some(root), Some(address)) = (arguments.next(), arguments.next()) else {
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "what is to be served where? `bare_files ROOT ADDRESS`",
        ));
    };
    let address: SocketAddr = address
        .parse()
        .map_err(|error| io::Error::new(ErrorKind::InvalidInput, format!("{address}: {error}")))?;
    let answers: &'static Answers = Box::leak(Box::new(answers(&PathBuf::from(root))?));
    let mut shares = Vec::new();
    for _ in 0..THREADS {
        let share = Arc::new(Share::new()?);
        shares.push(share.clone());
        thread::spawn(move || share.serve(answers).expect("a set that tells events"));
    }
    let listener = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    listener.bind(&address.into())?;
    listener.listen(BACKLOG)?;
    for share in shares.iter().cycle() {
        share.add(listener.accept()?.0)?;
    }
    unreachable!("there is a share, again and again")
}

/// The answers for all files below the root.
fn answers(root: &Path) -> io::Result<Answers> {
    let mut answers = Answers::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                answers.insert(target(root, &path), answer(&path)?);
            }
        }
    }
    Ok(answers)
}

fn target(root: &Path, path: &Path) -> Vec<u8> {
    let below = path.strip_prefix(root).expect("found below the root");
    [b"/", below.as_os_str().as_encoded_bytes()].concat()
}

fn answer(path: &Path) -> io::Result<Answer> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    // What the compared servers send as well, and no more.
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nAccept-Ranges: bytes\r\n\
         ETag: \"0123456789abcdef\"\r\nLast-Modified: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         Content-Length: {length}\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nServer: bare_files\r\n\r\n"
    )
    .into_bytes();
    let is_large = length > BODY_BYTES_IN_MEMORY;
    if !is_large {
        file.read_to_end(&mut bytes)?;
    }
    let file = is_large.then_some((file, length));
    Ok(Answer { bytes, file })
}

/// What one thread serves: a set, and its connections, each at the place that its events name.
struct Share {
    set: OwnedFd,
    connections: Mutex<Vec<Option<Connection>>>,
}

struct Connection {
    socket: Socket,
    /// Of a request that has not come whole yet.
    head: Vec<u8>,
    /// An answer for which there was no room, and how many bytes of it have left, head and body counted together.
    unsent: Option<(&'static Answer, u64)>,
}

impl Share {
    fn new() -> io::Result<Share> {
        Ok(Share {
            set: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Mutex::default(),
        })
    }

    fn connections(&self) -> MutexGuard<'_, Vec<Option<Connection>>> {
        self.connections
            .lock()
            .expect("nobody panics while it is held")
    }

    fn add(&self, socket: Socket) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        let mut connections = self.connections();
        let free = connections.iter().position(Option::is_none);
        let place = free.unwrap_or(connections.len());
        if free.is_none() {
            connections.push(None);
        }
        let events = EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::ET;
        epoll::add(&self.set, &socket, EventData::new_u64(place as u64), events)?;
        connections[place] = Some(Connection {
            socket,
            head: Vec::new(),
            unsent: None,
        });
        Ok(())
    }

    fn serve(&self, answers: &'static Answers) -> io::Result<()> {
        let mut events = Vec::with_capacity(EVENTS);
        let mut buffer = vec![0; HEAD_BYTES];
        loop {
            match epoll::wait(&self.set, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let mut connections = self.connections();
            for event in events.drain(..) {
                let place = event.data.u64() as usize;
                let Some(connection) = &mut connections[place] else {
                    continue;
                };
                if !connection.go_on(answers, &mut buffer).unwrap_or(false) {
                    connections[place] = None;
                }
            }
        }
    }
}

impl Connection {
    /// Sends and receives until one of them would wait; `false` if the connection is over.
    fn go_on(&mut self, answers: &'static Answers, buffer: &mut [u8]) -> io::Result<bool> {
        if let Some((answer, sent)) = self.unsent.take() {
            self.send(answer, sent)?;
        }
        while self.unsent.is_none() {
            let Some(length) = unless_blocked(self.socket.read(buffer))? else {
                return Ok(true);
            };
            if length == 0 {
                return Ok(false);
            }
            let received = &buffer[..length];
            let answer = if self.head.is_empty() && received.ends_with(b"\r\n\r\n") {
                answer_to(answers, received)
            } else {
                self.head.extend_from_slice(received);
                if !self.head.ends_with(b"\r\n\r\n") {
                    continue;
                }
                answer_to(answers, &std::mem::take(&mut self.head))
            };
            let Some(answer) = answer else {
                return Ok(false);
            };
            self.send(answer, 0)?;
            if length < buffer.len() {
                // Whatever comes from now on is a new event.
                break;
            }
        }
        Ok(true)
    }

    /// Sends what is left of an answer of which so much has left, as far as there is room.
    fn send(&mut self, answer: &'static Answer, mut sent: u64) -> io::Result<()> {
        let head_bytes = answer.bytes.len() as u64;
        let (more, file_bytes) = match &answer.file {
            Some((_, length)) => (libc::MSG_MORE, *length),
            None => (0, 0),
        };
        while sent < head_bytes + file_bytes {
            let moved = match &answer.file {
                Some((file, length)) if sent >= head_bytes => {
                    let mut offset = sent - head_bytes;
                    let left = (length - offset).min(PIECE_BYTES) as usize;
                    sendfile(&self.socket, file, Some(&mut offset), left).map_err(io::Error::from)
                }
                _ => {
                    let left = &answer.bytes[sent as usize..];
                    self.socket.send_with_flags(left, more | libc::MSG_NOSIGNAL)
                }
            };
            match unless_blocked(moved)? {
                Some(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Some(moved) => sent += moved as u64,
                None => {
                    self.unsent = Some((answer, sent));
                    break;
                }
            }
        }
        Ok(())
    }
}

/// The answer to a request, whose second word is the target.
fn answer_to(answers: &'static Answers, request: &[u8]) -> Option<&'static Answer> {
    answers.get(request.split(|&byte| byte == b' ').nth(1)?)
}
