//! Under a service manager: sockets that are handed over, and what the manager is told.

use std::io::{BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{ChildStdout, Command, Stdio};

use rustix::process::Signal;

use crate::support::example::Program;
use crate::support::{Client, Folder, PATIENCE, Server, binary, wait_until};

fn site() -> Folder {
    let folder = Folder::new();
    folder.write("a", "A");
    folder
}

/// A socket that listens, and where.
fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
    let address = listener.local_addr().expect("bound");
    (listener, address)
}

/// The server's command, behind a shell that puts its input at descriptor 3 and its errors' end at 4, and sets the variables
/// for the process that it becomes. So no other test's child inherits anything.
fn activated(folder: &Folder, variables: &str, first: Stdio, second: Stdio) -> Command {
    let mut command = Command::new("sh");
    let redirected = "exec \"$0\" \"$@\" 3<&0 4>&2 0</dev/null 2>/dev/null";
    command.args([
        "-c",
        &format!("export LISTEN_PID=$$ {variables}; {redirected}"),
    ]);
    command.arg(binary()).arg(folder.root());
    command.stdin(first).stderr(second);
    command
}

fn handed_over(listener: &TcpListener) -> Stdio {
    let copy = listener.try_clone().expect("a descriptor");
    Stdio::from(OwnedFd::from(copy))
}

/// The rest of what the server says is kept open, for it.
fn launch(command: Command) -> (Server, BufReader<ChildStdout>) {
    Server::launch(command)
}

/// Mutant: take every socket for files.
#[test]
fn sockets_that_are_handed_over_are_used_by_their_names() {
    let folder = site();
    let ((files, address), (status, status_address)) = (listen(), listen());
    let variables = "LISTEN_FDS=2 LISTEN_FDNAMES=files:status";
    let (first, second) = (handed_over(&files), handed_over(&status));
    let (mut server, _output) = launch(activated(&folder, variables, first, second));
    assert_eq!(server.address, address, "--addr is not listened on");
    assert_eq!(server.get("/a").text(), "A");
    let mut client = Client::connect(status_address);
    client.send("GET /sample HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(client.response().status, 200);
    for descriptor in [3, 4] {
        let path = format!("/proc/{}/fdinfo/{descriptor}", server.pid());
        let about = std::fs::read_to_string(path).expect("it is open");
        let flags = about.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        assert_ne!(flags & 0o2_000_000, 0, "no child inherits it: {about}");
    }
    server.signal(Signal::TERM);
    assert!(server.wait_for_end(PATIENCE).success());
}

/// Mutant: shut the socket down at the end in place of closing it.
#[test]
fn who_waits_at_a_socket_that_is_handed_over_is_answered_by_the_next_server() {
    let folder = site();
    let (files, address) = listen();
    let start = || {
        let (first, second) = (handed_over(&files), Stdio::null());
        launch(activated(&folder, "LISTEN_FDS=1", first, second))
    };
    let (mut server, _output) = start();
    assert_eq!(server.get("/a").text(), "A");
    server.signal(Signal::TERM);
    assert!(server.wait_for_end(PATIENCE).success());
    let mut waiting = Client::connect(address);
    waiting.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let (_server, _output) = start();
    assert_eq!(waiting.response().text(), "A");
}

#[test]
fn two_sockets_for_files_are_both_served_and_closed_at_a_stop() {
    let folder = site();
    let ((one, first_address), (two, second_address)) = (listen(), listen());
    let (first, second) = (handed_over(&one), handed_over(&two));
    let (mut server, _output) = launch(activated(&folder, "LISTEN_FDS=2", first, second));
    drop((one, two));
    for address in [first_address, second_address] {
        assert_eq!(Client::connect(address).get("/a").text(), "A");
    }
    server.signal(Signal::TERM);
    assert!(server.wait_for_end(PATIENCE).success());
    for address in [first_address, second_address] {
        assert!(TcpStream::connect(address).is_err());
    }
}

/// Mutant: look at LISTEN_FDS alone.
#[test]
fn what_was_handed_over_to_another_process_is_left_alone() {
    let folder = site();
    let (files, address) = listen();
    let variables = "LISTEN_FDS=1 LISTEN_PID=1";
    let (first, second) = (handed_over(&files), Stdio::null());
    let (server, _output) = launch(activated(&folder, variables, first, second));
    assert_ne!(server.address, address, "it listens on --addr");
    assert_eq!(server.get("/a").text(), "A");
}

/// Mutant: do not ask whether it listens.
#[test]
fn what_no_connection_can_be_accepted_from_ends_the_start() {
    let folder = site();
    let (_listener, address) = listen();
    let connected = TcpStream::connect(address).expect("connects");
    for (what, cause) in [
        (Stdio::null(), "not a socket"),
        (Stdio::from(OwnedFd::from(connected)), "does not listen"),
    ] {
        let (errors, end) = std::io::pipe().expect("a pipe");
        // The shell would lead the errors away.
        let mut command = Command::new("sh");
        let start =
            "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=files; exec \"$0\" \"$@\" 3<&0";
        command.args(["-c", start]).arg(binary()).arg(folder.root());
        command
            .args(["--addr", "127.0.0.1:0"])
            .stdin(what)
            .stderr(end);
        let child = command.spawn().expect("the shell starts");
        let status = Program { child }.wait_for_end(PATIENCE);
        drop(command);
        let mut message = String::new();
        BufReader::new(errors)
            .read_to_string(&mut message)
            .expect("UTF-8");
        assert_eq!(status.code(), Some(1), "{message}");
        assert!(
            message.contains("\"files\"") && message.contains(cause),
            "{message}"
        );
    }
}

/// Mutants: never say that it is alive; say that it stops only when all has ended.
#[test]
fn the_manager_is_told_of_the_start_of_life_and_of_the_stop() {
    let folder = site();
    folder.write("large.bin", vec![7; 16 << 20]);
    let path = folder.path("../notify");
    let manager = UnixDatagram::bind(&path).expect("binds");
    manager.set_read_timeout(Some(PATIENCE)).expect("sets");
    let hear = || {
        let mut room = [0; 1024];
        let count = manager.recv(&mut room).expect("something is told");
        String::from_utf8(room[..count].to_vec()).expect("UTF-8")
    };
    let mut command = Command::new(binary());
    command
        .arg(folder.root())
        .args(["--drain-timeout-ms", "600000"]);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "200000");
    let (mut server, _output) = launch(command);
    let ready = hear();
    assert!(ready.starts_with("READY=1\n"), "{ready}");
    assert!(ready.contains("STATUS=Serving ") && ready.contains(&server.address.to_string()));
    assert_eq!(server.get("/a").text(), "A");
    for _ in 0..3 {
        assert_eq!(hear(), "WATCHDOG=1\n");
    }
    let mut running = server.connect();
    running.send("GET /large.bin HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(running.receive() > 0);
    server.signal(Signal::TERM);
    let mut told = String::new();
    wait_until("the stop is told", || {
        told = hear();
        told != "WATCHDOG=1\n"
    });
    assert!(told.starts_with("STOPPING=1\n"), "{told}");
    assert!(told.contains("EXTEND_TIMEOUT_USEC=600000000\n"), "{told}");
    assert!(server.is_running(), "a download is running");
    assert_eq!(running.response().body.len(), 16 << 20);
    assert!(server.wait_for_end(PATIENCE).success());
}

/// Mutant: end when a word cannot be told.
#[test]
fn a_manager_that_is_not_there_keeps_nobody_from_being_served() {
    let folder = site();
    let mut command = Command::new(binary());
    command.arg(folder.root());
    command
        .env("NOTIFY_SOCKET", folder.path("../nobody"))
        .stderr(Stdio::null());
    let (mut server, _output) = launch(command);
    assert_eq!(server.get("/a").text(), "A");
    server.signal(Signal::TERM);
    assert!(server.wait_for_end(PATIENCE).success());
}
