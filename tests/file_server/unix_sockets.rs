//! Unix sockets that are handed over: a proxy on the same machine asks by them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;
use std::process::{ChildStdout, Command, Stdio};

use rustix::process::Signal;

use crate::support::example::Program;
use crate::support::{Client, Folder, PATIENCE, Response, binary, pattern, wait_until};

/// Larger than what the kernel holds of a response.
const LARGE_BYTES: usize = 3 << 20;

/// A folder that is served, and a socket that listens beside it.
struct Site {
    folder: Folder,
    listener: UnixListener,
}

/// A server behind the socket, and the lines of its output.
struct Running {
    program: Program,
    lines: BufReader<ChildStdout>,
    first_line: String,
}

impl Site {
    fn new() -> Site {
        let folder = Folder::new();
        folder.write("a", "A");
        folder.write("large.bin", pattern(LARGE_BYTES));
        let listener = UnixListener::bind(folder.path("../web.socket")).expect("binds");
        Site { folder, listener }
    }

    fn socket(&self) -> PathBuf {
        self.folder.path("../web.socket")
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.socket()).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("sets");
        stream.set_write_timeout(Some(PATIENCE)).expect("sets");
        stream
    }

    fn handed_over(&self) -> Stdio {
        let copy = self.listener.try_clone().expect("a descriptor");
        Stdio::from(OwnedFd::from(copy))
    }

    /// A server that has the socket at descriptor 3, and the other one at 4 if there are two.
    fn start(&self, arguments: &[&str], other: Option<Stdio>) -> Running {
        let count = 1 + usize::from(other.is_some());
        let script = format!(
            "export LISTEN_PID=$$ LISTEN_FDS={count}; exec \"$0\" \"$@\" 3<&0 4>&2 0</dev/null 2>/dev/null"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(binary());
        command.arg(self.folder.root()).args(["--workers", "2"]);
        command.args(arguments).stdin(self.handed_over());
        command.stderr(other.unwrap_or_else(Stdio::null));
        let mut child = command.stdout(Stdio::piped()).spawn().expect("starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped"));
        let mut first_line = String::new();
        lines.read_line(&mut first_line).expect("the first line");
        Running {
            program: Program { child },
            lines,
            first_line,
        }
    }
}

/// Everything that comes until the server closes. Who is refused before the server has read the request gets the answer,
/// and then, from a Unix socket, a reset.
fn rest(mut stream: UnixStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    match stream.read_to_end(&mut bytes) {
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        ended => drop(ended.expect("the server closes")),
    }
    bytes
}

/// Asks on a connection of its own, and separates head and body.
fn ask(site: &Site, target: &str, fields: &str) -> Response {
    let mut stream = site.connect();
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\n{fields}Connection: close\r\n\r\n");
    match stream.write_all(request.as_bytes()) {
        // Refused at once: the answer is there all the same.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        written => written.expect("it receives"),
    }
    let bytes = rest(stream);
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = bytes.split_at(end.expect("a head") + 4);
    let head = String::from_utf8(head.to_vec()).expect("ASCII");
    Response {
        status: head[9..12].parse().expect("a status"),
        head,
        body: body.to_vec(),
    }
}

/// Mutant: have the kernel cork a Unix socket.
#[test]
fn a_unix_socket_that_is_handed_over_is_served_as_others_are() {
    let site = Site::new();
    let mut running = site.start(&[], None);
    let place = format!("unix:{}", site.socket().display());
    assert!(
        running.first_line.contains(&place),
        "{}",
        running.first_line
    );
    assert_eq!(ask(&site, "/a", "").body, b"A");
    let large = ask(&site, "/large.bin", "");
    assert_eq!(large.status, 200);
    assert!(large.body == pattern(LARGE_BYTES));
    let part = ask(&site, "/large.bin", "Range: bytes=7-1000006\r\n");
    assert_eq!(part.status, 206);
    assert!(part.body == pattern(LARGE_BYTES)[7..=1_000_006]);
    assert!(ask(&site, "/", "").text().contains("large.bin"));
    assert_eq!(ask(&site, "/%2e%2e/secret.txt", "").status, 400);
    let mut pipelined = site.connect();
    let request = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
    let last = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let requests = request.repeat(9) + last;
    pipelined
        .write_all(requests.as_bytes())
        .expect("it receives");
    let answers = String::from_utf8(rest(pipelined)).expect("ASCII");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 10);
    let mut line = String::new();
    running
        .lines
        .read_line(&mut line)
        .expect("a line of the log");
    assert!(
        line.starts_with("unix: [") && line.contains("\"GET /a HTTP/1.1\" 200 1 "),
        "{line}"
    );
    running.program.signal(Signal::TERM);
    assert!(running.program.wait_for_end(PATIENCE).success());
}

/// Mutant: a place of its own for each connection by a Unix socket.
#[test]
fn all_clients_of_unix_sockets_are_one_address() {
    let site = Site::new();
    let _running = site.start(&["--max-connections-per-address", "2"], None);
    let held: Vec<UnixStream> = (0..2)
        .map(|_| {
            let mut stream = site.connect();
            stream
                .write_all(b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n")
                .expect("it receives");
            assert!(stream.read(&mut [0; 512]).expect("an answer") > 0);
            stream
        })
        .collect();
    let refused = String::from_utf8(rest(site.connect())).expect("ASCII");
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    drop(held);
    wait_until("there is a place again", || {
        ask(&site, "/a", "").status == 200
    });
}

#[test]
fn a_unix_socket_and_one_of_tcp_are_served_side_by_side() {
    let site = Site::new();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = tcp.local_addr().expect("bound");
    let copy = tcp.try_clone().expect("a descriptor");
    let mut running = site.start(&[], Some(Stdio::from(OwnedFd::from(copy))));
    drop(tcp);
    let place = format!("http://{address}/");
    assert!(
        running.first_line.contains(&place),
        "{}",
        running.first_line
    );
    for _ in 0..3 {
        assert_eq!(ask(&site, "/a", "").body, b"A");
        assert_eq!(Client::connect(address).get("/a").text(), "A");
    }
    running.program.signal(Signal::TERM);
    assert!(running.program.wait_for_end(PATIENCE).success());
}

/// What a client that does not read finds when the server is gone is what the kernel held for it.
///
/// Mutant: a Unix socket without the bound.
#[test]
fn the_kernel_holds_no_more_for_who_does_not_read_a_unix_socket_than_its_share() {
    let held = |arguments: &[&str]| {
        let site = Site::new();
        let mut running = site.start(arguments, None);
        let mut stream = site.connect();
        stream
            .write_all(b"GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n")
            .expect("it receives");
        // Somebody else is answered, so the first one has had its turn and waits.
        for _ in 0..3 {
            assert_eq!(ask(&site, "/a", "").body, b"A");
        }
        running.program.signal(Signal::KILL);
        running.program.wait_for_end(PATIENCE);
        rest(stream).len()
    };
    let (bounded, usual) = (held(&["--max-unsent-mib", "1"]), held(&[]));
    assert!(bounded > 0 && bounded < 96 * 1024, "{bounded}");
    println!("{bounded} and {usual} bytes are held");
    assert!(
        usual > bounded * 3 / 2,
        "{usual} and {bounded}: it is the bound"
    );
}

/// Mutants: a status page by a Unix socket; any socket for one that listens.
#[test]
fn what_cannot_be_used_ends_the_start_with_name_and_cause() {
    let folder = Folder::new();
    let datagrams = UnixDatagram::bind(folder.path("../datagrams")).expect("binds");
    let streams = UnixListener::bind(folder.path("../streams")).expect("binds");
    for (what, name, cause) in [
        (OwnedFd::from(datagrams), "files", "not a valid tcp socket"),
        (OwnedFd::from(streams), "status", "over TCP only"),
    ] {
        let script = format!(
            "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES={name}; exec \"$0\" \"$@\" 3<&0 0</dev/null"
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).arg(binary());
        command.arg(folder.root()).args(["--addr", "127.0.0.1:0"]);
        let output = command.stdin(Stdio::from(what)).output().expect("starts");
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(
            message.contains(&format!("{name:?}")) && message.contains(cause),
            "{message}"
        );
        assert_eq!(output.stdout, b"", "nothing is served");
    }
}
