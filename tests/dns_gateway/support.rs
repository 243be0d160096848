//! A gateway process, an upstream, and a client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use hickory_proto::op::{Message, Query};
use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record, RecordType};
use rustix::process::Signal;

pub(crate) use example::{PATIENCE, uninterrupted, wait_until};
pub(crate) use upstream::{Asked, Upstream, encode};
use upstream::{framed, read_framed};

#[path = "../support/example.rs"]
mod example;
#[path = "../support/upstream.rs"]
mod upstream;

/// The path of the example, built once for this run.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| example::build("dns_gateway"))
}

/// An upstream that answers what `waits` says so of only while nobody holds its gate.
pub(crate) fn gated(
    waits: impl Fn(&Asked) -> bool + Send + Sync + 'static,
) -> (Arc<Mutex<()>>, Upstream) {
    let gate = Arc::new(Mutex::new(()));
    let held = Arc::clone(&gate);
    let upstream = Upstream::start(move |asked| {
        if waits(asked) {
            drop(held.lock());
        }
        vec![asked.address(300)]
    });
    (gate, upstream)
}

/// A running gateway. Dropping it kills the process.
pub(crate) struct Gateway {
    program: example::Program,
    pub(crate) address: SocketAddr,
    /// What it has said on standard error, by lines.
    said: Arc<Mutex<Vec<String>>>,
}

impl Deref for Gateway {
    type Target = example::Program;

    fn deref(&self) -> &example::Program {
        &self.program
    }
}

impl DerefMut for Gateway {
    fn deref_mut(&mut self) -> &mut example::Program {
        &mut self.program
    }
}

impl Gateway {
    /// A gateway that asks `upstream`.
    pub(crate) fn of(upstream: &Upstream, arguments: &[&str]) -> Gateway {
        let address = upstream.address.to_string();
        Gateway::start(&[&["--upstream", &address], arguments].concat())
    }

    pub(crate) fn start(arguments: &[&str]) -> Gateway {
        let mut command = Command::new(binary());
        command
            .args(["--listen", "127.0.0.1:0", "--workers", "2"])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the example starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("the first line");
        let address = line
            .split([' ', ','])
            .nth(2)
            .and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("no address: {line:?}"));
        let said = Arc::<Mutex<Vec<String>>>::default();
        let lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let sink = Arc::clone(&said);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sink.lock().expect("no panic").push(line);
            }
        });
        Gateway {
            program: example::Program { child },
            address,
            said,
        }
    }

    /// Asks by UDP and waits for the answer.
    pub(crate) fn ask(&self, query: &Message) -> Message {
        Client::of(self).ask(query)
    }

    /// The value of a counter now.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let lines = || self.said.lock().expect("no panic").clone();
        let before = lines().len();
        self.signal(Signal::USR1);
        wait_until("it shows its counters", || lines().len() > before);
        let shown = lines()[before].clone();
        let value = shown
            .split(' ')
            .find_map(|word| word.strip_prefix(name)?.strip_prefix('='));
        value
            .and_then(|value| value.parse().ok())
            .unwrap_or_else(|| panic!("no {name} in {shown:?}"))
    }
}

/// A client by UDP, with a port of its own.
pub(crate) struct Client {
    pub(crate) socket: UdpSocket,
}

impl Client {
    pub(crate) fn of(gateway: &Gateway) -> Client {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        socket.connect(gateway.address).expect("connects");
        socket.set_read_timeout(Some(PATIENCE)).expect("sets");
        Client { socket }
    }

    #[track_caller]
    pub(crate) fn ask(&self, query: &Message) -> Message {
        self.send(&encode(query));
        let answer = self.receive();
        assert_eq!(answer.id, query.id);
        answer
    }

    pub(crate) fn send(&self, packet: &[u8]) {
        self.socket.send(packet).expect("sends");
    }

    #[track_caller]
    pub(crate) fn receive(&self) -> Message {
        let mut packet = [0; 4096];
        let received = uninterrupted(|| self.socket.recv(&mut packet));
        let length = received.expect("an answer");
        Message::from_vec(&packet[..length]).expect("an answer that is well-formed")
    }
}

/// A client by TCP.
pub(crate) struct TcpClient {
    pub(crate) stream: TcpStream,
}

impl TcpClient {
    pub(crate) fn of(gateway: &Gateway) -> TcpClient {
        let stream = TcpStream::connect(gateway.address).expect("connects");
        stream.set_read_timeout(Some(PATIENCE)).expect("sets");
        TcpClient { stream }
    }

    pub(crate) fn send(&mut self, query: &Message) {
        self.stream
            .write_all(&framed(&encode(query)))
            .expect("sends");
    }

    #[track_caller]
    pub(crate) fn receive(&mut self) -> Message {
        let packet = read_framed(&mut self.stream).expect("an answer");
        Message::from_vec(&packet).expect("an answer that is well-formed")
    }

    /// Whether the gateway closes the connection, without another word.
    pub(crate) fn is_closed(&mut self) -> bool {
        matches!(uninterrupted(|| self.stream.read(&mut [0])), Ok(0))
    }
}

/// A query of a client that wants the address of `name`, with EDNS.
pub(crate) fn query(name: &str) -> Message {
    let mut query = query_without_edns(name);
    let mut edns = hickory_proto::op::Edns::new();
    edns.set_max_payload(1232);
    query.set_edns(edns);
    query
}

pub(crate) fn query_without_edns(name: &str) -> Message {
    let mut query = Message::query();
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(self::name(name), RecordType::A));
    query
}

pub(crate) fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// What says that there is nothing, for `ttl` seconds.
pub(crate) fn soa(ttl: u32) -> Record {
    let soa = SOA::new(name("ns.test."), name("admin.test."), 1, 2, 3, 4, ttl);
    Record::from_rdata(name("test."), 3600, RData::SOA(soa))
}
