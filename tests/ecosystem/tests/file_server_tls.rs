//! The example `file_server` with its feature `tls`, by clients of rustls; rcgen makes the certificates.

#[allow(
    dead_code,
    reason = "the tests of the example without TLS use all of it"
)]
#[path = "../../file_server/support.rs"]
mod support;

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};

use rcgen::{CertifiedKey, KeyPair};
use rustix::process::Signal;
use support::{Folder, PATIENCE, Server, pattern, wait_until};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

/// Larger than what the kernel's buffers between server and client hold.
const LARGE_BYTES: usize = 8 << 20;

fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| support::example::build_with("file_server", &["tls"]))
}

/// A folder that is served, and beside it the files of a certificate.
struct Site {
    folder: Folder,
    identity: CertifiedKey<KeyPair>,
}

impl Site {
    fn new() -> Site {
        let folder = Folder::new();
        folder.write("a", "A");
        folder.write("large.bin", pattern(LARGE_BYTES));
        let identity = identity();
        folder.write("../certificate.pem", identity.cert.pem());
        folder.write("../key.pem", identity.signing_key.serialize_pem());
        Site { folder, identity }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path(name).display().to_string()
    }

    /// The server's command, but for what tests launch it with.
    fn command(&self, certificate: &str, key: &str) -> Command {
        let mut command = Command::new(binary());
        command.arg(self.folder.root()).arg("--quiet");
        command.args(["--tls-cert", &self.path(certificate)]);
        command.args(["--tls-key", &self.path(key)]);
        command
    }

    fn serve(&self, arguments: &[&str]) -> Server {
        let mut command = self.command("../certificate.pem", "../key.pem");
        command.args(arguments);
        Server::launch(command).0
    }

    fn config(&self, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.identity.cert.der().clone()).expect("a root");
        ClientConfig::builder_with_protocol_versions(versions)
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// A client that has shaken hands.
    fn connect(&self, server: &Server) -> Client {
        Client::connect(server, self.config(&[&TLS13, &TLS12])).expect("hands are shaken")
    }
}

fn identity() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate")
}

/// A client over TLS. To it, an end that is not told is an error.
struct Client {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

impl Client {
    fn connect(server: &Server, config: ClientConfig) -> io::Result<Client> {
        let socket = TcpStream::connect(server.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let name = ServerName::try_from("localhost").expect("a name");
        let session = ClientConnection::new(Arc::new(config), name).expect("a session");
        let mut stream = StreamOwned::new(session, socket);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(Client { stream })
    }

    fn send(&mut self, text: &str) {
        self.stream
            .write_all(text.as_bytes())
            .expect("the server receives");
    }

    fn ask(&mut self, target: &str, fields: &str) {
        self.send(&format!(
            "GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        ));
    }

    /// Receives a response to a GET: its head and its body.
    fn response(&mut self) -> (String, Vec<u8>) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            self.stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("heads are ASCII");
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "));
        let length = length.map_or(0, |length| length.parse().expect("a number"));
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).expect("a body");
        (head, body)
    }

    fn get(&mut self, target: &str) -> Vec<u8> {
        self.ask(target, "");
        self.response().1
    }

    /// Asserts that the server says that it ends, and has nothing more to say.
    fn expect_close(mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).expect("a told end");
        assert_eq!(rest, b"");
    }
}

#[test]
fn both_versions_of_tls_serve_whole_files_parts_and_pipelines() {
    let site = Site::new();
    let server = site.serve(&[]);
    let content = pattern(LARGE_BYTES);
    for (offered, spoken) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        let mut config = site.config(&[offered]);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let mut client = Client::connect(&server, config).expect("hands are shaken");
        let session = &client.stream.conn;
        assert_eq!(session.protocol_version(), Some(spoken));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(client.get("/a"), b"A");
        assert!(client.get("/large.bin") == content);
        client.ask("/large.bin", "Range: bytes=7-1000006\r\n");
        let (head, part) = client.response();
        assert!(head.starts_with("HTTP/1.1 206"), "{head}");
        assert!(part == content[7..=1_000_006]);
        let request = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.send(&request.repeat(20));
        for _ in 0..20 {
            assert_eq!(client.response().1, b"A");
        }
        client.send("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response().1, b"A");
        client.expect_close();
    }
}

/// Mutant: no bound for the handshake.
#[test]
fn who_does_not_shake_hands_is_let_go_and_holds_up_nobody() {
    let site = Site::new();
    let server = site.serve(&["--head-timeout-ms", "300", "--max-connections", "3"]);
    let silent: Vec<_> = (0..2).map(|_| server.connect()).collect();
    let mut plain = server.connect();
    plain.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = plain.rest();
    assert!(!answer.starts_with(b"HTTP"), "nobody speaks in the clear");
    assert_eq!(site.connect(&server).get("/a"), b"A");
    for client in silent {
        assert_eq!(client.rest(), b"", "its time is over");
    }
    let mut config = site.config(&[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(
        Client::connect(&server, config).is_err(),
        "no protocol in common"
    );
    assert_eq!(site.connect(&server).get("/a"), b"A");
}

/// Mutants: drop the session in place of telling its end; wait at a stop for handshakes.
#[test]
fn a_stop_finishes_what_runs_and_tells_every_client_of_the_end() {
    let site = Site::new();
    let ten_minutes = "600000";
    let arguments = [
        "--drain-timeout-ms",
        ten_minutes,
        "--head-timeout-ms",
        ten_minutes,
    ];
    let mut server = site.serve(&arguments);
    // It is accepted before those behind it are answered.
    let silent = server.connect();
    let mut idle = site.connect(&server);
    assert_eq!(idle.get("/a"), b"A");
    let mut running = site.connect(&server);
    running.ask("/large.bin", "");
    let mut first = [0];
    running.stream.read_exact(&mut first).expect("it has begun");
    server.signal(Signal::TERM);
    idle.expect_close();
    assert_eq!(silent.rest(), b"");
    wait_until("nobody is accepted any more", || {
        TcpStream::connect(server.address).is_err()
    });
    assert!(server.is_running(), "a download is running");
    let mut rest = Vec::new();
    running.stream.read_to_end(&mut rest).expect("a told end");
    assert!(first == *b"H" && rest.ends_with(&pattern(LARGE_BYTES)));
    assert!(server.wait_for_end(PATIENCE).success());
}

#[test]
fn what_cannot_be_used_ends_the_start_with_file_and_cause() {
    let site = Site::new();
    site.folder.write("../empty.pem", "");
    site.folder
        .write("../torn.pem", "-----BEGIN CERTIFICATE-----\nAA");
    let other = identity();
    site.folder
        .write("../other.pem", other.signing_key.serialize_pem());
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    site.folder.write("../nonsense.pem", nonsense);
    let locked =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    site.folder.write("../locked.pem", locked);
    for (certificate, key, at_fault, cause) in UNUSABLE {
        let mut command = site.command(certificate, key);
        let output = command
            .args(["--addr", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .output();
        let output = output.expect("the example starts");
        let message = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.starts_with("file_server: "), "{message}");
        assert!(
            message.contains(at_fault) && message.contains(cause),
            "{message}"
        );
        assert_eq!(message.lines().count(), 1, "{message}");
        assert_eq!(output.stdout, b"", "nothing is served");
    }
}

/// Certificate, key, which of the two is at fault, and a part of what is said of it.
const UNUSABLE: [(&str, &str, &str, &str); 8] = [
    ("../none.pem", "../key.pem", "none.pem", "No such file"),
    (
        "../empty.pem",
        "../key.pem",
        "empty.pem",
        "a certificate in PEM",
    ),
    (
        "../torn.pem",
        "../key.pem",
        "torn.pem",
        "a certificate in PEM",
    ),
    (
        "../nonsense.pem",
        "../key.pem",
        "nonsense.pem",
        "certificate",
    ),
    (
        "../certificate.pem",
        "../none.pem",
        "none.pem",
        "No such file",
    ),
    (
        "../certificate.pem",
        "../certificate.pem",
        "certificate.pem",
        "a private key in PEM",
    ),
    (
        "../certificate.pem",
        "../locked.pem",
        "locked.pem",
        "not encrypted",
    ),
    (
        "../certificate.pem",
        "../other.pem",
        "other.pem",
        "not that of the certificate",
    ),
];
