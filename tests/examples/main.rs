//! The examples: each runs by the command in its first line, and does what it says.

#[path = "../support/example.rs"]
mod example;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::process::{ChildStdout, Command, Stdio};

use example::{PATIENCE, build, uninterrupted};

/// The arguments in the first line of an example, with ports of the system's choice.
fn arguments(name: &str) -> Vec<String> {
    let path = format!("{}/examples/{name}.rs", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("an example");
    let first = text.lines().next().expect("a line");
    let command = first
        .strip_prefix("//! `")
        .and_then(|rest| rest.strip_suffix('`'));
    let words: Vec<_> = command.expect("a command").split(' ').collect();
    assert_eq!(words[..4], ["cargo", "run", "--example", name]);
    let arguments = words[4..].iter().skip_while(|word| **word == "--");
    arguments
        .map(|word| word.replace(":8080", ":0").replace(":8081", ":0"))
        .collect()
}

/// A program that runs, and is killed when the test is done.
struct Program {
    program: example::Program,
    output: BufReader<ChildStdout>,
}

impl Program {
    fn start(name: &str, arguments: &[String]) -> Self {
        let mut child = Command::new(build(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("a pipe"));
        let program = example::Program { child };
        Self { program, output }
    }

    /// As its first line says; returns the address where it listens.
    fn server(name: &str) -> (Self, String) {
        let mut server = Self::start(name, &arguments(name));
        let address = server.address();
        (server, address)
    }

    fn address(&mut self) -> String {
        let line = self.line();
        line.strip_prefix("listening on ")
            .expect("an address")
            .to_owned()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("a line");
        line.trim_end().to_owned()
    }

    fn write(&mut self, text: &str) {
        let input = self.program.child.stdin.as_mut().expect("open");
        input.write_all(text.as_bytes()).expect("it reads");
    }

    /// What it says until it ends, which it does by itself and well.
    fn finish(mut self) -> String {
        drop(self.program.child.stdin.take());
        assert!(self.program.wait_for_end(PATIENCE).success());
        let mut text = String::new();
        self.output.read_to_string(&mut text).expect("text");
        text
    }
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// A client that speaks in lines.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(address: &str) -> Self {
        let stream = BufReader::new(connect(address));
        Self { stream }
    }

    fn say(&mut self, line: &str) {
        let stream = self.stream.get_mut();
        stream
            .write_all(format!("{line}\n").as_bytes())
            .expect("it reads");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("a line in time");
        line.trim_end().to_owned()
    }

    fn ask(&mut self, line: &str) -> String {
        self.say(line);
        self.hear()
    }
}

#[test]
fn echo_sends_back_what_it_gets() {
    let (_server, address) = Program::server("echo");
    let mut idle = connect(&address);
    let mut stream = connect(&address);
    let sent: Vec<u8> = (0..500_000_u32).map(|at| at as u8).collect();
    let mut writer = stream.try_clone().expect("a handle");
    let copy = sent.clone();
    let writing = std::thread::spawn(move || {
        writer.write_all(&copy).expect("it reads");
        writer.shutdown(Shutdown::Write).expect("open");
    });
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("all in time");
    assert!(heard == sent);
    writing.join().expect("no panic");
    idle.write_all(b"x").expect("it is still there");
    let read = uninterrupted(|| idle.read(&mut [0]));
    assert_eq!(read.expect("an answer"), 1);
}

#[test]
fn connect_passes_lines_to_a_server_and_shows_what_it_answers() {
    let (_server, address) = Program::server("echo");
    let mut client = Program::start("connect", &[address]);
    client.write("hello\n");
    assert_eq!(client.line(), "hello");
    client.write("and goodbye\n");
    assert_eq!(client.finish(), "and goodbye\n");
    assert_eq!(arguments("connect"), ["127.0.0.1:0"]);
}

#[test]
fn connect_sends_lines_as_messages() {
    let peer = UdpSocket::bind("127.0.0.1:0").expect("a port");
    peer.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let address = peer.local_addr().expect("an address").to_string();
    let mut client = Program::start("connect", &["--udp".to_owned(), address]);
    client.write("one\n");
    let mut message = [0; 16];
    let received = uninterrupted(|| peer.recv_from(&mut message));
    let (count, from) = received.expect("a message in time");
    assert_eq!(&message[..count], b"one");
    peer.send_to(b"two", from).expect("it is there");
    assert_eq!(client.line(), "two");
    assert_eq!(client.finish(), "");
}

#[test]
fn chat_tells_everybody_else() {
    let (_server, address) = Program::server("chat");
    let mut ada = Client::new(&address);
    assert_eq!(ada.hear(), "who are you?");
    ada.say("ada");
    assert_eq!(ada.hear(), "welcome, ada");
    let mut bob = Client::new(&address);
    assert_eq!(bob.hear(), "who are you?");
    bob.say("bob");
    assert_eq!(bob.hear(), "welcome, bob");
    assert_eq!(ada.hear(), "bob is here");
    ada.say("hello");
    assert_eq!(bob.hear(), "ada: hello");
    bob.say("hello yourself");
    assert_eq!(ada.hear(), "bob: hello yourself");
    drop(bob);
    assert_eq!(ada.hear(), "bob has gone");
}

#[test]
fn proxy_passes_both_directions_on() {
    let (_server, behind) = Program::server("echo");
    assert_eq!(arguments("proxy").len(), 2);
    let mut proxy = Program::start("proxy", &["127.0.0.1:0".to_owned(), behind]);
    let address = proxy.address();
    let mut stream = connect(&address);
    stream.write_all(b"through the proxy").expect("it reads");
    stream.shutdown(Shutdown::Write).expect("open");
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("all in time");
    assert_eq!(heard, "through the proxy");
}

#[test]
fn print_each_packet_shows_what_comes() {
    let (mut server, address) = Program::server("print_each_packet");
    let mut stream = connect(&address);
    stream.write_all(b"a packet\n").expect("it reads");
    assert_eq!(server.line(), r#"b"a packet\n""#);
    let ours = stream.local_addr().expect("an address");
    drop(stream);
    assert_eq!(server.line(), format!("{ours} has gone"));
}

#[test]
fn tinydb_keeps_what_is_set_for_all_connections() {
    let (_server, address) = Program::server("tinydb");
    let mut one = Client::new(&address);
    let mut other = Client::new(&address);
    assert_eq!(one.ask("GET a"), "no a");
    assert_eq!(one.ask("SET a 1 and more"), "a = 1 and more");
    assert_eq!(other.ask("GET a"), "a = 1 and more");
    assert_eq!(other.ask("SET a 2"), "a = 2 (was: 1 and more)");
    assert_eq!(one.ask("DEL a"), "gone: 2");
    assert_eq!(one.ask("DEL a"), "no a");
    assert_eq!(one.ask("SET a"), "error: it takes a key and a value");
    assert_eq!(one.ask("FETCH a"), "error: GET, SET or DEL");
}

#[test]
fn udp_codec_sends_and_answers_messages() {
    let text = Program::start("udp-codec", &arguments("udp-codec")).finish();
    for round in 0..4 {
        assert!(text.contains(&format!("heard ping {round}")), "{text}");
        assert!(text.contains(&format!("heard pong {round}")), "{text}");
    }
}

#[test]
fn custom_executor_runs_the_runtimes_io_on_its_own_threads() {
    let text = Program::start("custom-executor", &arguments("custom-executor")).finish();
    assert_eq!(text, "heard \"hello\" on threads of our own\n");
}

#[test]
fn dump_names_the_tasks_and_the_one_that_is_stuck() {
    let text = Program::start("dump", &arguments("dump")).finish();
    for name in [
        "stuck",
        "waits for a third, 0",
        "waits for a third, 1",
        "dump.rs",
    ] {
        assert!(text.contains(name), "{name} in\n{text}");
    }
}

/// A new example without a test here fails this one, and so does one whose first line is not its command.
#[test]
fn every_example_of_one_file_is_run_by_a_test_here() {
    let here = include_str!("main.rs");
    let folder = format!("{}/examples", env!("CARGO_MANIFEST_DIR"));
    let mut seen = 0;
    for entry in std::fs::read_dir(folder).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        let name = path
            .file_stem()
            .and_then(|name| name.to_str())
            .expect("a name");
        let quoted = format!("\"{name}\"");
        assert!(here.contains(&quoted), "{name} is run by no test");
        arguments(name);
        seen += 1;
    }
    assert!(seen >= 9, "{seen} examples");
}

/// The command of an example in several files, as its own first lines and the README have it: the options in it are the
/// program's. What they do, the tests of its name show.
///
/// Mutant: an option has another name in `args.rs`.
#[test]
fn every_example_of_a_folder_takes_the_options_of_its_command() {
    let root = env!("CARGO_MANIFEST_DIR");
    let read = |path: &str| std::fs::read_to_string(format!("{root}/{path}")).expect("a text");
    let readme = read("README.md");
    let mut seen = 0;
    for entry in std::fs::read_dir(format!("{root}/examples")).expect("the examples") {
        let entry = entry.expect("an entry");
        if !entry.path().is_dir() {
            continue;
        }
        let name = entry.file_name().into_string().expect("a name");
        let help = help_of(&name);
        for text in [&read(&format!("examples/{name}/main.rs")), &readme] {
            for option in options_in_command(text, &name) {
                let mut words = help.split([' ', ',', '\n', '[', ']']);
                assert!(words.any(|word| word == option), "no {option}:\n{help}");
                seen += 1;
            }
        }
    }
    assert!(seen >= 8, "{seen} options");
}

/// The options in the first command in `text` that runs the example `name`.
fn options_in_command<'a>(text: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let start = format!("cargo run --release --example {name} -- ");
    let command = text.lines().find_map(|line| line.split_once(&start));
    let (_, arguments) = command.expect("the command");
    let words = arguments.split(['[', ']', ' ']);
    words.filter(|word| word.starts_with("--"))
}

/// What the example says of its options.
fn help_of(name: &str) -> String {
    let mut program = Command::new(build(name));
    let told = program.arg("--help").output().expect("it starts");
    String::from_utf8(told.stdout).expect("text")
}
