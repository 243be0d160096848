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
use std::time::Duration;

use rcgen::{CertifiedKey, KeyPair};
use rustix::process::Signal;
use support::{Folder, PATIENCE, Server, assert_lists_entries, pattern, wait_until};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, RootCertStore, StreamOwned,
    SupportedProtocolVersion,
};

/// Entries of a directory whose page leaves in some hundred pieces.
const ENTRIES: usize = 10_000;

/// So many listings would have all the memory that there is for an order, each 6 blocks of the 256.
const LEAVING: usize = 44;

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
        shake_hands(server, self.config(&[&TLS13, &TLS12])).expect("hands are shaken")
    }
}

fn identity() -> CertifiedKey<KeyPair> {
    rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate")
}

/// A client over TLS. To it, an end that is not told is an error.
type Client = support::Client<StreamOwned<ClientConnection, TcpStream>>;

fn shake_hands(server: &Server, config: ClientConfig) -> io::Result<Client> {
    shake_hands_over(server.connect().stream, config)
}

fn shake_hands_over(socket: TcpStream, config: ClientConfig) -> io::Result<Client> {
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::new(config), name).expect("a session");
    let mut stream = StreamOwned::new(session, socket);
    while stream.conn.is_handshaking() {
        stream.conn.complete_io(&mut stream.sock)?;
    }
    Ok(Client::over(stream))
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
        let mut client = shake_hands(&server, config).expect("hands are shaken");
        let session = &client.stream.conn;
        assert_eq!(session.protocol_version(), Some(spoken));
        assert_eq!(session.alpn_protocol(), Some(b"http/1.1".as_slice()));
        assert_eq!(client.get("/a").text(), "A");
        assert!(client.get("/large.bin").body == content);
        let part = client.get_with("/large.bin", "Range: bytes=7-1000006\r\n");
        assert_eq!(part.status, 206);
        assert!(part.body == content[7..=1_000_006]);
        let request = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
        client.send(request.repeat(20));
        for _ in 0..20 {
            assert_eq!(client.response().text(), "A");
        }
        client.send("GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(client.response().text(), "A");
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
    assert_eq!(site.connect(&server).get("/a").text(), "A");
    for client in silent {
        assert_eq!(client.rest(), b"", "its time is over");
    }
    let mut config = site.config(&[&TLS13]);
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(
        shake_hands(&server, config).is_err(),
        "no protocol in common"
    );
    assert_eq!(site.connect(&server).get("/a").text(), "A");
}

/// Among answers of all these lengths is one of which the kernel takes all but the end, as long as its client does not read.
///
/// Mutant: leave in the session what the kernel does not take at once.
#[test]
fn the_end_of_an_answer_leaves_though_its_client_reads_late_and_asks_for_nothing_more() {
    const STEP: usize = 8 * 1024;
    let site = Site::new();
    let server = site.serve(&["--max-unsent-mib", "1"]);
    let content = pattern(LARGE_BYTES);
    let mut other = site.connect(&server);
    for length in (1..=24).map(|steps| steps * STEP) {
        let socket = server.connect_narrowly().stream;
        let mut client = shake_hands_over(socket, site.config(&[&TLS13])).expect("hands");
        let range = format!("Range: bytes=0-{}\r\n", length - 1);
        client.send(format!(
            "GET /large.bin HTTP/1.1\r\nHost: localhost\r\n{range}\r\n"
        ));
        // Somebody else is answered, so the first one has had its turn and waits.
        for _ in 0..3 {
            assert_eq!(other.get("/a").text(), "A");
        }
        assert!(client.response().body == content[..length], "{length}");
    }
}

/// Of most of these answers the kernel still has the tail when their end is told. Their clients read late and go on talking, which a
/// socket that was closed by then would answer with a reset.
///
/// Mutant: close when the end is told.
#[test]
fn an_answer_that_ends_the_connection_is_whole_and_told_though_its_client_reads_late() {
    const STEP: usize = 8 * 1024;
    let site = Site::new();
    let server = site.serve(&["--max-unsent-mib", "1"]);
    let content = pattern(LARGE_BYTES);
    let clients: Vec<_> = (1..=24)
        .map(|steps| {
            let socket = server.connect_narrowly().stream;
            let config = site.config(&[&TLS13]);
            let mut client = shake_hands_over(socket, config).expect("hands");
            let last = steps * STEP - 1;
            client.send(format!(
                "GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                 Range: bytes=0-{last}\r\n\r\n"
            ));
            (client, steps * STEP)
        })
        .collect();
    // Longer than who has everything is waited for.
    std::thread::sleep(Duration::from_millis(2_700));
    std::thread::scope(|scope| {
        for (mut client, length) in clients {
            let content = &content;
            scope.spawn(move || {
                client.send("GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n");
                std::thread::sleep(Duration::from_millis(50));
                assert!(client.response().body == content[..length], "{length}");
                client.expect_close();
            });
        }
    });
}

/// The client takes its pieces one by one, and the kernel takes little that was not sent: so the server waits between
/// pieces, and for the last one, too.
///
/// Mutant: drop the session in place of telling its end.
#[test]
fn a_large_listing_over_tls_comes_in_many_pieces_and_the_connection_goes_on() {
    let site = Site::new();
    site.folder.write_entries("large", ENTRIES);
    let server = site.serve(&["--max-unsent-mib", "1"]);
    let socket = server.connect_narrowly().stream;
    let config = site.config(&[&TLS13, &TLS12]);
    let mut client = shake_hands_over(socket, config).expect("hands are shaken");
    let listing = "GET /large/?sort=name&order=desc HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let file = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    client.send(listing.to_owned() + file);
    let head = client.read_head();
    assert_eq!((head.status, head.field("Content-Length")), (200, None));
    assert_eq!(head.field("Transfer-Encoding"), Some("chunked"));
    let pieces: Vec<_> = std::iter::from_fn(|| client.read_chunk()).collect();
    assert!(pieces.len() > 50, "{} pieces", pieces.len());
    assert_lists_entries(&pieces.concat(), ENTRIES, true);
    assert_eq!(client.response().text(), "A");
    assert_lists_entries(&client.get("/large/").body, ENTRIES, false);
    assert_eq!(client.get("/a").text(), "A");
    // Who does not know chunks is told of the end by TLS.
    client.send("GET /large/ HTTP/1.0\r\n\r\n");
    let head = client.read_head();
    assert_eq!(head.field("Transfer-Encoding"), None);
    assert_eq!(head.field("Connection"), Some("close"));
    assert_lists_entries(&client.rest(), ENTRIES, false);
}

/// Mutant: keep the leave for memory when the connection ends.
#[test]
fn clients_over_tls_that_leave_in_the_middle_of_a_listing_leave_nothing_behind() {
    let site = Site::new();
    site.folder.write_entries("large", ENTRIES);
    let server = site.serve(&[]);
    let mut honest = site.connect(&server);
    assert_lists_entries(&honest.get("/large/").body, ENTRIES, false);
    let files = server.open_files();
    for number in 0..LEAVING {
        let mut leaving = site.connect(&server);
        leaving.send("GET /large/ HTTP/1.1\r\nHost: localhost\r\n\r\n");
        assert_eq!(leaving.read_head().status, 200);
        assert!(leaving.read_chunk().is_some() && leaving.read_chunk().is_some());
        if number % 2 == 0 {
            leaving.stream.conn.send_close_notify();
            leaving.stream.flush().expect("it is told");
        }
    }
    assert_eq!(honest.get("/a").text(), "A");
    wait_until("their descriptors are closed", || {
        server.open_files() <= files
    });
    // Had they kept their memory, there would be none left for an order.
    assert_lists_entries(&honest.get("/large/").body, ENTRIES, false);
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
    assert_eq!(idle.get("/a").text(), "A");
    let mut running = site.connect(&server);
    running.send("GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n");
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
