//! A server process, a folder to serve, and a client.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

pub(crate) use example::{PATIENCE, uninterrupted, wait_until};

#[path = "../support/example.rs"]
pub(crate) mod example;

/// The path of the example, built once for this run with the profile of the tests.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| example::build("file_server"))
}

/// A folder to serve, with a neighbour that must never be seen.
pub(crate) struct Folder {
    folder: tempfile::TempDir,
}

/// What lies outside of the served folder.
pub(crate) const SECRET: &str = "the secret of the neighbour";

impl Folder {
    pub(crate) fn new() -> Folder {
        let folder = tempfile::tempdir().expect("temporary folder");
        std::fs::create_dir(folder.path().join("site")).expect("site");
        std::fs::create_dir(folder.path().join("outside")).expect("outside");
        std::fs::write(folder.path().join("outside/secret.txt"), SECRET).expect("secret");
        std::fs::write(folder.path().join("secret.txt"), SECRET).expect("secret");
        Folder { folder }
    }

    /// The served folder.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("site")
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, content).expect("file");
        path
    }

    /// Makes a directory of `count` empty files, whose listing [`assert_lists_entries`] knows.
    pub(crate) fn write_entries(&self, directory: &str, count: usize) {
        std::fs::create_dir(self.path(directory)).expect("a directory");
        for number in 0..count {
            let name = format!("{directory}/entry number {number:06}{}", "-".repeat(41));
            std::fs::File::create(self.path(&name)).expect("a file");
        }
    }

    pub(crate) fn symlink(&self, target: impl AsRef<Path>, name: &str) {
        std::os::unix::fs::symlink(target, self.path(name)).expect("symlink");
    }
}

/// A running server. Dropping it kills the process.
pub(crate) struct Server {
    program: example::Program,
    pub(crate) address: SocketAddr,
    /// Complete lines of the access log so far.
    log: Arc<Mutex<Vec<String>>>,
}

impl Deref for Server {
    type Target = example::Program;

    fn deref(&self) -> &example::Program {
        &self.program
    }
}

impl DerefMut for Server {
    fn deref_mut(&mut self) -> &mut example::Program {
        &mut self.program
    }
}

impl Server {
    pub(crate) fn start(root: &Path) -> Server {
        Server::start_with(root, &[])
    }

    pub(crate) fn start_with(root: &Path, arguments: &[&str]) -> Server {
        let mut command = Command::new(binary());
        command.arg(root).args(arguments);
        let (mut server, output) = Server::launch(command);
        server.collect_log(output);
        server
    }

    /// Starts a prepared command and waits until it says where it listens. The rest of its output
    /// is the caller's.
    pub(crate) fn launch(mut command: Command) -> (Server, BufReader<ChildStdout>) {
        command
            .args(["--addr", "127.0.0.1:0", "--workers", "2"])
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        output.read_line(&mut line).expect("the first line");
        let url = line
            .split_once(" at http")
            .and_then(|(_, rest)| rest.split("://").nth(1))
            .unwrap_or_else(|| panic!("no URL: {line:?}"));
        let address = url
            .split('/')
            .next()
            .expect("an address")
            .parse()
            .expect("an address");
        (
            Server {
                program: example::Program { child },
                address,
                log: Arc::default(),
            },
            output,
        )
    }

    fn collect_log(&mut self, output: BufReader<ChildStdout>) {
        let log = Arc::clone(&self.log);
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                log.lock().expect("no panic").push(line);
            }
        });
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Connects from another address of this machine than the usual one.
    pub(crate) fn connect_from(&self, source: Ipv4Addr) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket
            .bind(&SocketAddr::from((source, 0)).into())
            .expect("binds");
        socket.connect(&self.address.into()).expect("connects");
        Client::over_socket(socket.into())
    }

    /// Connects as a client for whom the kernel receives little before it is read.
    pub(crate) fn connect_narrowly(&self) -> Client {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        socket.set_recv_buffer_size(16 * 1024).expect("sets");
        socket.connect(&self.address.into()).expect("connects");
        Client::over_socket(socket.into())
    }

    /// Sends one request on a connection of its own.
    pub(crate) fn get(&self, target: &str) -> Response {
        self.connect().get(target)
    }

    /// Memory that the process has, in KiB.
    pub(crate) fn memory_kib(&self) -> u64 {
        self.number("VmRSS:")
    }

    /// The most that it had so far.
    pub(crate) fn most_memory_kib(&self) -> u64 {
        self.number("VmHWM:")
    }

    pub(crate) fn threads(&self) -> u64 {
        self.number("Threads:")
    }

    /// What the kernel says of the process.
    fn number(&self, key: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()));
        let status = status.expect("the server runs");
        let line = status.lines().find(|line| line.starts_with(key));
        let words = line.expect("a line").split_whitespace();
        words
            .skip(1)
            .find_map(|word| word.parse().ok())
            .expect("a number")
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().expect("no panic").clone()
    }
}

/// A connection to the server, over TCP or what speaks over it.
pub(crate) struct Client<S = TcpStream> {
    pub(crate) stream: S,
    received: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The value of a field that stands at most once.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut values = self.head.lines().skip(1).filter_map(|line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        });
        let value = values.next();
        assert_eq!(values.next(), None, "{name} stands twice in {}", self.head);
        value
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        Client::over_socket(TcpStream::connect(address).expect("connects"))
    }

    fn over_socket(socket: TcpStream) -> Client {
        socket.set_read_timeout(Some(PATIENCE)).expect("sets");
        socket.set_write_timeout(Some(PATIENCE)).expect("sets");
        socket.set_nodelay(true).expect("sets");
        Client::over(socket)
    }

    pub(crate) fn end_sending(&self) {
        self.stream
            .shutdown(Shutdown::Write)
            .expect("still connected");
    }
}

impl<S: Read + Write> Client<S> {
    pub(crate) fn over(stream: S) -> Client<S> {
        Client {
            stream,
            received: Vec::new(),
        }
    }

    #[track_caller]
    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream
            .write_all(bytes.as_ref())
            .expect("the server receives");
    }

    /// GET over HTTP/1.1 on this connection.
    #[track_caller]
    pub(crate) fn get(&mut self, target: &str) -> Response {
        self.get_with(target, "")
    }

    /// GET with more fields, each ended by CR LF.
    #[track_caller]
    pub(crate) fn get_with(&mut self, target: &str, fields: &str) -> Response {
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n"
        ));
        self.response()
    }

    #[track_caller]
    pub(crate) fn head(&mut self, target: &str) -> Response {
        self.send(format!("HEAD {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        self.read_head()
    }

    /// Receives a whole response to a GET.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Response {
        let mut response = self.read_head();
        if response.field("Transfer-Encoding") == Some("chunked") {
            assert_eq!(response.field("Content-Length"), None, "one of the two");
            while let Some(chunk) = self.read_chunk() {
                response.body.extend_from_slice(&chunk);
            }
            return response;
        }
        let length = response
            .field("Content-Length")
            .map_or(0, |text| text.parse().expect("number"));
        while self.received.len() < length {
            assert!(self.receive() > 0, "the body ends early: {}", response.head);
        }
        response.body = self.received.drain(..length).collect();
        response
    }

    /// Receives a chunk of a body in chunks; `None` is its end.
    #[track_caller]
    pub(crate) fn read_chunk(&mut self) -> Option<Vec<u8>> {
        let line_end = loop {
            match self.received.windows(2).position(|two| two == b"\r\n") {
                Some(position) => break position,
                None => assert!(self.receive() > 0, "the body ends early"),
            }
        };
        let digits = str::from_utf8(&self.received[..line_end]).expect("ASCII");
        let length = usize::from_str_radix(digits, 16).expect("a length");
        let end = line_end + 2 + length + 2;
        while self.received.len() < end {
            assert!(self.receive() > 0, "a chunk ends early");
        }
        let chunk: Vec<u8> = self.received.drain(..end).collect();
        assert!(chunk.ends_with(b"\r\n"), "chunks end with an empty line");
        (length > 0).then(|| chunk[line_end + 2..end - 2].to_vec())
    }

    /// Receives the head of a response and leaves its body.
    #[track_caller]
    pub(crate) fn read_head(&mut self) -> Response {
        let end = loop {
            match self
                .received
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
            {
                Some(position) => break position + 4,
                None => assert!(
                    self.receive() > 0,
                    "closed before a response: {:?}",
                    self.text()
                ),
            }
        };
        let head: Vec<u8> = self.received.drain(..end).collect();
        let head = String::from_utf8(head).expect("heads are ASCII");
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|code| code.parse().ok());
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        Response {
            status,
            head,
            body: Vec::new(),
        }
    }

    /// Receives some bytes; 0 at the end of the stream.
    #[track_caller]
    pub(crate) fn receive(&mut self) -> usize {
        let mut bytes = [0; 16 * 1024];
        let read = uninterrupted(|| self.stream.read(&mut bytes));
        let count = read.expect("the server sends or closes");
        self.received.extend_from_slice(&bytes[..count]);
        count
    }

    /// Receives until what was left of the body and came after it is enough; returns it as text, and leaves it.
    #[track_caller]
    pub(crate) fn read_until(&mut self, is_enough: impl Fn(&str) -> bool) -> String {
        while !is_enough(&self.text()) {
            assert!(self.receive() > 0, "it ends early: {}", self.text());
        }
        self.text()
    }

    /// Receives until the server closes; what was left of the body comes first. A reset counts as
    /// an end too.
    pub(crate) fn rest(mut self) -> Vec<u8> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            match uninterrupted(|| self.stream.read(&mut bytes)) {
                Ok(0) => return self.received,
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                    return self.received;
                }
                Err(error) => panic!("the server neither sends nor closes: {error}"),
            }
        }
    }

    /// Asserts that the server closes in an orderly way and has nothing more to say.
    #[track_caller]
    pub(crate) fn expect_close(mut self) {
        assert_eq!(self.text(), "", "nothing follows the response");
        assert_eq!(
            self.receive(),
            0,
            "the connection closes, but there is {:?}",
            self.text()
        );
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// A whole page has a row for each of so many entries that [`Folder::write_entries`] made, in their order.
#[track_caller]
pub(crate) fn assert_lists_entries(page: &[u8], count: usize, descends: bool) {
    let text = str::from_utf8(page).expect("UTF-8");
    let numbers = text.split("href=\"./entry%20number%20").skip(1);
    let numbers = numbers.map(|rest| rest[..6].parse::<usize>().expect("digits"));
    for (index, number) in numbers.clone().enumerate() {
        let expected = if descends { count - 1 - index } else { index };
        assert_eq!(number, expected, "row {index}");
    }
    assert_eq!(numbers.count(), count);
    assert!(text.ends_with("</html>\n"));
}

/// Sets a flag however the scope ends, so that who waits for it ends too.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Bytes that look like nothing else and differ at every offset: number `n` of a run of 64-bit
/// words.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    let mut word = 0u64;
    while bytes.len() < length {
        bytes.extend_from_slice(&word.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
        word += 1;
    }
    bytes.truncate(length);
    bytes
}

/// Starts a program, though its file may just have been written: a child that another thread of this process forks
/// meanwhile has it open for writing until it executes its own program.
fn spawn(command: &mut Command) -> Child {
    let started = Instant::now();
    loop {
        match command.spawn() {
            Err(error)
                if error.kind() == io::ErrorKind::ExecutableFileBusy
                    && started.elapsed() < PATIENCE =>
            {
                std::thread::sleep(Duration::from_millis(10));
            }
            outcome => return outcome.expect("the example starts"),
        }
    }
}
